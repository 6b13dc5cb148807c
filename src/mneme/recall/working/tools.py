"""Tools that come and go by need, after MemTool (arXiv:2507.21428).

In: tools as JSON schemas, and what the next step is about. Out: the few that the model is shown.
MemTool lets a model or a workflow add and remove tools; this is the workflow without a model: what
is pinned stays, what was called in this turn stays, what fits the step comes, what was used lately
stays while there is room, and what nobody needed for some turns goes. Pure but for the vectors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import InvalidInputError
from mneme.memories.plaintext.language.terms import codes_of, is_stopword, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Vectorise = Callable[[Sequence[str]], Any]  # texts to an array [texts, dim], or None

DEFAULT_LIMIT: Final = 8
UNUSED_TURNS: Final = 3
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PARTS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_NEED: Final = 0.3  # of the best: what fits less well does not come
_LIKE_FLOOR: Final = 0.25  # likeness of vectors that says nothing


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What a step is given.

    Attributes:
        tools: In the form in which they were registered, best first after the pinned ones.
        added: Names that were not there at the step before.
        removed: Names that were.
    """

    tools: tuple[Mapping[str, Any], ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(slots=True)
class _Tool:
    schema: Mapping[str, Any]
    codes: frozenset[int]
    text: str
    is_pinned: bool
    vector: Any = None


@dataclass(slots=True)
class Toolbox:
    """The tools of an agent, and which of them are in its prompt."""

    unused_turns: int = UNUSED_TURNS
    _tools: dict[str, _Tool] = field(default_factory=dict)
    _needed: dict[str, int] = field(default_factory=dict)  # by name, the turn that needed it last
    _shown: tuple[str, ...] = ()

    def register(self, tools: object, pinned: object = ()) -> None:
        """Take tools in; one of a known name replaces it.

        Raises:
            InvalidInputError: One is no JSON schema of a tool; none was taken.
        """
        if isinstance(tools, Mapping | str) or not isinstance(tools, Sequence):
            raise InvalidInputError("tools takes a list of JSON schemas")
        if isinstance(pinned, str) or not isinstance(pinned, Sequence):
            raise InvalidInputError("pinned takes a list of names of tools")
        made = [_parsed(tool) for tool in tools]
        names = [name for name, _ in made]
        if len(set(names)) < len(names):
            raise InvalidInputError("two tools share one name; give each its own")
        unknown = [name for name in pinned if name not in names and name not in self._tools]
        if unknown:
            raise InvalidInputError(f"pinned names {unknown[0]!r:.80}, which is no tool")
        for name, tool in made:
            tool.is_pinned = name in self._tools and self._tools[name].is_pinned
            self._tools[name] = tool
        for name in pinned:
            self._tools[name].is_pinned = True

    def remove(self, name: str) -> None:
        """Let go of a tool.

        Raises:
            InvalidInputError: There is none of that name.
        """
        if name not in self._tools:
            raise InvalidInputError(f"{name!r:.80} is no registered tool")
        del self._tools[name]

    def names(self) -> list[str]:
        """Names of all tools."""
        return list(self._tools)

    def choose(
        self,
        step: str,
        *,
        limit: int,
        turn: int,
        called: Mapping[str, int],
        vectorise: Vectorise,
    ) -> ToolChoice:
        """The tools for a step, at most `limit`.

        Args:
            step: What it is about.
            limit: Most tools, the pinned ones included.
            turn: Number of the user's newest message.
            called: By name, the turn of its last call.
            vectorise: Makes vectors of texts; None where the embedder does not answer.

        Raises:
            InvalidInputError: More are pinned than the limit allows.
        """
        pinned = [name for name, tool in self._tools.items() if tool.is_pinned]
        if len(pinned) > limit:
            raise InvalidInputError(f"{len(pinned)} tools are pinned, but limit is {limit}")
        fitting = self._fitting(step, vectorise)
        for name in fitting:
            self._needed[name] = turn
        last = {n: max(called.get(n, -1), self._needed.get(n, -1)) for n in self._tools}
        in_use = [n for n in self._tools if called.get(n, -1) == turn]
        recent = [n for n in self._shown if n in last and turn - last[n] < self.unused_turns]
        recent.sort(key=lambda name: -last[name])
        order = dict.fromkeys([*pinned, *in_use, *fitting, *recent])
        names = tuple(order)[:limit]
        before, self._shown = self._shown, names
        return ToolChoice(
            tuple(self._tools[name].schema for name in names),
            tuple(name for name in names if name not in before),
            tuple(name for name in before if name not in names),
        )

    def _fitting(self, step: str, vectorise: Vectorise) -> list[str]:
        """Names of tools that a step needs by its words and their meaning, best first."""
        asked = _codes(step)
        holders = [tool.codes for tool in self._tools.values()]
        weights = {
            code: log(1 + len(holders) / (1 + sum(code in held for held in holders)))
            for code in asked
        }
        total = sum(weights.values()) or 1.0
        likeness = self._likeness(step, vectorise)
        scores = {
            name: sum(weights[code] for code in asked & tool.codes) / total
            + max(0.0, likeness.get(name, 0.0) - _LIKE_FLOOR)
            for name, tool in self._tools.items()
        }
        least = max(_NEED * max(scores.values(), default=0.0), 1e-9)
        fitting = [name for name, score in scores.items() if score >= least]
        return sorted(fitting, key=lambda name: -scores[name])

    def _likeness(self, step: str, vectorise: Vectorise) -> dict[str, float]:
        """Cosine of each tool with the step; nothing where the embedder does not answer."""
        new = [tool for tool in self._tools.values() if tool.vector is None]
        if new:
            made = vectorise([tool.text for tool in new])
            if made is None:
                return {}
            for tool, vector in zip(new, made, strict=True):
                tool.vector = vector
        asked = vectorise([step]) if self._tools else None
        if asked is None:
            return {}
        return {name: float(tool.vector @ asked[0]) for name, tool in self._tools.items()}


def _parsed(raw: object) -> tuple[str, _Tool]:
    """A tool from outside: its name, and what it is found by."""
    if not isinstance(raw, Mapping):
        raise InvalidInputError(f"a tool is a JSON schema, not {type(raw).__name__}")
    inner = raw.get("function", raw)
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInputError(f"a tool needs a name of letters, digits and _.-, not {name!r:.80}")
    about, parameters = inner.get("description", ""), inner.get("parameters", {})
    if not isinstance(about, str) or not isinstance(parameters, Mapping):
        raise InvalidInputError(f"tool {name}: description is a text, parameters a JSON schema")
    try:
        json.dumps(raw, default=dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"tool {name} is no JSON: {error}") from error
    known = parameters.get("properties", {})
    fields = [str(each) for each in known] if isinstance(known, Mapping) else []
    notes = [
        str(each["description"])
        for each in (known.values() if isinstance(known, Mapping) else ())
        if isinstance(each, Mapping) and "description" in each
    ]
    words = " ".join(part for piece in [name, *fields] for part in _PARTS.findall(piece))
    codes = _codes(" ".join([words, about, *notes]))
    return name, _Tool(raw, codes, f"{' '.join(_PARTS.findall(name))}: {about}", is_pinned=False)


def _codes(text: str) -> frozenset[int]:
    words = [token for token in tokens_of(text) if not is_stopword(token)]
    return frozenset(code for word in words for code in codes_of(word))
