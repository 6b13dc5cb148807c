"""A language model without a server, for tests of what is made of answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.core.protocols import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def simplest(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON data)
    """A value that fits a schema, as small as can be."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        return None if "null" in kind else simplest({**schema, "type": kind[0]})
    if kind == "object":
        known = schema.get("properties", {})
        return {name: simplest(known.get(name, {})) for name in schema.get("required", ())}
    simple = {"array": [], "integer": 1, "number": 1, "boolean": False, "null": None}
    return simple.get(str(kind), "text")


class ScriptedModel:
    """Answers by a function, and keeps what it was asked.

    Args:
        answer: From the prompt to the value; without one, the simplest that fits the schema.
    """

    def __init__(self, answer: Callable[[str], object] | None = None) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str, str]] = []  # job, system, prompt
        self.down = False

    @property
    def id(self) -> str:
        """Of a fake."""
        return "scripted:model"

    def ask(
        self, system: str, prompt: str, schema: Mapping[str, Any], *, job: str, most_tokens: int
    ) -> Answer:
        if most_tokens < 1:
            raise InvalidInputError("most_tokens must be above 0")
        self.asked.append((job, system, prompt))
        if self.down:
            raise BackendUnavailableError("the scripted model is down")
        value = simplest(schema) if self._answer is None else self._answer(prompt)
        text = json.dumps(value)
        return Answer(json.loads(text), 1, len(prompt) // 4 + 1, len(text) // 4 + 1, 0)

    def forget_answers(self) -> None:
        """Nothing is kept but what was asked."""
        self.asked.clear()
