"""Every tool, on both ways in, with the SDK's own client (which checks results against schemas)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("mcp")

from mneme import Namespace
from mneme.testing.mcp_client import ProtocolError, Talk

EIGHT = [
    "add_memory", "search_memory", "recall_memory", "get_memory", "list_memories",
    "update_memory", "forget_memory", "memory_history",
]  # fmt: skip


@pytest.fixture(params=["stdio", "http"])
def either(request: pytest.FixtureRequest) -> Iterator[Talk]:
    if request.param == "stdio":
        with request.getfixturevalue("on_stdio")("-n", "alice") as client:
            yield client
    else:
        yield request.getfixturevalue("talk")


def text(result: dict[str, Any]) -> str:
    [block] = result["content"]
    return str(block["text"])


def refusal(result: dict[str, Any]) -> tuple[str, str]:
    assert result["isError"]
    assert "structuredContent" not in result
    return result["_meta"]["mneme/error"], text(result)


def test_a_memory_goes_through_all_tools(either: Talk) -> None:
    assert [tool["name"] for tool in either.ask("list_tools")["tools"]] == EIGHT
    added = either.call(
        "add_memory", content="I moved to Oslo in March.", at="2026-03-20", metadata={"n": 1}
    )
    [memory] = added["structuredContent"]["memories"]
    assert memory["id"] in text(added)
    found = either.call("search_memory", query="Where did I move?", limit=3)
    assert found["structuredContent"]["hits"][0]["memory"]["text"] == "I moved to Oslo in March."
    assert "[1] 2026-03-20 user: I moved to Oslo in March.\nid " in text(found)
    context = either.call("recall_memory", query="Where did I move?", budget_tokens=200)
    assert text(context) == context["structuredContent"]["text"]
    assert context["structuredContent"]["citations"][0]["id"] == memory["id"]
    changed = either.call(
        "update_memory", id=memory["id"], text="I moved to Bergen.", expected_version=1
    )
    assert changed["structuredContent"]["memory"]["version"] == 2
    stale = either.call("update_memory", id=memory["id"], text="No.", expected_version=1)
    assert refusal(stale)[0] == "VersionConflictError"
    history = either.call("memory_history", id=memory["id"])["structuredContent"]["versions"]
    assert [each["text"] for each in history] == ["I moved to Oslo in March.", "I moved to Bergen."]
    got = either.call("get_memory", id=memory["id"], version=1)["structuredContent"]["memory"]
    assert (got["text"], got["metadata"]) == ("I moved to Oslo in March.", {"n": 1})
    assert got["provenance"]["origin"] == "user"
    gone = either.call("forget_memory", ids=[memory["id"]])
    assert gone["structuredContent"]["forgotten"] >= 1
    assert either.call("list_memories")["structuredContent"] == {
        "memories": [],
        "next_cursor": None,
    }
    name, said = refusal(either.call("get_memory", id=memory["id"]))
    assert name == "CubeNotFoundError"
    assert "check the id" in said


def test_messages_and_pages(talk: Talk) -> None:
    messages = [
        {"role": "user", "content": "Which tea keeps me awake?", "name": "Alice"},
        {"role": "assistant", "content": "Black tea does.", "at": "2026-03-20"},
    ]
    kept = talk.call("add_memory", content=messages, session="tea")["structuredContent"]["memories"]
    assert [each["role"] for each in kept] == ["user", "assistant"]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = talk.call("list_memories", limit=1, **cursor)["structuredContent"]
        seen += [each["id"] for each in page["memories"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [each["id"] for each in kept]


def test_a_long_text_comes_in_parts(talk: Talk, alice: Namespace) -> None:
    whole = " ".join(f"word{n}" for n in range(2000))
    [cube] = alice.add(whole)
    parts, start = [], 0
    while start < len(whole):
        part = talk.call("get_memory", id=cube.id, start=start, max_chars=5000)
        memory = part["structuredContent"]["memory"]
        assert memory["text_chars"] == len(whole)
        parts.append(memory["text"])
        start += len(memory["text"])
    assert "".join(parts) == whole
    [hit] = talk.call("search_memory", query="word1000")["structuredContent"]["hits"]
    assert len(hit["memory"]["text"]) == 2000
    assert (
        talk.call("get_memory", id=cube.id, start=10**9)["structuredContent"]["memory"]["text"]
        == ""
    )


@pytest.mark.parametrize(
    ("tool", "given", "error", "says"),
    [
        ("search_memory", {"query": "x", "limits": 3}, "UnknownArgumentError", "'limit'"),
        ("search_memory", {"query": "x", "limit": 101}, "InvalidInputError", "limit"),
        ("search_memory", {"query": "x", "limit": "3"}, "InvalidInputError", "limit"),
        ("search_memory", {}, "InvalidInputError", "query"),
        ("search_memory", {"query": "  "}, "InvalidInputError", "query"),
        ("search_memory", {"query": "x", "now": "soon"}, "InvalidInputError", "now"),
        ("search_memory", {"query": "x", "filters": {"owner": 1}}, "InvalidInputError", "owner"),
        ("search_memory", {"query": "x", "types": ["songs"]}, "InvalidInputError", "types"),
        ("recall_memory", {"query": "x", "budget_tokens": 0}, "InvalidInputError", "budget"),
        ("add_memory", {"content": ""}, "InvalidInputError", "content"),
        ("add_memory", {"content": "nul \0"}, "InvalidInputError", "NUL"),
        ("add_memory", {"content": [{"role": "cat", "content": "x"}]}, "InvalidInputError", "role"),
        ("add_memory", {"content": "x", "hold": True}, "UnknownArgumentError", "hold"),
        ("get_memory", {"id": "nothing"}, "CubeNotFoundError", "nothing"),
        ("forget_memory", {"ids": []}, "InvalidInputError", "ids"),
        ("forget_memory", {"filters": {"type": "turn"}}, "UnknownArgumentError", "filters"),
        ("list_memories", {"cursor": "forged"}, "InvalidInputError", "cursor"),
        ("memory_history", {"id": "nothing"}, "CubeNotFoundError", "nothing"),
        ("update_memory", {"id": "nothing", "text": "x"}, "CubeNotFoundError", "nothing"),
    ],
)
def test_bad_input_is_a_result_that_says_what_to_do(
    talk: Talk, alice: Namespace, tool: str, given: dict[str, object], error: str, says: str
) -> None:
    name, said = refusal(talk.call(tool, **given))
    assert name == error
    assert said.startswith(f"{error}: ")
    assert says in said
    assert alice.list().items == ()


def test_null_is_an_argument_that_was_left_out(talk: Talk) -> None:
    kept = talk.call("add_memory", content="Tea at four.", session=None, metadata=None)
    assert not kept["isError"]


def test_an_unknown_tool_is_an_error_of_the_protocol(either: Talk) -> None:
    with pytest.raises(ProtocolError, match="unknown tool 'remember'"):
        either.call("remember", content="x")


def test_schemas_are_closed_and_hints_are_right(talk: Talk) -> None:
    tools = {tool["name"]: tool for tool in talk.ask("list_tools")["tools"]}
    for tool in tools.values():
        schema = tool["inputSchema"]
        assert schema["additionalProperties"] is False
        assert "namespace" not in schema["properties"]
        assert all("description" in each for each in schema["properties"].values())
        assert "null" not in str(schema)
        assert tool["outputSchema"]["required"]
        assert tool["annotations"]["openWorldHint"] is False
    reading = {name for name, tool in tools.items() if tool["annotations"]["readOnlyHint"]}
    assert reading == set(EIGHT) - {"add_memory", "update_memory", "forget_memory"}
    destroying = {name for name, tool in tools.items() if tool["annotations"]["destructiveHint"]}
    assert destroying == {"update_memory", "forget_memory"}
