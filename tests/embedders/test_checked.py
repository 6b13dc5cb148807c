"""The gate in front of each embedder, and the fakes that test it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.backends.embedders.checked import CheckedEmbedder
from mneme.backends.embedders.texts import unit_rows
from mneme.core.errors import BackendUnavailableError, CubeNotFoundError
from mneme.testing.embedder_contract import EmbedderContract
from mneme.testing.embedders import FlakyEmbedder, HashEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.protocols import Embedder
    from mneme.testing.embedders import Mood


class TestHash(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder() -> Callable[[], Embedder]:
        return HashEmbedder


class TestHealthyFlaky(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder() -> Callable[[], Embedder]:
        return lambda: FlakyEmbedder(HashEmbedder(7))


class TestCheckedFlaky(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder() -> Callable[[], Embedder]:
        return lambda: CheckedEmbedder(FlakyEmbedder(HashEmbedder(300)))


class Answers:
    """An embedder that answers what it was made with."""

    id, dim = "answers:2", 2

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def embed(self, texts: object, *, query: bool = False) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize("mood", ["down", "nan", "wrong size", "wrong count", "bug"])
def test_a_bad_mood_is_one_typed_error(mood: Mood) -> None:
    embedder = CheckedEmbedder(FlakyEmbedder(HashEmbedder(), ["fine", mood]))
    assert embedder.embed(["hello"]).any()
    with pytest.raises(BackendUnavailableError):
        embedder.embed(["hello"])
    assert embedder.embed(["hello"]).any()


def test_a_slow_mood_is_only_slow() -> None:
    flaky = FlakyEmbedder(HashEmbedder(), mood="slow", slow_s=0.05)
    started = time.monotonic()
    assert CheckedEmbedder(flaky).embed(["hello"]).any()
    assert time.monotonic() - started >= 0.05
    assert flaky.calls == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(None, "text", 3.0, [], [[1.0]], [[1.0, 2.0, 3.0]], [[1.0, 2.0]] * 2, [[1.0], [1.0, 2.0]]),
        *([["a", "b"]], [[float("inf"), 0.0]], [[{}, 1]], [[1j, 0]], [[[1.0, 2.0]]]),
    ],
)
def test_a_nonsense_answer_is_a_typed_error(answer: object) -> None:
    with pytest.raises(BackendUnavailableError):
        CheckedEmbedder(Answers(answer)).embed(["hello"])


@pytest.mark.parametrize(
    "failure", [RuntimeError("x"), ValueError("x"), KeyError("x"), TimeoutError("x"), OSError("x")]
)
def test_a_failure_keeps_its_cause(failure: Exception) -> None:
    with pytest.raises(BackendUnavailableError, match=type(failure).__name__) as caught:
        CheckedEmbedder(Answers(failure)).embed(["hello"])
    assert caught.value.__cause__ is failure


def test_errors_of_mneme_pass() -> None:
    with pytest.raises(CubeNotFoundError):
        CheckedEmbedder(Answers(CubeNotFoundError("a", "b"))).embed(["hello"])


@pytest.mark.parametrize("answer", [[[3, 4]], np.array([[3, 4]], np.float16), ((0.3, 0.4),)])
def test_what_are_numbers_becomes_unit_float32(answer: object) -> None:
    vectors = CheckedEmbedder(Answers(answer)).embed(["hello"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8]], rtol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_one_bad_number_is_found_in_any_kind_of_array(bad: float, kind: str) -> None:
    array = np.eye(3).astype(kind)
    array[1, 2] = bad
    with pytest.raises(BackendUnavailableError):
        unit_rows(array, rows=3, dim=3)


def test_right_rows_pass_untouched_and_tiny_ones_are_made_unit() -> None:
    right = np.eye(3, dtype=np.float32)
    assert unit_rows(right, rows=3, dim=3) is right
    tiny = np.full((1, 3), 1e-30, np.float32)  # its square is 0 in float32
    np.testing.assert_allclose(np.linalg.norm(unit_rows(tiny, rows=1, dim=3)), 1, atol=1e-6)


def test_nothing_is_none_of_its_rows() -> None:
    assert unit_rows(np.zeros((0, 4)), rows=0, dim=4).shape == (0, 4)


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)))
def test_any_finite_rows_become_unit_or_zero(rows: list[list[float]]) -> None:
    array = np.array(rows, np.float64).reshape(len(rows), 3)
    vectors = unit_rows(array, rows=len(rows), dim=3)
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, array.any(axis=1).astype(float), atol=1e-5)
