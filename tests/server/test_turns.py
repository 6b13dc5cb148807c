"""Few searches at a time; nobody holds a turn before their request has come in whole."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2

from mneme.server.turns import AT_ONCE, AT_ONCE_REMOTE, Turns, take_turns
from mneme.settings import Settings
from mneme.testing.doors import Door


def most_at_once(settings: Settings, requests: int) -> tuple[int, int]:
    """How many of so many searches ever worked together, and how many ended."""
    lock = threading.Lock()
    inside = most = 0

    def work() -> bool:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        with lock:
            inside -= 1
        return True

    async def ask() -> list[bool]:
        turns = Turns(settings).search
        return await asyncio.gather(*(take_turns(turns, work) for _ in range(requests)))

    ended = asyncio.run(ask()).count(True)
    return most, ended


def test_all_are_answered_and_few_at_once() -> None:
    assert most_at_once(Settings(), 12) == (AT_ONCE, 12)


def test_those_who_wait_for_an_embedder_elsewhere_do_so_together() -> None:
    assert AT_ONCE_REMOTE > AT_ONCE
    most, answered = most_at_once(Settings(embedder="openai:small"), 12)
    assert most > AT_ONCE
    assert answered == 12


def test_a_search_that_fails_gives_its_turn_back(http: httpx2.Client) -> None:
    for _ in range(AT_ONCE + 1):
        refused = http.post("/v1/namespaces/alice/search", json={"query": "x", "limit": 0})
        assert refused.status_code == 422
    assert http.post("/v1/namespaces/alice/search", json={"query": "x"}).status_code == 200


def test_who_sends_slowly_holds_no_turn(door: Door, http: httpx2.Client) -> None:
    where = urlsplit(door.url)
    assert where.port is not None
    head = (
        f"POST /v1/namespaces/alice/search HTTP/1.1\r\nHost: {where.netloc}\r\n"
        f"Authorization: Bearer {door.key}\r\nContent-Type: application/json\r\n"
        'Content-Length: 100\r\n\r\n{"query"'
    )
    with ExitStack() as open_ones:
        for _ in range(AT_ONCE + 1):
            line = open_ones.enter_context(socket.create_connection(("127.0.0.1", where.port)))
            line.sendall(head.encode())
        answered = http.post("/v1/namespaces/alice/search", json={"query": "x"}, timeout=10)
        assert answered.status_code == 200
