"""Whatever is handed in: a typed error or a right answer, and an error changes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme import MnemeError, Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.strategies import hostile_values

READS = ("search", "recall", "get", "list", "history", "sources", "derived", "repeats")
WRITES = (
    "add", "add_many", "update", "rollback", "feedback", "archive", "activate", "freeze",
    "unfreeze", "forget", "restore", "erase",
)  # fmt: skip
OF_MEMORY = ("namespace", "namespaces", "verify", "audit")
GOOD: dict[str, Callable[[str], Any]] = {
    "id": lambda some: some,
    "target": lambda some: some,
    "hits_or_ids": lambda some: [some],
    "used": lambda _: True,
    "query": lambda _: "Oslo",
    "content": lambda _: "A line.",
    "items": lambda _: ["A line."],
    "path": lambda _: "alice",
    "to_version": lambda _: 1,
    "text": lambda _: "Another line.",
}


def state_of(memory: MemoryOS) -> tuple[object, ...]:
    stats = memory.stats()
    return memory.audit_head(), stats.counts, stats.states, stats.types


def arguments_of(call: Callable[..., Any], some: str, data: st.DataObject) -> dict[str, Any]:
    """Some arguments of a call, at least one of them hostile."""
    names = [name for name in inspect.signature(call).parameters if name != "progress"]
    parameters = inspect.signature(call).parameters
    spoiled = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=2), "spoiled")
    given_ = {}
    for name in names:
        if name in spoiled:
            given_[name] = data.draw(hostile_values(), name)
        elif parameters[name].default is inspect.Parameter.empty or (
            name in GOOD and name != "target"
        ):
            given_[name] = GOOD[name](some)
    return given_


QUICK = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, max_examples=1500, derandomize=False)


def check(memory: MemoryOS, owner: object, verb: str, data: st.DataObject) -> None:
    some = memory.namespace("alice").list(limit=1).items
    call = getattr(owner, verb)
    keywords = arguments_of(call, some[0].id if some else "none", data)
    memory.drain()  # what was said before is read
    before = state_of(memory)
    said = None
    try:
        call(**keywords)
    except MnemeError as error:
        said = str(error)
    assert said is None or len(said) > 10
    assert (said is None and verb in WRITES) or state_of(memory) == before


@pytest.mark.parametrize("verb", [*READS, *WRITES])
@QUICK
@given(data=st.data())
def test_a_namespace_answers_or_refuses(
    memory: MemoryOS, alice: Namespace, verb: str, data: st.DataObject
) -> None:
    check(memory, alice, verb, data)


@pytest.mark.parametrize("verb", OF_MEMORY)
@QUICK
@given(data=st.data())
def test_a_memory_answers_or_refuses(
    memory: MemoryOS, alice: Namespace, verb: str, data: st.DataObject
) -> None:
    check(memory, memory, verb, data)


@pytest.mark.slow
@pytest.mark.parametrize("verb", [*READS, *WRITES])
@LONG
@given(data=st.data())
def test_a_namespace_answers_or_refuses_for_long(
    memory: MemoryOS, alice: Namespace, verb: str, data: st.DataObject
) -> None:
    check(memory, alice, verb, data)
