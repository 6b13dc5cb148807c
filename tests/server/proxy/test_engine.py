"""The model in this process behind the same dialect."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

pytest.importorskip("torch", reason="needs the extra local")

import mneme
from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.settings import Settings
from mneme.testing.chat_server import running_chat_server
from mneme.testing.doors import Door, running_door
from mneme.testing.judges import recall_case

CASE = recall_case(1, words=100, facts=8, questions=4)
QUESTION, VALUE = CASE.questions[0]


@pytest.fixture(scope="module")
def engine(judge: Callable[[str], Path]) -> Engine:
    """The judge that answers `? kNN`."""
    return mneme.engine(judge("recall"))


@pytest.fixture
def door(memory: MemoryOS, engine: Engine) -> Iterator[Door]:
    memory.attach(engine)
    settings = Settings(serve_requests_per_s=0, serve_model="/models/judge")
    with running_door(memory, settings=settings, engine=engine) as door:
        yield door


def _ask(text: str = QUESTION, **more: object) -> dict[str, Any]:
    return {"model": "judge", "messages": [{"role": "user", "content": text}]} | more


def _pieces(client: openai.OpenAI, **options: Any) -> tuple[list[Any], str]:  # noqa: ANN401
    chunks = list(client.chat.completions.create(**options, stream=True))
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    return chunks, "".join(said)


def test_it_answers_from_memory_and_remembers(client: openai.OpenAI, alice: Namespace) -> None:
    alice.add(CASE.text, type="document")
    create: Any = client.chat.completions.with_raw_response.create
    answer = create(**_ask(max_tokens=1))
    whole = answer.parse()
    assert whole.object == "chat.completion"
    assert whole.model == "judge"
    assert whole.choices[0].message.role == "assistant"
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 1
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 1
    assert int(answer.headers["x-mneme-recalled"]) >= 1
    assert answer.headers["x-mneme-remembered"] == "yes"
    assert alice.list(types=["turn"]).items[0].text == QUESTION


def test_a_stream_has_the_shapes_and_says_the_same(client: openai.OpenAI, alice: Namespace) -> None:
    alice.add(CASE.text, type="document")
    options = _ask(max_tokens=4, extra_headers={"X-Mneme-Memory": "read"})
    whole = client.chat.completions.create(**options)
    chunks, text = _pieces(client, **options, stream_options={"include_usage": True})
    assert text.strip() == whole.choices[0].message.content
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks[:-1]][-1] == whole.choices[0].finish_reason
    assert chunks[-2].mneme["cubes"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_is_remembered_before_its_end(client: openai.OpenAI, alice: Namespace) -> None:
    _, text = _pieces(client, **_ask(max_tokens=3))
    said = [(cube.role, cube.text.strip()) for cube in alice.list().items]
    assert said == [("user", QUESTION), *([("assistant", text.strip())] if text.strip() else [])]


def test_without_memory_it_is_the_model_alone(
    client: openai.OpenAI, alice: Namespace, engine: Engine
) -> None:
    alice.add(CASE.text, type="document")
    off = {"X-Mneme-Memory": "off"}
    answer = client.chat.completions.create(**_ask(max_tokens=2), extra_headers=off)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(engine.render(_ask()["messages"]))
    assert len(alice.list(types=["turn"]).items) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f", "parameters": {}}}]),
        ("response_format", {"type": "json_object"}),
        ("logprobs", True),
        ("n", 2),
        ("stop", ["x"]),
        ("max_tokens", 0),
        ("stream", "yes"),
        ("messages", []),
        ("messages", [{"role": "assistant", "content": "x"}]),
        ("messages", [{"role": "tool", "content": "x", "tool_call_id": "c"}]),
        ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
        ("messages", "hello"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(
    field: str, value: object, raw: httpx2.Client, alice: Namespace
) -> None:
    answer = raw.post("/chat/completions", content=json.dumps(_ask() | {field: value}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert alice.list().items == ()


def test_what_only_tunes_chance_is_ignored(client: openai.OpenAI) -> None:
    off = {"X-Mneme-Memory": "off"}
    plain = client.chat.completions.create(**_ask(max_tokens=2), extra_headers=off)
    tuned = _ask(
        max_tokens=2,
        extra_headers=off,
        temperature=1.5,
        top_p=0.1,
        seed=3,
        n=1,
        tools=[],
        stop=None,
    )
    assert client.chat.completions.create(**tuned).choices == plain.choices


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_beyond_the_window_is_refused(
    stream: bool, client: openai.OpenAI, engine: Engine
) -> None:
    body = _ask(max_tokens=engine.window, stream=stream)
    with pytest.raises(openai.BadRequestError, match="tokens"):
        client.chat.completions.create(**body)


def test_a_client_that_leaves_stops_the_model(
    raw: httpx2.Client, alice: Namespace, engine: Engine
) -> None:
    body = json.dumps(_ask(max_tokens=engine.window // 2, stream=True))
    with raw.stream("POST", "/chat/completions", content=body) as answer:
        next(answer.iter_bytes())
    time.sleep(0.3)
    with engine.lock:
        pass
    assert [cube for cube in alice.list().items if cube.role == "user"] == []


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list().data] == ["judge"]


def test_a_model_behind_a_server_can_be_the_engine(
    memory: MemoryOS, key: str, alice: Namespace
) -> None:
    alice.add("The harbour of Bergen is called Vågen.")
    settings = Settings(serve_requests_per_s=0)
    with running_chat_server(moods=["good", "good", "cut", "500"]) as server:
        engine = mneme.remote_engine("small", url=server.url, key="sk-key-of-the-chat-server")
        memory.attach(engine)
        with (
            running_door(memory, settings=settings, engine=engine) as door,
            openai.OpenAI(base_url=f"{door.url}/v1", api_key=key, max_retries=0) as client,
        ):
            whole = client.chat.completions.create(**_ask("Where is the harbour?"))
            assert "harbour?" in str(whole.choices[0].message.content)
            off = {"X-Mneme-Memory": "off"}
            _, text = _pieces(client, **_ask("Where is it?"), extra_headers=off)
            assert text == "Where is it?"
            kept = len(alice.list(types=["turn"]).items)
            with pytest.raises(openai.APIError):
                _pieces(
                    client, **_ask("And where was it?"), extra_headers={"X-Mneme-Memory": "write"}
                )
            with pytest.raises(openai.APIError):
                client.chat.completions.create(
                    **_ask("And where is it?"), extra_headers={"X-Mneme-Memory": "write"}
                )
            assert len(alice.list(types=["turn"]).items) == kept
