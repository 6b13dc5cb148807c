"""A session as the store keeps it: every message durable as it is added, read again after changes.

The store is the only state. A counter of the namespace tells whether anything changed, whoever
changed it; then only what changed is read. So what another process adds is seen, what the user
forgets leaves, and a session goes on after a kill as if nothing had been.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.clock import from_us
from mneme.core.errors import InvalidInputError
from mneme.core.rows import Selection
from mneme.govern.retention import is_hidden
from mneme.govern.trust import trust_of
from mneme.ingest import changes
from mneme.ingest.reader import Arguments, Repeats, drafts_of
from mneme.recall.working.message import decode, encode
from mneme.recall.working.unit import Entry, units_of
from mneme.vault.codec import canonical_json
from mneme.vault.draft import Draft
from mneme.vault.marks import DERIVED
from mneme.vault.read import LISTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mneme.app.shared import Shared
    from mneme.core.provenance import SourceSpan
    from mneme.core.rows import Shown, VersionRow
    from mneme.recall.working.message import Message
    from mneme.recall.working.unit import Unit

WORK = "work"  # the field of a cube's metadata that working memory writes
_TYPES = ("turn", "note", "summary")


class Note(NamedTuple):
    """A note of the scratchpad."""

    cube_id: str
    text: str


class Digest(NamedTuple):
    """A summary of a run of messages: the ids of their cubes, and the text."""

    of: frozenset[str]
    text: str


class SessionLog:
    """The messages, notes and summaries of one session, as fresh as the store."""

    def __init__(self, shared: Shared, path: str, session: str) -> None:
        self._shared, self._path, self.session = shared, path, session
        self._vault = shared.vault
        self._rows: dict[int, VersionRow] = {}
        self._entries: dict[int, Entry] = {}
        self._notes: dict[int, Note] = {}
        self._digests: dict[int, Digest] = {}
        self._units: dict[tuple[object, ...], Unit] = {}
        self._seq: int | None = None
        self.units: list[Unit] = []
        self.refresh()

    @property
    def entries(self) -> list[Entry]:
        """The messages in order."""
        return list(self._entries.values())

    @property
    def notes(self) -> dict[str, Note]:
        """The notes by key, the one written last at the end."""
        found: dict[str, Note] = {}
        recent = sorted(self._notes, key=lambda key: (self._rows[key].recorded_at, key))
        for key in recent:
            name = _about(self._rows[key])["note"]
            found.pop(name, None)
            found[name] = self._notes[key]
        return found

    @property
    def digests(self) -> list[tuple[frozenset[int], str]]:
        """Summaries: the numbers of the messages that they tell of, and their texts."""
        number_of = {entry.cube_id: entry.key for entry in self._entries.values()}
        return [
            (frozenset(number_of[i] for i in digest.of), digest.text)
            for digest in self._digests.values()
            if all(i in number_of for i in digest.of)
        ]

    def refresh(self) -> None:
        """Read what changed since the last time."""
        now = self._vault.parts.clock.now_us()
        keys = self._changed(now)
        expired = {key for key, row in self._rows.items() if is_hidden(row, now)}
        if not keys and not expired:
            return
        found = self._vault.finder.read(self._path, sorted(keys), now=now, as_of=None)
        for key in keys | expired:
            self._drop(key)
            if key in found:
                self._take(key, found[key])
        self._entries = dict(sorted(self._entries.items()))
        self._group()

    def append(self, messages: Sequence[Message]) -> list[str]:
        """Make messages durable, all or none; the ids of their cubes."""
        repeats, now = Repeats(), self._vault.parts.clock.now_us()
        drafts: list[Draft] = []
        for message in messages:
            text, about = encode(message)
            arguments = Arguments(
                session=self.session, role=message.role, speaker=message.name, at=message.at,
                metadata={WORK: about} if about else None,
            )  # fmt: skip
            drafts += drafts_of(text, arguments, self._shared.limits, repeats, now)
        kept = self._vault.writer.add(self._path, drafts)
        self._shared.wake()
        self.refresh()
        return [each.row.id for each in kept]

    def write_note(self, key: str, text: str | None) -> None:
        """Write, rewrite or (None) forget a note."""
        known = self.notes.get(key)
        if text is None:
            if known is None:
                raise InvalidInputError(f"there is no note {key!r:.80} to take away")
            self._vault.lives.forget(self._path, [known.cube_id], ())
        elif known is not None:
            fields = changes.changes_of({"text": text}, self._shared.limits)
            changes.update(
                self._vault, self._path, known.cube_id, fields, None, self._shared.limits
            )
        else:
            arguments = Arguments(
                session=self.session, role="assistant", type="note", infer="none",
                metadata={WORK: {"note": key}},
            )  # fmt: skip
            now = self._vault.parts.clock.now_us()
            drafts = drafts_of(text, arguments, self._shared.limits, Repeats(), now)
            self._vault.writer.add(self._path, drafts)
        self._shared.wake()
        self.refresh()

    def write_digest(
        self, entries: Sequence[Entry], spans: Iterable[SourceSpan], text: str, model: str
    ) -> None:
        """Keep the summary of a run of messages, derived from them."""
        draft = Draft(
            text=text, type="summary", session=self.session, role="assistant", origin=DERIVED,
            method="summarised", model=model, sources=tuple(spans),
            trust=trust_of(DERIVED, [entry.trust for entry in entries]),
            metadata=canonical_json({WORK: {"of": [entry.cube_id for entry in entries]}}),
        )  # fmt: skip
        self._vault.writer.add(self._path, [draft])
        self._shared.wake()
        self.refresh()

    def preview(self, messages: Sequence[Message]) -> list[Unit]:
        """The units as they would be after messages that are not yet written."""
        last = max(self._entries, default=0)
        new = [Entry(last + n, "", 0, message) for n, message in enumerate(messages, start=1)]
        tail = self._tail()
        rest = units_of([*tail, *new])
        kept = [unit for unit in self.units if not tail or unit.entries[0].key < tail[0].key]
        return [*kept, *rest]

    def _tail(self) -> list[Entry]:
        """The messages of the newest unit, which may still grow or close."""
        return list(self.units[-1].entries) if self.units else []

    def _changed(self, now: int) -> set[int]:
        """Numbers of this session's cubes that changed since the last look."""
        with self._vault.parts.store.read() as tx:
            known = tx.cubes.namespace(self._path)
            if known is None or known.seq == self._seq:
                return set()
            before, self._seq = self._seq, known.seq
            if not before:
                selection = Selection(types=_TYPES, states=LISTED, session=self.session, now=now)
                return {row.key for row in tx.cubes.select(known.number, selection)}
            return {
                row.key
                for row in tx.entries.rows(known.number, before, None)
                if row.session == self.session or row.key in self._rows
            }

    def _drop(self, key: int) -> None:
        for kept in (self._rows, self._entries, self._notes, self._digests):
            kept.pop(key, None)

    def _take(self, key: int, shown: Shown) -> None:
        row = shown.row
        if row.state not in LISTED or row.type not in _TYPES or row.session != self.session:
            return
        about = _about(row)
        if row.type == "note" and "note" in about:
            self._notes[key] = Note(row.id, shown.text)
        elif row.type == "summary" and row.origin == DERIVED and "of" in about:
            self._digests[key] = Digest(frozenset(about["of"]), shown.text)
        elif row.type == "turn":
            message = decode(row.role, row.speaker, shown.text, about)
            day = None if row.event_at is None else from_us(row.event_at).date()
            self._entries[key] = Entry(
                key, row.id, row.version, message, row.trust, len(shown.text), day
            )
        else:
            return
        self._rows[key] = row

    def _group(self) -> None:
        """Make the units; those that did not change stay the same objects."""
        known, self._units, self.units = self._units, {}, []
        for unit in units_of(self._entries.values()):
            name = (unit.is_open, *((entry.key, entry.version) for entry in unit.entries))
            kept = known.get(name, unit)
            self._units[name] = kept
            self.units.append(kept)


def _about(row: VersionRow) -> Mapping[str, Any]:
    """What working memory wrote beside a cube."""
    about = json.loads(row.metadata).get(WORK) if row.metadata else None
    return about if isinstance(about, dict) else {}
