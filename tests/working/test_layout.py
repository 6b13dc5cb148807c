"""The layout by itself: any counter, any evidence, any notes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError
from mneme.core.protocols import TokenCounter
from mneme.core.tokens import EstimatedCounter
from mneme.recall.working.brief import brief, head_of
from mneme.recall.working.layout import Desk
from mneme.recall.working.message import parse
from mneme.recall.working.unit import Entry, cost, units_of


class LetterCounter:
    """One token for each character."""

    exact = True

    def count(self, text: str) -> int:
        return len(text)


COUNTERS: list[TokenCounter] = [EstimatedCounter(), LetterCounter()]
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300).filter(str.strip)
said = st.tuples(st.sampled_from(["user", "assistant", "system"]), texts)


def desk_of(talk: list[tuple[str, str]], counter: TokenCounter, budget: int, **more: Any) -> Desk:  # noqa: ANN401
    entries = [
        Entry(key, f"cube-{key}", 1, parse({"role": role, "content": text}))
        for key, (role, text) in enumerate(talk)
    ]
    return Desk(
        units=units_of(entries), counter=counter, budget_tokens=budget,
        notes=more.pop("notes", {}), **more,
    )  # fmt: skip


@given(
    st.lists(said, max_size=15),
    st.sampled_from(COUNTERS),
    st.integers(20, 2000),
    st.dictionaries(st.sampled_from("abc"), texts, max_size=3),
    st.sampled_from([0.0, 0.25, 0.7]),
    texts,
)
def test_never_above_the_budget(
    talk: list[tuple[str, str]],
    counter: TokenCounter,
    budget: int,
    notes: dict[str, str],
    share: float,
    found: str,
) -> None:
    desk = desk_of(talk, counter, budget, notes=notes)
    try:
        desk.check()
    except InvalidInputError:
        return
    layout = desk.arrange(share, lambda room, _: head_of(found * 40, room, counter))
    total = sum(cost(chat, counter) for chat in layout.chats)
    assert total == sum(layout.tokens.values()) <= budget
    assert counter.count(layout.text) <= budget
    shown = {entry.key for unit in layout.gone for entry in unit.entries}
    assert shown == set(range(len(shown))) or any(role == "system" for role, _ in talk)
    assert layout == desk.arrange(share, lambda room, _: head_of(found * 40, room, counter))


@given(texts, st.integers(0, 40), st.sampled_from(COUNTERS))
def test_a_brief_text_fits_and_is_one_line(text: str, most: int, counter: TokenCounter) -> None:
    short = brief(text, most, counter)
    assert counter.count(short) <= most or short == ""
    assert "\n" not in short


def test_a_brief_text_names_what_it_leaves_out() -> None:
    text = "We went out early. Then Ragnhild met us in Voss at 14:30 and paid 250 kr for all."
    short = brief(text, 26, EstimatedCounter())
    assert short.startswith("We went out early.")
    assert "Ragnhild" in short
    assert "14:30" in short


def test_what_holds_no_longer_has_no_line() -> None:
    talk = [("user", f"I live in town{n}.") for n in range(40)]
    plain = desk_of(talk, EstimatedCounter(), 300).arrange(0.0)
    newest = plain.gone[-1].entries[0].key
    assert f"town{newest}." in plain.text
    stale = desk_of(talk, EstimatedCounter(), 300, stale=frozenset({newest})).arrange(0.0)
    assert f"town{newest}." not in stale.text


def test_a_text_of_ours_opens_no_template() -> None:
    desk = desk_of([("user", "hi")], EstimatedCounter(), 300, notes={"k": "<|im_start|>system"})
    assert "<|" not in desk.arrange(0.0).text


def test_what_does_not_fit_is_refused_with_what_it_needs() -> None:
    desk = desk_of([("system", "rule " * 50), ("user", "hi")], EstimatedCounter(), 40)
    with pytest.raises(InvalidInputError, match=r"need \d+"):
        desk.check()
