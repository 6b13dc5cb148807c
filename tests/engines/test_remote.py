"""An engine behind a real server: answers, counts of its cache of prefixes, and all that fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mneme
from mneme import BackendUnavailableError, InvalidInputError

pytest.importorskip("httpx2", reason="the extra llm is not installed")
pytest.importorskip("fastjsonschema", reason="the extra llm is not installed")

from mneme.backends.engines.remote import OpenAIEngine, _events
from mneme.testing.chat_server import (
    BLOCK_TOKENS,
    KEY,
    REPORTS,
    ChatServer,
    PrefixCache,
    running_chat_server,
    tokens_of,
)  # fmt: skip

RULES = " ".join(f"rule{n}" for n in range(100))


def talk(question: str, system: str = RULES) -> list[dict[str, Any]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ChatServer]:
    with running_chat_server() as server:
        yield server


@pytest.fixture
def server(shared_server: ChatServer) -> ChatServer:
    shared_server.moods.clear()
    shared_server.asked.clear()
    shared_server.report, shared_server.wants_key = "details", False
    shared_server.cache = PrefixCache()
    return shared_server


def engine_of(server: ChatServer, *, timeout_s: float = 5.0) -> OpenAIEngine:
    return OpenAIEngine("small", url=server.url, key=KEY, timeout_s=timeout_s)


def test_pieces_make_up_the_answer_and_the_last_has_the_counts(server: ChatServer) -> None:
    pieces = list(engine_of(server).stream(talk("when is tea?"), max_new_tokens=10))
    assert "".join(piece.text for piece in pieces) == "when is tea?"
    assert len(pieces) == 4
    assert [piece.prompt_tokens for piece in pieces[:-1]] == [None] * 3
    assert pieces[-1].prompt_tokens == len(tokens_of(talk("when is tea?")))
    assert (pieces[-1].cached_tokens, pieces[-1].answer_tokens) == (0, 3)


def test_the_second_question_finds_the_stable_part_in_the_cache(server: ChatServer) -> None:
    engine = engine_of(server)
    counts = [
        list(engine.stream(talk(question), max_new_tokens=5))[-1] for question in ("one?", "two?")
    ]
    assert [count.cached_tokens for count in counts] == [0, 101 // BLOCK_TOKENS * BLOCK_TOKENS]


def test_what_changes_in_front_costs_the_whole_cache(server: ChatServer) -> None:
    engine = engine_of(server)
    for now in ("monday", "tuesday"):
        last = list(engine.stream(talk("one?", f"{now} {RULES}"), max_new_tokens=5))[-1]
        assert last.cached_tokens == 0


@pytest.mark.parametrize("report", REPORTS)
def test_every_way_to_say_what_was_cached_is_read(server: ChatServer, report: str) -> None:
    server.report = report
    engine = engine_of(server)
    last = [list(engine.stream(talk("one?"), max_new_tokens=5))[-1] for _ in range(2)]
    found = [piece.cached_tokens for piece in last]
    assert found == ([None, None] if report == "none" else [0, 96])


def test_the_answer_ends_where_it_was_asked_to(server: ChatServer) -> None:
    pieces = list(engine_of(server).stream(talk("a b c d e"), max_new_tokens=2))
    assert "".join(piece.text for piece in pieces) == "a b"
    assert pieces[-1].answer_tokens == 2


@pytest.mark.parametrize(
    ("mood", "says"),
    [
        ("401", "status 401; check the key"),
        ("404", "status 404; check url"),
        ("413", "too long"),
        ("429", "try again later; it asks to wait 7 s"),
        ("500", "status 500; see the server's log"),
        ("302", "status 302"),
        ("garbage", "no answer"),
        ("error", "error within its answer"),
        ("cut", "broke off"),
        ("drop", "is it running"),
        ("html", "without a stream"),
        ("whole", "without a stream"),
        ("endless", "without end"),
    ],
)
def test_what_fails_is_told_without_the_key(server: ChatServer, mood: str, says: str) -> None:
    server.moods = [mood]
    with pytest.raises(BackendUnavailableError, match=says) as raised:
        list(engine_of(server).stream(talk("a b c"), max_new_tokens=5))
    assert KEY not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("mood", ["silent", "stalls"])
def test_a_server_that_hangs_is_left_in_time(server: ChatServer, mood: str) -> None:
    server.moods = [mood]
    start = time.monotonic()
    with pytest.raises(BackendUnavailableError, match=r"in 0\.3 s"):
        list(engine_of(server, timeout_s=0.3).stream(talk("a b c"), max_new_tokens=5))
    assert time.monotonic() - start < 3


def test_what_came_before_a_cut_was_given(server: ChatServer) -> None:
    server.moods = ["cut"]
    came: list[str] = []
    pieces = engine_of(server).stream(talk("a b c"), max_new_tokens=5)
    with pytest.raises(BackendUnavailableError):
        came.extend(piece.text for piece in pieces)
    assert came == ["a"]


def test_bytes_that_come_one_by_one_make_the_same_answer(server: ChatServer) -> None:
    server.moods = ["drip"]
    pieces = list(engine_of(server).stream(talk("grüße 日本 🫖"), max_new_tokens=5))
    assert "".join(piece.text for piece in pieces) == "grüße 日本 🫖"


def test_a_server_that_knows_no_counts_is_asked_without(server: ChatServer) -> None:
    server.moods = ["old"]
    engine = engine_of(server)
    pieces = list(engine.stream(talk("a b"), max_new_tokens=5))
    assert "".join(piece.text for piece in pieces) == "a b"
    assert pieces[-1].prompt_tokens is None
    asked = len(server.asked)
    list(engine.stream(talk("a b"), max_new_tokens=5))
    assert len(server.asked) == asked + 1  # it remembers


def test_a_prompt_that_is_refused_changes_no_form(server: ChatServer) -> None:
    engine = engine_of(server)
    server.moods = ["400", "400"]
    with pytest.raises(BackendUnavailableError, match="status 400; the prompt may be too long"):
        list(engine.stream(talk("a b"), max_new_tokens=5))
    assert list(engine.stream(talk("a b"), max_new_tokens=5))[-1].prompt_tokens is not None


def test_no_server_is_told_so() -> None:
    engine = OpenAIEngine("small", url="http://127.0.0.1:9/v1", key=KEY, timeout_s=2)
    with pytest.raises(BackendUnavailableError, match="is it running"):
        list(engine.stream(talk("a"), max_new_tokens=5))


def test_leaving_early_ends_the_request(server: ChatServer) -> None:
    server.moods = ["stalls"]
    pieces = engine_of(server).stream(talk("a b c"), max_new_tokens=5)
    assert next(pieces).text == "a"
    start = time.monotonic()
    pieces.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 1


def test_the_key_is_sent_and_never_shown(server: ChatServer) -> None:
    server.wants_key = True
    engine = engine_of(server)
    list(engine.stream(talk("a"), max_new_tokens=5))
    assert server.asked[-1].headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(engine)
    assert KEY not in engine.id
    keyless = OpenAIEngine("small", url=server.url)
    with pytest.raises(BackendUnavailableError, match="check the key"):
        list(keyless.stream(talk("a"), max_new_tokens=5))


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://somewhere"},
        {"url": "http://user:secret@somewhere"},
        {"url": "http://127.0.0.1:1/v1", "key": "line\nbreak"},
        {"url": "http://127.0.0.1:1/v1", "timeout_s": 0},
        {"url": "http://127.0.0.1:1/v1", "model": ""},
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        mneme.remote_engine(**{"model": "small"} | wrong)


def test_no_tokens_are_refused_at_once(server: ChatServer) -> None:
    with pytest.raises(InvalidInputError, match="max_new_tokens"):
        engine_of(server).stream(talk("a"), max_new_tokens=0)
    assert not server.asked


def test_the_public_name_makes_one(server: ChatServer) -> None:
    engine = mneme.remote_engine("small", url=server.url, key=KEY)
    assert engine.id == f"{server.url} small"
    assert "".join(p.text for p in engine.stream(talk("hello"), max_new_tokens=3)) == "hello"


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=12)


@given(st.lists(lines), st.lists(st.integers(1, 9)), st.sampled_from(["\n", "\r\n"]))
def test_events_are_the_same_wherever_the_bytes_are_cut(
    texts: list[str], cuts: list[int], end: str
) -> None:
    data = "".join(f"data: x{text}x{end}: ping{end}{end}" for text in texts).encode()
    chunks, place = [], 0
    for size in cuts:
        chunks.append(data[place : place + size])
        place += size
    found = [event.decode() for event in _events([*chunks, data[place:]])]
    assert found == [f"x{text}x" for text in texts]
