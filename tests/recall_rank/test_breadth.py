"""Results of a question about a whole history are spread over it, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mneme.recall.breadth import Layout, layout_of, spread
from mneme.recall.query import Question, take_apart
from mneme.recall.rank import rank
from mneme.testing.index_rows import row, vector_of
from mneme.vault.index.namespace import NamespaceIndex

NOW = datetime(2024, 6, 1, tzinfo=UTC)
ORDER = "In what order did I mention the garden?"
SUMMARY = "Please summarize the garden"
OTHER = "Why do I like the garden?"

margins = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=1, max_size=20)


def layout(sessions: list[int], partners: list[int] | None = None) -> Layout:
    return Layout(np.array(sessions), np.array(partners or [-1] * len(sessions)))


def spread_of(question: str, values: list[float], where: Layout) -> np.ndarray:
    return spread(np.array(values), take_apart(Question(question)), where)


@given(margins)
def test_each_session_keeps_its_order_and_its_best(values: list[float]) -> None:
    sessions = np.arange(len(values)) % 3
    found = spread_of(ORDER, values, layout(sessions.tolist()))
    for session in set(sessions.tolist()):
        before, after = np.array(values)[sessions == session], found[sessions == session]
        assert after.max() == before.max()
        rising = np.argsort(before, kind="stable")
        assert (np.diff(after[rising])[np.diff(before[rising]) > 0] > 0).all()
    assert (found <= np.array(values)).all()


@given(margins)
def test_the_halves_of_an_exchange_keep_their_order(values: list[float]) -> None:
    partners = [n ^ 1 if n ^ 1 < len(values) else -1 for n in range(len(values))]
    found = spread_of(SUMMARY, values, layout([0] * len(values), partners))
    assert (found >= np.array(values)).all()
    for here, other in enumerate(partners):
        if other >= 0 and values[here] > values[other]:
            assert found[here] == values[here]
            assert found[other] < found[here]


@given(margins)
def test_where_nothing_is_known_nothing_changes(values: list[float]) -> None:
    unknown = layout([-1] * len(values))
    for question in (ORDER, SUMMARY, OTHER):
        assert np.array_equal(spread_of(question, values, unknown), np.array(values))


def garden() -> NamespaceIndex:
    """One session full of the garden, and five that name it once; each turn with a reply."""
    index = NamespaceIndex()
    texts = [("garden", f"The garden, the garden: bed {n}") for n in range(30)]
    texts += [(f"s{n}", f"Something on day {n} in the garden before lunch") for n in range(5)]
    index.apply(
        each
        for n, (session, text) in enumerate(texts)
        for each in (
            row(2 * n + 1, text, session=session),
            row(2 * n + 2, f"Noted, number {n}", session=session)._replace(role="assistant"),
        )
    )
    return index


def found(index: NamespaceIndex, question: str) -> list[int]:
    ranked = rank(index, Question(question, vector_of(question), NOW), limit=10)
    scores = [each.score for each in ranked]
    assert scores == sorted(scores, reverse=True)
    return [each.key for each in ranked]


def test_an_order_is_found_in_more_sessions_than_a_cause() -> None:
    index = garden()

    def sessions(question: str) -> int:
        slots = np.isin(index.column("key"), found(index, question))
        return len(set(index.column("session")[slots].tolist()))

    assert sessions(ORDER) > sessions(OTHER)


def test_a_summary_brings_the_replies() -> None:
    index = garden()

    def replies(question: str) -> int:
        return sum(key % 2 == 0 for key in found(index, question))

    assert replies(SUMMARY) > replies("the garden")


def test_an_exchange_is_a_users_turn_and_the_reply_to_it() -> None:
    index = NamespaceIndex()
    roles = ["user", "assistant", "assistant", "user", "user", "assistant"]
    index.apply(row(n + 1, f"turn {n}")._replace(role=role) for n, role in enumerate(roles))
    where = layout_of(index, np.arange(6))
    assert where.partners.tolist() == [1, 0, -1, -1, 5, 4]
    assert layout_of(index, np.array([5, 0])).partners.tolist() == [-1, -1]
