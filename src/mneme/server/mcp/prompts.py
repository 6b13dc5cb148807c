"""Prompts that people pick: recall, remember, what-changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import InvalidInputError, UnknownArgumentError
from mneme.server.mcp import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mneme.core.cube import MemCube
    from mneme.server.mcp.caller import Caller

_MOST_CHANGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt.

    Attributes:
        name: As clients call it.
        title: As people read it.
        description: What it does.
        takes: Its arguments with what they mean; all but those of `optional` are needed.
        optional: Arguments that may be left out.
        verb: That a key must grant.
        write: Makes the text.
    """

    name: str
    title: str
    description: str
    takes: Mapping[str, str]
    optional: frozenset[str] = frozenset({"namespace"})
    verb: str
    write: Callable[[Caller, Mapping[str, str]], str]

    def wire(self) -> dict[str, Any]:
        """The prompt as a client is told of it."""
        takes = [
            {"name": name, "description": means, "required": name not in self.optional}
            for name, means in self.takes.items()
        ]
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "arguments": takes,
        }


def fill(caller: Caller, name: str, arguments: Mapping[str, str] | None) -> dict[str, Any]:
    """A prompt with its arguments filled in.

    Raises:
        InvalidInputError: There is no such prompt, or an argument is missing or unknown.
    """
    known = {prompt.name: prompt for prompt in PROMPTS}
    prompt = known.get(name)
    if prompt is None:
        raise InvalidInputError(f"unknown prompt {name!r:.80}; there are {', '.join(known)}")
    given = {key: value for key, value in (arguments or {}).items() if value != ""}
    for key in given:
        if key not in prompt.takes:
            raise UnknownArgumentError(f"prompt {name}", key, prompt.takes)
    for key in prompt.takes:
        if key not in given and key not in prompt.optional:
            raise InvalidInputError(f"prompt {name} needs {key!r}: {prompt.takes[key]}")
    text = prompt.write(caller, given)
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {"description": prompt.description, "messages": [message]}


def _recall(caller: Caller, given: Mapping[str, str]) -> str:
    question = given["question"]
    context = caller.space("read", given.get("namespace")).recall(question)
    if not context.text:
        return f"Memory knows nothing about this; answer without it.\n\n{question}"
    return (
        f"{context.text}\n\n# Question\n{question}\n\nAnswer from the memories above, cite them as "
        "[n], and say so where they do not tell."
    )


def _remember(caller: Caller, given: Mapping[str, str]) -> str:
    path = caller.space("add", given.get("namespace")).path
    return (
        f"Remember this with add_memory (namespace {path}). First look with search_memory whether "
        "it is known: if it is, change nothing; if a memory says otherwise and this is newer, "
        "correct that one with update_memory. Keep one memory for each matter, in full sentences "
        "that can be understood alone, with the date where it matters. Then tell me in one line "
        f"what you kept.\n\n{given['what']}"
    )


def _what_changed(caller: Caller, given: Mapping[str, str]) -> str:
    space = caller.space("read", given.get("namespace"))
    filters = {"recorded_at": {"gte": given["since"]}}
    changed: list[MemCube] = []
    cursor: str | None = None
    while len(changed) < _MOST_CHANGES:
        page = space.list(filters=filters, limit=_MOST_CHANGES, cursor=cursor)
        changed += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    if not changed:
        return f"Tell me that no memory was added or changed since {given['since']}."
    items = [
        shown.item(cube, n, shown.part(cube.text), "new" if cube.version == 1 else "changed")
        for n, cube in enumerate(changed[:_MOST_CHANGES], start=1)
    ]
    count = f"{shown.memories(len(items))}{' and more' if cursor else ''}"
    listing = shown.listing(f"{count} since {given['since']}, in order of writing", items)
    return (
        f"{listing}\n\nTell me briefly what was added to memory and what was changed since then, "
        "by topic. For what was changed, memory_history says what it was before."
    )


_WHERE = {"namespace": "Whom the memory belongs to, where the key names none."}

PROMPTS: Final[tuple[Prompt, ...]] = (
    Prompt(
        name="recall",
        title="Answer from memory",
        description="Puts what memory knows about a question before it.",
        takes={"question": "What you want to know."} | _WHERE,
        verb="read",
        write=_recall,
    ),
    Prompt(
        name="remember",
        title="Remember this",
        description="Keeps something, and corrects what it makes wrong.",
        takes={"what": "What is to be remembered, in your own words."} | _WHERE,
        verb="add",
        write=_remember,
    ),
    Prompt(
        name="what-changed",
        title="What changed in memory",
        description="What was added or corrected since a day.",
        takes={"since": "A day or a time, such as 2026-03-20."} | _WHERE,
        verb="read",
        write=_what_changed,
    ),
)
