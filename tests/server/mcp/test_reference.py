"""The nine names give what the reference memory server gives, call by call.

What that server said is recorded by tools/record_reference_server.py; where the server is installed
(`mcp-server-memory` on the PATH), it also answers side by side.
"""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("mcp")

from mneme import Namespace
from mneme.testing.mcp_client import Talk, started, talking

Opening = Callable[..., AbstractContextManager[Talk]]
HERE = Path(__file__).parent
RECORDED = HERE / "reference_calls.jsonl"
SERVER = shutil.which("mcp-server-memory")


@pytest.fixture(scope="module")
def recorder() -> ModuleType:
    path = HERE.parents[2] / "tools" / "record_reference_server.py"
    spec = importlib.util.spec_from_file_location("record_reference_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ours(on_stdio: Opening) -> Iterator[Talk]:
    with on_stdio("--tools", "reference") as talk:
        yield talk


def test_each_recorded_call_gives_the_same(ours: Talk, recorder: ModuleType) -> None:
    head, *calls = [json.loads(line) for line in RECORDED.read_text("utf-8").splitlines()]
    tools = {tool["name"]: tool for tool in ours.ask("list_tools")["tools"]}
    assert list(tools) == list(head["tools"])
    for name, wanted in head["tools"].items():
        hints = {k: v for k, v in tools[name]["annotations"].items() if k != "title"}
        theirs = {k: v for k, v in wanted["annotations"].items() if k != "title"}
        assert hints == theirs, name
        assert sorted(tools[name]["inputSchema"].get("required", [])) == wanted["required"]
        assert sorted(tools[name]["outputSchema"]["properties"]) == wanted["gives"]
    assert len(calls) > 200
    for number, call in enumerate(calls):
        got = recorder.result_of(ours, call["tool"], call["given"])
        assert got == call["result"], (number, call["tool"], call["given"])


@pytest.mark.skipif(SERVER is None, reason="npm's @modelcontextprotocol/server-memory is not here")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_real_server_gives_the_same(
    ours: Talk, recorder: ModuleType, tmp_path: Path, seed: int
) -> None:
    env = {"MEMORY_FILE_PATH": str(tmp_path / "memory.jsonl")}
    chance = random.Random(seed)
    with talking(started(str(SERVER), env=env)) as theirs:
        for number in range(120):
            tool, given = recorder.random_call(chance)
            wanted = recorder.result_of(theirs, tool, given)
            assert recorder.result_of(ours, tool, given) == wanted, (number, tool, given)


def test_the_graph_is_memory_like_any_other(over_http: Opening, alice: Namespace) -> None:
    with over_http("alice", query="?tools=reference") as talk:
        talk.call(
            "create_entities",
            entities=[{"name": "Ana", "entityType": "person", "observations": ["plays the cello"]}],
        )
        talk.call(
            "create_relations",
            relations=[{"from": "Ana", "to": "Northwind", "relationType": "works_at"}],
        )
        texts = [cube.text for cube in alice.list().items]
        assert texts == ["Ana (person)", "Ana: plays the cello", "Ana works at Northwind"]
        assert alice.search("Who plays the cello?")[0].cube.text == "Ana: plays the cello"
        [cello] = [c for c in alice.list().items if "cello" in c.text]
        talk.call(
            "delete_observations",
            deletions=[{"entityName": "Ana", "observations": ["plays the cello"]}],
        )
        assert "cello" not in str(talk.call("read_graph"))
        alice.restore(cello.id)
        assert "cello" in str(talk.call("open_nodes", names=["Ana"]))
        archived = alice.archive(cello.id)
        assert archived.state == "archived"
        assert "cello" in str(talk.call("search_nodes", query="CELLO"))


def test_what_cannot_be_kept_leaves_nothing_behind(over_http: Opening, alice: Namespace) -> None:
    with over_http("alice", query="?tools=reference") as talk:
        refused = talk.call(
            "create_entities",
            entities=[{"name": "Ana", "entityType": "person", "observations": ["fine", "nul \0"]}],
        )
        assert refused["isError"]
        assert "NUL" in refused["content"][0]["text"]
        assert talk.call("read_graph")["structuredContent"] == {"entities": [], "relations": []}
        assert alice.list().items == ()


def test_grants_hold_for_the_nine_names(over_http: Opening) -> None:
    with over_http("alice", verbs=("read",), query="?tools=reference") as talk:
        assert "recall_memory" not in talk.greeting["instructions"]
        assert [each["name"] for each in talk.ask("list_prompts")["prompts"]] == ["recall"]
        names = [tool["name"] for tool in talk.ask("list_tools")["tools"]]
        assert names == ["read_graph", "search_nodes", "open_nodes"]
        refused = talk.call("delete_entities", entityNames=["Ana"])
        assert refused["isError"]
        assert refused["_meta"]["mneme/error"] == "ForbiddenError"
