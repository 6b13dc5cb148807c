"""Keys over HTTP: made, listed, rotated, revoked; and nobody hands out more than they have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.app.memory import MemoryOS
from mneme.core.clock import from_us
from mneme.govern.permission import VERBS, Grant, Principal
from mneme.testing.clocks import HandClock
from mneme.testing.doors import Door

Caller = Callable[..., httpx2.Response]


@pytest.fixture
def call(door: Door) -> Caller:
    """Sends a request with a key."""

    def send(key: str, method: str, path: str, body: Any = None) -> httpx2.Response:  # noqa: ANN401
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.request(method, door.url + path, json=body, headers=headers)

    return send


def works(call: Caller, key: str) -> bool:
    return call(key, "GET", "/v1/namespaces/alice/memories").status_code == 200


def test_a_key_is_made_listed_and_revoked(call: Caller, door: Door, memory: MemoryOS) -> None:
    made = call(door.key, "POST", "/v1/keys", {"name": "alice", "namespaces": ["alice"]})
    assert made.status_code == 201
    key = made.json()
    assert works(call, key["key"])
    listed = call(door.key, "GET", "/v1/keys").json()["keys"]
    assert [each["name"] for each in listed] == ["root", "alice"]
    assert key["key"].split("_", 2)[2] not in str(listed)
    assert call(door.key, "DELETE", f"/v1/keys/{key['id']}").status_code == 204
    assert not works(call, key["key"])
    assert call(door.key, "DELETE", f"/v1/keys/{key['id']}").status_code == 404
    said = [(entry.verb, entry.actor) for entry in memory.audit()]
    assert said == [("make_key", "local"), ("make_key", "root"), ("revoke_key", "root")]


def test_rotation_lets_the_old_secret_work_for_a_while(
    call: Caller, door: Door, memory: MemoryOS, clock: HandClock
) -> None:
    old, key = memory.make_key("alice", namespaces=["alice"])
    new = call(door.key, "POST", f"/v1/keys/{key.id}/rotate", {"overlap_s": 60}).json()["key"]
    assert works(call, old)
    assert works(call, new)
    clock.move_s(61)
    assert not works(call, old)
    assert works(call, new)
    newest = call(door.key, "POST", f"/v1/keys/{key.id}/rotate").json()["key"]
    assert not works(call, new)
    assert works(call, newest)


@pytest.mark.parametrize("verbs", [["*"], ["read"], ["read", "add", "erase", "export"]])
def test_without_admin_keys_are_out_of_reach(
    call: Caller, memory: MemoryOS, verbs: list[str]
) -> None:
    text, key = memory.make_key("bob", namespaces=["*"], verbs=verbs)
    for method, path, body in (
        ("GET", "/v1/keys", None),
        ("POST", "/v1/keys", {"name": "eve", "namespaces": ["*"], "verbs": ["*", "admin"]}),
        ("POST", f"/v1/keys/{key.id}/rotate", None),
        ("DELETE", f"/v1/keys/{key.id}", None),
    ):
        assert call(text, method, path, body).status_code == 403
    assert len(memory.list_keys()) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"namespaces": ["*"]},
        {"namespaces": ["acme/*", "alice"]},
        {"namespaces": ["acmeother/*"]},
        {"namespaces": ["acme"]},
        {"verbs": ["erase"]},
        {"verbs": ["*"]},
        {"expires_at": None},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"requests_per_s": None},
        {"requests_per_s": 6},
    ],
)
def test_an_admin_of_some_namespaces_hands_out_no_more_than_they_have(
    call: Caller, memory: MemoryOS, clock: HandClock, more: dict[str, Any]
) -> None:
    ends = from_us(clock.now_us()) + timedelta(days=1)
    text, _ = memory.make_key(
        "carol", namespaces=["acme/*"], verbs=["read", "add", "admin"], expires_at=ends,
        requests_per_s=5,
    )  # fmt: skip
    fits: dict[str, Any] = {
        "name": "dan", "namespaces": ["acme/dan", "acme/team/*"], "verbs": ["read", "admin"],
        "expires_at": ends.isoformat(), "requests_per_s": 5,
    }  # fmt: skip
    assert call(text, "POST", "/v1/keys", fits).status_code == 201
    refused = call(text, "POST", "/v1/keys", fits | more)
    assert refused.status_code == 403
    assert [key.name for key in memory.list_keys()] == ["root", "carol", "dan"]


def test_an_admin_of_some_namespaces_sees_and_takes_over_no_other_keys(
    call: Caller, memory: MemoryOS, clock: HandClock
) -> None:
    ends = from_us(clock.now_us()) + timedelta(days=1)
    text, _ = memory.make_key("carol", namespaces=["acme/*"], verbs=["*", "admin"], expires_at=ends)
    _, lower = memory.make_key("dan", namespaces=["acme/dan"], verbs=["read"], expires_at=ends)
    _, lasting = memory.make_key("erin", namespaces=["acme/erin"], verbs=["read"])
    listed = call(text, "GET", "/v1/keys").json()["keys"]
    assert [key["name"] for key in listed] == ["carol", "dan", "erin"]
    [root] = [key for key in memory.list_keys() if key.name == "root"]
    foreign = call(text, "POST", f"/v1/keys/{root.id}/rotate")
    missing = call(text, "POST", "/v1/keys/000000000000/rotate")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text.replace(root.id, "000000000000") == missing.text
    assert call(text, "DELETE", f"/v1/keys/{root.id}").status_code == 404
    assert call(text, "POST", f"/v1/keys/{lasting.id}/rotate").status_code == 403
    assert call(text, "POST", f"/v1/keys/{lower.id}/rotate").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "namespaces": []},
        {"name": "x", "namespaces": ["a b"]},
        {"name": "x", "namespaces": ["a"], "verbs": ["write"]},
        {"name": "x", "namespaces": ["a"], "expires_at": "2001-01-01"},
        {"name": "x", "namespaces": ["a"], "expires_at": "soon"},
        {"name": "x", "namespaces": ["a"], "requests_per_s": 0},
        {"name": "x", "namespaces": ["a"], "principal": "root"},
        {"name": "", "namespaces": ["a"]},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    call: Caller, door: Door, memory: MemoryOS, body: dict[str, Any]
) -> None:
    refused = call(door.key, "POST", "/v1/keys", body)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert len(memory.list_keys()) == 1


segments = st.sampled_from(["a", "b", "ab"])
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
patterns = st.one_of(st.just("*"), paths, paths.map("{}/*".format))
grants = st.builds(
    Grant,
    namespaces=st.lists(patterns, min_size=1, max_size=2).map(tuple),
    verbs=st.lists(st.sampled_from([*VERBS, "*"]), min_size=1, max_size=3).map(tuple),
)


def holder(given_to: list[Grant], ends: datetime | None = None) -> Principal:
    return Principal(id="0" * 12, name="x", grants=tuple(given_to), expires_at=ends)


@given(st.lists(grants, min_size=1, max_size=2), grants, paths, st.sampled_from(VERBS))
def test_what_may_be_given_is_held(own: list[Grant], handed: Grant, path: str, verb: str) -> None:
    giver, taker = holder(own), holder([handed])
    if giver.may_give(handed) and not giver.is_root:
        assert giver.may(verb, path) or not taker.may(verb, path)
        assert not taker.is_root
