"""What the guard bounds: how often, how much and how long; and what it writes down."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.server.guard.exchange import Exchange
from mneme.server.guard.rates import Buckets
from mneme.server.sessions import COOKIE
from mneme.settings import Settings
from mneme.testing.doors import Door, running_door

LIST = "/v1/namespaces/alice/memories"


def problem(answer: httpx2.Response) -> dict[str, Any]:
    """The problem that an answer is."""
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said["status"] == answer.status_code
    return said


@pytest.fixture
def strict_door(memory: MemoryOS) -> Iterator[Door]:
    with running_door(memory, settings=Settings(serve_body_bytes=2000)) as door:
        yield door


def test_a_key_that_comes_too_often_waits(memory: MemoryOS, strict_door: Door) -> None:
    text, _ = memory.make_key("bob", namespaces=["alice"], requests_per_s=0.5)
    other, _ = memory.make_key("eve", namespaces=["alice"], requests_per_s=1e5)

    def get(key: str) -> httpx2.Response:
        return httpx2.get(strict_door.url + LIST, headers={"Authorization": f"Bearer {key}"})

    assert get(text).status_code == 200
    refused = get(text)
    assert problem(refused)["status"] == 429
    assert int(refused.headers["retry-after"]) == 2
    assert get(other).status_code == 200


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=60),
    st.floats(0.1, 50),
)
def test_a_bucket_never_gives_more_than_its_rate(
    asked: list[tuple[str, float]], per_s: float
) -> None:
    now = [0.0]
    buckets = Buckets(now=lambda: now[0])
    burst = max(1.0, 2 * per_s)
    taken = dict.fromkeys("abc", 0)
    for name, later_s in asked:
        now[0] += later_s
        wait_s = buckets.take(name, per_s=per_s, burst=burst)
        taken[name] += wait_s == 0
        assert taken[name] <= burst + now[0] * per_s + 1e-6
        if wait_s > 0:
            now[0] += wait_s + 1e-6
            assert buckets.take(name, per_s=per_s, burst=burst) == 0
            taken[name] += 1


@given(st.lists(st.text(max_size=3), max_size=200))
def test_buckets_are_bounded(names: list[str]) -> None:
    buckets = Buckets(most=5)
    for name in names:
        buckets.take(name, per_s=1, burst=2)
        assert len(buckets) <= 5


# --- sizes and times


def chunked(size: int, piece: int = 500) -> Iterator[bytes]:
    for _ in range(size // piece):
        yield b" " * piece


def test_a_request_that_is_too_long_is_refused(strict_door: Door, alice: Namespace) -> None:
    for content in (b" " * 2001, chunked(50_000), chunked(4000)):
        answer = httpx2.post(
            strict_door.url + LIST,
            content=content,
            headers=strict_door.headers | {"Content-Type": "application/json"},
        )
        assert problem(answer)["status"] == 413
    fits = json.dumps({"content": "Oslo"}).encode().ljust(2000)
    for content in (fits, iter([fits[:7], fits[7:]])):
        answer = httpx2.post(
            strict_door.url + LIST,
            content=content,
            headers=strict_door.headers | {"Content-Type": "application/json"},
        )
        assert answer.status_code == 201
    assert len(alice.list().items) == 2


class Server:
    """The other end of an exchange, without a network."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.coming = list(messages)
        self.sent: list[dict[str, Any]] = []
        self.ended = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self.coming:
            return self.coming.pop(0)
        await self.ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:  # noqa: ANN401
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.ended.set()

    def exchange(self, timeout_s: float) -> Exchange:
        scope = {"type": "http", "method": "POST", "path": "/x", "headers": []}
        return Exchange(
            scope,
            self.receive,
            self.send,
            body_bytes=100,
            timeout_s=timeout_s,
        )

    @property
    def statuses(self) -> list[int]:
        return [message["status"] for message in self.sent if "status" in message]


def test_a_call_that_takes_too_long_is_answered_and_ends_by_itself() -> None:
    ended: list[str] = []

    async def slow(_scope: object, receive: Any, send: Any) -> None:  # noqa: ANN401
        await receive()
        await asyncio.sleep(0.2)
        ended.append("written")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    async def ask() -> list[int]:
        server = Server({"type": "http.request", "body": b"x", "more_body": False})
        await server.exchange(0.05).run(slow)
        return server.statuses

    assert asyncio.run(ask()) == [504]
    assert ended == ["written"]


def test_a_body_that_stops_coming_is_given_up() -> None:
    seen: list[str] = []

    async def reader(_scope: object, receive: Any, send: Any) -> None:  # noqa: ANN401
        while (message := await receive()).get("more_body"):
            pass
        seen.append(message["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask() -> list[int]:
        server = Server({"type": "http.request", "body": b"x", "more_body": True})
        await server.exchange(0.05).run(reader)
        return server.statuses

    assert asyncio.run(ask()) == [408]
    assert seen == ["http.disconnect"]


def test_a_stream_may_go_on() -> None:
    async def stream(_scope: object, receive: Any, send: Any) -> None:  # noqa: ANN401
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4):
            await asyncio.sleep(0.05)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def ask() -> Server:
        server = Server({"type": "http.request", "body": b"", "more_body": False})
        await server.exchange(0.05).run(stream)
        return server

    server = asyncio.run(ask())
    assert server.statuses == [200]
    assert sum(len(message.get("body", b"")) for message in server.sent) == 4


def test_a_slow_call_over_the_wire_is_answered_and_still_done(
    memory: MemoryOS, alice: Namespace
) -> None:
    with running_door(memory, settings=Settings(serve_timeout_s=0.3)) as door:
        held = threading.Event()
        writing: AbstractContextManager[object] = memory.vault.parts.store.write()

        def hold() -> None:
            with writing:
                held.set()
                time.sleep(1)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        answer = httpx2.post(door.url + LIST, json={"content": "Oslo"}, headers=door.headers)
        assert problem(answer)["status"] == 504
        thread.join()
        ends = time.monotonic() + 10
        while not alice.list().items and time.monotonic() < ends:
            time.sleep(0.02)
    assert [cube.text for cube in alice.list().items] == ["Oslo"]


# --- the log


def test_the_log_holds_no_secret_and_no_content(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="mneme.access"):
        httpx2.post(
            door.url + LIST + "?token=secret-token", json={"content": "Oslo"}, headers=door.headers
        )
        httpx2.get(door.url + f"/{door.key}/Oslo?key={door.key}", headers=door.headers)
        httpx2.get(door.url + "/v1/namespaces/Oslo/memories", headers=door.headers)
        httpx2.get(door.url + LIST, headers={"Cookie": f"{COOKIE}=secret-token"})
    said = caplog.text
    assert "/v1/namespaces/{ns}/memories" in said
    for hidden in ("Oslo", "alice", "secret-token", door.key.split("_", 2)[2]):
        assert hidden not in said
