"""The upstream fails, the client leaves, memory is down: what each side then sees."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import apsw
import httpx2
import openai
import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.protocols import Embedder
from mneme.server.proxy import recalled, remembered
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.doors import Door, running_door
from mneme.testing.embedders import FlakyEmbedder, HashEmbedder
from mneme.testing.upstream import KEY, UpstreamServer
from mneme.wiring import Outside, build

ASK: list[Any] = [{"role": "user", "content": "Where is the harbour of Bergen?"}]
VAGEN = "The harbour of Bergen is called Vågen."


def _body(**more: object) -> bytes:
    return json.dumps({"model": "echo", "messages": ASK, **more}).encode()


# -- the upstream

SHOWN: dict[tuple[str, bool], tuple[type[Exception], str]] = {
    ("500", False): (openai.InternalServerError, "no: 500"),
    ("500", True): (openai.InternalServerError, "no: 500"),
    ("429", False): (openai.RateLimitError, "no: 429"),
    ("401", True): (openai.AuthenticationError, "no: 401"),
    ("drop", False): (openai.InternalServerError, "502 - .* broke off"),
    ("drop", True): (openai.InternalServerError, "502 - .* broke off"),
    ("silent", False): (openai.InternalServerError, "504 - .* in time"),
    ("silent", True): (openai.InternalServerError, "504 - .* in time"),
    ("cut", False): (openai.InternalServerError, "502 - .* broke off"),
    ("cut", True): (openai.APIConnectionError, "Connection"),
    ("shut", True): (openai.APIConnectionError, "Connection"),
    ("stalls", False): (openai.InternalServerError, "504 - .* in time"),
    ("stalls", True): (openai.APIConnectionError, "Connection"),
    ("error", True): (openai.APIError, "it broke"),
    ("garbage", False): (json.JSONDecodeError, "line 1"),
    ("garbage", True): (json.JSONDecodeError, "line 1"),
}


@pytest.mark.parametrize(("mood", "stream"), SHOWN)
def test_a_fault_is_seen_nothing_is_kept_and_the_next_request_is_served(
    mood: str, stream: bool, client: openai.OpenAI, upstream: UpstreamServer, alice: Namespace
) -> None:
    alice.add(VAGEN)
    kind, words = SHOWN[mood, stream]
    upstream.moods = [mood]

    def ask() -> list[Any]:
        answer = client.chat.completions.create(model="echo", messages=ASK, stream=stream)
        return list(answer)

    with pytest.raises(kind, match=words):
        ask()
    assert len(alice.list().items) == 1
    assert ask()
    assert [cube.text for cube in alice.list().items] == [VAGEN, *[ASK[0]["content"]] * 2]


@pytest.mark.parametrize(
    ("mood", "stream", "why"),
    [
        ("500", False, "no; status 500"),
        ("garbage", False, "no; unreadable"),
        ("html", False, "no; unreadable"),
        ("html", True, "no; unreadable"),
        ("undone", False, "no; unfinished"),
        ("filtered", False, "no; content_filter"),
        ("undone", True, "at-end"),
        ("filtered", True, "at-end"),
    ],
)
def test_what_did_not_end_well_passes_and_is_not_kept(
    mood: str,
    stream: bool,
    why: str,
    raw: httpx2.Client,
    upstream: UpstreamServer,
    alice: Namespace,
) -> None:
    upstream.moods = [mood, mood]
    off = raw.post(
        "/chat/completions", content=_body(stream=stream), headers={"X-Mneme-Memory": "off"}
    )
    answer = raw.post("/chat/completions", content=_body(stream=stream))
    assert (answer.status_code, answer.content) == (off.status_code, off.content)
    assert answer.headers["x-mneme-remembered"] == why
    assert answer.headers["content-type"] == off.headers["content-type"]
    assert alice.list().items == ()


def test_retry_after_is_passed_on(raw: httpx2.Client, upstream: UpstreamServer) -> None:
    upstream.moods = ["429"]
    answer = raw.post("/chat/completions", content=_body())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.headers["x-request-id"] == "req-of-the-upstream"


def test_nobody_listens_upstream(memory: MemoryOS, key: str, alice: Namespace) -> None:
    settings = Settings(serve_requests_per_s=0, upstream_url="http://127.0.0.1:9/v1?secret=x")
    with running_door(memory, settings=settings) as door:
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx2.post(f"{door.url}/v1/chat/completions", content=_body(), headers=headers)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_unreachable"
    assert "secret" not in answer.text
    assert answer.headers["x-mneme-remembered"] == "no; upstream_unreachable"
    assert alice.list().items == ()


def test_bytes_that_drip_arrive_as_they_come_and_are_kept(
    raw: httpx2.Client, upstream: UpstreamServer, alice: Namespace
) -> None:
    for stream in (False, True):
        upstream.moods = ["drip"]
        headers = {"X-Mneme-Session": f"s{stream}"}
        raw.post("/chat/completions", content=_body(stream=stream), headers=headers)
    assert len(alice.list().items) == 4


def test_the_first_words_arrive_long_before_the_last(
    raw: httpx2.Client, upstream: UpstreamServer
) -> None:
    upstream.word_s = 0.05
    begun = time.monotonic()
    with raw.stream("POST", "/chat/completions", content=_body(stream=True)) as answer:
        times = [time.monotonic() - begun for _ in answer.iter_bytes()]
    assert len(times) >= 4
    assert times[-1] - times[0] > 0.25


def test_a_model_that_refuses_the_memory_is_asked_without(
    raw: httpx2.Client, upstream: UpstreamServer, alice: Namespace
) -> None:
    alice.add(VAGEN)
    upstream.moods = ["strict", "strict"]
    body = json.dumps(
        {"model": "echo", "messages": [{"role": "system", "content": "Be kind."}, *ASK]}
    ).encode()
    answer = raw.post("/chat/completions", content=body)
    assert answer.status_code == 200
    assert answer.headers["x-mneme-degraded"] == "refused"
    assert answer.headers["x-mneme-recalled"] == "no; the model refused it"
    assert answer.headers["x-mneme-remembered"] == "yes"
    assert [VAGEN in each.raw.decode() for each in upstream.asked] == [True, False]
    assert upstream.asked[-1].raw == body


# -- the client


@pytest.mark.parametrize(
    ("mood", "stream"), [("silent", False), ("silent", True), ("stalls", True)]
)
def test_a_client_that_leaves_ends_the_upstreams_work_too(
    mood: str, stream: bool, memory: MemoryOS, key: str, upstream: UpstreamServer
) -> None:
    upstream.moods = [mood]
    settings = Settings(
        serve_requests_per_s=0, upstream_url=upstream.url, upstream_key=KEY, upstream_timeout_s=30
    )
    with running_door(memory, settings=settings) as door:
        connection = HTTPConnection(door.url.removeprefix("http://"))
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", _body(stream=stream), headers)
        ends = time.monotonic() + 20
        while not upstream.asked and time.monotonic() < ends:
            time.sleep(0.01)
        assert len(upstream.asked) == 1
        connection.close()
        assert upstream.left.wait(10)
    assert memory.namespace("alice").list().items == ()


def test_a_client_that_leaves_in_the_middle_is_not_remembered(
    raw: httpx2.Client, upstream: UpstreamServer, alice: Namespace
) -> None:
    upstream.moods, upstream.word_s = ["large"], 0.005
    with raw.stream("POST", "/chat/completions", content=_body(stream=True)) as answer:
        next(answer.iter_bytes())
    assert upstream.left.wait(5)
    assert alice.list().items == ()


# -- memory


@contextmanager
def _served(
    folder: Path, upstream: UpstreamServer, embedder: Embedder | None = None
) -> Iterator[tuple[MemoryOS, httpx2.Client]]:
    """A server over a store of its own, which waits for nobody."""
    outside = Outside(clock=HandClock(), embedder=embedder or HashEmbedder(32))
    quick = Settings(worker=False, embedder="none", busy_timeout_s=0.2)
    settings = Settings(serve_requests_per_s=0, upstream_url=upstream.url, upstream_key=KEY)
    with (
        build(folder, settings=quick, outside=outside) as memory,
        running_door(memory, settings=settings) as door,
    ):
        key, _ = memory.make_key("alice", namespaces=["alice"])
        headers = {"Authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=f"{door.url}/v1", headers=headers, timeout=20) as client:
            yield memory, client


@pytest.mark.parametrize("stream", [False, True])
def test_a_locked_store_costs_the_memory_of_the_exchange_and_nothing_else(
    stream: bool, tmp_path: Path, upstream: UpstreamServer
) -> None:
    with _served(tmp_path, upstream) as (memory, client):
        memory.namespace("alice").add(VAGEN)
        other = apsw.Connection(str(tmp_path / "mneme.db"))
        other.execute("BEGIN IMMEDIATE")
        answer = client.post("/chat/completions", content=_body(stream=stream))
        other.execute("ROLLBACK")
        other.close()
        assert answer.status_code == 200
        assert ASK[0]["content"] in answer.text or b"[DONE]" in answer.content
        assert answer.headers["x-mneme-recalled"] == "1"
        if not stream:
            assert answer.headers["x-mneme-remembered"] == "no; BackendUnavailableError"
        assert len(memory.namespace("alice").list().items) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_damaged_store_passes_through(
    stream: bool, tmp_path: Path, upstream: UpstreamServer
) -> None:
    with build(tmp_path, settings=Settings(worker=False, embedder="none")) as memory:
        memory.namespace("alice").add(VAGEN)
    file = tmp_path / "mneme.db"
    file.write_bytes(file.read_bytes().replace(b"is called", b"is galled"))
    with _served(tmp_path, upstream) as (_, client):
        answer = client.post("/chat/completions", content=_body(stream=stream))
        assert answer.status_code == 200
        assert answer.headers["x-mneme-degraded"] == "StoreCorruptError"
        assert upstream.asked[-1].raw == _body(stream=stream)
        if not stream:
            assert answer.headers["x-mneme-remembered"] == "no; StoreCorruptError"


def test_memory_that_takes_too_long_is_not_waited_for(
    tmp_path: Path, upstream: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalled, "LONGEST_S", 0.2)
    embedder = FlakyEmbedder(HashEmbedder(32), slow_s=4.0)
    with _served(tmp_path, upstream, embedder) as (memory, client):
        memory.namespace("alice").add(VAGEN)
        embedder.mood = "slow"
        begun = time.monotonic()
        headers = {"X-Mneme-Memory": "read"}
        answer = client.post("/chat/completions", content=_body(), headers=headers)
        assert time.monotonic() - begun < 3.5
        assert answer.headers["x-mneme-degraded"] == "late"
        assert answer.headers["x-mneme-recalled"] == "0"
        assert upstream.asked[-1].raw == _body()
        embedder.mood = "fine"


def test_an_embedder_that_is_down_is_said(tmp_path: Path, upstream: UpstreamServer) -> None:
    embedder = FlakyEmbedder(HashEmbedder(32))
    with _served(tmp_path, upstream, embedder) as (memory, client):
        memory.namespace("alice").add(VAGEN)
        embedder.mood = "down"
        answer = client.post("/chat/completions", content=_body())
        assert answer.headers["x-mneme-degraded"] == "embedder"
        assert answer.headers["x-mneme-recalled"] == "1"
        embedder.mood = "fine"


def test_a_store_that_takes_too_long_is_told_from_one_that_failed(
    memory: MemoryOS, raw: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    alice: Namespace,
) -> None:  # fmt: skip
    monkeypatch.setattr(remembered, "LONGEST_S", 0.2)
    other = apsw.Connection(str(tmp_path / "store" / "mneme.db"))
    other.execute("BEGIN IMMEDIATE")
    answer = raw.post("/chat/completions", content=_body())
    other.execute("ROLLBACK")
    other.close()
    assert answer.headers["x-mneme-remembered"] == "late"
    ends = time.monotonic() + 5
    while len(alice.list().items) < 2 and time.monotonic() < ends:
        time.sleep(0.02)
    assert len(alice.list().items) == 2


def test_what_memory_cannot_keep_passes_through(
    raw: httpx2.Client, upstream: UpstreamServer, alice: Namespace
) -> None:
    for said in ("a NUL: \0", "a lone surrogate: \ud800"):
        body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": said}]})
        answer = raw.post("/chat/completions", content=body)
        assert answer.status_code == 200
        assert answer.headers["x-mneme-degraded"] == "InvalidInputError"
        assert answer.headers["x-mneme-remembered"] == "no; InvalidInputError"
        assert upstream.asked[-1].raw == body.encode()
    assert alice.list().items == ()


def test_a_large_tool_result_is_not_half_kept(raw: httpx2.Client, alice: Namespace) -> None:
    talk = [
        *ASK,
        {"role": "assistant", "content": "x"},
        {"role": "tool", "content": "y" * (2 << 20)},
    ]
    body = json.dumps({"model": "echo", "messages": [*talk, *ASK]})
    answer = raw.post("/chat/completions", content=body)
    assert answer.status_code == 200
    assert answer.headers["x-mneme-remembered"] == "no; InvalidInputError"
    assert alice.list().items == ()


def test_the_door_closes_what_it_opened(door: Door, raw: httpx2.Client) -> None:
    assert raw.post("/chat/completions", content=_body()).status_code == 200


def test_many_streams_at_once_of_which_half_are_left(
    door: Door, key: str, upstream: UpstreamServer, alice: Namespace
) -> None:
    upstream.word_s = 0.1

    async def one(client: openai.AsyncOpenAI, number: int) -> str:
        said: list[Any] = [{"role": "user", "content": f"Say the number {number} to me, slowly."}]
        create: Any = client.chat.completions.create
        stream = await create(model="echo", messages=said, stream=True)
        heard = ""
        async for chunk in stream:
            heard += chunk.choices[0].delta.content or ""
            if number % 2:
                await stream.close()
                return ""
        return heard

    async def all_of_them() -> list[str]:
        url = f"{door.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            return await asyncio.gather(*(one(client, number) for number in range(24)))

    heard = asyncio.run(all_of_them())
    assert heard[::2] == [f"Say the number {n} to me, slowly." for n in range(0, 24, 2)]
    kept = sorted(cube.text for cube in alice.list().items)
    assert kept == sorted(2 * heard[::2])
