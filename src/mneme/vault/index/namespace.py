"""The index of one namespace, in memory: columns, postings, vectors and neighbours.

In: rows as the store keeps them, all at once or as they change. Out: plain numpy columns that
recall reads. A slot is the place of one cube in the columns; a slot whose cube changed or went is
dead, and goes when half of the slots are dead. The caller locks.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mneme.memories.plaintext.language.terms import tokens_of
from mneme.vault.index.columns import Column, Strings, times
from mneme.vault.index.links import Links
from mneme.vault.index.postings import Postings
from mneme.vault.index.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from mneme.core.protocols import IndexRow, PassageRow

_BLOCK_ROWS: Final = 8192
_LEAST_DEAD: Final = 512

_TIMES: Final = ("event_at", "recorded_at", "valid_from", "valid_to", "expires_at")
_NAMES: Final = ("session", "speaker", "role", "type", "state", "origin", "trust")


class NamespaceIndex:
    """One namespace in memory.

    Attributes:
        sessions, speakers, roles, types, states, origins, trusts: The strings that the columns of
            the same name (in the singular) point into; -1 stands for None.
        totals: Words and passages of live slots: `words`, `slots`, `passages`.
    """

    def __init__(self) -> None:
        self.sessions, self.speakers, self.roles = Strings(), Strings(), Strings()
        self.types, self.states, self.origins, self.trusts = (
            Strings(), Strings(), Strings(), Strings(),
        )  # fmt: skip
        self.postings = Postings()
        self.vectors = Vectors()
        self._slots = _slot_columns()
        self._passages = _passage_columns()
        self._codes = Column(np.uint32)
        self._mentions = Column(np.int32, 2)
        self._links = Links()
        self._slot_of: dict[int, int] = {}
        self._called: dict[str, list[int]] = {}
        self._named = 0
        self._dead = 0
        self.live_words = 0
        self.live_passages = 0

    def __len__(self) -> int:
        """Live cubes."""
        return len(self._slot_of)

    @property
    def slots(self) -> int:
        """Slots, dead ones included."""
        return self._slots["key"].size

    @property
    def passages(self) -> int:
        """Passages, those of dead slots included."""
        return self._passages["slot"].size

    @property
    def size_bytes(self) -> int:
        """Memory held by arrays, and about what the table of keys takes."""
        columns = chain(self._slots.values(), self._passages.values(), [self._codes])
        held = sum(column.size_bytes for column in columns) + self._mentions.size_bytes
        return held + self.postings.size_bytes + self.vectors.size_bytes + 100 * len(self._slot_of)

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column by slot.

        `key`, `live`; `session`, `speaker`, `role`, `type`, `state`, `origin`, `trust` (numbers
        into the tables of strings); `event_at`, `recorded_at`, `valid_from`, `valid_to`,
        `expires_at` (microseconds; `columns.NONE` if unknown); `shape`; `utility`; `words`;
        `first_passage`, `passages`; `first_mention`, `mentions`.
        """
        return self._slots[name].view

    def passage_column(self, name: str) -> npt.NDArray[Any]:
        """A column by passage: `slot`, `words`, `first_code`."""
        return self._passages[name].view

    @property
    def codes(self) -> npt.NDArray[np.uint32]:
        """The codes of all passages in reading order."""
        return self._codes.view

    @property
    def mentions(self) -> npt.NDArray[np.int32]:
        """First and last day of each date that a text names, int32 [m, 2]."""
        return self._mentions.view

    @property
    def prev(self) -> npt.NDArray[np.int32]:
        """The slot before each in its session; -1 at its start."""
        return self._links.prev

    @property
    def next(self) -> npt.NDArray[np.int32]:
        """The slot after each in its session; -1 at its end."""
        return self._links.next

    def speakers_called(self, words: Iterable[str]) -> list[int]:
        """Numbers of the speakers of whose name one of the words is the first, or the whole."""
        names = self.speakers.names
        for number in range(self._named, len(names)):
            tokens = tokens_of(names[number])
            for name in {tokens[0], names[number].casefold()} if tokens else ():
                self._called.setdefault(name, []).append(number)
        self._named = len(names)
        return sorted({number for word in words for number in self._called.get(word, ())})

    def lacks_vectors(self, slots: npt.NDArray[np.bool_]) -> bool:
        """Whether the vector of any passage of these slots is still to be made."""
        made = self.vectors.present
        return not made.all() and bool(np.any(slots[self.passage_column("slot")[~made]]))

    def slot_of(self, key: int) -> int | None:
        """The slot of a live cube."""
        return self._slot_of.get(key)

    def apply(self, rows: Iterable[IndexRow]) -> None:
        """Add, replace (the same key) or drop (`live=False`) cubes."""
        stream = iter(rows)
        while block := list(islice(stream, _BLOCK_ROWS)):
            self._apply_block(list({row.key: row for row in block}.values()))

    def prepare(self) -> None:
        """Finish what searching needs after changes: postings and neighbours."""
        if self._dead > max(_LEAST_DEAD, len(self._slot_of)):
            self._compact()
        self.postings.cover(
            self.codes, self.passage_column("first_code"), self.passage_column("words")
        )
        if self._links.stale:
            self._links.rebuild(self.column("key"), self.column("session"), self.column("live"))

    def _apply_block(self, rows: list[IndexRow]) -> None:
        replaced = [(row, old) for row in rows if (old := self._slot_of.get(row.key)) is not None]
        added = [row for row in rows if row.live]
        first = self.slots
        self._append(added)
        if replaced:
            place = {row.key: first + i for i, row in enumerate(added)}
            for row, old in replaced:
                self._retire(row.key, old, place.get(row.key))
        fresh = [i for i, row in enumerate(added) if row.key not in self._slot_of]
        self._links.append(
            self.column("key"), self.column("session"), np.asarray(fresh, np.int64) + first
        )
        self._slot_of.update(zip((row.key for row in added), range(first, self.slots), strict=True))

    def _retire(self, key: int, old: int, new: int | None) -> None:
        self.column("live")[old] = False
        self._dead += 1
        self.live_words -= int(self.column("words")[old])
        self.live_passages -= int(self.column("passages")[old])
        self._links.replace(old, new, self.column("session"))
        if new is None:
            del self._slot_of[key]

    def _append(self, rows: list[IndexRow]) -> None:
        if not rows:
            return
        slots = self._slots
        first_slot, first_passage = self.slots, self._passages["slot"].size
        counts = np.array([len(row.passages) for row in rows], np.int32)
        passages = list(chain.from_iterable(row.passages for row in rows))
        lengths = np.array([len(passage.terms) for passage in passages], np.int64) >> 2
        numbers = np.arange(first_slot, first_slot + len(rows), dtype=np.int32)
        owner = np.repeat(numbers, counts)
        self._append_passages(passages, owner, lengths)
        slots["key"].extend([row.key for row in rows])
        slots["live"].extend(np.ones(len(rows), bool))
        for name, table in zip(_NAMES, self._tables(), strict=True):
            slots[name].extend(table.numbers([getattr(row, name) for row in rows]))
        for name in _TIMES:
            slots[name].extend(times(getattr(row, name) for row in rows))
        slots["shape"].extend([row.shape for row in rows])
        slots["utility"].extend([row.utility for row in rows])
        words = np.bincount(owner - first_slot, lengths, minlength=len(rows)).astype(np.int32)
        slots["words"].extend(words)
        slots["first_passage"].extend(first_passage + np.cumsum(counts) - counts)
        slots["passages"].extend(counts)
        self._append_mentions(rows)
        self._links.grow(len(rows), len(self.sessions.names))
        self.live_words += int(words.sum())
        self.live_passages += len(passages)

    def _tables(self) -> tuple[Strings, ...]:
        return (
            self.sessions, self.speakers, self.roles, self.types, self.states, self.origins,
            self.trusts,
        )  # fmt: skip

    def _append_passages(
        self,
        passages: list[PassageRow],
        owner: npt.NDArray[np.int32],
        lengths: npt.NDArray[np.int64],
    ) -> None:
        columns = self._passages
        columns["slot"].extend(owner)
        columns["words"].extend(lengths)
        columns["first_code"].extend(self._codes.size + np.cumsum(lengths) - lengths)
        joined = b"".join([passage.terms for passage in passages])
        self._codes.extend(np.frombuffer(joined, "<u4"))
        self.vectors.extend([passage.vector for passage in passages])

    def _append_mentions(self, rows: list[IndexRow]) -> None:
        counts = np.array([len(row.mentions) for row in rows], np.int32) >> 3
        self._slots["first_mention"].extend(self._mentions.size + np.cumsum(counts) - counts)
        self._slots["mentions"].extend(counts)
        joined = b"".join([row.mentions for row in rows])
        self._mentions.extend(np.frombuffer(joined, "<i4").reshape(-1, 2))

    def _compact(self) -> None:
        """Drop the dead slots and all that belongs to them."""
        live = self.column("live").copy()
        of_passage = live[self.passage_column("slot")]
        of_code = np.repeat(of_passage, self.passage_column("words"))
        of_mention = np.repeat(live, self.column("mentions"))
        self._codes.keep(np.flatnonzero(of_code))
        self._mentions.keep(np.flatnonzero(of_mention))
        self.vectors.keep(np.flatnonzero(of_passage))
        for column in self._passages.values():
            column.keep(np.flatnonzero(of_passage))
        for column in self._slots.values():
            column.keep(np.flatnonzero(live))
        self._renumber()

    def _renumber(self) -> None:
        keys = self.column("key")
        self._slot_of = dict(zip(keys.tolist(), range(len(keys)), strict=True))
        owner = np.repeat(np.arange(len(keys), dtype=np.int32), self.column("passages"))
        self.passage_column("slot")[:] = owner
        for first, size in (("first_passage", "passages"), ("first_mention", "mentions")):
            counts = self.column(size)
            self.column(first)[:] = np.cumsum(counts) - counts
        lengths = self.passage_column("words")
        self.passage_column("first_code")[:] = np.cumsum(lengths, dtype=np.int64) - lengths
        self.postings.clear()
        self._links.reset(len(keys), len(self.sessions.names))
        self._dead = 0


def _slot_columns() -> dict[str, Column]:
    columns = {name: Column(np.int64) for name in ("key", *_TIMES)}
    columns |= {name: Column(np.int32) for name in _NAMES}
    columns |= {name: Column(np.int32) for name in ("shape", "words", "passages", "mentions")}
    columns |= {name: Column(np.int64) for name in ("first_passage", "first_mention")}
    return columns | {"live": Column(bool), "utility": Column(np.float32)}


def _passage_columns() -> dict[str, Column]:
    return {"slot": Column(np.int32), "words": Column(np.int32), "first_code": Column(np.int64)}
