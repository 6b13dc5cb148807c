"""The packaged ranking is read, written and evaluated as it was fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mneme.recall.matches import load_near_words
from mneme.recall.model import FIRST, Model, load, save
from mneme.recall.wishes import lift


def by_hand(model: Model, row: list[float]) -> float:
    """One row down every tree, one step after the other."""
    total = row[model.signals.index(FIRST)]
    nodes = model.features.shape[1]
    for features, thresholds, leaves in zip(
        model.features, model.thresholds, model.leaves, strict=True
    ):
        node = 0
        while node < nodes:
            node = 2 * node + (1 if np.float32(row[features[node]]) <= thresholds[node] else 2)
        total += float(leaves[node - nodes])
    return total


def test_the_packaged_models_are_sound() -> None:
    for model in load():
        assert FIRST in model.signals
        assert model.features.max() < len(model.signals)
        assert np.isfinite(model.leaves).all()
        assert model.scale[0] > 0


@given(st.integers(0, 2**32 - 1))
def test_margins_are_those_of_walking_down_each_tree(seed: int) -> None:
    model = load()[0]
    rows = np.random.default_rng(seed).normal(0, 2, (3, len(model.signals))).astype(np.float32)
    expected = [by_hand(model, row.tolist()) for row in rows]
    assert np.allclose(model.margin(rows), expected, atol=1e-4)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    hybrid, lexical = load()
    path = tmp_path / "ranking.npz"
    save(path, {"hybrid": hybrid, "lexical": lexical}, {"made_by": "a test"})
    for old, new in zip((hybrid, lexical), load(path), strict=True):
        assert dict(old.first) == dict(new.first)
        assert old.signals == new.signals
        assert old.scale == new.scale
        for name in ("features", "thresholds", "leaves"):
            assert np.array_equal(getattr(old, name), getattr(new, name))


def test_shares_rise_with_margins() -> None:
    shares = load()[0].share(np.linspace(-20, 30, 100))
    assert (np.diff(shares) > 0).all()
    assert 0 < shares[0] < shares[-1] < 1


def test_near_words_are_near_and_rising() -> None:
    table = load_near_words()
    assert (np.diff(table.codes.astype(np.int64)) > 0).all()
    places, near, likeness = table.of(table.codes[[5, 900]])
    assert set(places.tolist()) <= {0, 1}
    assert np.isin(near, table.codes).all()
    assert (np.diff(likeness) >= 0).all()
    assert not len(table.of(np.array([], np.uint32))[0])


NAMES = ("first", "scope_cover", "scope_dense")


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 1), st.floats(0, 1)), max_size=30))
def test_a_wish_is_lifted_to_the_ninth_place_and_nothing_else_changes(
    given: list[tuple[float, float, float]],
) -> None:
    values = np.array(given, np.float32).reshape(-1, 3)
    margin = values[:, 0].astype(np.float64)
    lifted = lift(margin, NAMES, values)
    changed = np.flatnonzero(lifted != margin)
    assert len(changed) <= 1
    for wish in changed:
        assert lifted[wish] > margin[wish]
        assert int((lifted > lifted[wish]).sum()) <= 8


@given(
    st.lists(
        st.tuples(st.floats(-9, 9), st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.0, 1.0])),
        max_size=30,
    )
)
def test_wishes_for_the_kind_of_answer_are_among_the_first_ten(
    given: list[tuple[float, float, float, float]],
) -> None:
    values = np.array(given, np.float32).reshape(-1, 4)
    margin = values[:, 0].astype(np.float64)
    lifted = lift(margin, (*NAMES, "scope_answer"), values)
    changed = np.flatnonzero(lifted != margin)
    assert len(changed) <= 2
    for wish in changed:
        assert lifted[wish] > margin[wish]
        assert int((lifted > lifted[wish]).sum()) <= 9


def test_a_model_without_signals_of_wishes_lifts_nothing() -> None:
    margin = np.arange(20.0)
    assert lift(margin, ("first",), np.ones((20, 1), np.float32)) is margin
