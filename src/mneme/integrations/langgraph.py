"""LangGraph: a `BaseStore` for the long-term memory of graphs and agents.

    store = MnemeStore(memory.namespace("acme"))
    store.put(("users", "ada"), "boat", {"text": "Ada's boat is called Vega."})
    graph = builder.compile(store=store)

All of LangGraph's namespaces lie in one namespace of Mneme. Every item is searched by meaning and
by words with Mneme's own embedder: no `index` has to be configured. How items are kept is said in
`langgraph_items`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mneme.core.clock import SystemClock, from_us
from mneme.core.errors import (
    CubeNotFoundError,
    ForbiddenError,
    FrozenCubeError,
    InvalidInputError,
    MissingDependencyError,
)

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        Item,
        ListNamespacesOp,
        MatchCondition,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
    )
except ImportError as error:  # pragma: no cover (tested where it is not installed)
    raise MissingDependencyError("langgraph", "", "mneme.integrations.langgraph") from error

from mneme.integrations import langgraph_items as items
from mneme.integrations.exact import json_of, text_for, value_of, write_parts
from mneme.integrations.transcript import all_cubes, check_deletes, delete

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mneme.core.clock import Clock
    from mneme.core.cube import MemCube
    from mneme.integrations.exact import Memories
    from mneme.integrations.langgraph_items import Stored

    Place = tuple[tuple[str, ...], str]

_MOST_HITS = 1000
_LOOKED_UP_AT_ONCE = 100
_MOST_KNOWN = 10_000
_FRESH = 0.05  # of its time to live: an item used so soon again is not written anew
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class MnemeStore(BaseStore):
    """LangGraph's long-term memory in one namespace of Mneme.

    Args:
        namespace: Of `mneme` or of `mneme.client`.
        fields: What of a value is searched, as LangGraph's paths; "$" is all of it. The `index`
            of a `put` overrides it.
        ttl: LangGraph's settings of how long items live. What is past its time is never shown;
            a read prolongs it, if the key may update.
        deletes: What `delete` does: "forget" hides, and `Namespace.restore` brings back; "erase"
            removes for good.
        clock: Says when an item was put, and when it expires.

    Raises:
        InvalidInputError: A value is not JSON, or has more than 8 MiB; nothing was written of it.
    """

    supports_ttl = True

    def __init__(
        self,
        namespace: Memories,
        *,
        fields: Sequence[str] = ("$",),
        ttl: TTLConfig | None = None,
        deletes: str = "forget",
        clock: Clock | None = None,
    ) -> None:
        self.ttl_config = ttl
        self._namespace, self._fields = namespace, tuple(fields)
        self._deletes = check_deletes(deletes)
        self._clock = SystemClock() if clock is None else clock
        self._known: OrderedDict[str, str] = OrderedDict()  # addresses and ids of their cubes
        self._lock = threading.RLock()

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: reads see what was there before; of puts of one key the last counts."""
        results: list[Result] = []
        puts: dict[Place, PutOp] = {}
        ops = list(ops)
        found = self._look_up((op.namespace, op.key) for op in ops if isinstance(op, GetOp))
        for op in ops:
            if isinstance(op, GetOp):
                results.append(self._get(op, found))
            elif isinstance(op, SearchOp):
                results.append(self._search(op))
            elif isinstance(op, ListNamespacesOp):
                results.append(self._list_namespaces(op))
            elif isinstance(op, PutOp):
                puts[op.namespace, op.key] = op
                results.append(None)
            else:
                raise InvalidInputError(f"unknown operation {type(op).__name__}")
        self._put(list(puts.values()))
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    # -- reading

    def _get(self, op: GetOp, found: Mapping[str, Sequence[MemCube]]) -> Item | None:
        for cube in found.get(items.address_of(op.namespace, op.key), ()):
            stored = self._stored(cube)
            if stored is not None:
                self._used([stored] if op.refresh_ttl else [])
                return stored.shown()
        return None

    def _search(self, op: SearchOp) -> list[SearchItem]:
        limit, offset = max(op.limit, 0), max(op.offset, 0)
        found: list[tuple[Stored, float | None]] = []
        if op.query and op.query.strip():
            found = [*self._hits(op, limit + offset)]
        if len(found) < limit + offset:
            seen = {stored.cube.id for stored, _ in found}
            for stored in self._within(op.namespace_prefix):
                if stored.cube.id not in seen and items.passes(stored.value, op.filter):
                    found.append((stored, None))
                    if len(found) >= limit + offset:
                        break
        page = found[offset : offset + limit]
        self._used([stored for stored, _ in page] if op.refresh_ttl else [])
        return [stored.shown(score) for stored, score in page]

    def _hits(self, op: SearchOp, wanted: int) -> Iterator[tuple[Stored, float]]:
        """What Mneme finds, best first. What it does not find follows without a score."""
        if not wanted:
            return
        limit = _MOST_HITS if op.filter else min(wanted, _MOST_HITS)
        filters = items.within(op.namespace_prefix) | {f"metadata.{items.NAME}.searched": True}
        for hit in self._namespace.search(
            str(op.query), limit=limit, types=(items.TYPE,), filters=filters, include_archived=True
        ):
            stored = self._stored(hit.cube)
            if stored is not None and items.passes(stored.value, op.filter):
                yield stored, hit.score

    def _within(self, prefix: Sequence[str]) -> Iterator[Stored]:
        """All items under a prefix, in order of their first put."""
        seen = set()
        cubes = all_cubes(self._namespace, types=(items.TYPE,), filters=items.within(prefix))
        for cube in cubes:
            stored = self._stored(cube)
            if stored is not None and cube.session not in seen:
                seen.add(cube.session)
                yield stored

    def _list_namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        matches = op.match_conditions or ()
        prefixes = [match.path for match in matches if match.match_type == "prefix"]
        plain = next((path for path in prefixes if "*" not in path), ())
        found = {
            stored.namespace[: op.max_depth]
            for stored in self._within(plain)
            if all(_matches(match, stored.namespace) for match in matches)
        }
        return sorted(found)[op.offset : op.offset + op.limit]

    def _look_up(self, places: Iterable[Place]) -> dict[str, list[MemCube]]:
        """The cubes at each address, oldest first; more than one if two processes met."""
        found: dict[str, list[MemCube]] = {}
        unknown = []
        for address in {items.address_of(*place) for place in places}:
            cube = self._at(address)
            if cube is None:
                unknown.append(address)
            else:
                found[address] = [cube]
        for start in range(0, len(unknown), _LOOKED_UP_AT_ONCE):
            some = unknown[start : start + _LOOKED_UP_AT_ONCE]
            filters = {"session": {"in": some}}
            for cube in all_cubes(self._namespace, types=(items.TYPE,), filters=filters):
                found.setdefault(cube.session, []).append(cube)
                self._learn(cube.session, found[cube.session][0].id)
        return found

    def _at(self, address: str) -> MemCube | None:
        """The cube that was at an address when it was last seen, if it is still there."""
        cube_id = self._known.get(address)
        if cube_id is None:
            return None
        try:
            return self._namespace.get(cube_id)
        except CubeNotFoundError:
            with self._lock:
                self._known.pop(address, None)
            return None

    def _learn(self, address: str, cube_id: str) -> None:
        with self._lock:
            self._known[address] = cube_id
            self._known.move_to_end(address)
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)

    def _stored(self, cube: MemCube) -> Stored | None:
        """The item of a cube; None if it is no item, or not yet whole."""
        try:
            item = value_of(self._namespace, cube, items.NAME)
        except KeyError:
            return None
        return items.Stored(
            cube=cube, namespace=tuple(item["namespace"]), key=item["key"], value=item["value"],
            created_at=datetime.fromisoformat(item["created_at"]),
            updated_at=datetime.fromisoformat(item["updated_at"]), ttl_minutes=item["ttl"],
        )  # fmt: skip

    def _used(self, stored: Iterable[Stored]) -> None:
        """Prolong the life of what was read, where a good part of it is over."""
        now = from_us(self._clock.now_us())
        for each in stored:
            ends = each.cube.expires_at
            if each.ttl_minutes is None or ends is None:
                continue
            whole = timedelta(minutes=each.ttl_minutes)
            if now + whole - ends >= whole * _FRESH:
                try:
                    self._namespace.update(each.cube.id, expires_at=now + whole)
                except (CubeNotFoundError, ForbiddenError, FrozenCubeError):
                    continue  # gone meanwhile, or not ours to change: it was read all the same

    # -- writing

    def _put(self, puts: Sequence[PutOp]) -> None:
        if not puts:
            return
        with self._lock:
            found = self._look_up((op.namespace, op.key) for op in puts)
            written = [(op, found.get(items.address_of(op.namespace, op.key), [])) for op in puts]
            kept = [
                (op, cubes, self._parts(op, cubes)) for op, cubes in written if op.value is not None
            ]
            gone = [cube.id for op, cubes in written if op.value is None for cube in cubes]
            self._add([(op, parts) for op, cubes, parts in kept if not cubes])
            for op, cubes, parts in kept:
                if cubes:
                    self._update(op, cubes[0], parts)
                    gone += [cube.id for cube in cubes[1:]]
            delete(self._namespace, gone, self._deletes)

    def _parts(self, op: PutOp, cubes: Sequence[MemCube]) -> _Parts:
        now = from_us(self._clock.now_us()).isoformat()
        before = self._stored(cubes[0]) if cubes else None
        value = json.loads(json_of(dict(op.value or {})))
        paths = () if op.index is False else op.index or self._fields
        read = items.text_of(value, paths)
        text = text_for(read, text_for(op.key, "(an item)"))
        item = {
            "namespace": list(op.namespace), "key": op.key, "value": value, "ttl": op.ttl,
            "created_at": before.created_at.isoformat() if before else now, "updated_at": now,
        }  # fmt: skip
        return text, items.parts_of_item(item, text=text, searched=bool(read))

    def _add(self, new: Sequence[tuple[PutOp, _Parts]]) -> None:
        rows = [
            {
                "content": text, "session": items.address_of(op.namespace, op.key),
                "type": items.TYPE, "role": "assistant", "metadata": parts[0], "infer": "none",
                "idempotency_key": uuid.uuid4().hex, "expires_at": self._end(op.ttl),
            }
            for op, (text, parts) in new
        ]  # fmt: skip
        if not rows:
            return
        report = self._namespace.add_many(rows)
        for (op, (_, parts)), status in zip(new, report.items, strict=True):
            for cube_id in status.ids:
                write_parts(self._namespace, cube_id, parts)
                self._learn(items.address_of(op.namespace, op.key), cube_id)
        if report.refused:
            raise InvalidInputError(f"an item cannot be kept: {report.refused[0].error}")

    def _update(self, op: PutOp, cube: MemCube, new: _Parts) -> None:
        text, parts = new
        ends = self._end(op.ttl)
        if ends is None and cube.expires_at is not None:
            ends = _NEVER  # None would leave the old one as it is
        changed = text if text != cube.text else None
        self._namespace.update(cube.id, text=changed, metadata=parts[0], expires_at=ends)
        write_parts(self._namespace, cube.id, parts)

    def _end(self, ttl_minutes: float | None) -> datetime | None:
        if ttl_minutes is None:
            return None
        try:
            return from_us(self._clock.now_us()) + timedelta(minutes=ttl_minutes)
        except (OverflowError, ValueError) as error:
            raise InvalidInputError(
                f"no item lives {ttl_minutes!r} minutes; None: for ever"
            ) from error


_Parts = tuple[str, list[dict[str, Any]]]  # a text, and the metadata of each version to write


def _matches(match: MatchCondition, namespace: tuple[str, ...]) -> bool:
    """Whether a namespace begins, or ends, as a pattern says; "*" is any label."""
    path = match.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if match.match_type == "prefix" else namespace[-len(path) :]
    return not path or all(wanted in {"*", label} for label, wanted in zip(part, path, strict=True))
