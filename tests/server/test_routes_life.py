"""Versions, states, derivation, forgetting and erasing over HTTP."""

from __future__ import annotations

import httpx2
import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.plain import plain

ALICE = "/v1/namespaces/alice"


def test_states_follow_the_library(http: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("I live in Oslo.")
    at = f"{ALICE}/memories/{cube.id}"
    for verb, state in (
        ("archive", "archived"),
        ("activate", "activated"),
        ("freeze", "frozen"),
        ("unfreeze", "activated"),
    ):
        assert http.post(f"{at}/{verb}").json()["state"] == state
    assert http.post(f"{at}/unfreeze").status_code == 409
    http.post(f"{at}/freeze")
    answer = http.patch(at, json={"text": "no"})
    assert (answer.status_code, answer.json()["error"]) == (409, "FrozenCubeError")


def test_history_and_rollback(http: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("I live in Oslo.")
    alice.update(cube.id, text="I live in Bergen.")
    at = f"{ALICE}/memories/{cube.id}"
    back = http.post(f"{at}/rollback", json={"to_version": 1}).json()
    assert (back["version"], back["text"]) == (3, "I live in Oslo.")
    items = http.get(f"{at}/history").json()["items"]
    assert items == plain(alice.history(cube.id))
    assert [each["version"] for each in items] == [1, 2, 3]
    assert http.post(f"{at}/rollback", json={"to_version": 9}).status_code == 422


def test_what_derives_from_what(http: httpx2.Client, memory: MemoryOS, alice: Namespace) -> None:
    [turn] = alice.add("I moved to Oslo in March.")
    memory.drain()
    [fact] = http.get(f"{ALICE}/memories/{turn.id}/derived").json()["items"]
    [source] = http.get(f"{ALICE}/memories/{fact['id']}/sources").json()["items"]
    assert source["id"] == turn.id


def test_forgetting_by_id_and_by_filters_and_restoring(
    http: httpx2.Client, alice: Namespace
) -> None:
    [tea] = alice.add("I like tea.", session="s1")
    [milk] = alice.add("I like milk.", session="s2")
    assert http.post(f"{ALICE}/forget", json={"target": [tea.id]}).json() == {"hidden": 1}
    filters = {"session": "s2"}
    assert http.post(f"{ALICE}/forget", json={"filters": filters}).json() == {"hidden": 1}
    assert alice.list().items == ()
    for cube in (tea, milk):
        assert http.post(f"{ALICE}/memories/{cube.id}/restore").json()["id"] == cube.id
    assert len(alice.list().items) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"target": None},
        {"filters": {}},
        {"target": []},
        {"target": "x", "filters": {"type": "fact"}},
    ],
)
@pytest.mark.parametrize("verb", ["forget", "erase"])
def test_a_target_or_filters_are_needed_and_not_both(
    http: httpx2.Client, alice: Namespace, verb: str, body: dict[str, object]
) -> None:
    alice.add("I like tea.")
    assert http.post(f"{ALICE}/{verb}", json=body).status_code == 422
    assert len(alice.list().items) == 1


def test_a_dry_run_of_an_erasure_shows_what_goes_and_the_receipt_says_it_went(
    http: httpx2.Client, memory: MemoryOS, alice: Namespace
) -> None:
    [turn] = alice.add("I moved to Oslo in March.")
    memory.drain()
    body = {"target": turn.id}
    would = http.post(f"{ALICE}/erase", json=body | {"dry_run": True}).json()["would"]
    assert would[0]["id"] == turn.id
    assert len(would) == 2
    assert alice.get(turn.id).id == turn.id
    receipt = http.post(f"{ALICE}/erase", json=body | {"reason": "asked"}).json()
    assert set(receipt["erased"]) == {each["id"] for each in would}
    assert (receipt["reason"], receipt["complete"]) == ("asked", True)
    assert http.get(f"{ALICE}/memories/{turn.id}").status_code == 404
    assert http.post(f"{ALICE}/erase", json=body).status_code == 404


def test_what_is_held_is_not_erased(http: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("I like tea.", hold=True)
    answer = http.post(f"{ALICE}/erase", json={"target": cube.id})
    assert (answer.status_code, answer.json()["error"]) == (403, "ForbiddenError")


def test_each_verb_needs_its_grant(memory: MemoryOS, http: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("I like tea.")
    one = f"/memories/{cube.id}"
    asked = {
        "read": [("GET", "/memories"), ("GET", one), ("GET", one + "/history"),
                 ("GET", one + "/sources"), ("GET", one + "/derived"), ("POST", "/search"),
                 ("POST", "/recall")],
        "add": [("POST", "/memories"), ("POST", "/batch")],
        "update": [("PATCH", one), ("POST", one + "/rollback"), ("POST", one + "/archive"),
                   ("POST", one + "/activate"), ("POST", one + "/freeze"),
                   ("POST", one + "/unfreeze"), ("POST", one + "/demote"), ("POST", "/feedback"),
                   ("POST", "/promote")],
        "forget": [("DELETE", one), ("POST", "/forget"), ("POST", one + "/restore")],
        "erase": [("POST", "/erase")],
        "export": [("POST", "/export")],
        "import": [("POST", "/import")],
        "chat": [("POST", "/chat")],
    }  # fmt: skip
    for verb in asked:
        others = [each for each in asked if each != verb]
        key, _ = memory.make_key("other", namespaces=["alice"], verbs=others)
        headers = {"Authorization": f"Bearer {key}"}
        for method, path in asked[verb]:
            json = None if method in {"GET", "DELETE"} else {"query": "x", "content": "x"}
            answer = http.request(method, ALICE + path, json=json, headers=headers)
            assert (answer.status_code, path) == (403, path)
    assert alice.get(cube.id).version == 1
