"""The step of the weights, and the correction that they make: bounded, and towards what helped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from mneme.recall import learning
from mneme.recall.learning import LEARNED, MOST_MARGIN, MOST_WEIGHT, Shown, Weights

VALUES = nps.arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.just(len(LEARNED))),
    elements=st.floats(-1e6, 1e6, width=32),
)


def shown(draw: np.random.Generator, column: int, size: int = 10) -> Shown:
    """Feedback of a user who uses what is highest in one signal."""
    features = learning.standardised(LEARNED, draw.normal(size=(size, len(LEARNED))))
    helped = np.zeros(size, bool)
    helped[int(np.argmax(features[:, column]))] = True
    return Shown(tuple(map(str, range(size))), features, draw.normal(size=size), helped)


@given(VALUES, st.dictionaries(st.sampled_from(LEARNED), st.floats(-1e3, 1e3)))
def test_a_correction_is_bounded_whatever_the_signals(
    values: np.ndarray, weights: dict[str, float]
) -> None:
    added = learning.correction(Weights(weights), LEARNED, values)
    assert added.shape == (len(values),)
    assert np.all(np.abs(added) <= MOST_MARGIN)


@given(VALUES)
def test_signals_are_standardised_and_missing_ones_say_nothing(values: np.ndarray) -> None:
    found = learning.standardised(LEARNED, values)
    assert np.all(np.isfinite(found))
    half = learning.standardised(LEARNED[:5], values[:, :5])
    assert not half[:, 5:].any()
    same = np.repeat(values[:1], 4, axis=0)
    assert not learning.standardised(LEARNED, same).any()


def test_it_learns_what_a_user_wants_and_stays_within_bounds() -> None:
    draw, weights = np.random.default_rng(1), Weights()
    for _ in range(400):
        weights = learning.stepped(weights, shown(draw, 3))
    assert max(weights.values, key=lambda n: weights.values[n]) == LEARNED[3]
    assert weights.values[LEARNED[3]] > 0.05
    assert all(abs(v) <= MOST_WEIGHT for v in weights.values.values())
    assert weights.updates == 400


def test_marks_at_random_teach_next_to_nothing() -> None:
    draw, weights = np.random.default_rng(2), Weights()
    for _ in range(400):
        told = shown(draw, 3)
        chance = draw.permutation(told.helped)
        weights = learning.stepped(
            weights, Shown(told.ids, told.features, told.margins * 0, chance)
        )
    assert max(map(abs, weights.values.values()), default=0.0) < 0.05


@pytest.mark.parametrize("used", [True, False])
def test_feedback_that_tells_nothing_apart_changes_nothing(*, used: bool) -> None:
    told = shown(np.random.default_rng(3), 3)
    same = Shown(told.ids, told.features, told.margins, np.full(10, used))
    assert learning.stepped(Weights(), same) == Weights()
