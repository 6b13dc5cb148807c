"""How kinds of servers are spoken to; openai.py, anthropic.py and ollama.py each make one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model is asked. `wrong` and `reason`: its last answer, and why that did not fit."""

    system: str
    prompt: str
    schema: Mapping[str, Any]
    most_tokens: int
    wrong: str | None = None
    reason: str | None = None

    @property
    def size(self) -> int:
        """Characters of all that is sent."""
        parts = (self.system, self.prompt, self.wrong or "", self.reason or "")
        return sum(map(len, parts)) + len(str(self.schema))

    def talk(self) -> list[dict[str, object]]:
        """The messages after the system's: the prompt, and what there is to repair."""
        messages: list[dict[str, object]] = [{"role": "user", "content": self.prompt}]
        if self.reason is not None:
            messages += [
                {"role": "assistant", "content": self.wrong or "(no answer)"},
                {
                    "role": "user",
                    "content": f"This does not fit the JSON schema: {self.reason}. "
                    "Answer the first message again, with one JSON object that fits.",
                },
            ]
        return messages


class Said(NamedTuple):
    """What came back. Token counts are None where the server tells none.

    cut: Whether the answer ended because it grew too long.
    """

    text: str
    input_tokens: int | None
    output_tokens: int | None
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One kind of server.

    Attributes:
        name: As in "openai:MODEL".
        url: Where it is if nothing else is said.
        path: What is posted to, after the address.
        forms: How many forms of question it has; a later one is tried where a server knows the
            form before it not (status 400 or 422).
        headers: Of a request, from the key.
        body: Of a request, from model, question and number of the form.
        said: Reads an answer; raises TypeError, KeyError or IndexError for another shape.
    """

    name: str
    url: str
    path: str
    forms: int
    headers: Callable[[str | None], dict[str, str]]
    body: Callable[[str, Question, int], dict[str, object]]
    said: Callable[[Any], Said]


def bearer(key: str | None) -> dict[str, str]:
    """The header that carries a key to most servers."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def text_of(found: object) -> str:
    """A string of an answer; "" for null.

    Raises:
        TypeError: It is something else.
    """
    if found is None:
        return ""
    if not isinstance(found, str):
        raise TypeError("the answer's text is no string")
    return found


def count_of(usage: object, name: str) -> int | None:
    """A count of tokens, None if there is none that makes sense."""
    found = usage.get(name) if isinstance(usage, dict) else None
    sensible = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 10**9
    return found if sensible else None
