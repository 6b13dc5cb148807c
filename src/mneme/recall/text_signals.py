"""Signals of what a text says: its words, phrases and vectors against the question's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from mneme.recall.matches import find_matches
from mneme.recall.view import at_slots, rank_of, top

if TYPE_CHECKING:
    import numpy.typing as npt

    from mneme.recall.matches import Matches
    from mneme.recall.view import Floats, Slots, View
    from mneme.vault.index.namespace import NamespaceIndex

_TINY: Final = np.float32(1e-6)


def lexical(view: View) -> dict[str, Floats]:
    """BM25 of text, passage, window and neighbours, absolute and relative to the best."""
    s, c, ix = view.scan, view.candidates, view.index
    idf = np.float32(s.idf_sum)
    out: dict[str, Floats] = {}
    for name, values in (
        ("lexical", s.lexical), ("passage", s.lexical_passage), ("window", s.window),
    ):  # fmt: skip
        out[name + "_abs"] = values[c] / idf
        out[name + "_rel"] = values[c] / np.float32(top(values, view.places))
    out["lexical_rank"] = rank_of(s.lexical, view)
    out["window_rank"] = rank_of(s.window, view)
    best = np.float32(top(s.lexical, view.places))
    out["lexical_prev"] = at_slots(s.lexical, ix.prev[c]) / best
    out["lexical_next"] = at_slots(s.lexical, ix.next[c]) / best
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
    share = np.asarray(nameless / (np.float32(nameless.sum()) + _TINY), np.float32)
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


def pairs(view: View) -> dict[str, Floats]:
    """Neighbouring terms of the question that are neighbours in the text."""
    wanted = view.asked.pairs
    c, ix = view.candidates, view.index
    result = np.zeros(len(c), np.float32)
    if wanted:
        codes, owner = _codes_of(ix, c)
        idf = {term.code: term.idf for term in view.scan.terms}
        total = sum(min(idf.get(a, 0), idf.get(b, 0)) for a, b in wanted) + 1e-6
        for a, b in wanted:
            weight = min(idf.get(a, 0), idf.get(b, 0))
            if weight > 0:
                at = np.flatnonzero(codes == a)
                for step in (1, 2):
                    hit = at[at + step < len(codes)]
                    hit = hit[(codes[hit + step] == b) & (owner[hit + step] == owner[hit])]
                    result[np.unique(owner[hit])] += np.float32(weight / total / step)
    return {"pairs": result}


def _codes_of(index: NamespaceIndex, slots: Slots) -> tuple[npt.NDArray[np.uint32], Slots]:
    """The codes of some texts, one after the other, and whose each is."""
    held = np.flatnonzero(index.column("words")[slots])
    lengths = index.column("words")[slots[held]].astype(np.int64)
    owner = np.repeat(held, lengths)
    start = index.passage_column("first_code")[index.column("first_passage")[slots[held]]]
    start = start - (np.cumsum(lengths) - lengths)
    return index.codes[np.repeat(start, lengths) + np.arange(len(owner))], owner


def dense(view: View) -> dict[str, Floats]:
    """Cosines of a text's best passage and of its neighbours."""
    s, c, ix = view.scan, view.candidates, view.index
    values = s.dense
    allowed = values[view.places]
    mean, spread = float(allowed.mean()), float(allowed.std()) + 1e-6
    scale = np.float32(max(float(allowed.max()) - mean, 1e-6))
    return {
        "dense": values[c],
        "dense_rel": (values[c] - np.float32(mean)) / scale,
        "dense_z": (values[c] - np.float32(mean)) / np.float32(spread),
        "dense_rank": rank_of(values, view),
        "dense_prev": (at_slots(values, ix.prev[c]) - np.float32(mean)) / scale,
        "dense_next": (at_slots(values, ix.next[c]) - np.float32(mean)) / scale,
        "both_passage": _both(view, scale),
    }


def _both(view: View, scale: np.float32) -> Floats:
    """The best passage of each candidate by words and vector together."""
    s, c, ix = view.scan, view.candidates, view.index
    if s.dense_by_passage is None:
        return np.zeros(len(c), np.float32)
    counts = ix.column("passages")[c].astype(np.int64)
    starts = np.cumsum(counts) - counts
    rows = np.arange(int(counts.sum())) + np.repeat(ix.column("first_passage")[c] - starts, counts)
    score = s.dense_by_passage[rows] / scale
    score += s.by_passage[rows] / np.float32(top(s.lexical_passage, view.places))
    result = np.zeros(len(c), np.float32)
    filled = np.flatnonzero(counts)
    if len(filled):
        result[filled] = np.maximum.reduceat(score, starts[filled])
    return result


def likeness(view: View) -> dict[str, Floats]:
    """Cosines to the best candidates, and to those of the same session."""
    c, ix = view.candidates, view.index
    filled = np.flatnonzero(ix.column("passages")[c])
    vectors = np.zeros((len(c), ix.vectors.dim), np.float32)
    vectors[filled] = ix.vectors.take(ix.column("first_passage")[c[filled]])
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
