"""Records as JSON: the fast way says what the plain way says."""

import json
from datetime import UTC, datetime

import pytest

from mneme import Namespace
from mneme.core.lifecycle import State
from mneme.core.plain import plain
from mneme.core.rows import Spent
from mneme.server.jsons import as_json


@pytest.mark.parametrize(
    "value",
    [
        None,
        datetime(2026, 3, 20, 14, 5, 0, 120, tzinfo=UTC),
        datetime(2026, 3, 20, 14, 5, tzinfo=UTC),
        {"state": State.FROZEN, "many": (1, 2.5, "ø 😀 \u2028"), 3: True},
        Spent(1, 2, 3, 4),
        {"nested": [{"a": frozenset({"x"})}] * 3, "huge": 2**63 - 1, "small": 1e-300},
    ],
)
def test_both_ways_say_the_same(value: object) -> None:
    assert json.loads(as_json(value)) == json.loads(json.dumps(plain(value)))


def test_hits_and_contexts_with_their_signals(alice: Namespace) -> None:
    alice.add("I moved to Oslo in March.", metadata={"deep": {"list": [1, None, "x"]}})
    for found in (alice.search("Oslo", explain=True), alice.recall("Oslo")):
        assert json.loads(as_json(found)) == json.loads(json.dumps(plain(found)))
