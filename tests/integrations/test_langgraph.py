"""LangGraph's store: its own InMemoryStore is the model, and a graph is the user.

LangGraph ships conformance tests for checkpointers, not for stores. So every sequence of operations
is played on both stores and must give the same.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, TypedDict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("langgraph", reason="langgraph is not installed")

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.errors import InvalidInputError
from mneme.integrations.langgraph import MnemeStore
from mneme.integrations.langgraph_items import passes
from mneme.testing.clocks import HandClock

_NUMBERS = itertools.count()
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

any_text = st.text(st.characters(codec=None)) | st.sampled_from(['", "', "«text»", "\0", "/"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(any_text, json_values, max_size=4)
labels = st.sampled_from(["a", "b", "ü/ñ", "*x", "~", " "])
namespaces = st.lists(labels, min_size=1, max_size=3).map(tuple)
prefixes = st.lists(labels, max_size=2).map(tuple)
keys = st.sampled_from(["k1", "k2", "", "Ω\n"])
numbers = st.integers(-2, 2) | st.floats(-2, 2)
values = st.fixed_dictionaries(
    {"n": numbers},
    optional={
        "s": st.sampled_from(["x", "y"]), "l": st.lists(numbers, max_size=2),
        "d": st.fixed_dictionaries({"e": numbers}, optional={"f": st.none()}),
        "any": json_values,
    },
)  # fmt: skip
operators = st.dictionaries(
    st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), numbers, min_size=1, max_size=2
)
filters = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "n": numbers | operators, "s": st.sampled_from(["x", {"$ne": "x"}, None]),
        "l": st.lists(numbers, max_size=2),
        "d": st.fixed_dictionaries({"e": numbers | operators}),
    },
)  # fmt: skip
patterns = st.lists(labels | st.just("*"), max_size=2).map(tuple)
matches = st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), patterns)
everything = st.just(10_000)
puts = st.builds(PutOp, namespaces, keys, st.none() | values | values, st.none(), st.none())
reads = st.one_of(
    st.builds(GetOp, namespaces, keys),
    st.builds(SearchOp, prefixes, filters, everything, st.just(0), st.none()),
    st.builds(
        ListNamespacesOp,
        st.none() | st.lists(matches, max_size=2).map(tuple),
        st.none() | st.integers(1, 3),
        everything,
        st.just(0),
    ),
)
batches = st.lists(st.lists(puts | puts | reads, max_size=6), max_size=5)


class Model:
    """LangGraph's own store; of namespaces that are empty it says nothing, as databases do."""

    def __init__(self) -> None:
        self.store = InMemoryStore()

    def batch(self, ops: list[Op]) -> list[Any]:
        for name in [name for name, held in self.store._data.items() if not held]:
            del self.store._data[name]
        listing = [op for op in ops if isinstance(op, ListNamespacesOp)]
        listed = iter(self.store.batch(listing))  # before a get makes an empty namespace
        results = self.store.batch(ops)
        return [
            next(listed) if isinstance(op, ListNamespacesOp) else result
            for op, result in zip(ops, results, strict=True)
        ]


def shown(result: Any) -> Any:  # noqa: ANN401 (what an operation gives)
    """A result without times; the order of a search without a query is nobody's promise."""
    if isinstance(result, Item):
        return (result.namespace, result.key, result.value, list(result.value))
    if isinstance(result, list) and result and isinstance(result[0], Item):
        return sorted((shown(item) for item in result), key=repr)
    return result


@SETTINGS
@given(batches=batches)
def test_it_does_what_the_store_in_memory_does(memory: MemoryOS, batches: list[list[Op]]) -> None:
    store, model = MnemeStore(memory.namespace(f"n{next(_NUMBERS)}")), Model()
    for batch in batches:
        ours, theirs = store.batch(batch), model.batch(batch)
        assert [shown(result) for result in ours] == [shown(result) for result in theirs]
    end: list[Op] = [SearchOp((), None, 10_000), ListNamespacesOp()]
    assert [*map(shown, store.batch(end))] == [*map(shown, model.batch(end))]


@SETTINGS
@given(value=json_objects, key=any_text, namespace=st.lists(any_text, min_size=1, max_size=4))
def test_any_value_comes_back_as_it_was(
    memory: MemoryOS, value: dict[str, Any], key: str, namespace: list[str]
) -> None:
    store = MnemeStore(memory.namespace(f"n{next(_NUMBERS)}"))
    store.batch([PutOp(tuple(namespace), key, value)])
    (item,) = store.batch([GetOp(tuple(namespace), key)])
    assert isinstance(item, Item)
    assert (item.value, item.key, item.namespace) == (value, key, tuple(namespace))
    assert list(item.value) == list(value)


@given(value=values, wanted=filters)
def test_filters_mean_what_they_mean_in_memory(
    value: dict[str, Any], wanted: dict[str, Any] | None
) -> None:
    model = InMemoryStore()
    model.put(("a",), "k", value)
    assert passes(value, wanted) == bool(model.search(("a",), filter=wanted))


def test_what_is_no_number_is_on_neither_side_of_one() -> None:
    assert not passes({"n": "many"}, {"n": {"$gt": 1}})
    assert not passes({}, {"n": {"$lte": 1}})
    with pytest.raises(InvalidInputError, match=r"\$in"):
        passes({"n": 1}, {"n": {"$in": [1]}})


@pytest.fixture
def store(namespace: Namespace, clock: HandClock) -> MnemeStore:
    return MnemeStore(namespace, clock=clock)


def test_the_everyday_verbs(store: MnemeStore) -> None:
    store.put(("users", "ada"), "boat", {"name": "Vega", "built": 1892})
    first = store.get(("users", "ada"), "boat")
    assert first is not None
    assert first.value == {"name": "Vega", "built": 1892}
    assert first.created_at == first.updated_at
    store.put(("users", "ada"), "boat", {"name": "Gjøa"})
    second = store.get(("users", "ada"), "boat")
    assert second is not None
    assert (second.value, second.created_at) == ({"name": "Gjøa"}, first.created_at)
    assert second.updated_at > second.created_at
    store.delete(("users", "ada"), "boat")
    store.delete(("users", "ada"), "boat")
    assert store.get(("users", "ada"), "boat") is None
    assert store.list_namespaces() == []


def test_the_asynchronous_verbs_do_the_same(store: MnemeStore) -> None:
    async def use() -> list[Any]:
        await store.aput(("a", "b"), "k", {"text": "A yellow canoe."})
        got = await store.aget(("a", "b"), "k")
        found = await store.asearch(("a",), query="canoe")
        listed = await store.alist_namespaces(prefix=("a",))
        await store.adelete(("a", "b"), "k")
        return [got, found[0].key, listed, await store.aget(("a", "b"), "k")]

    got, key, listed, gone = asyncio.run(use())
    assert got.value == {"text": "A yellow canoe."}
    assert (key, listed, gone) == ("k", [("a", "b")], None)


def test_a_query_finds_what_is_meant_within_its_prefix(store: MnemeStore) -> None:
    said = {"boat": "The boat Vega lies in Oslo.", "cat": "The cat is grey.", "tea": "Tea at four."}
    for key, text in said.items():
        store.put(("users", "ada"), key, {"text": text, "kind": key})
    store.put(("users", "bo"), "boat", {"text": "The boat of Bo lies in Rome."})
    found = store.search(("users", "ada"), query="Where does the boat lie?")
    assert [found[0].key, {item.namespace for item in found}] == ["boat", {("users", "ada")}]
    assert found[0].score is not None
    assert [item.key for item in store.search(("users",), query="boat in Rome", limit=1)] == [
        "boat"
    ]
    assert len(store.search(("users",), query="boat", limit=2, offset=1)) == 2
    only = store.search(("users", "ada"), query="Where does the boat lie?", filter={"kind": "cat"})
    assert [item.key for item in only] == ["cat"]
    assert len(store.search((), query=" ")) == 4


def test_pages_of_a_search_hold_each_item_once(store: MnemeStore) -> None:
    for number in range(23):
        store.put(("n",), str(number), {"text": f"Number {number}.", "odd": number % 2})
    for query in (None, "Number 7."):
        pages = [store.search(("n",), query=query, limit=5, offset=at) for at in range(0, 25, 5)]
        found = [item.key for page in pages for item in page]
        assert sorted(found, key=int) == [str(number) for number in range(23)]
    odd = store.search(("n",), query="Number", filter={"odd": 1}, limit=100)
    assert len(odd) == 11
    assert store.search(("n",), limit=0) == []


def test_what_is_not_indexed_is_not_found_by_meaning_but_kept(namespace: Namespace) -> None:
    store = MnemeStore(namespace, fields=["title", "parts[*].text"])
    secret = {"title": "Ship", "parts": [{"text": "A mast."}], "note": "The cook is called Olav."}
    store.put(("d",), "default", secret)
    store.put(("d",), "never", secret, index=False)
    store.put(("d",), "note", secret, index=["note"])
    store.put(("d",), "empty", secret, index=["nothing"])
    texts = {cube.session: cube.text for cube in namespace.list(types=("note",)).items}
    assert sorted(texts.values()) == ["Ship\nA mast.", "The cook is called Olav.", "empty", "never"]
    found = store.search(("d",), query="What is the cook called?")
    assert found[0].key == "note"
    assert {item.key for item in found if item.score is None} >= {"never", "empty"}
    assert all(item.value == secret for item in found)


def test_texts_are_what_people_read(namespace: Namespace) -> None:
    store = MnemeStore(namespace)
    store.put(("a",), "1", {"text": "Ada sails."})
    store.put(("a",), "2", {"who": "Ada", "has": {"boats": [1, "Vega"]}, "no": None})
    texts = [cube.text for cube in namespace.list(types=("note",)).items]
    assert texts == ["Ada sails.", "who: Ada\nhas.boats: 1\nhas.boats: Vega"]
    (found,) = namespace.search("Who sails?", types=("note",), limit=1)
    assert found.cube.text == "Ada sails."


def test_items_expire_and_reading_prolongs_them(namespace: Namespace, clock: HandClock) -> None:
    store = MnemeStore(namespace, ttl={"default_ttl": 10, "refresh_on_read": True}, clock=clock)
    store.put(("a",), "default", {"n": 1})
    store.put(("a",), "short", {"n": 2}, ttl=5)
    store.put(("a",), "ever", {"n": 3}, ttl=None)
    clock.move_s(240)
    assert store.get(("a",), "short") is not None
    clock.move_s(240)
    assert store.get(("a",), "short", refresh_ttl=False) is not None
    clock.move_s(120)
    assert store.get(("a",), "short") is None
    assert {item.key for item in store.search(("a",))} == {"ever"}
    store.put(("a",), "short", {"n": 4}, ttl=5)
    store.put(("a",), "short", {"n": 5}, ttl=None)
    clock.move_s(100_000)
    assert {item.key for item in store.search(("a",))} == {"ever", "short"}


def test_deleted_is_forgotten_and_can_be_restored(namespace: Namespace) -> None:
    store = MnemeStore(namespace)
    store.put(("a",), "k", {"text": "Ada sails."})
    (cube,) = namespace.list(types=("note",)).items
    store.delete(("a",), "k")
    assert store.search(("a",), query="Ada") == []
    namespace.restore(cube.id)
    assert MnemeStore(namespace).get(("a",), "k") is not None


def test_deletes_may_erase(namespace: Namespace, memory: MemoryOS) -> None:
    store = MnemeStore(namespace, deletes="erase")
    store.put(("a",), "k", {"text": "Ada sails."})
    store.delete(("a",), "k")
    assert store.get(("a",), "k") is None
    assert "erase" in {entry.verb for entry in memory.audit()}


def test_a_large_value_is_one_memory_whose_last_whole_state_is_seen(namespace: Namespace) -> None:
    store = MnemeStore(namespace)
    large = {"text": "A log.", "lines": ["x" * 1000] * 200}
    store.put(("a",), "k", large)
    store.put(("a",), "k", large | {"more": 1})
    item = store.get(("a",), "k")
    assert item is not None
    assert item.value == large | {"more": 1}
    (cube,) = namespace.list(types=("note",)).items
    half = dict(cube.metadata) | {"langgraph.part": ["another", 1, 9], "langgraph": "{"}
    namespace.update(cube.id, metadata=half)  # a writer that was killed
    item = store.get(("a",), "k")
    assert item is not None
    assert item.value == large | {"more": 1}
    store.put(("a",), "k", {"text": "Short."})
    assert [found.value for found in store.search(("a",))] == [{"text": "Short."}]


def test_what_cannot_be_kept_is_refused_and_nothing_changes(store: MnemeStore) -> None:
    store.put(("a",), "k", {"n": 1})
    for value in ({"n": object()}, {"n": {1, 2}}, {"n": "x" * (9 << 20), "text": "t"}):
        with pytest.raises(InvalidInputError):
            store.batch([PutOp(("a",), "k", {"n": 2}), PutOp(("a",), "other", value)])
    with pytest.raises(InvalidInputError, match="labels"):
        store.put(("a",) * 65, "k", {})
    with pytest.raises(InvalidNamespaceError):
        store.put(("a.b",), "k", {})
    with pytest.raises(InvalidInputError, match="unknown operation"):
        store.batch([object()])  # type: ignore[list-item]
    item = store.get(("a",), "k")
    assert item is not None
    assert item.value == {"n": 1}
    assert len(store.search(())) == 1


def test_two_stores_see_each_other(namespace: Namespace) -> None:
    one, other = MnemeStore(namespace), MnemeStore(namespace)
    one.put(("a",), "k", {"n": 1})
    other.put(("a",), "k", {"n": 2})
    got = one.get(("a",), "k")
    assert got is not None
    assert got.value == {"n": 2}
    other.delete(("a",), "k")
    assert one.get(("a",), "k") is None
    other.put(("a",), "k", {"n": 3})
    assert [item.value for item in one.search(("a",))] == [{"n": 3}]


def test_other_notes_of_the_namespace_are_no_items(namespace: Namespace) -> None:
    namespace.add("Buy rope.", type="note")
    store = MnemeStore(namespace)
    store.put(("a",), "k", {"text": "Buy tar."})
    assert [item.key for item in store.search((), query="buy")] == ["k"]
    assert store.list_namespaces() == [("a",)]


class State(TypedDict):
    said: str
    answer: str


def test_a_graph_remembers_between_its_runs(namespace: Namespace) -> None:
    def respond(state: State, runtime: Runtime[None]) -> dict[str, str]:
        store: BaseStore | None = runtime.store
        assert store is not None
        known = store.search(("users", "ada"), query=state["said"], limit=1)
        store.put(("users", "ada"), state["said"], {"text": state["said"]})
        return {"answer": known[0].value["text"] if known else "I know nothing."}

    graph = StateGraph(State)
    graph.add_node("respond", respond)
    graph.add_edge(START, "respond")
    graph.add_edge("respond", END)
    app = graph.compile(store=MnemeStore(namespace))
    start: Any = {"said": "My boat is called Vega.", "answer": ""}
    again: Any = {"said": "What is my boat called?", "answer": ""}
    assert app.invoke(start)["answer"] == "I know nothing."
    assert asyncio.run(app.ainvoke(again))["answer"] == "My boat is called Vega."
