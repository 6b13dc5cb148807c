"""Chats with a model behind a server that keeps prefixes, and one that fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

pytest.importorskip("httpx2", reason="the extra llm is not installed")

import mneme
from mneme import BackendUnavailableError, InvalidInputError
from mneme.app.memory import MemoryOS
from mneme.testing.chat_server import KEY, running_chat_server

Opened = Callable[..., AbstractContextManager[MemoryOS]]

BOOK = "Refunds are paid within thirty days of the purchase, in the currency of the purchase. " * 12


def test_what_is_promoted_comes_first_and_hits_the_servers_cache(opened: Opened) -> None:
    with running_chat_server() as server, opened() as memory:
        engine = mneme.remote_engine("small", url=server.url, key=KEY)
        memory.attach(engine)
        alice = memory.namespace("alice")
        book = alice.add(BOOK, type="document")
        (cube,) = alice.promote(book[0].id, to="activation", engine=engine)
        assert (cube.kind, cube.state, cube.metadata["blocks"]) == ("activation", "activated", 0)
        first = alice.chat("When are refunds paid?", engine=engine)
        assert first.text
        assert first.timings.tokens_by_tier == {}
        second = alice.chat("In which currency are they?", engine=engine)
        cached, whole = second.timings.hit_tokens, second.timings.prompt_tokens
        assert whole is not None
        assert cached > len(BOOK.split()) * 0.9
        assert second.timings.tokens_by_tier == {"server": cached}
        assert second.plan[0].cube_id == cube.id
        assert "cache" in second.plan[0].reason
        assert memory.stats().ledger["hit_tokens_server"] == cached
        head = server.asked[-1].body["messages"][0]["content"]
        assert BOOK.strip() in head
        kept = [(turn.role, turn.text) for turn in alice.list(session=second.session).items]
        assert kept == [("user", "In which currency are they?"), ("assistant", second.text)]


def test_what_is_pinned_follows_an_edit(opened: Opened) -> None:
    with running_chat_server() as server, opened() as memory:
        engine = mneme.remote_engine("small", url=server.url, key=KEY)
        alice = memory.namespace("alice")
        book = alice.add(BOOK, type="document")
        alice.promote(book[0].id, to="activation", engine=engine)
        alice.update(book[0].id, text=BOOK.replace("thirty", "forty"))
        memory.drain()
        alice.chat("When are refunds paid?", engine=engine)
        head = server.asked[-1].body["messages"][0]["content"]
        assert "forty" in head
        assert "thirty" not in head


def test_recalled_text_goes_with_the_question(opened: Opened) -> None:
    with running_chat_server() as server, opened() as memory:
        engine = mneme.remote_engine("small", url=server.url, key=KEY)
        alice = memory.namespace("alice")
        tea = alice.add("My favourite tea is sencha.")[0]
        pieces: list[str] = []
        reply = alice.chat(
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi"},
                {"role": "user", "content": "Which tea do I like?"},
            ],
            engine=engine,
            remember=False,
            note=pieces.append,
        )
        assert "".join(pieces).strip() == reply.text
        assert [(item.carrier, item.cube_id) for item in reply.plan] == [("text", tea.id)]
        messages = server.asked[-1].body["messages"]
        assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
        assert "sencha" in messages[-1]["content"]
        assert messages[-1]["content"].endswith("Which tea do I like?")


@pytest.mark.parametrize("mood", ["500", "cut", "garbage", "drop"])
def test_a_server_that_fails_leaves_nothing_half_remembered(opened: Opened, mood: str) -> None:
    with running_chat_server(moods=[mood] * 20) as server, opened() as memory:
        engine = mneme.remote_engine("small", url=server.url, key=KEY, timeout_s=2.0)
        alice = memory.namespace("alice")
        with pytest.raises(BackendUnavailableError):
            alice.chat("Which tea do I like?", engine=engine)
        assert not alice.list().items


def test_a_server_takes_no_policy(opened: Opened) -> None:
    with opened() as memory:
        engine = mneme.remote_engine("small", url="http://127.0.0.1:9/v1")
        alice = memory.namespace("alice")
        cube = alice.add("My favourite tea is sencha.")[0]
        with pytest.raises(InvalidInputError, match="server"):
            alice.promote(cube.id, to="activation", engine=engine, policy="leverage", keep=0.5)
        with pytest.raises(InvalidInputError, match="server"):
            alice.chat("Which tea?", engine=engine, policy="snapkv", keep=0.5)
