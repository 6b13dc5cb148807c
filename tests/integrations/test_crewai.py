"""CrewAI's memory and crews over Mneme: its own objects, vectors of a local embedder, no model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("crewai", reason="make test-integrations has it")

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.memory.storage.backend import EmbeddingDimensionMismatchError, StorageBackend
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from crewai.memory.types import MemoryRecord
from crewai.memory.unified_memory import Memory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme import InvalidInputError
from mneme.integrations.crewai import MnemeStorage, local_embedder

OSLO = "The customer moved to Oslo in March."
START = datetime(2026, 3, 20, 12)  # noqa: DTZ001 (CrewAI's own have no zone)


def record(content: str, vector: list[float], **more: Any) -> MemoryRecord:  # noqa: ANN401
    return MemoryRecord(content=content, embedding=vector, **more)


@pytest.fixture
def storage(namespace: Any) -> MnemeStorage:  # noqa: ANN401
    return MnemeStorage(namespace)


def test_it_is_a_storage_of_crewai(storage: MnemeStorage) -> None:
    assert isinstance(storage, StorageBackend)


def test_crewais_memory_remembers_recalls_and_forgets(namespace: Any) -> None:  # noqa: ANN401
    memory = Memory(storage=MnemeStorage(namespace), embedder=local_embedder())
    for content, scope in ((OSLO, "/customers"), ("Invoices are due in 30 days.", "/billing")):
        memory.remember(
            content, scope=scope, categories=["facts"], importance=0.7, metadata={"n": 1}
        )
    [best, *_] = memory.recall("Where did the customer move?", depth="shallow", limit=2)
    assert best.record.content == OSLO
    assert best.record.importance == 0.7
    assert memory.list_scopes("/") == ["/billing", "/customers"]
    [only] = memory.recall("Where?", scope="/billing", depth="shallow")
    assert only.record.content.startswith("Invoices")
    changed = memory.update(best.record.id, content="The customer moved to Bergen.")
    assert changed.id == best.record.id
    assert [each.content for each in memory.list_records("/customers")] == [
        "The customer moved to Bergen."
    ]
    assert memory.forget(scope="/billing") == 1
    assert memory.info("/").record_count == 1
    memory.reset()
    assert memory.list_records() == []
    memory.close()


def test_what_a_crew_learned_is_memory_like_any_other(
    storage: MnemeStorage,
    namespace: Any,  # noqa: ANN401
) -> None:
    storage.save([record(OSLO, [1.0, 0.0], importance=0.5)])
    [hit, *_] = namespace.search("Where did the customer move?")
    assert (hit.cube.text, hit.cube.role, hit.cube.priority) == (OSLO, "assistant", 0.5)
    storage.update(record("Bergen.", [0.0, 1.0], id=storage.list_records()[0].id))
    assert [cube.text for cube in namespace.history(hit.cube.id)] == [OSLO, "Bergen."]
    assert storage.delete(record_ids=[storage.list_records()[0].id]) == 1
    namespace.restore(hit.cube.id)
    assert storage.count() == 1


def test_erasing_leaves_nothing(namespace: Any) -> None:  # noqa: ANN401
    storage = MnemeStorage(namespace, deletes="erase")
    storage.save([record(OSLO, [1.0])])
    [cube] = namespace.list().items
    storage.reset()
    with pytest.raises(KeyError):
        namespace.restore(cube.id)


class Echo(BaseLLM):
    """Says what it was told, so that a test sees what a crew puts into prompts."""

    def __init__(self) -> None:
        super().__init__(model="echo")
        self.told: list[str] = []

    def call(self, messages: Any, *_: Any, **__: Any) -> str:  # noqa: ANN401 (CrewAI's)
        self.told.append(str(messages))
        return "Thought: I now know.\nFinal Answer: In Oslo."


# CrewAI reads fields of its own that it deprecates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_crew_is_told_what_its_memory_knows(namespace: Any) -> None:  # noqa: ANN401
    llm = Echo()
    memory = Memory(storage=MnemeStorage(namespace), embedder=local_embedder(), llm=llm)
    memory.remember(OSLO, scope="/", categories=["facts"], importance=0.9)
    agent = Agent(role="Clerk", goal="Answer.", backstory="You answer.", llm=llm, memory=memory)
    task = Task(description="Where did the customer move?", expected_output="A city.", agent=agent)
    result = Crew(agents=[agent], tasks=[task], memory=memory).kickoff()
    assert "Oslo" in str(result)
    assert any(OSLO in told for told in llm.told)
    memory.drain_writes()
    memory.close()


def both(storage: MnemeStorage, path: Path) -> list[Any]:
    return [storage, LanceDBStorage(path=str(path), compact_every=0)]


def test_it_finds_what_crewais_own_storage_finds(storage: MnemeStorage, tmp_path: Path) -> None:
    vectors = {"a": [1.0, 0.0, 0.0], "b": [0.8, 0.6, 0.0], "c": [0.0, 0.0, 1.0]}
    answers = []
    for each in both(storage, tmp_path):
        each.save([
            record(name, vector, id=name, scope=f"/crew/{name}", categories=[name, "all"],
                   metadata={"name": name}, created_at=START + timedelta(days=n))
            for n, (name, vector) in enumerate(vectors.items())
        ])  # fmt: skip
        query = [1.0, 0.1, 0.0]
        info = each.get_scope_info("/crew")
        answers.append([
            [r.id for r, _ in each.search(query)],
            [r.id for r, _ in each.search(query, limit=2)],
            [r.id for r, _ in each.search(query, scope_prefix="/crew/b")],
            [r.id for r, _ in each.search(query, categories=["c", "none"])],
            [r.id for r, _ in each.search(query, metadata_filter={"name": "b"})],
            [r.id for r in each.list_records(limit=2, offset=1)],
            each.list_scopes("/"), each.list_scopes("/crew"), each.list_categories(),
            each.count(), each.count("/crew/a"),
            (info.record_count, info.categories, info.oldest_record, info.child_scopes),
            each.get_record("b").model_dump(exclude={"last_accessed"}), each.get_record("none"),
            each.delete(older_than=START + timedelta(hours=1)), each.count(),
            each.delete(categories=["b"]), each.delete(record_ids=["none"]), each.count(),
            each.reset("/"), each.count(), each.search(query),
        ])  # fmt: skip
    assert answers[0] == answers[1]


def test_vectors_of_two_embedders_are_not_compared(storage: MnemeStorage) -> None:
    with pytest.raises(EmbeddingDimensionMismatchError):
        storage.save([record("a", [1.0]), record("b", [1.0, 2.0])])
    storage.save([record("a", [1.0])])
    with pytest.raises(EmbeddingDimensionMismatchError):
        storage.search([1.0, 2.0])
    with pytest.raises(InvalidInputError, match="finite"):
        storage.save([record("c", [float("nan")])])


def test_scopes_are_paths_and_not_beginnings_of_names(storage: MnemeStorage) -> None:
    storage.save([record("a", [1.0], scope="/crew"), record("b", [1.0], scope="/crewmates/x")])
    assert storage.count("/crew") == storage.count("crew/") == 1
    assert storage.list_scopes() == ["/crew", "/crewmates"]


def test_the_awaited_ones(storage: MnemeStorage) -> None:
    async def around() -> tuple[list[str], int]:
        await storage.asave([record(OSLO, [1.0], id="a")])
        found = await storage.asearch([1.0], None, limit=3, min_score=0.5)
        return [each.id for each, _ in found], await storage.adelete(record_ids=["a"])

    assert asyncio.run(around()) == (["a"], 1)


text = st.text(max_size=30)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
records = st.builds(
    MemoryRecord,
    id=text, content=text, scope=text, categories=st.lists(text, max_size=3),
    metadata=st.dictionaries(text, text | st.integers() | st.none() | st.lists(text), max_size=3),
    importance=st.floats(0, 1), created_at=moments, last_accessed=moments | st.just(datetime.now(UTC)),  # noqa: TID251,E501
    embedding=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=4),
    source=st.none() | text, private=st.booleans(),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(kept=records)
def test_records_come_back_exactly(open_namespace: Callable[[], Any], kept: MemoryRecord) -> None:
    storage = MnemeStorage(open_namespace())
    storage.save([kept])
    back = storage.get_record(kept.id)
    assert back is not None
    assert back.model_dump() == kept.model_dump()
    assert back.embedding == kept.embedding
