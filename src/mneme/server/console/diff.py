"""What an edit changed, word by word.

In: two texts. Out: pieces that were kept, taken out and put in, in order. Texts that are too long
to be compared by words are compared by lines, and where that is too much, as wholes: a page must
not take seconds.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_MOST_COMPARED: Final = 1_000_000  # pairs of parts
_KEPT_CHARS: Final = 160  # of a long part that is alike, at each end


class Piece(NamedTuple):
    """A part of a difference: what happened to it, and its text."""

    change: Literal["kept", "out", "in", "left"]
    text: str


def difference(old: str, new: str) -> list[Piece]:
    """The pieces; those that are not `in` make up the old text, those not `out` the new one."""
    words = _compared(_WORD.findall(old), _WORD.findall(new))
    if words is None:
        words = _compared(_LINE.findall(old), _LINE.findall(new))
    return words if words is not None else [Piece("out", old), Piece("in", new)]


def _compared(old: Sequence[str], new: Sequence[str]) -> list[Piece] | None:
    """The pieces, or None where it would take too long."""
    most = min(len(old), len(new))
    head = next((i for i in range(most) if old[i] != new[i]), most)
    most -= head
    tail = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    left, right = old[head : len(old) - tail], new[head : len(new) - tail]
    if len(left) * len(right) > _MOST_COMPARED:
        return None
    found = [Piece("kept", "".join(old[:head]))]
    codes = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    for tag, a, b, c, d in codes:
        if tag == "equal":
            found.append(Piece("kept", "".join(left[a:b])))
        else:
            found += [Piece("out", "".join(left[a:b])), Piece("in", "".join(right[c:d]))]
    found.append(Piece("kept", "".join(old[len(old) - tail :])))
    return [piece for piece in found if piece.text]


def shortened(pieces: Sequence[Piece]) -> list[Piece]:
    """The same, with the middle of long parts that are alike left out."""
    out: list[Piece] = []
    for piece in pieces:
        if piece.change == "kept" and len(piece.text) > 3 * _KEPT_CHARS:
            left = len(piece.text) - 2 * _KEPT_CHARS
            out += [
                Piece("kept", piece.text[:_KEPT_CHARS]),
                Piece("left", f"{left} characters alike"),
                Piece("kept", piece.text[-_KEPT_CHARS:]),
            ]
        else:
            out.append(piece)
    return out
