"""What the tools take, as models: checked here, and shown to clients as JSON Schema.

Unknown arguments are refused and the nearest known one is named; the library checks the rest (such
as whether a text is a time), so that its errors and those of a tool are the same.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mneme.core.errors import InvalidInputError, UnknownArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

Type = Literal[
    "turn", "document", "fact", "preference", "instruction", "event", "summary", "profile", "note",
    "procedure", "lesson", "task", "table",
]  # fmt: skip
Role = Literal["user", "assistant", "system", "tool"]
Origin = Literal["user", "assistant", "tool", "document"]
Text = Annotated[str, Field(min_length=1, max_length=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=512)]
Moment = Annotated[
    str, Field(min_length=1, max_length=64, description="ISO 8601, such as 2026-03-20T14:05:00Z.")
]
Id = Annotated[str, Field(min_length=1, max_length=512, description="Id of a memory.")]
Query = Annotated[
    str, Field(min_length=1, max_length=32_768, description="The question, in plain words.")
]
Types = Annotated[list[Type], Field(max_length=13, description="Only memories of these types.")]
Session = Annotated[Name, Field(description="Only of this conversation.")]
Metadata = Annotated[dict[str, Any], Field(description="Your own JSON object.")]
Labels = Annotated[list[Name], Field(max_length=64, description="Sensitivity or purpose.")]
Priority = Annotated[float, Field(ge=0, le=1, description="Your own weight, 0 to 1.")]
ExpiresAt = Annotated[Moment, Field(description="Hidden from then on (ISO 8601).")]
Filters = Annotated[
    dict[str, Any],
    Field(
        description="From a field to a value, or to {eq|ne|in|lt|lte|gt|gte|exists: ...}. Fields: "
        "type, session, speaker, role, origin, trust, state, event_at, recorded_at, "
        "metadata.<key>. Several mean 'and'.",
        max_length=32,
    ),
]

A = TypeVar("A", bound="Arguments")


class Arguments(BaseModel):
    """What every tool takes."""

    model_config = ConfigDict(strict=True, extra="forbid")

    namespace: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=512,
            description="Whom the memory belongs to, such as acme/alice; one that your key grants.",
        ),
    ] = None

    def given(self, *but: str) -> dict[str, Any]:
        """What was given, as arguments of the verb of a namespace."""
        return self.model_dump(exclude={"namespace", *but}, exclude_none=True)


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Role
    content: Text
    name: Annotated[Name | None, Field(description="Who said it.")] = None
    at: Annotated[Moment | None, Field(description="When it was said (ISO 8601).")] = None


class AddMemory(Arguments):
    """Arguments of add_memory."""

    content: Annotated[
        Text | Annotated[list[Message], Field(min_length=1, max_length=1000)],
        Field(description="What to remember, in full sentences; or messages, each one memory."),
    ]
    type: Annotated[
        Type | None,
        Field(
            description="turn (the default): what was said. preference or instruction: a wish of "
            "the user that always holds. document: a long text, kept whole and by section."
        ),
    ] = None
    origin: Annotated[
        Origin | None,
        Field(
            description="Where the text comes from. Give 'tool' for output of tools and 'document' "
            "for web pages, files and mail: such memories stay marked as untrusted data."
        ),
    ] = None
    session: Annotated[Name | None, Field(description="The conversation that it belongs to.")] = (
        None
    )
    role: Annotated[Role | None, Field(description="Who said it; default: user.")] = None
    speaker: Annotated[Name | None, Field(description="The name of who said it.")] = None
    at: Annotated[Moment | None, Field(description="When it happened (ISO 8601).")] = None
    metadata: Metadata | None = None
    labels: Labels | None = None
    priority: Priority | None = None
    expires_at: ExpiresAt | None = None
    idempotency_key: Annotated[
        Name | None, Field(description="The same key with the same content is kept once.")
    ] = None


class SearchMemory(Arguments):
    """Arguments of search_memory."""

    query: Query
    limit: Annotated[int, Field(ge=1, le=100, description="How many at most.")] = 10
    mode: Annotated[
        Literal["hybrid", "lexical", "dense"], Field(description="By words, by meaning, or both.")
    ] = "hybrid"
    types: Types | None = None
    session: Session | None = None
    since: Annotated[Moment | None, Field(description="Happened at or after this time.")] = None
    until: Annotated[Moment | None, Field(description="Happened before this time.")] = None
    now: Annotated[Moment | None, Field(description="What 'last week' is counted from.")] = None
    valid_at: Annotated[Moment | None, Field(description="Only what held at this time.")] = None
    as_of: Annotated[Moment | None, Field(description="As the memory stood at this time.")] = None
    filters: Filters | None = None
    min_score: Annotated[float | None, Field(ge=0, le=1, description="Least score.")] = None
    include_archived: Annotated[bool, Field(description="Archived memories too.")] = False


class RecallMemory(Arguments):
    """Arguments of recall_memory."""

    query: Query
    budget_tokens: Annotated[
        int, Field(ge=1, le=100_000, description="Tokens that the context may have.")
    ] = 1500
    types: Types | None = None
    session: Session | None = None
    now: Annotated[Moment | None, Field(description="What 'last week' is counted from.")] = None
    valid_at: Annotated[Moment | None, Field(description="Only what held at this time.")] = None
    as_of: Annotated[Moment | None, Field(description="As the memory stood at this time.")] = None


class GetMemory(Arguments):
    """Arguments of get_memory."""

    id: Id
    version: Annotated[int | None, Field(ge=1, description="An older version.")] = None
    as_of: Annotated[Moment | None, Field(description="As it stood at this time.")] = None
    start: Annotated[int, Field(ge=0, description="First character of the text to give.")] = 0
    max_chars: Annotated[
        int, Field(ge=1, le=200_000, description="How much of a long text to give.")
    ] = 20_000


class ListMemories(Arguments):
    """Arguments of list_memories."""

    types: Types | None = None
    session: Session | None = None
    filters: Filters | None = None
    limit: Annotated[int, Field(ge=1, le=200, description="How many a page.")] = 50
    cursor: Annotated[
        str | None, Field(max_length=64, description="next_cursor of the page before.")
    ] = None
    include_archived: Annotated[bool, Field(description="Archived memories too.")] = False


class UpdateMemory(Arguments):
    """Arguments of update_memory."""

    id: Id
    text: Annotated[Text | None, Field(description="The new text.")] = None
    metadata: Metadata | None = None
    type: Annotated[Type | None, Field(description="The new type.")] = None
    valid_from: Annotated[Moment | None, Field(description="It holds from then on.")] = None
    valid_to: Annotated[Moment | None, Field(description="It holds no longer from then on.")] = None
    labels: Labels | None = None
    priority: Priority | None = None
    expires_at: ExpiresAt | None = None
    expected_version: Annotated[
        int | None, Field(ge=1, description="Refuse if somebody changed it since this version.")
    ] = None


class ForgetMemory(Arguments):
    """Arguments of forget_memory."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=100, description="Ids of memories.")]


class MemoryHistory(Arguments):
    """Arguments of memory_history."""

    id: Id


def read(tool: str, model: type[A], given: Mapping[str, Any] | None) -> A:
    """The arguments of a call, checked.

    Raises:
        UnknownArgumentError: One is unknown; the nearest known one is named.
        InvalidInputError: One is missing or not acceptable; all of them are named.
    """
    try:
        return model.model_validate(dict(given or {}))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        for problem in problems:
            if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
                known = [name for name in model.model_fields if name != "namespace"]
                raise UnknownArgumentError(tool, str(problem["loc"][0]), known) from error
        said = "; ".join(f"{_place(each['loc'])}: {each['msg']}" for each in problems[:5])
        raise InvalidInputError(f"{tool} cannot take this: {said}") from error


@cache
def schema_of(model: type[BaseModel], *, with_namespace: bool = True) -> dict[str, Any]:
    """A model as JSON Schema: without titles, and an argument that may be left out is no null."""
    schema: dict[str, Any] = _plain(model.model_json_schema())
    if not with_namespace:
        schema["properties"].pop("namespace", None)
    schema.pop("description", None)
    return schema


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc) or "arguments"


def _plain(schema: Any, *, named: bool = False) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if named:  # the names of properties, not keywords
        return {name: _plain(each) for name, each in schema.items()}
    kept = {
        key: _plain(each, named=key in {"properties", "$defs"})
        for key, each in schema.items()
        if key != "title" and not (key == "default" and each is None)
    }
    choices = [each for each in kept.get("anyOf", ()) if each != {"type": "null"}]
    if "anyOf" in kept:
        del kept["anyOf"]
        kept = {**choices[0], **kept} if len(choices) == 1 else {**kept, "anyOf": choices}
    return kept
