"""The signals of candidates: what the ranking model reads.

In: the index, the question, and the cheap signals of all slots. Out: float32 [candidates, signals],
columns named by `NAMES`. Nothing here depends on how many sessions or turns a namespace has, where
in a session a turn stands, or how long a session is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mneme.memories.plaintext.build import Shape
from mneme.memories.plaintext.language.terms import code_of, stem
from mneme.recall.matches import find_matches
from mneme.recall.query import KINDS
from mneme.vault.index.columns import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mneme.recall.matches import Matches
    from mneme.recall.query import Asked
    from mneme.recall.scan import Scan
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.int64]

_DAY_US: Final = 86_400_000_000
_TINY: Final = np.float32(1e-6)
SHAPES: Final = tuple(Shape)


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


def _top(values: Floats, places: Slots) -> float:
    return max(float(values[places].max(initial=0)), 1e-6)


def _at(values: npt.NDArray[Any], slots: Slots) -> Floats:
    """Values at slots, 0 where there is no such slot."""
    found = values[slots].astype(np.float32)
    found[slots < 0] = 0
    return found


def _rank(values: Floats, view: View) -> Floats:
    ordered = np.sort(values[view.places])
    above = len(ordered) - np.searchsorted(ordered, values[view.candidates], side="right")
    return np.log1p(above).astype(np.float32)


def lexical(view: View) -> dict[str, Floats]:
    """BM25 of text, passage, window and neighbours, absolute and relative to the best."""
    s, c, ix = view.scan, view.candidates, view.index
    idf = np.float32(s.idf_sum)
    out: dict[str, Floats] = {}
    for name, values in (
        ("lexical", s.lexical), ("passage", s.lexical_passage), ("window", s.window),
    ):  # fmt: skip
        out[name + "_abs"] = values[c] / idf
        out[name + "_rel"] = values[c] / np.float32(_top(values, view.places))
    out["lexical_rank"] = _rank(s.lexical, view)
    out["window_rank"] = _rank(s.window, view)
    top = np.float32(_top(s.lexical, view.places))
    out["lexical_prev"] = _at(s.lexical, ix.prev[c]) / top
    out["lexical_next"] = _at(s.lexical, ix.next[c]) / top
    return out


def coverage(view: View) -> dict[str, Floats]:
    """Which of the question's terms a text, its neighbours and its best passage hold."""
    terms = [term for term in view.scan.terms if term.content] or view.scan.terms
    idf = np.array([term.idf for term in terms], np.float32)
    named = np.array([term.code in view.name_codes for term in terms], bool)
    nameless = np.where(named, np.float32(0), idf)
    if not nameless.any():
        nameless = idf
    found = find_matches(view.index, terms, nameless, view.candidates)
    around = np.maximum(found.exact_prev, found.exact_next)
    window = np.maximum(found.exact, around)
    total = np.float32(idf.sum()) + _TINY
    share = nameless / (np.float32(nameless.sum()) + _TINY)
    out = {
        "cover": idf @ found.exact / total,
        "cover_window": idf @ window / total,
        "cover_passage": share @ found.exact_passage,
        "cover_nameless": share @ found.exact,
        "cover_nameless_window": share @ window,
        "cover_count": found.exact.sum(axis=0),
    }
    out |= _nearly(found, share)
    if len(terms):
        rarest = int(np.argmax(nameless))
        out["rarest"], out["rarest_near"] = found.exact[rarest], window[rarest]
        out["best_idf"] = (found.exact * nameless[:, None]).max(axis=0) / (idf.max() + _TINY)
        out["near_missing"] = ((1 - found.near) * share[:, None]).max(axis=0)
    else:
        nothing = np.zeros(len(view.candidates), np.float32)
        out |= dict.fromkeys(("rarest", "rarest_near", "best_idf", "near_missing"), nothing)
    return out


def _nearly(found: Matches, share: Floats) -> dict[str, Floats]:
    """The same with related words."""
    around = np.maximum(found.near_prev, found.near_next) * np.float32(0.8)
    return {
        "near_cover": share @ found.near,
        "near_passage": share @ found.near_passage,
        "near_window": share @ np.maximum(found.near, around),
        "near_prev": share @ found.near_prev,
        "near_next": share @ found.near_next,
        "near_product": share @ np.log(np.float32(0.05) + found.near),
    }


def _holds(rising: npt.NDArray[np.int32], wanted: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if not len(rising):
        return np.zeros(len(wanted), bool)
    where = np.searchsorted(rising, wanted)
    np.minimum(where, len(rising) - 1, out=where)
    return rising[where] == wanted


def pairs(view: View) -> dict[str, Floats]:
    """Neighbouring terms of the question that are neighbours in the text."""
    wanted = view.asked.pairs
    c, ix = view.candidates, view.index
    result = np.zeros(len(c), np.float32)
    if wanted:
        first = ix.column("first_passage")[c]
        start = ix.passage_column("first_code")[first]
        lengths = ix.column("words")[c].astype(np.int64)
        owner = np.repeat(np.arange(len(c)), lengths)
        offsets = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        codes = ix.codes[np.repeat(start, lengths) + offsets]
        idf = {term.code: term.idf for term in view.scan.terms}
        total = sum(min(idf.get(a, 0), idf.get(b, 0)) for a, b in wanted) + 1e-6
        for a, b in wanted:
            weight = min(idf.get(a, 0), idf.get(b, 0))
            if weight > 0:
                at = np.flatnonzero(codes == a)
                for step in (1, 2):
                    hit = at[at + step < len(codes)]
                    hit = hit[(codes[hit + step] == b) & (owner[hit + step] == owner[hit])]
                    found = np.zeros(len(c), bool)
                    found[owner[hit]] = True
                    result[found] += np.float32(weight / total / step)
    return {"pairs": result}


def dense(view: View) -> dict[str, Floats]:
    """Cosines of a text's best passage and of its neighbours."""
    s, c, ix = view.scan, view.candidates, view.index
    values = s.dense
    allowed = values[view.places]
    mean, spread = float(allowed.mean()), float(allowed.std()) + 1e-6
    top = float(allowed.max())
    scale = np.float32(max(top - mean, 1e-6))
    out = {
        "dense": values[c],
        "dense_rel": (values[c] - np.float32(mean)) / scale,
        "dense_z": (values[c] - np.float32(mean)) / np.float32(spread),
        "dense_rank": _rank(values, view),
        "dense_prev": (_at(values, ix.prev[c]) - np.float32(mean)) / scale,
        "dense_next": (_at(values, ix.next[c]) - np.float32(mean)) / scale,
        "both_passage": _both(view, scale),
    }
    return out


def _both(view: View, scale: np.float32) -> Floats:
    """The best passage of each candidate by words and vector together."""
    s, c, ix = view.scan, view.candidates, view.index
    if s.dense_by_passage is None:
        return np.zeros(len(c), np.float32)
    counts = ix.column("passages")[c].astype(np.int64)
    starts = np.cumsum(counts) - counts
    rows = np.arange(int(counts.sum())) + np.repeat(ix.column("first_passage")[c] - starts, counts)
    score = s.dense_by_passage[rows] / scale
    score += s.by_passage[rows] / np.float32(_top(s.lexical_passage, view.places))
    result = np.zeros(len(c), np.float32)
    filled = np.flatnonzero(counts)
    if len(filled):
        result[filled] = np.maximum.reduceat(score, starts[filled])
    return result


def likeness(view: View) -> dict[str, Floats]:
    """Cosines to the best candidates, and to those of the same session."""
    c, ix = view.candidates, view.index
    rows = ix.column("first_passage")[c]
    vectors = ix.vectors.take(rows)
    vectors[ix.column("passages")[c] == 0] = 0
    likeness = vectors @ vectors[:8].T
    for i in range(min(8, len(c))):
        likeness[i, i] = np.nan
    with np.errstate(invalid="ignore"):
        top = np.nanmean(likeness[:, :4], axis=1) if len(c) > 4 else likeness[:, 0] * 0
        wide = np.nanmax(likeness, axis=1) if len(c) > 8 else likeness[:, 0] * 0
    return {
        "like_top": np.nan_to_num(top).astype(np.float32),
        "like_any": np.nan_to_num(wide).astype(np.float32),
    }


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
        out["reply_to_asked"] = _at(by, ix.prev[c])
        out["names_asked"] = np.full(len(c), len(called), np.float32)
    named = zeros
    for term in view.scan.terms:
        if term.code in view.name_codes:
            named = np.maximum(named, _holds(term.slots, c).astype(np.float32))
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
    out = {
        "is_" + (kind.name or "").lower(): ((bits[c] & int(kind)) != 0).astype(np.float32)
        for kind in SHAPES
    }
    prev, after = _at(bits, ix.prev[c]).astype(np.int32), _at(bits, ix.next[c]).astype(np.int32)
    out["follows_question"] = ((prev & int(Shape.QUESTION)) != 0).astype(np.float32)
    out["before_question"] = ((after & int(Shape.QUESTION)) != 0).astype(np.float32)
    order = np.argsort(-view.scan.dense[c], kind="stable") if view.scan.dense.any() else None
    for kind in (Shape.STANDING, Shape.PREFERENCE):
        out[f"{(kind.name or '').lower()}_rank"] = _rank_among((bits[c] & int(kind)) != 0, order)
    out["words"] = np.log1p(ix.column("words")[c]).astype(np.float32)
    out["dates_named"] = np.minimum(ix.column("mentions")[c], 5).astype(np.float32)
    return out


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
    values["asks_best_lexical"] = _top(s.lexical, view.places) / s.idf_sum
    values["asks_best_dense"] = float(s.dense[view.places].max(initial=0))
    return {name: np.full(n, value, np.float32) for name, value in values.items()}


GROUPS: Final = {
    "lexical": lexical, "coverage": coverage, "pairs": pairs, "dense": dense,
    "likeness": likeness, "structure": structure, "people": people, "when": when,
    "shape": shape, "question": question,
}  # fmt: skip


def compute(view: View, wanted: Sequence[str] = ()) -> tuple[tuple[str, ...], Floats]:
    """Signals of the candidates.

    Args:
        view: The search.
        wanted: Names of signals, in the order of the columns; empty for all.

    Returns:
        Names, and values [candidates, names].
    """
    found: dict[str, Floats] = {}
    for group in GROUPS.values():
        found |= group(view)
    names = tuple(wanted) or tuple(found)
    values = np.empty((len(names), len(view.candidates)), np.float32)
    for row, name in zip(values, names, strict=True):
        row[:] = found[name]
    return names, np.ascontiguousarray(values.T)
