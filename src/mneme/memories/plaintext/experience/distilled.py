"""A procedure or a lesson with all that is known of it, and its JSON in a cube's metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mneme.memories.plaintext.experience import render
from mneme.memories.plaintext.experience.lessons import lesson_from_json
from mneme.memories.plaintext.experience.scoring import Record, gist_of, record_from_json
from mneme.memories.plaintext.experience.steps import text_of
from mneme.memories.plaintext.experience.template import template_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.memories.plaintext.experience.lessons import Lesson
    from mneme.memories.plaintext.experience.scoring import Gist
    from mneme.memories.plaintext.experience.template import Template

Level = Literal["steps", "script", "lesson"]


@dataclass(slots=True, kw_only=True)
class Distilled:
    """What was drawn from runs.

    Attributes:
        level: "steps" (what one run did), "script" (what several share), or "lesson".
        family: The id of the run that it began with; both levels of a procedure share it.
        task: The task that it shows, in the words of that run.
        template: Of a procedure.
        lesson: Of a lesson.
        record: How runs went that went this way, or were told of it.
        seen: How many runs it was drawn from.
    """

    level: Level
    family: str
    task: str
    template: Template | None = None
    lesson: Lesson | None = None
    record: Record = field(default_factory=Record)
    seen: int = 1

    @property
    def gist(self) -> Gist:
        """The words of its task."""
        if self.lesson is not None:
            return gist_of(self.lesson.task, self.lesson.steps)
        if self.template is not None:
            return gist_of(self.template.task, [step.action for step in self.template.steps])
        return gist_of(text_of(self.task))

    @property
    def text(self) -> str:
        """What is read and searched."""
        if self.lesson is not None:
            return render.lesson(self.lesson)
        if self.template is None:
            return self.task
        if self.level == "script":
            return render.script(self.template)
        return render.concrete(self.task, self.template)

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        facts: dict[str, Any] = {
            "level": self.level, "family": self.family, "task": self.task, "seen": self.seen,
            "record": self.record.to_json(), "gist": self.gist.to_json(),
        }  # fmt: skip
        if self.template is not None:
            facts["template"] = self.template.to_json()
        if self.lesson is not None:
            facts["lesson"] = self.lesson.to_json()
        return facts


def distilled_from_json(facts: Mapping[str, Any]) -> Distilled | None:
    """What `Distilled.to_json` wrote; None for any other metadata."""
    try:
        template, lesson = facts.get("template"), facts.get("lesson")
        if (template is None) == (lesson is None):
            return None
        return Distilled(
            level=facts["level"], family=facts["family"], task=facts["task"], seen=facts["seen"],
            record=record_from_json(facts["record"]),
            template=None if template is None else template_from_json(template),
            lesson=None if lesson is None else lesson_from_json(lesson),
        )  # fmt: skip
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ):  # a caller gave it metadata of its own
        return None
