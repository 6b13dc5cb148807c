"""The routes on the whole store: who may see what of it."""

from __future__ import annotations

import httpx2
import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.plain import plain


def headers(memory: MemoryOS, namespaces: list[str], verbs: list[str]) -> dict[str, str]:
    key, _ = memory.make_key("other", namespaces=namespaces, verbs=verbs)
    return {"Authorization": f"Bearer {key}"}


def test_namespaces_are_those_that_the_key_may_read(http: httpx2.Client, memory: MemoryOS) -> None:
    for path in ("acme", "acme/alice", "acme/bob", "zoe"):
        memory.namespace(path).add("I like tea.")
    assert http.get("/v1/namespaces").json()["items"] == ["acme", "acme/alice", "acme/bob", "zoe"]
    assert http.get("/v1/namespaces?prefix=acme~").json()["items"] == ["acme/alice", "acme/bob"]
    some = headers(memory, ["acme/*"], ["read"])
    assert http.get("/v1/namespaces", headers=some).json()["items"] == ["acme/alice", "acme/bob"]
    none = headers(memory, ["*"], ["add"])
    assert http.get("/v1/namespaces", headers=none).json()["items"] == []


@pytest.mark.parametrize("path", ["/v1/stats", "/v1/audit", "/metrics"])
def test_the_whole_store_is_for_those_who_look_after_all_of_it(
    http: httpx2.Client, memory: MemoryOS, path: str
) -> None:
    assert http.get(path).status_code == 200
    for grants in ((["*"], ["*"]), (["alice"], ["admin"]), (["acme/*"], ["*", "admin"])):
        assert http.get(path, headers=headers(memory, *grants)).status_code == 403


def test_stats_are_those_of_the_library(
    http: httpx2.Client, memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("I like tea.")
    assert http.get("/v1/stats").json() == plain(memory.stats())


def test_the_audit_comes_page_by_page(
    http: httpx2.Client, memory: MemoryOS, alice: Namespace
) -> None:
    for text in ("one", "two", "three", "four"):
        alice.add(text)
    seen, cursor = [], ""
    while True:
        page = http.get(f"/v1/audit?limit=2{cursor}").json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == plain(memory.audit())
    since = seen[-2]["at"]
    assert http.get("/v1/audit", params={"since": since}).json()["items"] == seen[-2:]


def test_who_acted_is_the_holder_of_the_key(
    http: httpx2.Client, memory: MemoryOS, alice: Namespace
) -> None:
    key, _ = memory.make_key("alice's phone", namespaces=["alice"])
    http.post(
        "/v1/namespaces/alice/memories",
        json={"content": "I like tea."},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert memory.audit()[-1].actor == "alice's phone"
    assert alice.list().items[0].provenance.actor == "alice's phone"


def test_health_needs_no_key(http: httpx2.Client) -> None:
    for path in ("/healthz", "/readyz"):
        answer = http.get(path, headers={"Authorization": ""})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
