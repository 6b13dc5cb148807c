"""Examples of the OpenAPI page; the tests send each of them to a real server."""

from __future__ import annotations

from typing import Any, Final

Example = dict[str, Any]

ID: Final = "019a9c2e-8d6b-7c04-b1a5-3f2f9d0c7e11"
_AT: Final = "2026-06-01T09:00:00Z"

ADD: Final[list[Example]] = [
    {"content": "I moved to Oslo in March.", "session": "s1", "at": "2026-03-20T00:00:00Z"},
    {
        "content": [
            {"role": "user", "content": "Which tea do I like?"},
            {"role": "assistant", "content": "You like green tea."},
        ],
        "session": "s2",
        "metadata": {"place": "Oslo"},
    },
]
BATCH: Final[Example] = {
    "items": ["I like green tea.", {"content": "My cat is called Mia.", "session": "s1"}]
}
SEARCH: Final[list[Example]] = [
    {"query": "Where do I live?", "limit": 5},
    {"query": "tea", "mode": "lexical", "filters": {"metadata.place": "Oslo"}, "explain": True},
]
RECALL: Final[Example] = {"query": "Where do I live?", "budget_tokens": 800}
UPDATE: Final[Example] = {"text": "I moved to Bergen in April.", "labels": ["home"]}
TARGETS: Final[list[Example]] = [{"target": ID}, {"filters": {"session": "s1"}}]
ERASE: Final[list[Example]] = [
    {"filters": {"session": "s1"}, "dry_run": True},
    {"target": [ID], "reason": "asked by the user"},
]
FEEDBACK: Final[list[Example]] = [{"hits_or_ids": [ID], "used": True, "query": "Where do I live?"}]
PROMOTE: Final[list[Example]] = [{"target": ID, "to": "activation", "wait": False}]
CHAT: Final[list[Example]] = [
    {"messages": "Where do I live?", "session": "s3"},
    {"messages": [{"role": "user", "content": "Where do I live?"}], "stream": True},
]

CUBE: Final[Example] = {
    "id": ID,
    "version": 1,
    "namespace": "alice",
    "kind": "plaintext",
    "type": "turn",
    "text": "I moved to Oslo in March.",
    "state": "activated",
    "session": "s1",
    "role": "user",
    "speaker": None,
    "metadata": {},
    "event_at": "2026-03-20T00:00:00Z",
    "recorded_at": _AT,
    "valid_from": None,
    "valid_to": None,
    "expires_at": None,
    "provenance": {
        "origin": "user",
        "method": "verbatim",
        "sources": [],
        "actor": "alice's assistant",
        "model": None,
    },
    "labels": [],
    "trust": "trusted",
    "content_hash": "f4b19fda8473723f18e6ed77926d2c5f23cd94e443c438764b368f89668aad0e",
    "uses": 0,
    "priority": None,
    "hold": False,
}
