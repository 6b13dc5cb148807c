"""What answers carry, as OpenAPI describes it: the records of the library as `core.plain` writes.

Nothing is checked against these models at run time; a run of schemathesis is what compares them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from mneme.server.shapes import examples
from mneme.server.shapes.fields import Kind, Role

At = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Span = Annotated[list[int], Field(min_length=2, max_length=2)]


class SourceSpan(BaseModel):
    """Characters `start` to `end` (exclusive) of one version of a memory."""

    cube_id: str
    version: int
    start: int
    end: int


class Provenance(BaseModel):
    """Where a text came from, who wrote it and how."""

    origin: str
    method: str
    sources: list[SourceSpan]
    actor: str | None
    model: str | None


class Cube(BaseModel):
    """One version of one memory."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CUBE]})
    id: str
    version: int
    namespace: str
    kind: Kind
    type: str
    text: str
    state: Literal["generated", "activated", "archived", "frozen", "merged", "expired", "forgotten"]
    session: str
    role: Role
    speaker: str | None
    metadata: dict[str, Any]
    event_at: At | None
    recorded_at: At
    valid_from: At | None
    valid_to: At | None
    expires_at: At | None
    provenance: Provenance
    labels: list[str]
    trust: Literal["trusted", "untrusted"]
    content_hash: str
    uses: int
    priority: float | None
    hold: bool


class Hit(BaseModel):
    """One memory found; `score` compares within one search only."""

    cube: Cube
    score: float
    rank: int
    scores: dict[str, float] | None
    degraded: bool
    span: Span | None
    elided: list[Span]


class Hits(BaseModel):
    """What a search found, best first."""

    hits: list[Hit]


class Citation(BaseModel):
    """What `[n]` in a context stands for."""

    n: int
    cube_id: str
    version: int
    start: int
    end: int


class PromptMessage(BaseModel):
    """A message for a prompt."""

    role: str
    content: str


class Context(BaseModel):
    """Memory made ready for a prompt: `text` never has more than the budget's tokens."""

    text: str
    hits: list[Hit]
    tokens: int
    citations: list[Citation]
    degraded: bool
    messages: list[PromptMessage]


class Kept(BaseModel):
    """What was kept, durable, and the jobs that go on reading it."""

    cubes: list[Cube]
    jobs: list[str]


class Cubes(BaseModel):
    """Some memories."""

    items: list[Cube]


class CubePage(BaseModel):
    """A page of memories in order of writing; `next_cursor` is null on the last."""

    items: list[Cube]
    next_cursor: str | None


class ItemStatus(BaseModel):
    """What became of one item of a batch."""

    number: int
    status: Literal["added", "repeated", "refused"]
    ids: list[str]
    error: str | None


class AddReport(BaseModel):
    """What became of each item, in their order."""

    items: list[ItemStatus]


class Hidden(BaseModel):
    """How many memories were hidden, those that derive from the target included."""

    hidden: int


class Receipt(BaseModel):
    """What an erasure did, and what was looked for afterwards."""

    erased: list[str]
    rebuilt: list[str]
    rows: dict[str, int]
    checked: dict[str, int]
    pending: list[str]
    not_reached: list[str]
    reason: str | None
    at: At
    audit_hash: str
    complete: bool


class Preview(BaseModel):
    """What an erasure would take: targets first, then all that derives from them."""

    would: list[Cube]


class Erasure(RootModel[Receipt | Preview]):
    """The receipt of an erasure; with `dry_run` what it would take."""


class ImportReport(BaseModel):
    """What an import did, and why what was left out was left out."""

    format: str
    added: int
    repeated: int
    skipped: list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    left_out: int


class PlanItem(BaseModel):
    """One memory that went into a prompt, and how."""

    carrier: Literal["text", "activation", "parametric"]
    cube_id: str
    sources: list[str]
    tokens: int
    reason: str


class Timings(BaseModel):
    """What an answer cost; seconds of wall time."""

    model_config = ConfigDict(extra="allow")
    ttft_s: float
    total_s: float
    prompt_tokens: int | None
    hit_tokens: int
    answer_tokens: int


class Reply(BaseModel):
    """An answer, and which memory it came from."""

    text: str
    plan: list[PlanItem]
    timings: Timings
    context: Context
    session: str | None


class Namespaces(BaseModel):
    """Paths of namespaces that hold a memory and that the key may read."""

    items: list[str]


class Job(BaseModel):
    """Background work; one that is done stays answerable by its id."""

    id: str
    kind: str
    namespace: str | None
    state: Literal["waiting", "running", "dead", "done"]
    tries: int
    due_at: At | None
    error: str | None


class Jobs(BaseModel):
    """Background work that is not done."""

    items: list[Job]


class Stats(BaseModel):
    """Counts and bytes of the whole store."""

    counts: dict[str, int]
    states: dict[str, int]
    types: dict[str, int]
    bytes: dict[str, int]
    jobs: dict[str, int]
    missing_vectors: int
    embedder: str | None
    unread: int
    spent: dict[str, dict[str, int]]
    ledger: dict[str, float]


class AuditEntry(BaseModel):
    """One change: who did what to which memory when; never content."""

    number: int
    at: At
    verb: str
    actor: str
    namespace: str
    cube_id: str
    version: int
    digest: str
    hash: str


class AuditPage(BaseModel):
    """Entries of the audit chain, oldest first."""

    items: list[AuditEntry]
    next_cursor: str | None


class Health(BaseModel):
    """Whether the server answers."""

    status: Literal["ok"]
