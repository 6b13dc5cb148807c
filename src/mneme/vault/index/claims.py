"""Which turns say only what holds no longer, by what was extracted from them.

A turn is retired from the moment on at which the last of its statements ceased to hold, or was
forgotten. In: the claims of extracted cubes, all at once or as they change. Out: keys of turns that
are retired at a time, and the characters of a turn that are. The caller locks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from mneme.core.lifecycle import HIDDEN, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from mneme.core.rows import ClaimRow

_NEVER: Final = int(np.iinfo(np.int64).max)
_ALWAYS: Final = int(np.iinfo(np.int64).min)


class Claim(NamedTuple):
    """One statement of a turn: who made a cube of it, since when and until when it holds."""

    child: int
    opens: int
    closes: int
    spans: tuple[tuple[int, int], ...]


class Claims:
    """The statements of each turn of a namespace."""

    def __init__(self) -> None:
        self._of_turn: dict[int, dict[int, Claim]] = {}
        self._turns_of: dict[int, set[int]] = {}
        self._keys: npt.NDArray[np.int64] | None = None
        self._closes: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Turns of which anything was extracted."""
        return len(self._of_turn)

    def apply(self, rows: Iterable[ClaimRow]) -> None:
        """Take in what extracted cubes say now, in place of what they said before."""
        fresh: dict[int, list[ClaimRow]] = {}
        for row in rows:
            claims = fresh.setdefault(row.child, [])
            if row.state != State.MERGED:  # else what it was merged into claims its turns
                claims.append(row)
        for child, claims in fresh.items():
            self.drop(child)
            for row in claims:
                self._of_turn.setdefault(row.parent, {})[child] = _claim(row)
            self._turns_of[child] = {row.parent for row in claims}

    def drop(self, child: int) -> None:
        """Forget what a cube said of its sources."""
        self._keys = self._closes = None
        for turn in self._turns_of.pop(child, ()):
            claims = self._of_turn[turn]
            del claims[child]
            if not claims:
                del self._of_turn[turn]

    def retired(self, at: int) -> npt.NDArray[np.int64]:
        """Keys of the turns of whose statements none holds any more at a time."""
        if self._keys is None or self._closes is None:
            self._keys = np.fromiter(self._of_turn, np.int64, len(self._of_turn))
            last = (max(c.closes for c in claims.values()) for claims in self._of_turn.values())
            self._closes = np.fromiter(last, np.int64, len(self._of_turn))
        found: npt.NDArray[np.int64] = self._keys[self._closes <= at]
        return found

    def outside(self, at: int) -> list[int]:
        """Keys of the turns of whose statements none holds at a time, those to come included."""
        return [
            turn
            for turn, claims in self._of_turn.items()
            if not any(claim.opens <= at < claim.closes for claim in claims.values())
        ]

    def open(self, turn: int, at: int) -> list[int]:
        """The extracted cubes of a turn that still hold at a time."""
        claims = self._of_turn.get(turn, {})
        return [child for child, claim in claims.items() if claim.closes > at]

    def closed_spans(self, turn: int, at: int) -> list[tuple[int, int]]:
        """The characters of a turn that say what holds no longer, and nothing that does."""
        claims = self._of_turn.get(turn, {}).values()
        closed = sorted(s for claim in claims if claim.closes <= at for s in claim.spans)
        kept = [s for claim in claims if claim.closes > at for s in claim.spans]
        return [(a, b) for a, b in closed if not any(x <= a and b <= y for x, y in kept)]


def _claim(row: ClaimRow) -> Claim:
    hidden = row.state in HIDDEN
    closes = _NEVER if row.valid_to is None else row.valid_to
    if row.expires_at is not None:
        closes = min(closes, row.expires_at)
    spans = json.loads(row.spans) if row.spans else []
    own = tuple((start, end) for cube_id, _, start, end in spans if cube_id == row.parent_id)
    opens = _ALWAYS if row.valid_from is None else row.valid_from
    return Claim(row.child, opens, _ALWAYS if hidden else closes, own)
