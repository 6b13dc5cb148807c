"""The first score: a fitted linear form of cheap signals, for the pool that candidates come from.

In: the scan of all slots. Out: a score by slot, `OUTSIDE` outside the pool. The pool is every
allowed slot of a small namespace, and the best few thousand by a fixed sum in a large one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mneme.memories.plaintext.build import Shape
from mneme.vault.index.columns import NONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mneme.recall.query import Asked
    from mneme.recall.scan import Scan
    from mneme.vault.index.namespace import NamespaceIndex

    Floats = npt.NDArray[np.float32]
    Slots = npt.NDArray[np.int64]

POOL: Final = 4000
OUTSIDE: Final = np.float32(-1000)
_DAY_US: Final = 86_400_000_000
_SHAPES: Final = (
    Shape.QUESTION, Shape.NUMBER, Shape.DATE, Shape.FIRST_PERSON, Shape.STANDING, Shape.LIKING,
    Shape.NEGATION, Shape.GREETING, Shape.SHORT, Shape.LONG, Shape.CODE, Shape.CHANGE,
    Shape.PREFERENCE, Shape.SCOPED,
)  # fmt: skip
_SHAPE_BITS: Final = tuple(((kind.name or "").lower(), int(kind)) for kind in _SHAPES)
_ROLE_KINDS: Final = ("order", "summary", "advice", "you_said", "first_person", "several", "count")
_SHAPE_KINDS: Final = (
    ("advice", "standing"), ("advice", "liking"), ("ever", "negation"),
    ("when", "date"), ("count", "number"), ("liking", "liking"),
    ("manner", "standing"), ("lasting", "date"), ("latest", "change"),
    ("advice", "preference"), ("manner", "preference"),
)  # fmt: skip


def base_score(index: NamespaceIndex, scan: Scan, places: Slots) -> Floats:
    """A fixed sum of the cheap signals, by slot, about 0 to 1."""
    score = scan.lexical * np.float32(0.35 / _top(scan.lexical, places))
    score += scan.window * np.float32(0.25 / _top(scan.window, places))
    score += scan.lexical_passage * np.float32(0.15 / _top(scan.lexical_passage, places))
    if scan.dense_by_passage is not None:
        score += np.maximum(scan.dense, 0) * np.float32(0.5 / _top(scan.dense, places))
    return score


def _top(values: Floats, places: Slots) -> float:
    return max(float(values[places].max(initial=0)), 1e-6)


def choose_pool(base: Floats, places: Slots) -> Slots:
    """The slots that the first score is computed for."""
    if len(places) <= POOL:
        return places
    return np.sort(places[np.argpartition(-base[places], POOL)[:POOL]])


def parts(
    index: NamespaceIndex, asked: Asked, scan: Scan, base: Floats, pool: Slots
) -> dict[str, Floats]:
    """The columns of the linear form, for the slots of the pool."""
    out = _matches(index, scan, base, pool)
    bits = index.column("shape")[pool]
    for sort, bit in _SHAPE_BITS:
        out["is_" + sort] = ((bits & bit) != 0).astype(np.float32)
    for kind, sort in _SHAPE_KINDS:
        out[f"{kind}_{sort}"] = out["is_" + sort] * np.float32(asked.is_kind(kind))
    out |= _people(index, asked, pool)
    by_user = out["by_user"]
    by_assistant = out["by_assistant"]
    for kind in _ROLE_KINDS:
        on = np.float32(asked.is_kind(kind))
        out[f"{kind}_user"] = by_user * on
        out[f"{kind}_assistant"] = by_assistant * on
    out["words"] = np.log1p(index.column("words")[pool]).astype(np.float32) / np.float32(5)
    out["on_day"] = _on_day(index, asked, pool)
    return out


def _matches(index: NamespaceIndex, scan: Scan, base: Floats, pool: Slots) -> dict[str, Floats]:
    around = np.append(base, np.float32(0))
    prev, after = around[index.prev[pool]], around[index.next[pool]]
    out = {
        "lexical": scan.lexical[pool] / np.float32(_top(scan.lexical, pool)),
        "lexical_abs": scan.lexical[pool] / np.float32(scan.idf_sum),
        "passage": scan.lexical_passage[pool] / np.float32(_top(scan.lexical_passage, pool)),
        "window": scan.window[pool] / np.float32(_top(scan.window, pool)),
        "window_abs": scan.window[pool] / np.float32(scan.idf_sum),
        "near": np.maximum(prev, after),
        "near_both": np.minimum(prev, after),
        "before": prev,
    }
    here = index.column("session")[pool]
    session_best = np.zeros(len(index.sessions.names) + 1, np.float32)
    np.maximum.at(session_best, here, base[pool])
    out["session"] = session_best[here]
    dense = scan.dense[pool]
    mean = float(dense.mean()) if len(dense) else 0.0
    spread = max(_top(scan.dense, pool) - mean, 1e-6)
    out["dense"] = (dense - np.float32(mean)) / np.float32(spread)
    out["dense_abs"] = dense
    return out


def _people(index: NamespaceIndex, asked: Asked, pool: Slots) -> dict[str, Floats]:
    role, speaker = index.column("role")[pool], index.column("speaker")[pool]
    user, assistant = index.roles.find("user"), index.roles.find("assistant")
    zeros = np.zeros(len(pool), np.float32)
    out = {
        "by_user": zeros if user is None else (role == user).astype(np.float32),
        "by_assistant": zeros if assistant is None else (role == assistant).astype(np.float32),
        "by_asked": zeros,
        "by_other": zeros,
    }
    called = index.speakers_called(asked.words)
    if called:
        by = np.isin(speaker, called)
        out["by_asked"] = by.astype(np.float32)
        out["by_other"] = ((speaker >= 0) & ~by).astype(np.float32)
    return out


def _on_day(index: NamespaceIndex, asked: Asked, pool: Slots) -> Floats:
    """1 for what was said in, or a day beside, the time asked about; less the farther it is."""
    at = index.column("event_at")[pool]
    day = np.where(at == NONE, -(10**6), at // _DAY_US)
    result = np.zeros(len(pool), np.float32)
    for first, last in asked.days:
        away = np.maximum(np.maximum(first - day, day - last), 0)
        result = np.maximum(result, np.exp(-away / 5.0).astype(np.float32))
    return result


def first_score(
    index: NamespaceIndex, columns: dict[str, Floats], weights: Mapping[str, float], pool: Slots
) -> Floats:
    """The linear form, by slot."""
    score = np.full(index.slots, OUTSIDE, np.float32)
    total = np.zeros(len(pool), np.float32)
    for name, weight in weights.items():
        total += columns[name] * np.float32(weight)
    score[pool] = total
    return score


def stack(columns: dict[str, Any]) -> npt.NDArray[np.float32]:
    """The columns side by side."""
    return np.stack(list(columns.values()), 1).astype(np.float32)
