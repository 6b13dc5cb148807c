"""Search, recall and feedback over HTTP give what the library gives."""

from __future__ import annotations

import httpx2

from mneme import Namespace
from mneme.core.plain import plain

ALICE = "/v1/namespaces/alice"


def test_a_search_gives_the_hits_of_the_library(http: httpx2.Client, alice: Namespace) -> None:
    for text in ("I moved to Oslo in March.", "I like green tea.", "Oslo is cold."):
        alice.add(text, session="s1")
    asked = {"query": "Oslo", "limit": 2, "explain": True, "filters": {"session": "s1"}}
    answer = http.post(f"{ALICE}/search", json=asked)
    assert answer.json() == {"hits": plain(alice.search(**asked))}  # type: ignore[arg-type]
    assert len(answer.json()["hits"]) == 2


def test_every_argument_of_a_search_is_taken(http: httpx2.Client, alice: Namespace) -> None:
    alice.add("I moved to Oslo.", session="s1", at="2026-03-20", type="event")
    body = {
        "query": "Oslo", "limit": 3, "mode": "lexical", "types": ["event"], "kinds": ["plaintext"],
        "session": "s1", "since": "2026-01-01", "until": "2026-12-31T00:00:00Z",
        "now": "2026-06-01", "valid_at": None, "as_of": None, "min_score": -1,
        "filters": {"event_at": {"gte": "2026-03-01"}}, "include_archived": True, "explain": False,
    }  # fmt: skip
    [hit] = http.post(f"{ALICE}/search", json=body).json()["hits"]
    assert hit["cube"]["text"] == "I moved to Oslo."
    assert http.post(f"{ALICE}/search", json=body | {"as_of": "2020-01-01"}).json() == {"hits": []}


def test_a_recall_is_a_context_with_its_messages(http: httpx2.Client, alice: Namespace) -> None:
    alice.add("I moved to Oslo in March.", session="s1")
    context = http.post(f"{ALICE}/recall", json={"query": "Oslo", "budget_tokens": 200}).json()
    assert "Oslo" in context["text"]
    assert 0 < context["tokens"] <= 200
    assert context["messages"] == [{"role": "system", "content": context["text"]}]
    assert context["citations"][0]["cube_id"] == context["hits"][0]["cube"]["id"]
    nothing = http.post(f"{ALICE}/recall", json={"query": "Oslo", "budget_tokens": 0}).json()
    assert (nothing["text"], nothing["messages"]) == ("", [])


def test_feedback_is_taken_and_checked(http: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("I like green tea.")
    body = {"hits_or_ids": [cube.id], "used": [cube.id], "query": "tea"}
    answer = http.post(f"{ALICE}/feedback", json=body)
    assert (answer.status_code, answer.content) == (204, b"")
    other = http.post(f"{ALICE}/feedback", json=body | {"used": ["another"]})
    assert other.status_code == 422
    gone = http.post(f"{ALICE}/feedback", json={"hits_or_ids": ["another"], "used": True})
    assert gone.status_code in {204, 404}
