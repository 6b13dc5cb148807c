"""The least that a door does: it asks for a key, answers, and names errors."""

import httpx2

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.doors import Door


def test_health_needs_no_key(door: Door) -> None:
    assert httpx2.get(door.url + "/healthz").json() == {"status": "ok"}


def test_without_a_good_key_nothing_is_answered(door: Door) -> None:
    for headers in ({}, {"Authorization": "Bearer mneme_nothing"}):
        answer = httpx2.post(
            door.url + "/v1/namespaces/alice/search", json={"query": "x"}, headers=headers
        )
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_search_finds_what_was_added(http: httpx2.Client, alice: Namespace) -> None:
    alice.add("I moved to Oslo in March.")
    answer = http.post("/v1/namespaces/alice/search", json={"query": "Oslo"})
    assert answer.json()["hits"][0]["cube"]["text"] == "I moved to Oslo in March."


def test_what_is_not_granted_is_refused_whether_it_exists_or_not(
    memory: MemoryOS, alice: Namespace, door: Door
) -> None:
    alice.add("I moved to Oslo in March.")
    key, _ = memory.make_key("bob", namespaces=["bob"], verbs=["read"])
    answers = [
        httpx2.post(
            f"{door.url}/v1/namespaces/{ns}/search",
            json={"query": "Oslo"},
            headers={"Authorization": f"Bearer {key}"},
        )
        for ns in ("alice", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].text == answers[1].text
