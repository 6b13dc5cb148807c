"""One step of a task, and how it stands in its cube.

The first line of the cube's text is the title; the lines after it say what came out, so that
searches find it. All else lies in the metadata. Steps are named by numbers within their task: 0 is
the task itself, and a number means the same step wherever the task is moved to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Status = Literal["open", "active", "done", "failed", "blocked", "dropped"]
STATUSES: tuple[Status, ...] = ("open", "active", "done", "failed", "blocked", "dropped")
SETTLED: Final = frozenset({"done", "dropped"})  # what others need not wait for any more
METHOD: Final = "task"  # how the cube of a step was made
GOAL: Final = 0  # the number of the task itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One state of a step.

    Attributes:
        number: Within its task; 0 is the task itself.
        id: Of its cube.
        version: Of its cube.
        title: What is to be done, in one line.
        status: open, active, done, failed, blocked or dropped. A step that is open but waits for
            others says "blocked", too, and `waits_for` names them.
        parent: The number of the step that it is a part of; None for the task itself.
        after: Numbers of the steps that must be done first.
        inputs: What it works with.
        outputs: What came out of it.
        why: Why it failed, is blocked, or was dropped.
        waits_for: Those of `after`, and of what its parents come after, that are not done.
        untrusted: Whether something in it comes from a tool or a document.
    """

    number: int
    id: str
    version: int
    title: str
    status: Status = "open"
    parent: int | None = None
    after: tuple[int, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    outputs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    why: str | None = None
    waits_for: tuple[int, ...] = ()
    untrusted: bool = False

    @property
    def text(self) -> str:
        """The text of its cube."""
        lines = [self.title, *(f"{name}: {shown(each)}" for name, each in self.outputs.items())]
        return "\n".join([*lines, f"Why: {self.why}"] if self.why else lines)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of its cube, without what is empty."""
        said = {
            "step": self.number,
            "status": self.status,
            "after": list(self.after),
            "inputs": dict(self.inputs),
            "outputs": dict(self.outputs),
            "why": self.why,
        }
        return {name: each for name, each in said.items() if each not in (None, [], {})}


def shown(value: object) -> str:
    """A value on one line: a string as it is, anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())


def read_step(text: str, metadata: str | None, **place: Any) -> Step | None:  # noqa: ANN401
    """The step that a cube states; None where it states none.

    Args:
        text: Of the cube.
        metadata: Of the cube, as JSON.
        place: `id`, `version`, `parent` and `untrusted` of the step.
    """
    try:
        said = json.loads(metadata or "{}")
    except ValueError:
        return None
    number, status, after = said.get("step"), said.get("status"), said.get("after", [])
    inputs, outputs, why = said.get("inputs", {}), said.get("outputs", {}), said.get("why")
    sound = (
        _is_number(number)
        and status in STATUSES
        and isinstance(after, list)
        and all(map(_is_number, after))
        and isinstance(inputs, dict)
        and isinstance(outputs, dict)
        and (why is None or isinstance(why, str))
    )
    if not sound:
        return None
    title = " ".join(text.split("\n", 1)[0].split()) or "(no title)"
    return Step(
        number=number, title=title, status=status, after=tuple(after), inputs=inputs,
        outputs=outputs, why=why, **place,
    )  # fmt: skip


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 31
