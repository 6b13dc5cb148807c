"""What every embedder must do, as tests: subclass EmbedderContract and run them on yours.

class TestMyEmbedder(EmbedderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_embedder(cls):
        return lambda: MyEmbedder(...)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mneme.core.protocols import Embedder

    Vectors = NDArray[np.float32]

PROSE = (
    "Anna moved from Lisbon to Oslo in March.",
    "The cat slept on the warm laptop.",
    "We should book the tickets before Friday.",
    "ok",
    "Der Zug nach München hatte zwanzig Minuten Verspätung.",
    "明日は雨が降るでしょう。",
    "أحب القهوة في الصباح",
    "🎉🎉 we won!!!",
)
BLANK = ("", " ", "\n\t  ")
ODD = ("\x00", "a\x00b", "\ud800", "x\udfffy", "[CLS] [SEP] [PAD]", "e\u0301" * 50, "�")


class EmbedderContract:
    """Subclass it and give a `make_embedder` fixture (scope "class"): a function without
    arguments that makes the same embedder each time.

    `exactness` is how far an entry may be off between two ways of asking for the same text.
    """  # noqa: D205

    exactness = 1e-5

    @pytest.fixture(scope="class")
    @staticmethod
    def embedder(make_embedder: Callable[[], Embedder]) -> Embedder:
        """One embedder for all tests of the class."""
        return make_embedder()

    def test_id_names_the_dimension(self, embedder: Embedder) -> None:
        assert embedder.dim > 0
        assert embedder.id.rsplit(":", 1)[-1] == str(embedder.dim)
        assert embedder.id.isprintable()

    def test_id_and_vectors_are_the_same_for_each_instance(
        self, embedder: Embedder, make_embedder: Callable[[], Embedder]
    ) -> None:
        other = make_embedder()
        assert (other.id, other.dim) == (embedder.id, embedder.dim)
        assert _distance(other.embed(PROSE), embedder.embed(PROSE)) <= self.exactness

    def test_rows_are_unit_float32_in_the_order_of_the_texts(self, embedder: Embedder) -> None:
        vectors = embedder.embed(PROSE)
        assert vectors.shape == (len(PROSE), embedder.dim)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors[:4], axis=1), 1, atol=1e-4)
        assert _distance(embedder.embed(PROSE[::-1]), vectors[::-1]) <= self.exactness

    def test_a_batch_gives_what_single_calls_give(self, embedder: Embedder) -> None:
        texts = [*PROSE, *BLANK, *PROSE]
        singles = np.concatenate([embedder.embed([text]) for text in texts])
        assert _distance(embedder.embed(texts), singles) <= self.exactness

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.dim)

    def test_blank_texts_give_zeros(self, embedder: Embedder) -> None:
        assert not embedder.embed(BLANK).any()

    def test_a_question_has_a_unit_vector_too(self, embedder: Embedder) -> None:
        vector = embedder.embed(["Where does Anna live?"], query=True)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)

    def test_a_long_text_is_cut(self, embedder: Embedder) -> None:
        vectors = embedder.embed(["so it goes on and on " * 20_000, "x" * 100_000])
        assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-4)
        assert _right(vectors)

    def test_odd_text_gives_unit_or_zero_rows(self, embedder: Embedder) -> None:
        assert _right(embedder.embed(ODD))

    # The suite is inherited: each embedder runs this test with its own examples.
    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(texts=st.lists(st.text(st.characters(exclude_categories=()), max_size=40), max_size=5))
    def test_any_unicode_gives_unit_or_zero_rows(
        self, embedder: Embedder, texts: list[str]
    ) -> None:
        vectors = embedder.embed(texts)
        assert vectors.shape == (len(texts), embedder.dim)
        assert _right(vectors)

    @pytest.mark.parametrize("wrong", ["one string", [b"bytes"], [1], [None], [["nested"]]])
    def test_what_is_no_list_of_strings_is_refused(
        self, embedder: Embedder, wrong: list[str]
    ) -> None:
        with pytest.raises(InvalidInputError):
            embedder.embed(wrong)


def _distance(one: Vectors, other: Vectors) -> float:
    """The largest difference of two entries."""
    return float(np.abs(one - other).max(initial=0))


def _right(vectors: Vectors) -> bool:
    lengths = np.linalg.norm(vectors, axis=1)
    return bool(((np.abs(lengths - 1) < 1e-4) | (lengths == 0)).all())
