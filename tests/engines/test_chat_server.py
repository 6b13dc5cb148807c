"""The server of the tests keeps prefixes as those that it stands for do."""

from __future__ import annotations

import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.testing.chat_server import BLOCK_TOKENS, ChatServer, PrefixCache, running_chat_server

prompts = st.lists(st.sampled_from("ab"), max_size=70)


@given(st.lists(prompts, max_size=6))
def test_what_is_cached_is_the_longest_shared_beginning_in_whole_blocks(
    asked: list[list[str]],
) -> None:
    cache = PrefixCache()
    for number, prompt in enumerate(asked):
        shared = 0
        for before in asked[:number]:
            same = 0
            for ours, theirs in zip(prompt, before, strict=False):
                if ours != theirs:
                    break
                same += 1
            shared = max(shared, same)
        all_but_one = max(len(prompt) - 1, 0)
        assert cache.take(prompt) == min(shared, all_but_one) // BLOCK_TOKENS * BLOCK_TOKENS


def test_it_is_bounded_and_drops_what_was_used_least() -> None:
    cache = PrefixCache(most_blocks=4)
    first, second = (["first"] * 33, ["second"] * 33)
    cache.take(first)
    cache.take(second)
    assert cache.take(first) == 32
    cache.take(["third"] * 33)
    assert len(cache) == 4
    assert cache.take(first) == 32
    assert cache.take(second) == 0


def test_it_ends_by_itself() -> None:
    with running_chat_server(most_s=0.05) as server:
        assert server.ending.wait(5)


def test_an_unknown_report_is_refused() -> None:
    with pytest.raises(ValueError, match="report"):
        ChatServer(report="loudly")


def test_it_listens_on_this_machine_alone() -> None:
    with running_chat_server() as server:
        assert server.url.startswith("http://127.0.0.1:")
        body = b'{"messages": [{"role": "user", "content": "a b"}], "max_tokens": 9}'
        asked = urllib.request.Request(f"{server.url}/chat/completions", data=body)
        with urllib.request.urlopen(asked) as answer:
            assert answer.read().endswith(b"data: [DONE]\n\n")
