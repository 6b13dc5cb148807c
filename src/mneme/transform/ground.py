"""What a consolidation looks at: the turns that users wrote and what was derived from them.

In: a namespace within a transaction. Out: rows, grouped. What is untrusted is left out, since what
derives from it would be untrusted as a whole; so is what is given back only on request.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mneme.core.lifecycle import SEARCHED
from mneme.core.provenance import SourceSpan
from mneme.core.rows import Selection
from mneme.memories.plaintext.sentences import is_telling, sentences_of
from mneme.vault.codec import canonical_json
from mneme.vault.marks import DERIVED, ON_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction

    Spans = Sequence[tuple[int, int]]

SLEEP = "sleep"  # how the slots of what consolidation writes begin

_STATES = tuple(state.value for state in SEARCHED)
_WORKED_ON = ("task", "table")  # not made of turns, and changed by those who use them alone
_SPAN_BYTES = 12
_MOST_CHARS = 8000  # of a turn that is looked at for sentences


class Look(NamedTuple):
    """A namespace as it is when a run looks at it.

    turns: What users wrote, in order of writing.
    derived: What Mneme made of it and holds now.
    closed: By key of a turn, the characters that hold no longer or shall be forgotten.
    """

    turns: list[VersionRow]
    derived: list[VersionRow]
    closed: Mapping[int, Spans]


class Line(NamedTuple):
    """A sentence of a turn."""

    turn: VersionRow
    start: int
    end: int
    text: str

    @property
    def span(self) -> SourceSpan:
        """Where it stands."""
        return SourceSpan(
            cube_id=self.turn.id, version=self.turn.version, start=self.start, end=self.end
        )


def look(tx: Transaction, namespace: Namespace, closed: Mapping[int, Spans], now: int) -> Look:
    """Everything that a run may use."""
    rows = tx.cubes.select(namespace.number, Selection(states=_STATES, now=now))
    open_rows = [row for row in rows if row.trust != "untrusted" and not _on_request(row)]
    turns = [row for row in open_rows if row.origin != DERIVED and row.type == "turn"]
    derived = [
        row
        for row in open_rows
        if row.origin == DERIVED and (row.valid_to is None or row.valid_to > now)
        if row.type not in _WORKED_ON
    ]
    return Look(turns, derived, closed)


def by_session(turns: Iterable[VersionRow]) -> dict[str, list[VersionRow]]:
    """Turns of each session, in order of time and of writing."""
    found: dict[str, list[VersionRow]] = defaultdict(list)
    for row in turns:
        found[row.session].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: (said_at(row), row.key))
    return found


def said_at(row: VersionRow) -> int:
    """When something was said, or else recorded."""
    return row.recorded_at if row.event_at is None else row.event_at


def lines_of(tx: Transaction, row: VersionRow, closed: Mapping[int, Spans]) -> list[Line]:
    """The sentences of a turn that tell something and still hold."""
    text = tx.cubes.body(row.key, row.text_version)[0][:_MOST_CHARS]
    gone = closed.get(row.key, ())
    return [
        Line(row, s.start, s.end, s.text)
        for s in sentences_of(text)
        if is_telling(s.text) and not any(a < s.end and s.start < b for a, b in gone)
    ]


def vector_of(tx: Transaction, row: VersionRow) -> npt.NDArray[np.float32] | None:
    """The mean of the vectors of a cube's passages, of length 1; None where there is none."""
    entry = tx.entries.entry(row.key, row.text_version)
    passages = len(entry.spans) // _SPAN_BYTES
    if not entry.vectors or not passages:
        return None
    mean = np.frombuffer(entry.vectors, "<f2").reshape(passages, -1).astype(np.float32).mean(0)
    length = float(np.linalg.norm(mean))
    return mean / length if length else None


def digest_of(rows: Sequence[VersionRow], look: Look, secret: bytes, *more: str) -> str:
    """Tells whether a derived cube was made of these versions; only this store can make it."""
    seen = [[r.id, r.version, list(map(list, look.closed.get(r.key, ())))] for r in rows]
    text = canonical_json([seen, *more])
    return hashlib.blake2b(text.encode(), key=secret, digest_size=12).hexdigest()


def metadata_of(row: VersionRow) -> dict[str, Any]:
    """The metadata of a derived cube."""
    found: dict[str, Any] = json.loads(row.metadata) if row.metadata else {}
    return found


def is_sleeps(row: VersionRow) -> bool:
    """Whether consolidation wrote a cube."""
    return str(metadata_of(row).get("slot", "")).startswith(SLEEP)


def labels_of(row: VersionRow) -> list[str]:
    """The labels of a version."""
    found: list[str] = json.loads(row.labels) if row.labels else []
    return found


def _on_request(row: VersionRow) -> bool:
    return ON_REQUEST in labels_of(row)
