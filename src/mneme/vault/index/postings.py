"""Inverted lists: for each term, the passages that hold it and how often.

In: the codes of passages in reading order. Out: sorted segments, merged as they grow, so that one
write followed by one search costs little however much is stored (the log-structured merge of
O'Neil et al. 1996, in memory).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

_MERGE: Final = 4  # a segment below this many times the next one is merged with it
_PASSAGE_BITS: Final = np.uint64(32)
_PASSAGE_MASK: Final = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Segment:
    """The postings of passages `first` to `last` (exclusive), sorted by term, then passage.

    terms: uint32 [t], rising. starts: int64 [t + 1]. passages: int32 [p]. counts: uint8 [p].
    """

    first: int
    last: int
    terms: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    passages: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint8]

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        held = (self.terms, self.starts, self.passages, self.counts)
        return sum(int(array.nbytes) for array in held)

    def find(self, term: int) -> slice:
        """Where the postings of a term are; empty if it does not occur."""
        place = int(np.searchsorted(self.terms, np.uint32(term)))
        if place < len(self.terms) and self.terms[place] == term:
            return slice(int(self.starts[place]), int(self.starts[place + 1]))
        return slice(0, 0)


def build_segment(
    codes: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int32], first: int
) -> Segment:
    """Invert passages.

    Args:
        codes: The codes of all passages, one after the other.
        lengths: How many of them each passage has.
        first: The number of the first passage.
    """
    keys = codes.astype(np.uint64)
    keys <<= _PASSAGE_BITS
    keys |= np.repeat(np.arange(first, first + len(lengths), dtype=np.uint32), lengths)
    keys.sort()
    changes = np.empty(len(keys), bool)
    changes[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=changes[1:])
    places = np.flatnonzero(changes)
    counts = np.minimum(np.diff(places, append=len(keys)), 255).astype(np.uint8)
    keys = keys[places]
    passages = (keys & _PASSAGE_MASK).astype(np.int32)
    keys >>= _PASSAGE_BITS
    of_posting = keys.astype(np.uint32)
    changes = np.empty(len(of_posting), bool)
    changes[:1] = True
    np.not_equal(of_posting[1:], of_posting[:-1], out=changes[1:])
    starts = np.flatnonzero(changes)
    terms = of_posting[starts]
    return Segment(
        first, first + len(lengths), terms, np.append(starts, len(passages)), passages, counts
    )


class Postings:
    """Segments that together cover the passages `0` to `last`."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []

    @property
    def last(self) -> int:
        """The first passage that is not covered yet."""
        return self._segments[-1].last if self._segments else 0

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return sum(segment.size_bytes for segment in self._segments)

    def cover(
        self,
        codes: npt.NDArray[np.uint32],
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int32],
    ) -> None:
        """Take in the passages that are not covered yet, and merge what became small.

        Args:
            codes: The codes of all passages of the index.
            starts: Where each passage begins in them.
            lengths: How many codes each passage has.
        """
        count = len(lengths)
        if self.last == count:
            return
        first = self.last
        while self._segments:
            segment = self._segments[-1]
            if segment.last - segment.first >= _MERGE * (count - first):
                break
            first = segment.first
            self._segments.pop()
        begin = int(starts[first])
        end = int(starts[-1]) + int(lengths[-1])
        self._segments.append(build_segment(codes[begin:end], lengths[first:], first))

    def find(self, term: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """The passages that hold a term, rising, and how often each does."""
        found = [(segment, segment.find(term)) for segment in self._segments]
        found = [(segment, where) for segment, where in found if where.stop > where.start]
        if len(found) == 1:
            segment, where = found[0]
            return segment.passages[where], segment.counts[where]
        if not found:
            return np.empty(0, np.int32), np.empty(0, np.uint8)
        return (
            np.concatenate([segment.passages[where] for segment, where in found]),
            np.concatenate([segment.counts[where] for segment, where in found]),
        )

    def find_many(
        self, terms: npt.NDArray[np.uint32]
    ) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
        """The passages of those terms that occur, with the place of each in `terms`, in order.

        A term that segments share comes once for each of them.
        """
        for segment in self._segments:
            places = np.searchsorted(segment.terms, terms)
            np.minimum(places, len(segment.terms) - 1, out=places)
            held = segment.terms[places] == terms if len(segment.terms) else np.empty(0, bool)
            for number in np.flatnonzero(held).tolist():
                place = int(places[number])
                where = slice(int(segment.starts[place]), int(segment.starts[place + 1]))
                yield number, segment.passages[where]

    def clear(self) -> None:
        """Forget all."""
        self._segments.clear()
