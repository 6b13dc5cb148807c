"""The MemCube: one payload and one header, whatever the kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mneme.core.lifecycle import State
    from mneme.core.provenance import Provenance

Kind = Literal["plaintext", "activation", "parametric"]

PLAINTEXT_TYPES: tuple[str, ...] = (
    "turn", "document", "fact", "preference", "instruction", "event", "summary",
    "profile", "note", "procedure", "lesson", "task", "table",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MemCube:
    """One version of one memory.

    Attributes:
        id: UUIDv7, the same for all versions.
        version: 1, 2, ...
        namespace: Whom it belongs to, as a path.
        kind: plaintext, activation or parametric.
        type: What a plaintext cube says: turn, fact, ...
        text: The plaintext payload, verbatim.
        payload: What the kind carries: the text of plaintext; else the metadata, which says what
            was made of the sources, and for which model.
        state: Where in its life it is.
        session: The conversation that it belongs to.
        role: user, assistant, system or tool.
        speaker: The name of who said it, where there is one.
        metadata: The caller's own JSON object.
        event_at: When it happened; None if unknown.
        recorded_at: When this version was written.
        valid_from: Start of the time in which it holds (inclusive).
        valid_to: End of the time in which it holds (exclusive).
        expires_at: From then on it is hidden.
        provenance: Where the payload came from.
        labels: Sensitivity and purpose, as the caller names them.
        trust: "untrusted" for what tools and documents say, and what derives from it.
        content_hash: SHA-256 of the payload, in hex, for the reader: it is never stored.
        uses: How often it was given back by `recall` or marked as used.
        priority: The caller's own weight, 0 to 1.
        hold: While true, it cannot be erased.
    """

    id: str
    version: int
    namespace: str
    kind: Kind
    type: str
    text: str
    state: State
    session: str
    role: str
    speaker: str | None
    metadata: Mapping[str, Any] = field(hash=False)
    event_at: datetime | None
    recorded_at: datetime
    valid_from: datetime | None
    valid_to: datetime | None
    expires_at: datetime | None
    provenance: Provenance
    labels: tuple[str, ...]
    trust: str
    content_hash: str
    uses: int = 0
    priority: float | None = None
    hold: bool = False

    @property
    def payload(self) -> str | Mapping[str, Any]:
        """What the kind carries."""
        return self.text if self.kind == "plaintext" else self.metadata
