"""mem0's calls: their shapes, what they refuse, and that they agree with mem0ai's own."""

import inspect
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.app.memory import MemoryOS
from mneme.client import Client
from mneme.compat.mem0 import AsyncMemory, Memory, MemoryNotFoundError, ValidationError
from mneme.compat.mem0.filters import test_of as passes_of
from mneme.compat.mem0.scope import entity_of, owner_of
from mneme.core.errors import InvalidInputError, UnknownArgumentError
from mneme.testing.clocks import HandClock
from mneme.testing.doors import running_door

OSLO = "I moved to Oslo in March."
CELLO = "I play the cello."
ALICE = {"user_id": "alice"}


@pytest.fixture(params=["library", "client"])
def mem0(request: pytest.FixtureRequest, memory: MemoryOS, clock: HandClock) -> Iterator[Memory]:
    if request.param == "library":
        yield Memory.over(memory, clock=clock)
        return
    with running_door(memory) as door, Client(door.url, door.key) as client:
        yield Memory.over(client, clock=clock)


def texts(found: dict[str, Any]) -> list[str]:
    return [each["memory"] for each in found["results"]]


def test_a_memory_is_added_found_and_shown(mem0: Memory) -> None:
    [added] = mem0.add(OSLO, user_id="alice", metadata={"topic": "home"})["results"]
    assert added == {"id": added["id"], "memory": OSLO, "event": "ADD"}
    [found] = mem0.search("Where does she live?", filters=ALICE)["results"]
    assert list(found)[:7] == [
        "id", "memory", "hash", "metadata", "score", "created_at", "updated_at",
    ]  # fmt: skip
    assert (found["id"], found["memory"], found["metadata"]) == (
        added["id"], OSLO, {"topic": "home"},
    )  # fmt: skip
    assert 0 < found["score"] <= 1
    assert (found["user_id"], found["role"]) == ("alice", "user")
    assert datetime.fromisoformat(found["created_at"]).tzinfo is not None
    got = mem0.get(added["id"])
    assert got == {**found, "score": None}
    [listed] = mem0.get_all(filters=ALICE)["results"]
    assert listed == {name: value for name, value in found.items() if name != "score"}


def test_what_is_not_there_is_none_or_refused_as_mem0_does(mem0: Memory) -> None:
    assert mem0.get("nothing") is None
    assert mem0.history("nothing") == []
    for call in (mem0.delete, lambda each: mem0.update(each, text="x")):
        with pytest.raises(MemoryNotFoundError, match="not found") as found:
            call("nothing")
        assert isinstance(found.value, ValueError)
    assert mem0.search("x", filters=ALICE) == {"results": []}
    assert mem0.get_all(filters=ALICE) == {"results": []}


def test_raw_messages_keep_their_roles_and_names(mem0: Memory) -> None:
    said = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": CELLO, "name": "Ada"},
        {"role": "assistant", "content": "How nice."},
        {"role": "user"},
    ]
    results = mem0.add(said, user_id="alice", infer=False)["results"]
    assert [(each["memory"], each["role"], each["actor_id"]) for each in results] == [
        (CELLO, "user", "Ada"),
        ("How nice.", "assistant", None),
    ]
    assert texts(mem0.get_all(filters=ALICE | {"actor_id": "Ada"})) == [CELLO]
    assert mem0.add([{"role": "system", "content": "x"}], user_id="alice") == {"results": []}


def test_owners_are_apart_and_agents_are_found_across_users(mem0: Memory) -> None:
    mem0.add(OSLO, user_id="alice", agent_id="helper")
    mem0.add(CELLO, user_id="bob", agent_id="helper", run_id="r1")
    mem0.add("Answer briefly.", agent_id="helper")
    mem0.add("One run.", run_id="r1")
    assert texts(mem0.get_all(filters=ALICE)) == [OSLO]
    assert texts(mem0.get_all(filters={"user_id": "bob", "run_id": "r1"})) == [CELLO]
    assert texts(mem0.get_all(filters={"user_id": "bob", "run_id": "r2"})) == []
    found = texts(mem0.get_all(filters={"agent_id": "helper"}))
    assert set(found) == {OSLO, CELLO, "Answer briefly."}
    assert set(texts(mem0.get_all(filters={"run_id": "r1"}))) == {CELLO, "One run."}
    assert texts(mem0.search("cello", filters={"agent_id": "helper"}))[0] == CELLO
    assert set(texts(mem0.get_all(filters={"user_id": "*"}))) == {OSLO, CELLO}


def test_a_change_keeps_its_history(mem0: Memory) -> None:
    [added] = mem0.add(OSLO, user_id="alice", metadata={"a": 1})["results"]
    said = mem0.update(added["id"], "I moved to Bergen.", metadata={"b": 2, "user_id": "eve"})
    assert said == {"message": "Memory updated successfully!"}
    got = mem0.get(added["id"])
    assert got is not None
    assert (got["memory"], got["metadata"], got["user_id"]) == (
        "I moved to Bergen.", {"a": 1, "b": 2}, "alice",
    )  # fmt: skip
    rows = mem0.history(added["id"])
    assert [(r["event"], r["old_memory"], r["new_memory"]) for r in rows] == [
        ("ADD", None, OSLO),
        ("UPDATE", OSLO, "I moved to Bergen."),
    ]
    assert set(rows[0]) == {
        "id", "memory_id", "old_memory", "new_memory", "event", "created_at", "updated_at",
        "is_deleted", "actor_id", "role",
    }  # fmt: skip
    assert rows[0]["created_at"] == got["created_at"]
    mem0.update(added["id"], data="I moved to Bodø.")
    assert texts(mem0.get_all(filters=ALICE)) == ["I moved to Bodø."]
    with pytest.raises(ValueError, match="At least one"):
        mem0.update(added["id"])


def test_deleting_one_all_and_everything(mem0: Memory, memory: MemoryOS) -> None:
    [first] = mem0.add(OSLO, user_id="alice")["results"]
    mem0.add(CELLO, user_id="alice", run_id="r1")
    mem0.add(CELLO, user_id="bob")
    assert mem0.delete(first["id"]) == {"message": "Memory deleted successfully!"}
    assert mem0.get(first["id"]) is None
    assert mem0.delete_all(user_id="alice", run_id="other")["message"]
    assert texts(mem0.get_all(filters=ALICE)) == [CELLO]
    mem0.delete_all(user_id="alice")
    assert mem0.get_all(filters=ALICE) == {"results": []}
    assert texts(mem0.get_all(filters={"user_id": "bob"})) == [CELLO]
    memory.namespace("elsewhere").add("Not mem0's.")
    assert mem0.reset() is None  # type: ignore[func-returns-value]
    assert mem0.get_all(filters={"user_id": "bob"}) == {"results": []}
    assert memory.namespaces() == ["elsewhere"]
    with pytest.raises(ValueError, match="reset"):
        mem0.delete_all()


def test_a_memory_is_found_until_its_last_day(mem0: Memory, clock: HandClock) -> None:
    today = datetime.fromtimestamp(clock.now_us() / 1e6, UTC).date()
    [added] = mem0.add(OSLO, user_id="alice", expiration_date=today)["results"]
    assert texts(mem0.search("Oslo", filters=ALICE)) == [OSLO]
    clock.move_s(86_400)
    assert texts(mem0.search("Oslo", filters=ALICE)) == []
    assert texts(mem0.get_all(filters=ALICE)) == []
    assert texts(mem0.search("Oslo", filters=ALICE, show_expired=True)) == [OSLO]
    got = mem0.get(added["id"])
    assert got is not None
    assert got["expiration_date"] == today.isoformat()
    mem0.update(added["id"], expiration_date=None)
    assert texts(mem0.get_all(filters=ALICE)) == [OSLO]
    with pytest.raises(ValueError, match="expiration_date"):
        mem0.add("x", user_id="alice", expiration_date="soon")


def test_filters_of_search(mem0: Memory) -> None:
    for n, topic in enumerate(["home", "music", "music"]):
        mem0.add(f"Number {n}.", user_id="alice", metadata={"n": n, "topic": topic})
    search: dict[str, dict[str, object]] = {
        "plain": {"topic": "home"},
        "ops": {"n": {"gte": 1, "lt": 2}},
        "or": {"OR": [{"n": 0}, {"topic": {"icontains": "MUS"}}]},
        "not": {"NOT": [{"topic": "music"}]},
        "none": {"missing": "*"},
    }
    found = {
        name: sorted(texts(mem0.search("number", filters={**ALICE, **each}, threshold=0.0)))
        for name, each in search.items()
    }
    assert found == {
        "plain": ["Number 0."],
        "ops": ["Number 1."],
        "or": ["Number 0.", "Number 1.", "Number 2."],
        "not": ["Number 0."],
        "none": [],
    }
    [hit] = mem0.search("number", filters=ALICE, top_k=1, explain=True)["results"]
    assert hit["score_details"]


def test_when_it_was_said_is_kept(mem0: Memory, memory: MemoryOS) -> None:
    [added] = mem0.add(OSLO, user_id="alice", timestamp=1_774_000_000)["results"]
    cube = memory.namespace("mem0/user/alice").get(added["id"])
    assert cube.event_at == datetime.fromtimestamp(1_774_000_000, UTC)
    mem0.search("Where last week?", filters=ALICE, reference_date="2026-03-24")


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("add", {"messages": "x"}),
        ("add", {"messages": 7, "user_id": "a"}),
        ("add", {"messages": "x", "user_id": "a", "memory_type": "semantic"}),
    ],
)
def test_what_mem0_calls_a_validation_error(
    mem0: Memory, call: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as found:
        getattr(mem0, call)(**arguments)
    assert found.value.error_code.startswith("VALIDATION_")
    assert found.value.suggestion


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("add", {"messages": "x", "user_id": " "}),
        ("add", {"messages": "x", "user_id": "a b"}),
        ("add", {"messages": "x", "user_id": "a", "prompt": "Write rhymes."}),
        ("add", {"messages": "x", "agent_id": "a", "memory_type": "procedural_memory"}),
        ("add", {"messages": {"role": "user", "content": [{"type": "image_url"}]}, "user_id": "a"}),
        ("search", {"query": "x"}),
        ("search", {"query": "x", "filters": {}}),
        ("search", {"query": " ", "filters": ALICE}),
        ("search", {"query": "x", "user_id": "a"}),
        ("search", {"query": "x", "filters": ALICE, "top_k": -1}),
        ("search", {"query": "x", "filters": ALICE, "top_k": True}),
        ("search", {"query": "x", "filters": ALICE, "top_k": 1001}),
        ("search", {"query": "x", "filters": ALICE, "threshold": 2}),
        ("search", {"query": "x", "filters": ALICE | {"n": {"near": 1}}}),
        ("search", {"query": "x", "filters": ALICE | {"OR": []}}),
        ("get_all", {"filters": {"topic": "home"}}),
        ("get_all", {"filters": ALICE, "top_k": -1}),
        ("get_all", {"run_id": "r"}),
    ],
)
def test_what_is_wrong_is_a_value_error(mem0: Memory, call: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".") as found:
        getattr(mem0, call)(**arguments)
    assert isinstance(found.value, InvalidInputError)


def test_unknown_arguments_are_refused(mem0: Memory) -> None:
    with pytest.raises(UnknownArgumentError):
        mem0.search("x", filters=ALICE, limit=3)
    with pytest.raises(TypeError):
        mem0.add("x", user_id="a", nonsense=1)  # type: ignore[call-arg]


def test_ids_in_metadata_are_left_out_with_a_warning(
    mem0: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        mem0.add(OSLO, user_id="alice", metadata={"agent_id": "x", "topic": "home"})
    assert "agent_id" in caplog.text
    [found] = mem0.get_all(filters=ALICE)["results"]
    assert found["metadata"] == {"topic": "home"}
    assert "agent_id" not in found


def test_many_are_listed_page_by_page(mem0: Memory, memory: MemoryOS) -> None:
    memory.namespace("mem0/user/alice").add_many(
        {"content": f"Number {n}.", "metadata": ALICE} for n in range(1203)
    )
    assert len(mem0.get_all(filters=ALICE)["results"]) == 20
    assert len(mem0.get_all(filters=ALICE, top_k=5000)["results"]) == 1203
    assert mem0.get_all(filters=ALICE, top_k=0) == {"results": []}


async def _round(memory: AsyncMemory) -> list[str]:
    await memory.add(OSLO, user_id="alice")
    found = await memory.search("Oslo", filters=ALICE)
    await memory.update(found["results"][0]["id"], text=CELLO)
    listed = texts(await memory.get_all(filters=ALICE))
    await memory.delete_all(user_id="alice")
    return listed


def test_the_same_calls_as_coroutines(memory: MemoryOS) -> None:
    import asyncio

    assert asyncio.run(_round(AsyncMemory.over(memory))) == [CELLO]


def test_it_opens_a_folder_with_no_key(tmp_path: Path) -> None:
    config = {"vector_store": {"provider": "mneme", "config": {"path": str(tmp_path / "m")}}}
    with Memory.from_config(config) as memory:
        memory.add(OSLO, user_id="alice")
    with Memory.from_config(config | {"version": "v1.1", "llm": None}) as memory:
        assert texts(memory.get_all(filters=ALICE)) == [OSLO]


def test_it_opens_a_server(memory: MemoryOS) -> None:
    with running_door(memory) as door:
        config = {"vector_store": {"config": {"url": door.url, "key": door.key}}}
        with Memory.from_config(config) as opened:
            opened.add(OSLO, user_id="alice")
    assert memory.namespaces() == ["mem0/user/alice"]


@pytest.mark.parametrize(
    "config",
    [
        {"vector_store": {"provider": "qdrant", "config": {"path": "x"}}},
        {"vector_store": {"config": {"host": "x"}}},
        {"graph_store": {"provider": "neo4j"}},
        {"reranker": {"provider": "cohere"}},
        {"history_db_path": "x"},
        {"custom_instructions": "Write rhymes."},
        {"version": "v1.0"},
        {"llm": {"provider": "groq", "config": {"model": "x"}}},
        {"llm": {"provider": "openai", "config": {"model": "x", "temperature": 0.5}}},
        {"llm": {"provider": "openai", "config": {}}},
        {"embedder": {"provider": "gemini", "config": {"model": "x"}}},
        {"vector_store": {"config": {"url": "http://127.0.0.1:1"}}, "llm": {"provider": "openai"}},
        "a string",
    ],
    ids=str,
)
def test_what_mneme_does_not_do_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        Memory.from_config(config)


@given(
    st.dictionaries(st.sampled_from(["user_id", "agent_id", "run_id"]), st.text(), min_size=1),
    st.dictionaries(st.sampled_from(["user_id", "agent_id", "run_id"]), st.text(), min_size=1),
)
def test_two_owners_never_share_a_namespace(one: dict[str, str], two: dict[str, str]) -> None:
    def checked(ids: dict[str, str]) -> dict[str, str] | None:
        try:
            return {name: entity_of(value, name) or "" for name, value in ids.items()}
        except InvalidInputError:
            return None

    first, second = checked(one), checked(two)
    if first is None or second is None:
        return
    leading = [next((n, i[n]) for n in ("user_id", "agent_id", "run_id") if n in i)
               for i in (first, second)]  # fmt: skip
    assert (owner_of("mem0", first) == owner_of("mem0", second)) == (leading[0] == leading[1])


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3) | st.sampled_from("xy")),
    st.sampled_from("abc"),
    st.integers(0, 3) | st.sampled_from("xy"),
)
def test_filters_obey_their_laws(fields: dict[str, object], name: str, value: object) -> None:
    def passes(filters: dict[str, object]) -> bool:
        return passes_of(filters)(fields)

    is_it = passes({name: value})
    assert passes({name: {"eq": value}}) == is_it == passes({name: {"in": [value]}})
    assert passes({name: {"ne": value}}) != is_it
    assert passes({name: {"nin": [value]}}) != is_it
    assert passes({"NOT": [{name: value}]}) != is_it
    assert passes({"AND": [{name: value}, {name: "*"}]}) == is_it
    assert passes({"OR": [{name: value}, {name: {"ne": value}}]})
    assert not (passes({name: {"lt": value}}) and passes({name: {"gte": value}}))


CALLS = ("add", "search", "get", "get_all", "update", "delete", "delete_all", "history", "reset")


@pytest.mark.parametrize("name", ["Memory", "AsyncMemory"])
@pytest.mark.parametrize("call", [*CALLS, "from_config"])
def test_signatures_are_mem0ais(name: str, call: str) -> None:
    real = pytest.importorskip("mem0", reason="mem0ai is not installed")
    theirs = inspect.signature(getattr(getattr(real, name), call))
    ours = inspect.signature(getattr({"Memory": Memory, "AsyncMemory": AsyncMemory}[name], call))

    def shown(signature: inspect.Signature) -> list[tuple[str, Any, Any]]:
        return [
            (each.name, each.kind, "unset" if type(each.default) is object else each.default)
            for each in signature.parameters.values()
            if each.name != "self"
        ]

    assert shown(ours) == shown(theirs)


class Letters:
    """An embedder for mem0ai: how often each letter occurs."""

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return [0.1 + text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]


def masked(value: Any, ids: dict[str, str]) -> Any:  # noqa: ANN401 (JSON)
    """What two memories must have in common: ids by their order, times and scores by type."""
    if isinstance(value, dict):
        loose = {"created_at", "updated_at", "score"}
        return {
            name: type(each).__name__ if name in loose else masked(each, ids)
            for name, each in value.items()
            if not (name == "id" and "event" in value and "memory_id" in value)
        }
    if isinstance(value, list):
        return [masked(each, ids) for each in value]
    is_id = isinstance(value, str) and len(value) == 36 and value.count("-") == 4
    return ids.setdefault(value, f"id {len(ids)}") if is_id else value


def played(memory: Any) -> list[Any]:  # noqa: ANN401 (mem0ai's Memory, or ours)
    """What a program sees that uses a memory."""
    said = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": CELLO, "name": "Ada"},
        {"role": "assistant", "content": "How nice."},
    ]
    seen = [memory.add(said, user_id=" alice ", infer=False, metadata={"a": 1}, run_id="r1")]
    first, second = (each["id"] for each in seen[0]["results"])
    seen.append(
        memory.add(OSLO, user_id="bob", agent_id=7, infer=False, expiration_date="2099-01-01")
    )
    seen.append(memory.update(first, "I play the flute.", metadata={"b": [2], "user_id": "eve"}))
    seen.append(memory.update(second, metadata={"c": 3}))
    seen += [memory.get(first), memory.get(second), memory.get("nothing")]
    seen += [memory.history(first), memory.history(second), memory.history("nothing")]
    for filters in ({"user_id": "alice"}, {"agent_id": "7"}, {"run_id": "r1", "user_id": "alice"}):
        found = memory.get_all(filters=filters)
        seen.append(sorted(found["results"], key=lambda each: str(each["memory"])))
        found = memory.search("flute", filters=filters, threshold=0.0)
        seen.append(sorted(found["results"], key=lambda each: str(each["memory"])))
    seen.append(memory.search("flute", filters={"user_id": "alice"}, top_k=1)["results"])
    seen += [memory.delete(first), memory.get(first)]
    seen += [memory.delete_all(user_id="alice"), memory.get_all(filters={"user_id": "alice"})]
    for wrong in (
        lambda: memory.delete(first),
        lambda: memory.update(first, text="x"),
        lambda: memory.update(second),
        lambda: memory.delete_all(),
        lambda: memory.search("x"),
        lambda: memory.search("", filters=ALICE),
        lambda: memory.search("x", filters=ALICE, threshold=3),
        lambda: memory.search("x", user_id="alice"),
        lambda: memory.get_all(filters={"a": 1}),
        lambda: memory.get_all(filters=ALICE, top_k=-1),
        lambda: memory.add("x", user_id="a b"),
        lambda: memory.add("x", user_id="a", expiration_date="soon"),
        lambda: memory.search("x", filters=ALICE | {"OR": []}),
    ):
        with pytest.raises(ValueError, match=r"."):
            wrong()  # type: ignore[no-untyped-call]
    seen.append(memory.reset())
    seen.append(memory.get_all(filters={"user_id": "bob"}))
    return seen


@pytest.mark.filterwarnings("ignore")  # of mem0ai and its store
def test_a_program_sees_what_mem0ai_shows(memory: MemoryOS, tmp_path: Path) -> None:
    real = pytest.importorskip("mem0", reason="mem0ai is not installed")
    pytest.importorskip("chromadb", reason="mem0ai has no store here")
    config = {
        "vector_store": {"provider": "chroma", "config": {"path": str(tmp_path / "chroma")}},
        "embedder": {"provider": "openai", "config": {"api_key": "none"}},
        "llm": {"provider": "openai", "config": {"api_key": "none"}},
        "history_db_path": str(tmp_path / "history.db"),
    }
    with real.Memory.from_config(config) as theirs:
        theirs.embedding_model = Letters()
        expected = masked(played(theirs), {})
    assert masked(played(Memory.over(memory)), {}) == expected
