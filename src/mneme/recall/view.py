"""What the signals of one search read, and small helpers that they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mneme.memories.plaintext.language.terms import code_of, stem

if TYPE_CHECKING:
    import numpy.typing as npt

    from mneme.recall.query import Asked
    from mneme.recall.scan import Scan
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[Any]


@dataclass(slots=True)
class View:
    """What all signals of one search read.

    first: The first score by slot. places: The pool. candidates: The best of it, best first.
    """

    index: NamespaceIndex
    asked: Asked
    scan: Scan
    first: Floats
    places: Slots
    candidates: Slots
    called: list[int] = field(init=False)
    name_codes: set[int] = field(init=False)

    def __post_init__(self) -> None:
        names = self.index.speakers.names
        self.called = self.index.speakers_called(self.asked.words)
        words = [word for number in self.called for word in names[number].casefold().split()]
        self.name_codes = {code_of(stem(word)) for word in words}


def top(values: Floats, places: Slots) -> float:
    """The highest value, never 0 or less."""
    return max(float(values[places].max(initial=0)), 1e-6)


def at_slots(values: npt.NDArray[Any], slots: Slots) -> Floats:
    """Values at slots, 0 where there is no such slot."""
    found = values[slots].astype(np.float32)
    found[slots < 0] = 0
    return found


def rank_of(values: Floats, view: View) -> Floats:
    """The logarithm of 1 + how many of the pool have a higher value than each candidate."""
    ordered = np.sort(values[view.places])
    above = len(ordered) - np.searchsorted(ordered, values[view.candidates], side="right")
    return np.log1p(above).astype(np.float32)


def holds(rising: npt.NDArray[np.int32], wanted: Slots) -> npt.NDArray[np.bool_]:
    """Whether each of some slots is among slots that rise."""
    if not len(rising):
        return np.zeros(len(wanted), bool)
    where = np.searchsorted(rising, wanted)
    np.minimum(where, len(rising) - 1, out=where)
    return np.equal(rising[where], wanted)
