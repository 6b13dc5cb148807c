"""Requests that no honest client sends, byte by byte: one clear refusal each, and no harm done.

How long a refusal takes tells nothing of a key: a key is looked up by its id, which is no secret,
and the keyed hash of what was shown is compared in constant time; so is a session, by its hash.
That is argued here, not measured.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest
from fastapi import FastAPI

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.server.guard.entrance import MOST_HEADERS
from mneme.server.guard.wire import wire_of
from mneme.server.listening import Listening, bind, config_of, url_of
from mneme.settings import Settings
from mneme.testing.doors import Door, running_door

LIST = "/v1/namespaces/alice/memories"
BODY = b'{"content": "Oslo"}'
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture
def door(memory: MemoryOS) -> Iterator[Door]:
    with limited(memory, timeout_s=30) as door:
        yield door


@pytest.fixture
def hasty(memory: MemoryOS) -> Iterator[Door]:
    """A door that waits for nothing longer than a second."""
    with limited(memory, timeout_s=1) as door:
        yield door


@contextmanager
def limited(memory: MemoryOS, timeout_s: float) -> Iterator[Door]:
    settings = Settings(serve_requests_per_s=0, serve_timeout_s=timeout_s, serve_body_bytes=4000)
    with running_door(memory, settings=settings) as door:
        yield door
        assert httpx2.get(door.url + "/healthz").status_code == 200  # after all that


def connected(door: Door) -> socket.socket:
    host, _, port = door.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def answers(door: Door, *parts: bytes, pause_s: float = 0.0) -> list[int]:
    """The statuses of all answers to these bytes, until the server closes."""
    with connected(door) as wire:
        for part in parts:
            try:
                wire.sendall(part)
            except OSError:  # it has closed already
                break
            time.sleep(pause_s)
        wire.settimeout(20)
        heard = b""
        try:
            while piece := wire.recv(65536):
                heard += piece
        except (TimeoutError, ConnectionResetError):
            pass
    return [int(status) for status in STATUS.findall(heard)]


def post(door: Door, *headers: bytes, host: bytes = b"Host: localhost", to: str = LIST) -> bytes:
    """The head of a request that adds a memory."""
    key = f"Authorization: Bearer {door.key}".encode()
    kind = b"Content-Type: application/json"
    lines = [f"POST {to} HTTP/1.1".encode(), host, key, kind, *headers]
    return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n"


SECOND = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
TWO_WAYS = {
    "a length, and chunks": ([LENGTH, b"Transfer-Encoding: chunked"], CHUNKS),
    "chunks, and a length of nothing": (
        [b"Transfer-Encoding: chunked", b"Content-Length: 0"],
        CHUNKS,
    ),
    "two lengths": ([LENGTH, b"Content-Length: 0"], BODY),
    "two lengths in one": ([b"Content-Length: 0, %d" % len(BODY)], BODY),
    "a length with a sign": ([b"Content-Length: +%d" % len(BODY)], BODY),
    "a length in another base": ([b"Content-Length: 0x13"], BODY),
    "a negative length": ([b"Content-Length: -1"], BODY),
    "a length without end": ([b"Content-Length: " + b"9" * 400], BODY),
    "a space before the colon": ([b"Content-Length : 0"], BODY),
    "chunks under another name": ([b"Transfer-Encoding: xchunked"], CHUNKS),
    "chunks twice": ([b"Transfer-Encoding: chunked, chunked"], CHUNKS),
    "chunks, then nothing": ([b"Transfer-Encoding: chunked, identity"], CHUNKS),
    "a control character": ([b"Transfer-Encoding: \x0bchunked"], CHUNKS),
    "a NUL": ([b"X: a\0b", LENGTH], BODY),
    "a lone return": ([b"X: a\rTransfer-Encoding: chunked", LENGTH], BODY),
    "a chunk of no size": ([b"Transfer-Encoding: chunked"], b"zz\r\nab\r\n0\r\n\r\n"),
    "a chunk with a sign": ([b"Transfer-Encoding: chunked"], b"+13\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk without its end": ([b"Transfer-Encoding: chunked"], b"1\r\nabX"),
    "a chunk size without end": ([b"Transfer-Encoding: chunked"], b"0" * 70_000 + b"1\r\n"),
}


@pytest.mark.parametrize("name", TWO_WAYS)
def test_what_two_servers_could_read_in_two_ways_is_refused(
    door: Door, alice: Namespace, name: str
) -> None:
    headers, body = TWO_WAYS[name]
    statuses = answers(door, post(door, *headers) + body + SECOND)
    assert len(statuses) == 1, "a second request was found in the first"
    assert statuses[0] in {400, 411, 413, 431, 501}
    assert not alice.list().items


_END = b"Connection: close\r\n"
_UPGRADE = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
HEADS = {
    "another language": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 90, {400}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", {400}),
    "HTTP/1.0 without a Host": (b"GET /healthz HTTP/1.0\r\n\r\n", {400}),
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
    "two Hosts": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400}),
    "a whole address": (
        b"GET http://evil.example/v1/keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        {401, 404},
    ),
    "a long target": (
        b"GET /%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (b"a" * 20_000, _END),
        {414},
    ),
    "a long header": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n%s\r\n" % (b"a" * 66_000, _END),
        {431},
    ),
    "a header without end": (b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 200_000, {431}),
    "many headers": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n"
        % (b"X: a\r\n" * MOST_HEADERS, _END),
        {431},
    ),
    "a socket": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n" % _UPGRADE,
        {200},  # there are none: it is answered as any other request
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_is_none_is_refused(door: Door, name: str) -> None:
    head, expected = HEADS[name]
    statuses = answers(door, head)
    assert len(statuses) == 1
    assert statuses[0] in expected


@pytest.mark.parametrize(
    "target",
    [
        "/healthz/../v1/keys",
        "/static/../v1/keys",
        "/static/%2e%2e/v1/keys",
        "/static%2f..%2fv1/keys",
        "//v1/keys",
        "/login/../v1/keys",
        "/healthz%00/v1/keys",
        "/v1/keys;/healthz",
        "/v1/keys?/healthz",
        "/v1/keys/%2e%2e/%2e%2e/healthz",
        "/V1/keys",
        "/healthz/",
        "/static/..%5c..%5cguard.py",
        "/static/%2e%2e/render.py",
    ],
)
def test_no_spelling_of_a_path_goes_round_the_guard(door: Door, target: str) -> None:
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    [status] = answers(door, head)
    assert status in {401, 404, 405, 307}


def test_two_keys_are_none(door: Door, alice: Namespace) -> None:
    for other in (door.key, "mneme_nothing"):
        head = post(door, f"Authorization: Bearer {other}".encode(), LENGTH)
        assert answers(door, head + BODY) == [400]
    assert not alice.list().items


@pytest.mark.parametrize("origin", [b"Origin: http://localhost\r\nOrigin: https://evil.example"])
def test_two_origins_are_none(door: Door, origin: bytes) -> None:
    assert answers(door, post(door, LENGTH, origin) + BODY) == [400]


def test_a_request_behind_another_acts_under_its_own_name(
    door: Door, memory: MemoryOS, alice: Namespace
) -> None:
    bob, _ = memory.make_key("bob", namespaces=["alice"])
    theirs = post(door, LENGTH).replace(door.key.encode(), bob.encode()) + BODY
    nobodys = post(door, LENGTH).replace(b"Bearer mneme_", b"Bearer x") + BODY
    sent = post(door, LENGTH) + BODY + theirs + nobodys + theirs + SECOND
    assert answers(door, sent) == [201, 201, 401, 201, 200]
    actors = [entry.actor for entry in memory.audit() if entry.verb == "add"]
    assert actors == ["root", "bob", "bob"]


def test_a_head_that_never_ends_is_given_up(hasty: Door) -> None:
    began = time.monotonic()
    assert answers(hasty, b"GET /healthz HT", pause_s=0.1) == [408]
    assert answers(hasty, *[b"GET /healthz HTTP/1.1\r\n", *[b"X: a\r\n"] * 22], pause_s=0.1) == [
        408
    ]
    assert answers(hasty) == []  # a connection that says nothing is closed
    assert time.monotonic() - began < 15


def test_a_body_that_trickles_is_given_up(hasty: Door, alice: Namespace) -> None:
    lengths = (
        (b"Content-Length: 100", [b"x"] * 25),
        (b"Transfer-Encoding: chunked", [b"1\r\nx\r\n"] * 25),
    )
    for header, parts in lengths:
        assert answers(hasty, post(hasty, header), *parts, pause_s=0.1) == [408]
    assert answers(hasty, post(hasty, b"Content-Length: 100")) == [408]
    assert not alice.list().items


def test_chunks_without_end_are_refused(door: Door, alice: Namespace) -> None:
    chunk = b"3e8\r\n" + b" " * 1000 + b"\r\n"
    head = post(door, b"Transfer-Encoding: chunked")
    assert answers(door, head, *[chunk] * 50) == [413]
    assert answers(door, post(door, b"Content-Length: 4001", b"Expect: 100-continue")) == [413]
    assert not alice.list().items


def test_nobody_can_hold_a_connection_by_sending_to_a_refusal(hasty: Door) -> None:
    head = b"POST /v1/keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    began = time.monotonic()
    with connected(hasty) as wire:
        wire.sendall(head)
        while sends(wire, b"x"):
            assert time.monotonic() - began < 10
            time.sleep(0.05)


def sends(wire: socket.socket, data: bytes) -> bool:
    """Whether the other end still takes anything."""
    try:
        wire.sendall(data)
    except OSError:
        return False
    return True


def test_whoever_reads_nothing_is_let_go(hasty: Door) -> None:
    size = len(httpx2.get(hasty.url + "/openapi.json").content)
    asked = 40_000_000 // size  # more than lies in the buffers of both ends
    with connected(hasty) as wire:
        wire.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * asked)
        time.sleep(3)  # three times what may pass without a byte that is read
        heard = 0
        try:
            while piece := wire.recv(1 << 20):
                heard += len(piece)
        except ConnectionResetError:
            pass
    assert heard < asked * size / 2


def test_a_thousand_wrong_keys_at_once_cost_the_good_one_nothing(
    memory: MemoryOS, alice: Namespace
) -> None:
    door_settings = Settings()
    limits = httpx2.Limits(max_connections=100)
    with (
        running_door(memory, settings=door_settings) as door,
        httpx2.Client(base_url=door.url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(100) as many,
    ):

        def wrong(n: int) -> int:
            guess = f"Bearer {door.key[:19]}{n:043d}"
            return client.get(LIST, headers={"Authorization": guess}).status_code

        guesses = [many.submit(wrong, n) for n in range(1000)]
        began = time.monotonic()
        good = httpx2.get(door.url + LIST, headers=door.headers, timeout=60)
        waited_s = time.monotonic() - began
        statuses = {guess.result() for guess in guesses}
    assert good.status_code == 200
    assert statuses == {401, 429}
    assert waited_s < 10


def test_connections_are_bounded(memory: MemoryOS, door: Door) -> None:
    app = FastAPI()
    config = config_of(app, Settings())
    config.http = wire_of(60, most=2)
    listening = bind("127.0.0.1", 0)
    server = Listening(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    small = Door(url=url_of(listening), key="")
    try:
        with connected(small), connected(small):
            assert answers(small, SECOND) == [503]
        assert answers(small, SECOND) == [404]
    finally:
        server.should_exit = True
        thread.join()
