"""The `openai` package through the proxy and without it: the same shapes and bytes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest

from mneme import Namespace
from mneme.testing.doors import Door
from mneme.testing.upstream import KEY, UpstreamServer

ASK = [{"role": "user", "content": "Where is the harbour of Bergen?"}]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
CALLED = [
    *ASK,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": "sunny"},
]
PARTS = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ],
    }
]
CALLS: dict[str, dict[str, Any]] = {
    "chat": {"messages": ASK},
    "system": {"messages": [{"role": "system", "content": "Be kind."}, *ASK]},
    "tools": {"messages": ASK, "tools": [TOOL]},
    "tool result": {"messages": CALLED, "tools": [TOOL]},
    "json": {"messages": ASK, "response_format": {"type": "json_object"}},
    "logprobs": {"messages": ASK, "logprobs": True},
    "several": {"messages": ASK, "n": 3},
    "parts": {"messages": PARTS},
    "unknown": {"messages": ASK, "extra_body": {"grammar": {"z": [1.50, 1e3]}}},
    "numbers": {"messages": ASK, "temperature": 0.7, "seed": 7, "max_tokens": 16},
}
OFF = {"X-Mneme-Memory": "off"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_without_memory_the_bytes_are_the_same(
    name: str,
    stream: bool,
    client: openai.OpenAI,
    direct: openai.OpenAI,
    upstream: UpstreamServer,
    alice: Namespace,
) -> None:
    alice.add("The harbour of Bergen is called Vågen.")
    options: dict[str, Any] = CALLS[name] | {"model": "echo", "stream": stream}
    if stream:
        options["stream_options"] = {"include_usage": True}
    bodies = []
    for through, headers in ((direct, {}), (client, OFF)):
        create = through.chat.completions.with_streaming_response.create
        with create(**options, extra_headers=headers) as answer:
            bodies.append((answer.status_code, answer.headers["content-type"], answer.read()))
    assert bodies[0] == bodies[1]
    assert len(bodies[0][2]) > 100
    assert upstream.asked[0].raw == upstream.asked[1].raw


@pytest.mark.parametrize("name", CALLS)
def test_with_memory_the_shapes_are_the_same(
    name: str, client: openai.OpenAI, direct: openai.OpenAI, alice: Namespace
) -> None:
    alice.add("The harbour of Bergen is called Vågen.")
    options: dict[str, Any] = CALLS[name] | {"model": "echo"}
    whole = [each.chat.completions.create(**options) for each in (direct, client)]
    assert whole[0].choices == whole[1].choices
    chunks = [
        [chunk.choices for chunk in each.chat.completions.create(**options, stream=True)]
        for each in (direct, client)
    ]
    assert chunks[0] == chunks[1]


@pytest.mark.parametrize("name", ["tools", "tool result", "parts", "unknown", "numbers"])
def test_memory_adds_one_message_and_leaves_every_other_byte(
    name: str,
    client: openai.OpenAI,
    direct: openai.OpenAI,
    upstream: UpstreamServer,
    alice: Namespace,
) -> None:
    alice.add("The harbour of Bergen is called Vågen. What is this? A boat.")
    for each in (direct, client):
        each.chat.completions.create(**CALLS[name], model="echo")
    plain, added = (each.raw for each in upstream.asked)
    messages = json.loads(added)["messages"]
    place = next(n for n, each in enumerate(messages) if each["role"] == "user") - 1
    assert messages[place]["role"] == "system"
    assert "Vågen" in messages[place]["content"]
    put_in = json.dumps(messages[place], ensure_ascii=False).encode() + b", "
    assert added.replace(put_in, b"", 1) == plain


def test_the_async_client(door: Door, key: str, upstream: UpstreamServer, alice: Namespace) -> None:
    alice.add("The harbour of Bergen is called Vågen.")

    async def ask(url: str, api_key: str) -> list[Any]:
        async with openai.AsyncOpenAI(base_url=url, api_key=api_key, max_retries=0) as client:
            create: Any = client.chat.completions.create
            whole = await create(model="echo", messages=ASK)
            stream = await create(model="echo", messages=ASK, stream=True)
            pieces = [chunk.choices[0].delta.content async for chunk in stream]
        return [whole.choices, pieces]

    async def both() -> tuple[list[Any], list[Any]]:
        return await ask(upstream.url, KEY), await ask(f"{door.url}/v1", key)

    plain, through = asyncio.run(both())
    assert plain == through
    assert any("Vågen" in str(each.body) for each in upstream.asked)


def test_models_are_those_of_the_upstream(client: openai.OpenAI, direct: openai.OpenAI) -> None:
    assert client.models.list().data == direct.models.list().data


def test_neither_our_key_nor_our_headers_reach_the_upstream(
    client: openai.OpenAI, key: str, upstream: UpstreamServer
) -> None:
    headers = {
        "X-Mneme-Session": "s1",
        "Cookie": "mneme=secret",
        "X-Api-Key": "secret",
        "X-Custom": "kept",
    }
    client.chat.completions.create(model="echo", messages=ASK, extra_headers=headers)  # type: ignore[arg-type]
    [asked] = upstream.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["x-custom"] == "kept"
    assert not any(name.startswith("x-mneme") for name in asked.headers)
    assert not {"cookie", "x-api-key"} & asked.headers.keys()
    assert key not in str(asked)


def test_cookies_of_the_upstream_stay_there(
    client: openai.OpenAI, upstream: UpstreamServer
) -> None:
    upstream.moods = ["cookie"]
    create: Any = client.chat.completions.with_raw_response.create
    assert "set-cookie" not in create(model="echo", messages=ASK).headers
    create(model="echo", messages=ASK)
    assert "cookie" not in upstream.asked[-1].headers


def test_a_body_that_is_no_chat_gets_the_upstreams_own_answer(
    raw: httpx2.Client, upstream: UpstreamServer
) -> None:
    for body in (b"no json", b"{}", b'{"messages": 3}'):
        answer = raw.post("/chat/completions", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["type"] == "of_upstream"
        assert answer.headers["x-mneme-recalled"] == "no; unreadable request"
        assert upstream.asked[-1].raw == body


def test_headers_beyond_ascii_and_the_query_pass(
    raw: httpx2.Client, upstream: UpstreamServer
) -> None:
    body = json.dumps({"model": "echo", "messages": ASK})
    answer = raw.post(
        "/chat/completions?api-version=1", content=body, headers=[(b"X-Title", b"\xdcbung")]
    )
    assert answer.status_code == 200
    assert upstream.asked[-1].headers["x-title"] == "Übung"
    assert upstream.asked[-1].path == "/v1/chat/completions?api-version=1"


def test_a_problem_of_the_upstream_is_not_said_again(
    raw: httpx2.Client, upstream: UpstreamServer
) -> None:
    upstream.moods = ["problem"]
    answer = raw.post("/chat/completions", content=json.dumps({"messages": ASK}))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "detail": "of the upstream"}
