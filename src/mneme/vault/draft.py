"""What is handed to the vault to be kept: a new cube before it has an id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.core.provenance import SourceSpan
    from mneme.core.rows import VersionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A plaintext cube to be written. Times are microseconds since 1970, UTC.

    Attributes:
        session: None gives it a session of its own.
        metadata: Canonical JSON, or None.
        labels: Canonical JSON of a list, or None.
        part_of: The number, among the drafts of the same call, of the draft that this one is cut
            from, at `span`.
        sources: Spans of stored cubes that it derives from.
        session_of: The number, among the drafts of the same call, of the draft whose id is the
            session, where `session` is None.
        request: Names the request, so that its repetition writes nothing.
        request_content: What the request asks; other content under the same name is a conflict.
        indexed: Whether searches look into its text; not where its parts are indexed instead.
        heard: The stage at which written memory shall read it; None: not now.
        mute: Whether written memory shall never read it, also not after an edit.
        model: Fingerprint of the language model that wrote the text.
    """

    text: str
    type: str = "turn"
    session: str | None = None
    role: str = "user"
    speaker: str | None = None
    metadata: str | None = None
    labels: str | None = None
    event_at: int | None = None
    expires_at: int | None = None
    priority: float | None = None
    hold: bool = False
    origin: str = "user"
    method: str = "verbatim"
    trust: str = "trusted"
    part_of: int | None = None
    session_of: int | None = None
    sources: tuple[SourceSpan, ...] = ()
    span: tuple[int, int] = (0, 0)
    request: str | None = None
    request_content: str = ""
    indexed: bool = True
    heard: str | None = None
    mute: bool = False
    valid_from: int | None = None
    valid_to: int | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """What an activation cube says of the keys and values that it holds.

    Attributes:
        sources: Id and version, as they were read, of each cube whose text is in the prompt, in
            order.
        engine: Fingerprint of the engine.
        form: How the blocks are kept, such as "raw".
        tokens: Of the prompt; 0 while it is only promised.
        method: "prefill", or "thinned" where tokens were left out.
        extra: Further facts for its metadata, as JSON.
    """

    sources: tuple[tuple[str, int], ...]
    engine: str
    form: str
    tokens: int = 0
    method: str = "prefill"
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a parametric cube says of the adapter that it holds.

    Attributes:
        sources: Id and version, as they were read, of each cube whose facts are in it, in order;
            empty for a foreign adapter.
        base: What it belongs to (`memories.parametric.adapter.base_of`).
        carrier: "lora", ...
        form: How its tensors are kept: "fp32", "bf16", "int8", "int4".
        digest: Names its files; "" while it is only promised.
        facts: How many there are in its ledger.
        cube_id: The shard whose next version it is; None: a new one, with the next free number.
        method: "trained", "merged", "unlearned", or "imported" (foreign: untrusted, no ledger).
        extra: Further facts for its metadata, as JSON: the gate's figures, the settings.
    """

    sources: tuple[tuple[str, int], ...]
    base: str
    carrier: str = "lora"
    form: str = "bf16"
    digest: str = ""
    facts: int = 0
    cube_id: str | None = None
    method: str = "trained"
    extra: Mapping[str, Any] = field(default_factory=dict)


class Kept(NamedTuple):
    """What became of a draft."""

    row: VersionRow
    text: str
    repeated: bool  # the request was made before: the cube was there already
