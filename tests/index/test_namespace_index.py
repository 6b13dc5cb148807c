"""An index that changes row by row is the index that is built at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.protocols import IndexRow, PassageRow
from mneme.memories.plaintext.language.terms import code_of, codes_of
from mneme.testing.index_rows import row, without_vectors
from mneme.vault.index.namespace import NamespaceIndex

WORDS = ["tea", "cup", "dog", "run", "blue", "train", "May 5", "why?", "茶"]
SESSIONS = ["a", "b", "c"]

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
changes = st.lists(
    st.tuples(
        st.integers(1, 12), texts, st.sampled_from(SESSIONS),
        st.sampled_from([True, True, True, False]), st.booleans(),
    ),
    max_size=40,
)  # fmt: skip


def state_of(index: NamespaceIndex) -> dict[int, object]:
    """All that searching reads of an index, by key."""
    index.prepare()
    keys = index.column("key")
    found: dict[int, object] = {}
    for slot in np.flatnonzero(index.column("live")):
        around = [
            None if other < 0 else int(keys[other])
            for other in (index.prev[slot], index.next[slot])
        ]
        first, count = index.column("first_passage")[slot], index.column("passages")[slot]
        starts = index.passage_column("first_code")[first : first + count]
        sizes = index.passage_column("words")[first : first + count]
        codes = [index.codes[a : a + n].tolist() for a, n in zip(starts, sizes, strict=True)]
        first, count = index.column("first_mention")[slot], index.column("mentions")[slot]
        found[int(keys[slot])] = (
            index.sessions.names[index.column("session")[slot]],
            around,
            codes,
            index.mentions[first : first + count].tolist(),
            index.vectors.take(np.arange(first, first)).tolist(),
            int(index.column("shape")[slot]),
        )
    return found


def holders(index: NamespaceIndex, code: int) -> dict[int, int]:
    """Keys of the live cubes that hold a term, and how often."""
    index.prepare()
    passages, counts = index.postings.find(code)
    found: dict[int, int] = {}
    for passage, count in zip(passages.tolist(), counts.tolist(), strict=True):
        slot = index.passage_column("slot")[passage]
        if index.column("live")[slot]:
            key = int(index.column("key")[slot])
            found[key] = found.get(key, 0) + count
    return found


@settings(max_examples=150, deadline=None)
@given(changes)
def test_applying_changes_is_building_from_what_is_left(
    steps: list[tuple[int, str, str, bool, bool]],
) -> None:
    changed, left = NamespaceIndex(), dict[int, IndexRow]()
    for key, text, session, live, embedded in steps:
        each = row(key, text, session=session, live=live)
        each = each if embedded else without_vectors(each)
        changed.apply([each])
        if embedded:  # search now and then, so that postings are merged in many ways
            changed.prepare()
        left[key] = each
        if not live:
            del left[key]
    built = NamespaceIndex()
    built.apply(left[key] for key in sorted(left))
    assert state_of(changed) == state_of(built)
    assert len(changed) == len(built) == len(left)
    assert changed.live_words == built.live_words
    assert changed.live_passages == built.live_passages
    for code in codes_of(" ".join(WORDS)):
        assert holders(changed, code) == holders(built, code)


def test_dead_slots_go_when_they_are_many() -> None:
    index = NamespaceIndex()
    index.apply(row(key, f"word{key} May {key % 28 + 1}") for key in range(1, 1200))
    index.prepare()
    index.apply(row(key, "gone", live=False) for key in range(1, 1000))
    index.prepare()
    assert index.slots == len(index) == 200
    assert sorted(state_of(index)) == list(range(1000, 1200))
    assert holders(index, codes_of("word1100")[0]) == {1100: 1}
    assert not holders(index, codes_of("word20")[0])


def test_the_last_of_equal_keys_counts() -> None:
    index = NamespaceIndex()
    index.apply([row(1, "old"), row(2, "other"), row(1, "new")])
    assert holders(index, code_of("new")) == {1: 1}
    assert not holders(index, code_of("old"))


def test_a_cube_that_moves_to_another_session_changes_both() -> None:
    index = NamespaceIndex()
    index.apply([row(1, "a"), row(2, "b"), row(3, "c"), row(4, "d", session="t")])
    index.apply([row(2, "b", session="t")])
    around = {key: value[1] for key, value in state_of(index).items() if isinstance(value, tuple)}
    assert around == {1: [None, 3], 3: [1, None], 2: [None, 4], 4: [2, None]}


def test_rows_out_of_order_are_linked_by_key() -> None:
    index = NamespaceIndex()
    index.apply([row(5, "e"), row(1, "a"), row(3, "c")])
    around = {key: value[1] for key, value in state_of(index).items() if isinstance(value, tuple)}
    assert around == {1: [None, 3], 3: [1, 5], 5: [3, None]}


def test_a_cube_without_passages_is_kept() -> None:
    index = NamespaceIndex()
    index.apply([row(1, "a")._replace(passages=()), row(2, "b")])
    assert sorted(state_of(index)) == [1, 2]
    assert index.size_bytes > 0


def test_names_are_known_by_their_first_word_and_as_a_whole() -> None:
    index = NamespaceIndex()
    index.apply([row(1, "hi", speaker="Ana Lind"), row(2, "yo", speaker="Bo"), row(3, "ok")])
    assert index.speakers_called({"ana"}) == [0]
    assert index.speakers_called({"bo", "ana"}) == [0, 1]
    assert index.speakers_called({"lind", "ana lind"}) == [0]
    assert index.speakers_called({"who"}) == []
    assert index.column("speaker").tolist() == [0, 1, -1]


@pytest.mark.parametrize("damaged", [b"", b"\x00" * 6, np.full(16, np.nan, "<f2").tobytes()])
def test_a_vector_of_another_length_or_not_finite_counts_as_not_made(damaged: bytes) -> None:
    index = NamespaceIndex()
    good = row(1, "good")
    odd = row(2, "odd")._replace(passages=(PassageRow(row(2, "odd").passages[0].terms, damaged),))
    index.apply([good, odd])
    assert index.vectors.present.tolist() == [True, False]
    assert np.isfinite(index.vectors.scores(np.ones(16, np.float32))).all()


def test_vectors_are_kept_to_a_hundredth() -> None:
    index = NamespaceIndex()
    index.apply(row(key, f"some words {key}") for key in range(1, 50))
    exact = np.stack(
        [np.frombuffer(row(key, f"some words {key}").passages[0].vector or b"", "<f2")
         for key in range(1, 50)]
    ).astype(np.float32)  # fmt: skip
    query = exact[7]
    assert np.allclose(index.vectors.scores(query), exact @ query, atol=0.01)
    assert np.allclose(index.vectors.take(np.array([3])), exact[[3]], atol=0.01)


def test_vectors_may_come_after_the_first_rows() -> None:
    index = NamespaceIndex()
    index.apply([without_vectors(row(1, "early"))])
    assert index.vectors.dim == 0
    assert index.vectors.take(np.array([0])).shape == (1, 0)
    index.apply([row(2, "late"), row(1, "early")])
    assert index.vectors.dim == 16
    assert index.vectors.present.tolist() == [False, True, True]
