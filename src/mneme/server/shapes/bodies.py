"""What requests carry, one model for each route that has a body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mneme.core.errors import UnknownArgumentError
from mneme.server.shapes import examples
from mneme.server.shapes.fields import (
    AS_IT_CAME,
    WHOLE,
    Filters,
    Id,
    Ids,
    Kinds,
    Labels,
    Limit,
    Metadata,
    Moment,
    Name,
    Origin,
    Role,
    Share,
    SomeFilters,
    SomeIds,
    Target,
    Text,
    Tokens,
    Type,
    Types,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NULL: Final = {"type": "null"}


class Body(BaseModel):
    """Refuses fields that it does not know, naming the nearest one, and values of other types."""

    model_config = ConfigDict(extra="forbid", strict=True)
    call: ClassVar[str] = "this request"

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:  # noqa: ANN401 (JSON)
        if isinstance(data, dict):
            for name in data:
                if name not in cls.model_fields:
                    raise UnknownArgumentError(cls.call, name, cls.model_fields)
        return data

    def given(self) -> dict[str, Any]:
        """The fields that the request names, as arguments of the library's call."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _shown(*shown: Mapping[str, Any], **more: Any) -> ConfigDict:  # noqa: ANN401 (JSON schema)
    return ConfigDict(json_schema_extra={"examples": [dict(each) for each in shown], **more})


class Part(BaseModel):
    """A part of a message, as OpenAI and Anthropic write them; only texts are remembered."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: str | None = None
    text: Text


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)
    role: Role = "user"
    content: Text | Annotated[list[Part], Field(min_length=1, fail_fast=True)]
    name: Name | None = None
    at: Moment | None = None


Said = Text | Message | Annotated[list[Text | Message], Field(min_length=1, fail_fast=True)]
_DOCUMENTS: Final = {
    "if": {"properties": {"type": {"const": "document"}}, "required": ["type"]},
    "then": {"properties": {"content": {"type": "string"}}},
}


class AddBody(Body):
    """What to remember: a text, a message, a list of messages, or a document."""

    model_config = _shown(*examples.ADD, **_DOCUMENTS)
    call = "add()"
    content: Annotated[Said, AS_IT_CAME]
    session: Name | None = Field(None, description="The conversation; without one, one of its own.")
    role: Role = "user"
    speaker: Name | None = None
    at: Moment | None = Field(None, description="When it was said or happened.")
    type: Type | None = None
    metadata: Metadata | None = None
    origin: Origin | None = None
    labels: Labels = Field(default_factory=list)
    priority: Share | None = None
    hold: bool = Field(False, description="While true, it cannot be erased.")
    expires_at: Moment | None = Field(None, description="From then on it is hidden; in the future.")
    idempotency_key: Name | None = Field(None, description="As the header Idempotency-Key.")
    infer: Literal["auto", "none", "llm"] = "auto"


class BatchBody(Body):
    """Many things to remember; each gets a status of its own."""

    model_config = _shown(examples.BATCH)
    call = "batch"
    items: list[Any] = Field(
        description="Texts, messages, or objects with the fields of adding one memory. A bad item "
        "is refused by itself: its status says why."
    )


class SearchBody(Body):
    """A question, and which memories may answer it."""

    model_config = _shown(*examples.SEARCH)
    call = "search()"
    query: Text
    limit: Limit = 10
    mode: Literal["hybrid", "lexical", "dense"] = "hybrid"
    types: Types | None = None
    kinds: Kinds = ["plaintext"]
    session: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    now: Moment | None = None
    valid_at: Moment | None = None
    as_of: Moment | None = None
    filters: Filters | None = None
    min_score: Annotated[float, Field(ge=-1e9, le=1e9)] | None = None
    include_archived: bool = False
    explain: bool = False


class RecallBody(Body):
    """A question, and how many tokens a context for it may have."""

    model_config = _shown(examples.RECALL)
    call = "recall()"
    query: Text
    budget_tokens: Tokens = 1500
    session: Name | None = None
    now: Moment | None = None
    valid_at: Moment | None = None
    as_of: Moment | None = None
    types: Types | None = None


class UpdateBody(Body):
    """What changes; what is left out, or null, stays as it was."""

    model_config = _shown(examples.UPDATE, minProperties=1)
    call = "update()"
    text: Text | None = None
    metadata: Metadata | None = None
    type: Type | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    labels: Labels | None = None
    priority: Share | None = None
    hold: bool | None = None
    expires_at: Moment | None = None
    expected_version: Version | None = None


class RollbackBody(Body):
    """Which version's payload to write again."""

    model_config = _shown({"to_version": 1})
    call = "rollback()"
    to_version: Version


_ONE_OF_BOTH: Final = [
    {
        "required": ["target"],
        "properties": {"target": {"type": ["string", "array"]}, "filters": _NULL},
    },
    {"required": ["filters"], "properties": {"filters": {"type": "object"}, "target": _NULL}},
]


class ForgetBody(Body):
    """Which memories: ids, or filters; exactly one of the two."""

    model_config = _shown(*examples.TARGETS, oneOf=_ONE_OF_BOTH)
    call = "forget()"
    target: Target | None = None
    filters: SomeFilters | None = None


class EraseBody(Body):
    """Which memories to remove for good."""

    model_config = _shown(*examples.ERASE, oneOf=_ONE_OF_BOTH)
    call = "erase()"
    target: Target | None = None
    filters: SomeFilters | None = None
    reason: Name | None = None
    dry_run: bool = Field(False, description="Show what would go, and change nothing.")


class FeedbackBody(Body):
    """Which of the memories that were shown helped."""

    model_config = _shown(*examples.FEEDBACK)
    call = "feedback()"
    hits_or_ids: SomeIds | Id = Field(description="Ids of the memories that were shown.")
    used: bool | Ids = Field(description="Whether all of them helped, or those that did.")
    query: Text | None = None


class Training(BaseModel):
    """How facts are written into weights; see docs/parametric.md."""

    model_config = ConfigDict(extra="forbid", strict=True)
    writer: Name = "lora"
    rank: Annotated[int, Field(ge=1, le=1024), WHOLE] = 2
    form: Literal["fp32", "bf16", "int8", "int4"] = "bf16"
    facts_per_shard: Annotated[int, Field(ge=1, le=1000), WHOLE] = 50
    steps: Annotated[int, Field(ge=1, le=100_000), WHOLE] = 120
    batch: Annotated[int, Field(ge=1, le=4096), WHOLE] = 64
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    optimizer: Name = "adamw"
    seed: Annotated[int, Field(ge=0, le=1 << 31), WHOLE] = 0


class PromoteBody(Body):
    """Which memories become keys and values, or weights, of the server's model."""

    model_config = _shown(*examples.PROMOTE, oneOf=_ONE_OF_BOTH)
    call = "promote()"
    target: Target | None = None
    filters: SomeFilters | None = None
    to: Literal["activation", "parametric"]
    wait: bool = True
    codec: Literal["raw", "bf16", "int8", "int4", "lowrank"] | None = None
    policy: Name | None = None
    keep: Annotated[float, Field(gt=0, le=1)] = 1.0
    sentences: bool = False
    episodes: bool = False
    training: Annotated[Training | None, AS_IT_CAME] = None


class ChatMessage(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)
    role: Role = "user"
    content: Text


Talk = Text | ChatMessage | Annotated[list[ChatMessage], Field(min_length=1, fail_fast=True)]


class ChatBody(Body):
    """A question, or a conversation whose last message is the user's."""

    model_config = _shown(*examples.CHAT)
    call = "chat()"
    messages: Annotated[
        Text | ChatMessage | Annotated[list[ChatMessage], Field(min_length=1, fail_fast=True)],
        AS_IT_CAME,
    ]
    session: Name | None = None
    budget_tokens: Tokens = 1500
    max_new_tokens: Annotated[int, Field(ge=1, le=1 << 20), WHOLE] = 256
    remember: bool = True
    policy: Name | None = None
    keep: Annotated[float, Field(gt=0, le=1)] = 1.0
    stream: bool = Field(False, description="Answer as events: tokens, then the whole reply.")
