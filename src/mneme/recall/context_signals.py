"""Signals of where a text stands: neighbours, session, speaker, time, kind; and of the question.

Nothing here depends on how many sessions a namespace has, how long a session is, or where in its
session a turn stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mneme.memories.plaintext.build import Shape
from mneme.recall.query import KINDS
from mneme.recall.view import at_slots, holds, top
from mneme.recall.wishes import fit_of_wishes
from mneme.vault.index.columns import NONE

if TYPE_CHECKING:
    import numpy.typing as npt

    from mneme.recall.view import Floats, Slots, View

_DAY_US: Final = 86_400_000_000
_SHAPE_BITS: Final = tuple(("is_" + (kind.name or "").lower(), int(kind)) for kind in Shape)


def structure(view: View) -> dict[str, Floats]:
    """The first score of a text, its neighbours and its session."""
    c, ix, p = view.candidates, view.index, view.first
    top = np.float32(p[c].max())
    spread = np.float32(max(float(top - np.median(p[c])), 1e-6))
    prev, after = ix.prev[c], ix.next[c]
    prev2 = np.where(prev >= 0, ix.prev[prev], -1)
    after2 = np.where(after >= 0, ix.next[after], -1)
    own = (p[c] - top) / spread
    session = ix.column("session")
    here = session[c]
    out = {
        "first": p[c],
        "first_gap": own,
        "first_rank": np.log1p(np.arange(len(c), dtype=np.float32)),
        "first_prev": _gap(p, prev, top, spread),
        "first_next": _gap(p, after, top, spread),
        "first_prev2": _gap(p, prev2, top, spread),
        "first_next2": _gap(p, after2, top, spread),
    }
    best, second = _best_two(session, p, view.places, len(ix.sessions.names))
    others = np.where(p[c] >= best[here], second[here], best[here])
    out["session_other"] = np.maximum((others - top) / spread, -3)
    out["session_best"] = np.maximum((best[here] - top) / spread, -3)
    order = np.argsort(here, kind="stable")
    ranks = np.empty(len(c), np.float32)
    opens = np.flatnonzero(np.append(True, here[order][1:] != here[order][:-1]))
    sizes = np.diff(opens, append=len(c))
    ranks[order] = np.arange(len(c)) - np.repeat(opens, sizes)
    out["session_rank"] = ranks
    weights = np.exp(np.float32(3) * own)
    mass = np.bincount(here + 1, weights, minlength=1)
    out["session_mass"] = (mass[here + 1] - weights).astype(np.float32) / np.float32(weights.sum())
    return out


def _gap(p: Floats, slots: Slots, top: np.float32, spread: np.float32) -> Floats:
    found = (p[slots] - top) / spread
    np.maximum(found, -3, out=found)
    found[slots < 0] = -3
    return found


def _best_two(
    session: npt.NDArray[np.int32], p: Floats, places: Slots, count: int
) -> tuple[Floats, Floats]:
    """The best and the second-best first score of each session."""
    order = places[np.argsort(p[places], kind="stable")]
    best = np.full(count + 1, -9, np.float32)
    best[session[order]] = p[order]
    winner = np.full(count + 1, -1)
    winner[session[order]] = order
    rest = order[winner[session[order]] != order]
    second = np.full(count + 1, -9, np.float32)
    second[session[rest]] = p[rest]
    return best, second


def people(view: View) -> dict[str, Floats]:
    """Who said it, and whether that is whom the question is about."""
    c, ix = view.candidates, view.index
    called = view.called
    speaker = ix.column("speaker")
    zeros = np.zeros(len(c), np.float32)
    roles = [ix.roles.find("user"), ix.roles.find("assistant")]
    role = ix.column("role")
    out = {
        "by_asked": zeros, "by_other": zeros, "reply_to_asked": zeros, "names_asked": zeros,
        "by_user": (role[c] == (-2 if roles[0] is None else roles[0])).astype(np.float32),
        "by_assistant": (role[c] == (-2 if roles[1] is None else roles[1])).astype(np.float32),
    }  # fmt: skip
    if called:
        by = np.isin(speaker, called)
        out["by_asked"] = by[c].astype(np.float32)
        out["by_other"] = ((speaker[c] >= 0) & ~by[c]).astype(np.float32)
        out["reply_to_asked"] = at_slots(by, ix.prev[c])
        out["names_asked"] = np.full(len(c), len(called), np.float32)
    named = zeros
    for term in view.scan.terms:
        if term.code in view.name_codes:
            named = np.maximum(named, holds(term.slots, c).astype(np.float32))
    out["name_in_text"] = named
    return out


def when(view: View) -> dict[str, Floats]:
    """Whether it was said, or speaks of, the time that is asked about; and how recent it is."""
    c, ix, asked = view.candidates, view.index, view.asked
    at = ix.column("event_at")
    known = at[c] != NONE
    day = np.where(known, at[c] // _DAY_US, 0)
    out = {}
    near = np.full(len(c), np.inf)
    spoken = np.full(len(c), np.inf)
    for first, last in asked.days:
        away = np.maximum(np.maximum(first - day, day - last), 0)
        near = np.minimum(near, np.where(known, away, np.inf))
        spoken = np.minimum(spoken, _mention_distance(view, first, last))
    has = bool(asked.days)
    out["days_off"] = np.log1p(np.minimum(near, 2000)).astype(np.float32) if has else _minus(c)
    out["mention_off"] = np.log1p(np.minimum(spoken, 2000)).astype(np.float32) if has else _minus(c)
    times = np.sort(at[view.places])
    times = times[np.searchsorted(times, NONE, side="right") :]
    share = np.searchsorted(times, at[c], side="right") / max(len(times), 1)
    out["recency"] = np.where(known, share, 0.5).astype(np.float32)
    return out


def _minus(c: Slots) -> Floats:
    return np.full(len(c), -1, np.float32)


def _mention_distance(view: View, first: int, last: int) -> npt.NDArray[Any]:
    """Days between a time and the nearest date that each candidate names."""
    c, ix = view.candidates, view.index
    counts = ix.column("mentions")[c].astype(np.int64)
    result = np.full(len(c), np.inf)
    if counts.any():
        owner = np.repeat(np.arange(len(c)), counts)
        offsets = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        days = ix.mentions[np.repeat(ix.column("first_mention")[c], counts) + offsets]
        away = np.maximum(np.maximum(first - days[:, 1], days[:, 0] - last), 0)
        np.minimum.at(result, owner, away)
    return result


def shape(view: View) -> dict[str, Floats]:
    """What kind of sentence it is, and what it follows."""
    c, ix = view.candidates, view.index
    bits = ix.column("shape")
    here = bits[c]
    out = {name: ((here & bit) != 0).astype(np.float32) for name, bit in _SHAPE_BITS}
    prev = at_slots(bits, ix.prev[c]).astype(np.int32)
    after = at_slots(bits, ix.next[c]).astype(np.int32)
    out["follows_question"] = ((prev & int(Shape.QUESTION)) != 0).astype(np.float32)
    out["before_question"] = ((after & int(Shape.QUESTION)) != 0).astype(np.float32)
    order = np.argsort(-view.scan.dense[c], kind="stable") if view.scan.dense.any() else None
    for kind in (Shape.STANDING, Shape.PREFERENCE, Shape.SCOPED):
        out[f"{(kind.name or '').lower()}_rank"] = _rank_among((bits[c] & int(kind)) != 0, order)
    out["words"] = np.log1p(ix.column("words")[c]).astype(np.float32)
    out["dates_named"] = np.minimum(ix.column("mentions")[c], 5).astype(np.float32)
    return out


def wishes(view: View) -> dict[str, Floats]:
    """How well standing wishes fit the question."""
    return fit_of_wishes(view.index, view.asked, view.scan, view.candidates)


def _rank_among(chosen: npt.NDArray[np.bool_], order: npt.NDArray[Any] | None) -> Floats:
    """Places 0, 1, 2, ... among the chosen candidates by a given order; 20 for the rest."""
    result = np.full(len(chosen), 20, np.float32)
    slots = np.flatnonzero(chosen) if order is None else order[chosen[order]]
    result[slots] = np.minimum(np.arange(len(slots)), 20)
    return result


def question(view: View) -> dict[str, Floats]:
    """What kind of question it is, the same for all candidates."""
    s, asked, n = view.scan, view.asked, len(view.candidates)
    values = {"asks_" + kind: float(on) for kind, on in zip(KINDS, asked.kinds, strict=True)}
    values["asks_terms"] = float(sum(asked.content))
    values["asks_date"] = float(len(asked.days) > 0)
    values["asks_best_lexical"] = top(s.lexical, view.places) / s.idf_sum
    values["asks_best_dense"] = float(s.dense[view.places].max(initial=0))
    return {name: np.full(n, value, np.float32) for name, value in values.items()}
