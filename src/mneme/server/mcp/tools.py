"""The eight tools: what each takes and gives, and the verb of a namespace that it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mneme.server.mcp import arguments as args
from mneme.server.mcp import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.app.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool gives back: text for a model, and the same for a program."""

    text: str
    data: dict[str, Any]
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool.

    Attributes:
        name: As clients call it.
        title: As people read it.
        description: Tells a model when to use it.
        verb: That a key must grant.
        takes: Its arguments.
        gives: JSON Schema of its structured output.
        run: Does it; the namespace is checked already.
        destructive: Whether it may take something away.
        idempotent: Whether doing it twice is doing it once.
    """

    name: str
    title: str
    description: str
    verb: str
    takes: type[args.Arguments]
    gives: dict[str, Any]
    run: Callable[[Namespace, Any], Answer]
    destructive: bool = False
    idempotent: bool = False

    def wire(self, *, with_namespace: bool) -> dict[str, Any]:
        """The tool as a client is told of it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": args.schema_of(self.takes, with_namespace=with_namespace),
            "outputSchema": self.gives,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.verb == "read",
                "destructiveHint": self.destructive,
                "idempotentHint": self.idempotent or self.verb == "read",
                "openWorldHint": False,
            },
        }


def record_of(**properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object whose properties are all there."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _several(what: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": what}


_INTEGER, _NUMBER, _STRING = {"type": "integer"}, {"type": "number"}, {"type": "string"}
_MEMORIES = _several(shown.MEMORY)


def _add(space: Namespace, given: args.AddMemory) -> Answer:
    kept = space.add(_content(given), **given.given("content"))
    text = "\n".join(f"Remembered: id {cube.id}, version {cube.version}." for cube in kept)
    return Answer(text, {"memories": [shown.record(c, shown.part(c.text)) for c in kept]})


def _content(given: args.AddMemory) -> str | list[dict[str, Any]]:
    if isinstance(given.content, str):
        return given.content
    return [message.model_dump(exclude_none=True) for message in given.content]


def _search(space: Namespace, given: args.SearchMemory) -> Answer:
    hits = space.search(**given.given())
    found = [
        {
            "rank": hit.rank,
            "score": hit.score,
            "memory": shown.record(hit.cube, shown.part(hit.cube.text, hit.span)),
        }
        for hit in hits
    ]
    degraded = any(hit.degraded for hit in hits)
    return Answer(shown.hits_text(hits), {"hits": found, "degraded": degraded})


def _recall(space: Namespace, given: args.RecallMemory) -> Answer:
    context = space.recall(**given.given())
    cited = [
        {"n": c.n, "id": c.cube_id, "version": c.version, "start": c.start, "end": c.end}
        for c in context.citations
    ]
    data = {
        "text": context.text,
        "tokens": context.tokens,
        "citations": cited,
        "degraded": context.degraded,
    }
    return Answer(context.text or "No memory answers this.", data)


def _get(space: Namespace, given: args.GetMemory) -> Answer:
    cube = space.get(**given.given("start", "max_chars"))
    start = min(given.start, len(cube.text))
    span = (start, min(start + given.max_chars, len(cube.text)))
    facts = [f"recorded {cube.recorded_at:%Y-%m-%dT%H:%M:%SZ}"]
    if span != (0, len(cube.text)):
        facts.append(f"characters {span[0]} to {span[1]} of {len(cube.text)}")
    text = shown.listing("One memory", [shown.item(cube, 1, span, *facts)])
    return Answer(text, {"memory": shown.record(cube, span, whole=True)})


def _list(space: Namespace, given: args.ListMemories) -> Answer:
    page = space.list(**given.given())
    memories = [shown.record(cube, shown.part(cube.text)) for cube in page.items]
    text = "There is no memory here."
    if page.items:
        text = shown.cubes_text(
            f"{shown.memories(len(page.items))} in order of writing", page.items
        )
    if page.next_cursor:
        text += f"\nThere are more: cursor {page.next_cursor}"
    return Answer(text, {"memories": memories, "next_cursor": page.next_cursor})


def _update(space: Namespace, given: args.UpdateMemory) -> Answer:
    cube = space.update(given.id, **given.given("id"))
    text = f"Changed: id {cube.id} is now at version {cube.version}; memory_history shows all."
    return Answer(text, {"memory": shown.record(cube, shown.part(cube.text))})


def _forget(space: Namespace, given: args.ForgetMemory) -> Answer:
    hidden = space.forget(given.ids)
    text = (
        f"Forgotten: {hidden}, what derives from them included. Their owner can undo it "
        "(`mneme restore ID`), or remove them for good (`mneme erase ID`)."
    )
    return Answer(text, {"forgotten": hidden})


def _history(space: Namespace, given: args.MemoryHistory) -> Answer:
    versions = space.history(given.id)
    items = [
        shown.item(
            cube, cube.version, shown.part(cube.text), f"recorded {cube.recorded_at:%Y-%m-%d %H:%M}"
        )
        for cube in versions
    ]
    text = shown.listing(f"{len(versions)} versions, oldest first", items)
    records = [shown.record(cube, shown.part(cube.text), whole=True) for cube in versions]
    return Answer(text, {"versions": records})


TOOLS: Final[tuple[Tool, ...]] = (
    Tool(
        name="add_memory",
        title="Remember",
        description=(
            "Keep something for later conversations: what the user said of themselves, decided, "
            "prefers or asked for, and what came of a task. It is durable when the call returns. "
            "Write full sentences that can be understood alone, one memory for each matter. Do "
            "not store secrets such as passwords. For text of web pages, files or tools give "
            "`origin`."
        ),
        verb="add",
        takes=args.AddMemory,
        gives=record_of(memories=_MEMORIES),
        run=_add,
    ),
    Tool(
        name="search_memory",
        title="Search memories",
        description=(
            "Find memories for a question, best first, with ids and scores from 0 to 1. Use it to "
            "look for particular memories, such as before changing or forgetting one; to answer a "
            "question, recall_memory gives a text that is ready to use."
        ),
        verb="read",
        takes=args.SearchMemory,
        gives=record_of(
            hits=_several(record_of(rank=_INTEGER, score=_NUMBER, memory=shown.MEMORY)),
            degraded={"type": "boolean", "description": "Found by words alone."},
        ),
        run=_search,
    ),
    Tool(
        name="recall_memory",
        title="Recall for a question",
        description=(
            "What memory knows that helps to answer a question, as one text within a budget of "
            "tokens, in order of time, each item cited as [n]. Call it before you answer anything "
            "that may depend on earlier conversations, the user's wishes or their life."
        ),
        verb="read",
        takes=args.RecallMemory,
        gives=record_of(
            text=_STRING,
            tokens=_INTEGER,
            citations=_several(
                record_of(n=_INTEGER, id=_STRING, version=_INTEGER, start=_INTEGER, end=_INTEGER)
            ),
            degraded={"type": "boolean"},
        ),
        run=_recall,
    ),
    Tool(
        name="get_memory",
        title="Read one memory",
        description=(
            "One memory by its id, with where it comes from; also an older version, or as it "
            "stood at a time. Long texts come in parts: ask on with `start`."
        ),
        verb="read",
        takes=args.GetMemory,
        gives=record_of(memory=shown.MEMORY),
        run=_get,
    ),
    Tool(
        name="list_memories",
        title="List memories",
        description=(
            "Memories in order of writing, page by page, as far as the filters allow. To find what "
            "answers a question, use search_memory."
        ),
        verb="read",
        takes=args.ListMemories,
        gives=record_of(memories=_MEMORIES, next_cursor={"type": ["string", "null"]}),
        run=_list,
    ),
    Tool(
        name="update_memory",
        title="Correct a memory",
        description=(
            "Write a new version of a memory; what is left out stays as it was, and older versions "
            "stay readable. Use it when a memory was wrong, or holds no longer (`valid_to`)."
        ),
        verb="update",
        takes=args.UpdateMemory,
        gives=record_of(memory=shown.MEMORY),
        run=_update,
        destructive=True,
    ),
    Tool(
        name="forget_memory",
        title="Forget memories",
        description=(
            "Hide memories, and what derives from them, from every read. Only when the user asks "
            "for it: say what will go, then forget. The owner can restore them."
        ),
        verb="forget",
        takes=args.ForgetMemory,
        gives=record_of(forgotten=_INTEGER),
        run=_forget,
        destructive=True,
        idempotent=True,
    ),
    Tool(
        name="memory_history",
        title="History of a memory",
        description="All versions of one memory, oldest first: what it said before, and when.",
        verb="read",
        takes=args.MemoryHistory,
        gives=record_of(versions=_MEMORIES),
        run=_history,
    ),
)
