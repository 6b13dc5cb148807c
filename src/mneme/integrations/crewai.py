"""CrewAI: the storage behind its unified `Memory`.

    storage = MnemeStorage(memory.namespace("crew"))
    memory = crewai.memory.Memory(storage=storage, embedder=local_embedder())

Each record is a memory cube: what a crew learned is found by `Namespace.search` and `recall` as
well, has versions, and can be erased. It takes a namespace of `mneme` or of `mneme.client`.
CrewAI searches by vectors that it makes itself; `local_embedder` makes them without a key.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mneme.core.errors import CubeNotFoundError, InvalidInputError, MissingDependencyError
from mneme.integrations.exact import parts_of, text_for, value_of, write_parts
from mneme.integrations.transcript import all_cubes, check_deletes, delete

try:
    from crewai.memory.storage.backend import EmbeddingDimensionMismatchError
    from crewai.memory.types import MemoryRecord, ScopeInfo
except ImportError as error:  # pragma: no cover (tested where it is not installed)
    raise MissingDependencyError("crewai", "", "mneme.integrations.crewai") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mneme.core.cube import MemCube
    from mneme.integrations.exact import Memories

_NAME = "crewai"
_ID = "crewai_id"
_LITTLE = "<f4"  # as CrewAI's own stores keep them: 32 bits


def local_embedder() -> Callable[[list[str]], list[list[float]]]:
    """The embedder that Mneme ships, as CrewAI calls one: no key, no network, no download."""
    from mneme.wiring import local_embedder as opened

    embedder = opened("static", "", "static")
    assert embedder is not None  # it is shipped
    return lambda texts: [[float(x) for x in vector] for vector in embedder.embed(texts)]


class MnemeStorage:
    """A `StorageBackend` of CrewAI over one namespace.

    Scores are cosines, from 0 to 1. A search reads all records of the namespace. Scopes are paths:
    `/crew` holds `/crew/a` and not `/crewmates`.

    Args:
        namespace: Of `mneme` or of `mneme.client`.
        deletes: What deleting does: "forget" hides, and `Namespace.restore` brings back; "erase"
            removes for good.
    """

    def __init__(self, namespace: Memories, *, deletes: str = "forget") -> None:
        self._namespace, self._deletes = namespace, check_deletes(deletes)

    # -- writing

    def save(self, records: list[MemoryRecord]) -> None:
        """Keep records; one that is there already is replaced.

        Raises:
            EmbeddingDimensionMismatchError: Their vectors have different lengths.
            InvalidInputError: A record cannot be kept; those before it are.
        """
        lengths = {len(record.embedding) for record in records if record.embedding}
        if len(lengths) > 1:
            raise EmbeddingDimensionMismatchError(*sorted(lengths)[:2])
        for record in records:
            known = self._cube(record.id)
            if known is None:
                self._add(record)
            else:
                self._replace(known, record)

    def update(self, record: MemoryRecord) -> None:
        """Write the next version of a record; the first one if there is none of its id."""
        self.save([record])

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the records that satisfy all that is given; how many they were."""
        doomed = [
            cube.id
            for cube, record in self._all(scope_prefix)
            if _fits(record, categories, metadata_filter)
            and (record_ids is None or record.id in record_ids)
            and (older_than is None or _moment(record.created_at) < _moment(older_than))
        ]
        delete(self._namespace, doomed, self._deletes)
        return len(doomed)

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete all records of a scope."""
        self.delete(scope_prefix)

    # -- reading

    def search(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """The records whose vectors are nearest, with their cosines, best first.

        Raises:
            EmbeddingDimensionMismatchError: The records were saved with another embedder.
        """
        found = [
            record
            for _, record in self._all(scope_prefix)
            if record.embedding and _fits(record, categories, metadata_filter)
        ]
        scores = _cosines(query_embedding, [record.embedding or [] for record in found])
        ranked = sorted(zip(found, scores, strict=True), key=lambda pair: -pair[1])
        return [(record, score) for record, score in ranked if score >= min_score][: max(limit, 0)]

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """A record; None if there is none of this id."""
        cube = self._cube(record_id)
        return None if cube is None else self._record(cube)

    def list_records(
        self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0
    ) -> list[MemoryRecord]:
        """Records of a scope, the newest first."""
        records = [record for _, record in self._all(scope_prefix)]
        records.sort(key=lambda record: _moment(record.created_at), reverse=True)
        return records[max(offset, 0) :][: max(limit, 0)]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """What there is in a scope."""
        records = [record for _, record in self._all(scope)]
        made = sorted((record.created_at for record in records), key=_moment)
        return ScopeInfo(
            path=_path(scope),
            record_count=len(records),
            categories=sorted({name for record in records for name in record.categories}),
            oldest_record=made[0] if made else None,
            newest_record=made[-1] if made else None,
            child_scopes=_children(scope, records),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """The scopes right below one."""
        return _children(parent, [record for _, record in self._all(parent)])

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """How many records of a scope have each category."""
        return dict(Counter(c for _, record in self._all(scope_prefix) for c in record.categories))

    def count(self, scope_prefix: str | None = None) -> int:
        """How many records a scope has."""
        return sum(1 for _ in self._all(scope_prefix))

    # -- the same, awaited

    async def asave(self, records: list[MemoryRecord]) -> None:
        """As `save`, in a thread."""
        await asyncio.to_thread(self.save, records)

    async def asearch(
        self,
        query_embedding: list[float],
        *args: Any,  # noqa: ANN401 (of search)
        **kwargs: Any,  # noqa: ANN401 (of search)
    ) -> list[tuple[MemoryRecord, float]]:
        """As `search`, in a thread."""
        return await asyncio.to_thread(partial(self.search, query_embedding, *args, **kwargs))

    async def adelete(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 (of delete)
        """As `delete`, in a thread."""
        return await asyncio.to_thread(partial(self.delete, *args, **kwargs))

    # -- within

    def _add(self, record: MemoryRecord) -> None:
        text, parts = _written(record)
        [cube] = self._namespace.add(
            text, role="assistant", at=_moment(record.created_at), metadata=parts[0],
            priority=record.importance, infer="none",
        )  # fmt: skip
        write_parts(self._namespace, cube.id, parts)

    def _replace(self, known: MemCube, record: MemoryRecord) -> None:
        text, parts = _written(record)
        self._namespace.update(known.id, text=text, metadata=parts[0], priority=record.importance)
        write_parts(self._namespace, known.id, parts)

    def _cube(self, record_id: str) -> MemCube | None:
        named = {f"metadata.{_ID}": _named(record_id)}
        return next(all_cubes(self._namespace, filters=named), None)

    def _all(self, scope: str | None) -> Iterator[tuple[MemCube, MemoryRecord]]:
        for cube in all_cubes(self._namespace, filters={f"metadata.{_ID}": {"exists": True}}):
            record = self._record(cube)
            if record is not None and _within(record.scope, scope):
                yield cube, record

    def _record(self, cube: MemCube) -> MemoryRecord | None:
        try:
            form = value_of(self._namespace, cube, _NAME)
        except (KeyError, CubeNotFoundError):  # half written, or just deleted
            return None
        vector = base64.b64decode(form.pop("embedding"))
        record = MemoryRecord.model_validate(form)
        record.embedding = np.frombuffer(vector, _LITTLE).tolist() or None
        return record


def _written(record: MemoryRecord) -> tuple[str, list[dict[str, Any]]]:
    """The text of a record's cube, and the metadata of its versions."""
    text = text_for(record.content, "[nothing]")
    vector = np.asarray(record.embedding or [], dtype=_LITTLE)
    if not np.isfinite(vector).all():
        raise InvalidInputError(f"the vector of record {record.id!r} is not finite")
    form = record.model_dump(mode="json") | {
        "embedding": base64.b64encode(vector.tobytes()).decode()
    }
    parts = parts_of(form, text=text, name=_NAME)
    return text, [{_ID: _named(record.id)} | part for part in parts]


def _named(record_id: str) -> str:
    """An id as metadata may hold it."""
    return record_id.encode("ascii", errors="backslashreplace").decode().replace("\0", "\\0")


def _fits(
    record: MemoryRecord, categories: list[str] | None, metadata: dict[str, Any] | None
) -> bool:
    """Whether it has one of the categories, and all of the metadata."""
    if categories and not set(categories) & set(record.categories):
        return False
    return all(record.metadata.get(name) == value for name, value in (metadata or {}).items())


def _cosines(query: list[float], vectors: Sequence[list[float]]) -> list[float]:
    if not vectors:
        return []
    for vector in vectors:
        if len(vector) != len(query):
            raise EmbeddingDimensionMismatchError(len(vector), len(query))
    rows, one = np.asarray(vectors, dtype=np.float64), np.asarray(query, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(one)
    cosines = np.divide(rows @ one, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    return [float(each) for each in np.clip(cosines, 0.0, 1.0)]


def _path(scope: str | None) -> str:
    return "/" + (scope or "").strip("/")


def _within(scope: str, above: str | None) -> bool:
    """Whether a scope is another one, or lies below it."""
    root = _path(above)
    return root == "/" or _path(scope) == root or _path(scope).startswith(root + "/")


def _children(parent: str, records: Sequence[MemoryRecord]) -> list[str]:
    start = _path(parent).rstrip("/") + "/"
    below = (_path(record.scope) for record in records)
    found = {path[len(start) :].split("/", 1)[0] for path in below if path.startswith(start)}
    return sorted(start + name for name in found if name)


def _moment(value: datetime) -> datetime:
    """An aware moment; CrewAI's have no zone and mean UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
