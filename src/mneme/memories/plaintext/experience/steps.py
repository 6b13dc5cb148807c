"""What a run of an agent consists of: actions, steps, trajectories.

In: text and JSON that a caller or a store hands in, checked elsewhere. Out: frozen data. An action
has a name and arguments, so that two of them can be compared place by place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL, LIST, WORDS, TEXT = "call", "list", "words", "text"

_CALL: Final = re.compile(r"([A-Za-z_][\w.\-]*)\s*(?:\((.*)\)|\[(.*)\])", re.DOTALL)
_PIECE: Final = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^,"'])+|["']""", re.DOTALL)
_LABEL: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)\s*(.*)", re.DOTALL)
_TOKEN: Final = re.compile(r"\w+(?:['’.:/@-]\w+)*|[^\w\s]")
_JOINED: Final = re.compile(r" (?=[.,;:!?)\]'’])|(?<=[(\[]) ")
_QUOTED_CHARS: Final = 2
_MOST_PLACES: Final = 64  # words of an action that are compared one by one
_MOST_TOKENS: Final = 200  # of a task


@dataclass(frozen=True, slots=True)
class Argument:
    """One place of an action: its label, if it has one, and what stands there.

    A slot is a place that varied between runs; its value is the slot's name.
    """

    label: str
    value: str
    slot: bool = False

    def __str__(self) -> str:
        shown = f"{{{self.value}}}" if self.slot else self.value
        return f"{self.label}={shown}" if self.label else shown


@dataclass(frozen=True, slots=True)
class Action:
    """A name and arguments, and how they are written: as a call, a list, words, or a text."""

    style: str
    name: str
    arguments: tuple[Argument, ...] = ()

    def __str__(self) -> str:
        shown = [str(each) for each in self.arguments]
        if self.style == CALL:
            return f"{self.name}({', '.join(shown)})"
        if self.style == LIST:
            return f"{self.name}[{', '.join(shown)}]"
        if self.style == TEXT:
            return _JOINED.sub("", " ".join(shown))
        return " ".join([self.name, *shown])

    def to_json(self) -> list[Any]:
        """As it is kept in metadata."""
        return [self.style, self.name, [[a.label, a.value, int(a.slot)] for a in self.arguments]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run.

    Attributes:
        action: What was done.
        said: The action in the words of the caller.
        thought: Why, where the run tells.
        observation: What came back, where something did.
        failed: Whether what came back says that the action did not work.
    """

    action: Action
    said: str
    thought: str | None = None
    observation: str | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """A run: what was to be done, and the steps that were taken."""

    task: str
    steps: tuple[Step, ...]

    @property
    def observed(self) -> bool:
        """Whether anything in it was said by a tool."""
        return any(step.observation is not None for step in self.steps)


def action_from_json(value: Sequence[Any]) -> Action:
    """The action that `Action.to_json` wrote."""
    style, name, arguments = value
    return Action(style, name, tuple(Argument(a, v, bool(s)) for a, v, s in arguments))


def action_of(text: str) -> Action:
    """An action written as `name(a, b=c)`, as `name[a]`, or as words, the last of them long."""
    text = text.strip()
    called = _CALL.fullmatch(text)
    if called is None:
        name, *words = text.split(maxsplit=_MOST_PLACES)
        return Action(WORDS, name, tuple(Argument("", word) for word in words))
    inner = called[2] if called[2] is not None else called[3]
    style = CALL if called[2] is not None else LIST
    pieces = [piece for piece in _PIECE.findall(inner) if piece.strip()]
    return Action(style, called[1], tuple(_argument(piece) for piece in pieces))


def call_of(name: str, arguments: Sequence[tuple[str, str]]) -> Action:
    """An action whose arguments are known one by one."""
    return Action(CALL, name, tuple(Argument(label, value) for label, value in arguments))


def text_of(text: str) -> Action:
    """A text as places that can be compared: its words; a very long one is cut."""
    tokens = [match.group() for match in islice(_TOKEN.finditer(text), _MOST_TOKENS + 1)]
    if len(tokens) > _MOST_TOKENS:
        tokens[_MOST_TOKENS:] = ["…"]
    return Action(TEXT, "", tuple(Argument("", token) for token in tokens))


def _argument(piece: str) -> Argument:
    labelled = _LABEL.fullmatch(piece)
    label, value = (labelled[1], labelled[2]) if labelled else ("", piece)
    value = value.strip()
    quoted = len(value) >= _QUOTED_CHARS and value[0] == value[-1] and value[0] in "\"'"
    return Argument(label, value[1:-1] if quoted else value)
