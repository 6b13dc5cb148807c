"""Resources, prompts, grants, and the two ways in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx2
import pytest

pytest.importorskip("mcp")

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.doors import Door
from mneme.testing.mcp_client import ProtocolError, Talk

Opening = Callable[..., AbstractContextManager[Talk]]


def test_namespaces_and_memories_are_resources(talk: Talk, alice: Namespace) -> None:
    [cube] = alice.add("The spare key is under the fern.")
    listed = talk.ask("list_resources")["resources"]
    addresses = ["mneme://namespaces", "mneme://alice", f"mneme://alice/{cube.id}"]
    assert [each["uri"] for each in listed] == addresses
    assert listed[2]["name"] == "The spare key is under the fern."
    templates = talk.ask("list_resource_templates")["resourceTemplates"]
    assert [each["uriTemplate"] for each in templates] == ["mneme://{ns}", "mneme://{ns}/{id}"]
    [names] = talk.read("mneme://namespaces")
    assert json.loads(names["text"]) == [{"namespace": "alice", "uri": "mneme://alice"}]
    text, whole = talk.read(addresses[2])
    assert "The spare key is under the fern." in text["text"]
    assert json.loads(whole["text"])["provenance"]["origin"] == "user"


def test_resources_come_in_pages(talk: Talk, alice: Namespace) -> None:
    alice.add_many(f"Memory number {n}." for n in range(150))
    first = talk.ask("list_resources")
    assert len(first["resources"]) == 102
    second = talk.portal.call(lambda: next_page(talk, first["nextCursor"]))
    assert len(second["resources"]) == 50
    assert "nextCursor" not in second
    [newest] = talk.read("mneme://alice")
    assert "Memory number 149." in newest["text"]
    assert "Memory number 49." not in newest["text"]


async def next_page(talk: Talk, cursor: str) -> dict[str, list[object]]:
    from mcp import types

    page = await talk.session.list_resources(params=types.PaginatedRequestParams(cursor=cursor))
    said: dict[str, list[object]] = page.model_dump(by_alias=True, exclude_none=True)
    return said


@pytest.mark.parametrize("path", ["acme/bo@example.org", "a:b", "namespaces", "Upper/Case_1.x"])
def test_an_address_leads_to_any_namespace(over_http: Opening, memory: MemoryOS, path: str) -> None:
    [cube] = memory.namespace(path).add("Here I am.")
    with over_http(path) as talk:
        uris = [each["uri"] for each in talk.ask("list_resources")["resources"]]
        assert len(uris) == 3
        assert "Here I am." in talk.read(uris[1])[0]["text"]
        assert json.loads(talk.read(uris[2])[1]["text"])["id"] == cube.id


@pytest.mark.parametrize(
    "uri",
    ["mneme://bob", "mneme://alice/nothing", "file:///etc/passwd", "mneme://alice/../bob", "x:y"],
)
def test_what_is_no_address_is_an_error(talk: Talk, memory: MemoryOS, uri: str) -> None:
    memory.namespace("bob").add("Bob's secret.")
    with pytest.raises(ProtocolError, match="Error: "):
        talk.read(uri)


def test_prompts_help_people(talk: Talk, alice: Namespace) -> None:
    alice.add("I moved to Oslo in March.", at="2026-03-20")
    prompts = {each["name"]: each for each in talk.ask("list_prompts")["prompts"]}
    assert list(prompts) == ["recall", "remember", "what-changed"]

    def said(name: str, **given: str) -> str:
        [message] = talk.ask("get_prompt", name, given)["messages"]
        text: str = message["content"]["text"]
        return text

    context = alice.recall("Where did I move?").text
    assert said("recall", question="Where did I move?").startswith(f"{context}\n\n# Question\n")
    assert "I like tea" in said("remember", what="I like tea")
    assert "I moved to Oslo" in said("what-changed", since="2000-01-01")
    assert "no memory" in said("what-changed", since="2999-01-01")
    for name, given in (("recall", {}), ("recall", {"question": "x", "limit": "1"}), ("x", {})):
        with pytest.raises(ProtocolError):
            talk.ask("get_prompt", name, given)


def test_templates_are_completed_with_namespaces_that_can_be_read(
    over_http: Opening, memory: MemoryOS
) -> None:
    from mcp import types

    for path in ("acme/ann", "acme/bo", "other"):
        memory.namespace(path).add("x y z")
    ref = types.ResourceTemplateReference(type="ref/resource", uri="mneme://{ns}")
    with over_http("acme/*") as talk:
        found = talk.ask("complete", ref, {"name": "ns", "value": ""})["completion"]["values"]
        assert found == ["acme~ann", "acme~bo"]
        assert talk.ask("complete", ref, {"name": "id", "value": ""})["completion"]["values"] == []


def test_two_principals_do_not_see_each_other(over_http: Opening) -> None:
    with over_http("alice") as alice, over_http("bob") as bob:
        kept = alice.call("add_memory", content="The code word is heliotrope.")
        cube_id = kept["structuredContent"]["memories"][0]["id"]
        foreign = bob.call("get_memory", id=cube_id)["content"]
        missing = bob.call("get_memory", id="0" * 8)["content"]
        assert foreign[0]["text"].replace(cube_id, "0" * 8) == missing[0]["text"]
        refused = {
            bob.call("search_memory", query="heliotrope", namespace=path)["content"][0]["text"]
            for path in ("alice", "nobody")
        }
        assert len(refused) == 1
        for tool, given in (
            ("memory_history", {"id": cube_id}),
            ("update_memory", {"id": cube_id, "text": "x"}),
            ("forget_memory", {"ids": [cube_id]}),
        ):
            assert bob.call(tool, **given)["_meta"]["mneme/error"] == "CubeNotFoundError"
        seen = [
            bob.call("search_memory", query="code word heliotrope"),
            bob.call("recall_memory", query="code word heliotrope"),
            bob.call("list_memories"),
            bob.ask("list_resources"),
            {"read": bob.read("mneme://namespaces")},
            bob.ask("get_prompt", "what-changed", {"since": "2000-01-01"}),
        ]
        assert "heliotrope is" not in str(seen)
        assert "alice" not in str(seen)
        with pytest.raises(ProtocolError, match="ForbiddenError"):
            bob.read(f"mneme://alice/{cube_id}")
        assert alice.call("get_memory", id=cube_id)["isError"] is False


def test_a_key_of_several_namespaces_says_which(over_http: Opening, memory: MemoryOS) -> None:
    memory.namespace("acme/ann").add("Ann likes tea.")
    with over_http("acme/*") as talk:
        schema = talk.ask("list_tools")["tools"][1]["inputSchema"]
        assert "namespace" in schema["properties"]
        assert "say which namespace" in str(talk.call("search_memory", query="tea"))
        found = talk.call("search_memory", query="tea", namespace="acme/ann")
        assert len(found["structuredContent"]["hits"]) == 1
        assert talk.call("search_memory", query="tea", namespace="other")["isError"]
    with over_http("acme/*", headers={"Mneme-Namespace": "acme/ann"}) as talk:
        assert len(talk.call("search_memory", query="tea")["structuredContent"]["hits"]) == 1
    with over_http("acme/*", headers={"Mneme-Namespace": "other"}) as talk:
        assert talk.ask("list_tools")["tools"] == []
        assert talk.call("search_memory", query="tea")["isError"]


def test_only_what_is_granted_is_offered_and_done(over_http: Opening, alice: Namespace) -> None:
    with over_http("alice", verbs=("read",)) as talk:
        names = {tool["name"] for tool in talk.ask("list_tools")["tools"]}
        assert names.isdisjoint({"add_memory", "update_memory", "forget_memory"})
        refused = talk.call("add_memory", content="x")
        assert refused["_meta"]["mneme/error"] == "ForbiddenError"
        assert [each["name"] for each in talk.ask("list_prompts")["prompts"]] == [
            "recall",
            "what-changed",
        ]
        assert alice.list().items == ()


def test_the_audit_log_names_the_holder_of_the_key(over_http: Opening, memory: MemoryOS) -> None:
    with over_http("alice") as talk:
        talk.call("add_memory", content="Tea at four.")
    [entry] = [each for each in memory.audit() if each.verb == "add"]
    assert entry.actor == "tester"


def test_no_key_no_answer_and_no_method_but_post(door: Door) -> None:
    opening = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert httpx2.post(f"{door.url}/mcp", json=opening).status_code == 401
    for method in ("GET", "DELETE", "PUT"):
        answer = httpx2.request(method, f"{door.url}/mcp", headers=door.headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    kit = httpx2.post(f"{door.url}/mcp?tools=spoons", json=opening, headers=door.headers)
    assert kit.status_code == 422


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"jsonrpc": "2.0"}', b"\xff\xfe", b"null"])
def test_what_is_no_request_is_refused(door: Door, body: bytes) -> None:
    headers = door.headers | {"Content-Type": "application/json", "Accept": "application/json"}
    answer = httpx2.post(f"{door.url}/mcp", content=body, headers=headers)
    assert 400 <= answer.status_code < 500


def test_many_at_once_each_get_their_own(over_http: Opening, memory: MemoryOS) -> None:
    found: dict[str, list[str]] = {}

    def ask(name: str) -> None:
        with over_http(name) as talk:
            for n in range(5):
                talk.call("add_memory", content=f"{name} says {n}")
            page = talk.call("list_memories")["structuredContent"]
            found[name] = [each["text"] for each in page["memories"]]

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("ann", "bo", "cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found == {name: [f"{name} says {n}" for n in range(5)] for name in ("ann", "bo", "cy")}
