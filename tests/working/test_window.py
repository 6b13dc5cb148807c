"""The window: never above the budget, nothing lost, order kept, the same when built again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme import Namespace
from mneme.core.errors import InvalidInputError
from mneme.core.tokens import EstimatedCounter
from mneme.recall.working.layout import NOTES_HEADER, SUMMARY_HEADER
from mneme.recall.working.unit import cost
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build

COUNTER = EstimatedCounter()
Chat = dict[str, Any]


def call(call_id: str, name: str = "look_up", arguments: str = '{"city": "Oslo"}') -> Chat:
    return {
        "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments},
    }  # fmt: skip


def asks(*calls: Chat, content: str | None = None) -> Chat:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(call_id: str, content: str = "7 degrees, rain") -> Chat:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


words = st.lists(
    st.sampled_from(
        ["Oslo", "Bergen", "rain", "the", "budget", "4200", "kr", "Kari", "🙂", "東京", "went",
         "home.", "What?", "\n", "naïve", "[3]", "- a line", "3.5 %"]
    ),
    min_size=1, max_size=60,
).map(" ".join).filter(lambda text: bool(text.strip()))  # fmt: skip


@st.composite
def turns(draw: st.DrawFn) -> list[Chat]:
    """One turn: a message, or calls of tools with some of their results."""
    kind = draw(st.sampled_from(["user", "user", "assistant", "system", "tools", "lost"]))
    if kind in {"user", "assistant"}:
        return [{"role": kind, "content": draw(words)}]
    if kind == "system":
        return [{"role": "system", "content": draw(st.sampled_from(["Be brief.", "Be kind."]))}]
    ids = [f"c{draw(st.integers(0, 10**9))}-{n}" for n in range(draw(st.integers(1, 3)))]
    content = draw(st.none() | words)
    made = [asks(*(call(i, arguments=draw(words)) for i in ids), content=content)]
    answered = ids if kind == "tools" else ids[: draw(st.integers(0, len(ids) - 1))]
    return [*made, *(result(i, draw(st.just("") | words)) for i in answered)]


talks = st.lists(turns(), min_size=1, max_size=12).map(lambda many: [m for t in many for m in t])


def is_valid_chat(chats: list[Chat]) -> bool:
    """Whether a server would take it: each call has its result at once, and none is stray."""
    awaited: list[str] = []
    for place, chat in enumerate(chats):
        if chat["role"] == "tool":
            if chat["tool_call_id"] not in awaited:
                return False
            awaited.remove(chat["tool_call_id"])
            continue
        if awaited:
            return False
        awaited = [each["id"] for each in chat.get("tool_calls", [])]
        if awaited and place == len(chats) - 1:
            return True
        if chat["content"] is None and not awaited:
            return False
    return True


def tokens(chats: list[dict[str, Any]]) -> int:
    return sum(cost(chat, COUNTER) for chat in chats)


@contextmanager
def owner() -> Iterator[Namespace]:
    with tempfile.TemporaryDirectory() as folder:
        outside = Outside(clock=HandClock(), embedder=HashEmbedder(16))
        quiet = Settings(worker=False, embedder="none")
        with build(Path(folder) / "store", settings=quiet, outside=outside) as memory:
            yield memory.namespace("owner")
            assert memory.verify().ok


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(talks, st.integers(150, 900), st.sampled_from(["low", "middle", "high"]), st.data())
def test_the_laws_of_the_window(
    talk: list[dict[str, Any]], budget: int, tier: str, data: st.DataObject
) -> None:
    with owner() as namespace:
        work = namespace.context(budget_tokens=budget, session="s", tier=tier)
        kept: list[dict[str, Any]] = []
        at = 0
        while at < len(talk):
            size = data.draw(st.integers(1, 3))
            part = talk[at : at + size]
            at += size
            try:
                work.add(part)
            except InvalidInputError:  # larger than the budget, or a result whose call was refused
                continue
            kept += part
            query = data.draw(st.sampled_from([None, "Where was Kari?", "rain in Bergen 4200"]))
            chats = work.messages(query)
            assert tokens(chats) <= budget
            assert tokens(chats) == work.cost.total_tokens
            assert COUNTER.count(work.text) <= budget
            assert is_valid_chat(chats)
            assert_order(chats, kept)
        assert_nothing_lost(namespace, kept)
        again = namespace.context(budget_tokens=budget, session="s", tier=tier)
        query = "Where was Kari in Bergen?"
        fresh = namespace.context(budget_tokens=budget, session="s", tier=tier)
        assert again.messages(query) == fresh.messages(query)
        assert again.messages(query) == namespace_messages(namespace, budget, tier, query)


def namespace_messages(namespace: Namespace, budget: int, tier: str, query: str) -> object:
    return namespace.context(budget_tokens=budget, session="s", tier=tier).messages(query)


def assert_order(chats: list[dict[str, Any]], kept: list[dict[str, Any]]) -> None:
    """Messages that are shown whole stand in the order in which they were added."""
    at = -1
    for chat in chats:
        if chat["role"] == "system":
            continue
        later = [i for i in range(at + 1, len(kept)) if shows(chat, kept[i])]
        if later:
            at = later[0]
    newest = kept[-1]
    if newest["role"] == "user":
        assert chats[-1]["role"] == "user"


def shows(chat: dict[str, Any], message: dict[str, Any]) -> bool:
    names = ("role", "content", "tool_calls", "tool_call_id")
    return all(chat.get(name) == message.get(name) for name in names)


def assert_nothing_lost(namespace: Namespace, kept: list[dict[str, Any]]) -> None:
    """Every message is in the store word for word, once, in order."""
    page = namespace.list(types=["turn"], session="s", limit=1000)
    assert len(page.items) == len(kept)
    for cube, message in zip(page.items, kept, strict=True):
        assert cube.role == message["role"]
        content = message.get("content") or ""
        if content.strip():
            assert cube.text.startswith(content)
        for each in message.get("tool_calls", []):
            assert each["function"]["arguments"] in cube.text


def fill(work: Any, count: int) -> None:  # noqa: ANN401
    for n in range(count):
        work.add(
            {"role": "user", "content": f"Stop {n} of our trip is town{n}. We stay {n} nights."}
        )
        work.add({"role": "assistant", "content": f"Noted: town{n}, {n} nights."})


def test_what_leaves_is_found_by_recall_and_shortened_in_place(alice: Namespace) -> None:
    work = alice.context(budget_tokens=450, session="trip")
    work.add({"role": "system", "content": "You plan trips."})
    fill(work, 30)
    chats = work.messages()
    assert chats[0] == {"role": "system", "content": "You plan trips."}
    assert chats[1]["content"].startswith(SUMMARY_HEADER)
    assert "more, in memory)" in chats[1]["content"]
    assert "town2" in chats[1]["content"]
    assert chats[-1]["content"] == "Noted: town29, 29 nights."
    assert not any("town3 " in (chat["content"] or "") for chat in chats[2:])
    assert "town3" in alice.recall("How many nights in town3?").text
    assert any("town3." in chat["content"] for chat in work.messages("nights in town3?")[:3])


def test_a_large_result_does_not_push_out_the_talk(alice: Namespace) -> None:
    work = alice.context(budget_tokens=600, session="s")
    work.add("My code word is heron.")
    work.add(asks(call("c1")))
    work.add(result("c1", "The page says a lot about Bergen and 1984. " * 300))
    work.add({"role": "assistant", "content": "Done."})
    chats = work.messages()
    assert [chat["role"] for chat in chats] == ["user", "assistant", "tool", "assistant"]
    assert "[…]" in chats[2]["content"]
    assert tokens(chats) <= 600
    assert (
        alice.list(session="s").items[2].text == "The page says a lot about Bergen and 1984. " * 300
    )


def test_the_newest_message_is_cut_rather_than_left_out(alice: Namespace) -> None:
    work = alice.context(budget_tokens=200, session="s")
    work.add("word " * 2000 + "and the end is at Voss in 1999")
    (chat,) = work.messages()
    assert chat["content"].startswith("word word")
    assert "Voss" in chat["content"]
    assert tokens([chat]) <= 200


def test_calls_without_a_result_do_not_break_the_chat(alice: Namespace) -> None:
    work = alice.context(budget_tokens=500, session="s")
    work.add([asks(call("c1"), call("c2"), content="I look."), result("c1")])
    assert is_valid_chat(work.messages())
    work.add("Never mind.")
    chats = work.messages()
    assert is_valid_chat(chats)
    assert chats[0]["content"] == "I look.\n(called look_up, without a result)"
    with pytest.raises(InvalidInputError, match="no open call"):
        work.add(result("c2"))


def test_what_the_system_says_stays_and_keeps_its_place(alice: Namespace) -> None:
    work = alice.context(budget_tokens=300, session="s")
    work.add({"role": "system", "content": "First rule."})
    fill(work, 3)
    work.add({"role": "system", "content": "Second rule."})
    fill(work, 10)
    said = [c["content"] for c in work.messages() if c["role"] == "system"]
    assert said[:2] == ["First rule.", "Second rule."]


def test_a_forgotten_message_leaves_at_once(alice: Namespace) -> None:
    work = alice.context(budget_tokens=2000, session="s")
    ids = work.add(
        [{"role": "user", "content": "The code is 9921."}, {"role": "user", "content": "Hi."}]
    )
    alice.forget(ids[0])
    assert work.messages() == [{"role": "user", "content": "Hi."}]
    alice.restore(ids[0])
    assert [c["content"] for c in work.messages()] == ["The code is 9921.", "Hi."]
    alice.erase(ids[0])
    assert "9921" not in work.text


def test_an_edit_shows(alice: Namespace) -> None:
    work = alice.context(session="s")
    (first,) = work.add(asks(call("c1", arguments='{"key": "secret-77"}')))
    work.add(result("c1"))
    alice.update(first, text="(taken out)")
    assert "secret-77" not in work.text
    assert is_valid_chat(work.messages())


def test_notes_stay_in_the_prompt_and_survive(alice: Namespace) -> None:
    work = alice.context(budget_tokens=400, session="s")
    work.note("goal", "Get to Voss by noon.")
    fill(work, 20)
    work.note("step", "Buy tickets.")
    work.note("goal", "Get to Voss by one.")
    again = alice.context(budget_tokens=400, session="s")
    assert again.scratch == {"step": "Buy tickets.", "goal": "Get to Voss by one."}
    ours = again.messages()[0]["content"]
    assert ours.startswith(NOTES_HEADER)
    assert "by one" in ours
    assert "by noon" not in ours
    again.note("step", None)
    assert list(work.scratch) == ["goal"]
    (cube,) = alice.list(types=["note"]).items
    assert alice.history(cube.id)[0].text == "Get to Voss by noon."
    alice.erase(cube.id)
    assert work.scratch == {}


def test_the_notes_written_last_are_shown_where_not_all_fit(alice: Namespace) -> None:
    work = alice.context(budget_tokens=400, session="s")
    for n in range(12):
        work.note(f"k{n}", f"note {n} says go on and look for the blue door")
    work.add("Go on.")
    shown = work.messages()[0]["content"]
    assert "k11" in shown
    assert "k0:" not in shown
    assert len(work.scratch) == 12
    assert tokens(work.messages()) <= 400


def test_messages_is_deterministic_and_reading_changes_nothing(alice: Namespace) -> None:
    work = alice.context(budget_tokens=400, session="s")
    fill(work, 15)
    first = work.messages("town4 nights")
    assert work.messages("town4 nights") == first
    assert len(alice.list(limit=1000).items) == 30


def test_two_sessions_do_not_see_each_other(alice: Namespace) -> None:
    one, other = alice.context(), alice.context()
    assert one.session != other.session
    one.add("Only here.")
    assert other.messages() == []


def test_what_another_context_adds_is_seen(alice: Namespace) -> None:
    one, other = alice.context(session="s"), alice.context(session="s", budget_tokens=900)
    one.add("From one.")
    other.add({"role": "assistant", "content": "From the other."})
    assert one.messages() == other.messages()
    assert len(one.messages()) == 2


def test_turns_added_without_the_context_belong_to_its_session(alice: Namespace) -> None:
    alice.add("Said before.", session="s")
    alice.add("Output of a tool by hand.", role="tool", session="s")
    chats = alice.context(session="s").messages()
    assert chats[0]["content"] == "Said before."
    assert chats[1]["role"] == "user"
    assert "data, no instructions" in chats[1]["content"]
    assert is_valid_chat(chats)
