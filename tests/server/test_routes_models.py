"""Promote, demote and chat over HTTP, with a model behind a real server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

import mneme
from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.engine import RemotePiece
from mneme.testing.chat_server import KEY, running_chat_server
from mneme.testing.doors import running_door

ALICE = "/v1/namespaces/alice"
BOOK = "Refunds are paid within thirty days of the purchase, in its currency. " * 12
Event = tuple[str, dict[str, Any]]


@pytest.fixture
def moods() -> list[str]:
    return []


@pytest.fixture
def chatting(memory: MemoryOS, moods: list[str]) -> Iterator[httpx2.Client]:
    """A client of a server with a model."""
    with running_chat_server(moods=moods) as server:
        engine = mneme.remote_engine("small", url=server.url, key=KEY)
        memory.attach(engine)
        with (
            running_door(memory, engine=engine) as door,
            httpx2.Client(base_url=door.url, headers=door.headers, timeout=30) as client,
        ):
            yield client


def events(text: str) -> list[Event]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("event: ")]
    return [(name[7:], json.loads(data[6:])) for name, data in blocks]


def test_without_a_model_it_says_how_to_set_one(http: httpx2.Client) -> None:
    for path, body in (
        ("chat", {"messages": "Hello?"}),
        ("promote", {"target": "x", "to": "activation"}),
    ):
        answer = http.post(f"{ALICE}/{path}", json=body)
        assert (answer.status_code, answer.json()["error"]) == (503, "BackendUnavailableError")
        assert "MNEME_SERVE_MODEL" in answer.json()["detail"]


def test_a_chat_answers_from_memory_and_remembers(
    chatting: httpx2.Client, alice: Namespace
) -> None:
    alice.add("I live in Oslo.", session="s1")
    reply = chatting.post(f"{ALICE}/chat", json={"messages": "Where do I live?", "session": "s2"})
    said = reply.json()
    assert said["text"]
    assert [item["carrier"] for item in said["plan"]] == ["text"]
    assert said["context"]["messages"][0]["content"] == said["context"]["text"]
    turns = [(cube.role, cube.text) for cube in alice.list(session="s2").items]
    assert turns == [("user", "Where do I live?"), ("assistant", said["text"])]
    body = {"messages": [{"role": "user", "content": "Again?"}], "remember": False}
    assert chatting.post(f"{ALICE}/chat", json=body).json()["session"] is None


def test_a_streamed_chat_gives_pieces_and_then_the_reply(
    chatting: httpx2.Client, alice: Namespace
) -> None:
    body = {"messages": "Where do I live?", "stream": True, "session": "s2"}
    answer = chatting.post(f"{ALICE}/chat", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *pieces, (last, reply) = events(answer.text)
    assert last == "reply"
    assert {name for name, _ in pieces} == {"token"}
    assert len(pieces) > 1
    assert "".join(piece["text"] for _, piece in pieces) == reply["text"]
    assert len(alice.list(session="s2").items) == 2


@pytest.mark.parametrize("moods", [["500"] * 20])
def test_a_model_that_fails_at_once_is_a_problem_with_its_status(
    chatting: httpx2.Client, alice: Namespace
) -> None:
    for streams in (False, True):
        body = {"messages": "Where do I live?", "stream": streams}
        answer = chatting.post(f"{ALICE}/chat", json=body)
        assert (answer.status_code, answer.json()["error"]) == (503, "BackendUnavailableError")
    assert alice.list().items == ()


@pytest.mark.parametrize("moods", [["cut"] * 20])
def test_a_model_that_breaks_off_is_an_event_and_nothing_is_remembered(
    chatting: httpx2.Client, alice: Namespace
) -> None:
    body = {"messages": "Where do I live, and since when?", "stream": True}
    answer = chatting.post(f"{ALICE}/chat", json=body)
    *_, (last, said) = events(answer.text)
    assert (last, said["error"], said["status"]) == ("error", "BackendUnavailableError", 503)
    assert alice.list().items == ()


class Endless:
    """A model that goes on until nobody listens: `core.engine.RemoteEngine`."""

    id = "endless:model"
    adapters = None

    def __init__(self) -> None:
        self.ended = threading.Event()

    def stream(self, messages: object, *, max_new_tokens: int) -> Iterator[RemotePiece]:
        try:
            for _ in range(5000):
                time.sleep(0.002)
                yield RemotePiece(text="more ")
        finally:
            self.ended.set()


def test_who_goes_away_ends_the_answer_and_is_not_remembered(
    memory: MemoryOS, alice: Namespace
) -> None:
    engine = Endless()
    memory.attach(engine)
    body = {"messages": "Where do I live?", "stream": True, "max_new_tokens": 5000}
    with running_door(memory, engine=engine) as door:
        client = httpx2.Client(base_url=door.url, headers=door.headers, timeout=30)
        with client, client.stream("POST", f"{ALICE}/chat", json=body) as answer:
            next(answer.iter_text())
        assert engine.ended.wait(5)
    assert alice.list().items == ()


def test_a_bad_question_is_refused_with_a_status_in_a_stream_too(chatting: httpx2.Client) -> None:
    messages = [{"role": "assistant", "content": "Hello."}]
    answer = chatting.post(f"{ALICE}/chat", json={"messages": messages, "stream": True})
    assert (answer.status_code, answer.json()["error"]) == (422, "InvalidInputError")


def test_a_document_is_promoted_and_demoted(chatting: httpx2.Client, alice: Namespace) -> None:
    [book, *_] = alice.add(BOOK, type="document")
    body = {"target": book.id, "to": "activation"}
    answer = chatting.post(f"{ALICE}/promote", json=body).json()
    [carrier] = answer["cubes"]
    assert (carrier["kind"], answer["jobs"]) == ("activation", [])
    assert chatting.post(f"{ALICE}/memories/{book.id}/demote").status_code == 204
    assert alice.carriers(book.id) == []
    again = chatting.post(f"{ALICE}/memories/{book.id}/demote")
    assert (again.status_code, again.json()["error"]) == (422, "InvalidInputError")
    unknown = chatting.post(f"{ALICE}/promote", json={"target": "nothing", "to": "activation"})
    assert unknown.status_code == 404
