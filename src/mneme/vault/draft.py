"""What is handed to the vault to be kept: a new cube before it has an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
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


class Kept(NamedTuple):
    """What became of a draft."""

    row: VersionRow
    text: str
    repeated: bool  # the request was made before: the cube was there already
