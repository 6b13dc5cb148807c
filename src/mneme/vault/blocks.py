"""Activation cubes: what was computed of texts, as cubes that hold blocks.

Rows, names and bytes only; what a block says to a model is known elsewhere. A cube and the rows of
its blocks are one transaction, so that what a text loses, its blocks lose at once.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.errors import (
    CubeNotFoundError,
    FrozenCubeError,
    InvalidInputError,
    VersionConflictError,
)
from mneme.core.lifecycle import SEARCHED, State
from mneme.core.rows import Selection, VersionRow
from mneme.vault import sweep
from mneme.vault.carried import is_true, source_ids
from mneme.vault.carrier import CarrierWriter, facts_made
from mneme.vault.stale import (
    ACTIVATION,
    DEMOTED,
    REFUSED,
    ended,
    enqueue_making,
    enqueue_sweep,
    facts_of,
    has_ended,
    making_name,
    release,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mneme.core.rows import BlockRow
    from mneme.core.store import Transaction
    from mneme.vault.draft import Prefilled
    from mneme.vault.life import Lives
    from mneme.vault.parts import Parts

_IN_USE = tuple(state.value for state in SEARCHED)


class Carrier(NamedTuple):
    """An activation cube that may stand for its sources.

    source_ids: In the order of the prompt.
    blocks: How many it holds; 0 where they went to make room, or the store is a snapshot.
    bytes: Of their files.
    """

    row: VersionRow
    source_ids: tuple[str, ...]
    form: str
    tokens: int
    blocks: int
    bytes: int


class Matching:
    """The blocks of one namespace and engine that reads may show, in one state of the store."""

    def __init__(self, tx: Transaction, ns: int | None, engine: str, now: int) -> None:
        self._tx, self._ns, self._engine, self._now = tx, ns, engine, now

    def of_keys(self, keys: Iterable[bytes]) -> list[BlockRow]:
        """The blocks of these keys, in all forms, by start."""
        if self._ns is None:
            return []
        return self._tx.blocks.of_keys(self._ns, self._engine, keys, self._now)

    def children(self, parent: bytes) -> list[BlockRow]:
        """The blocks that follow one."""
        if self._ns is None:
            return []
        return self._tx.blocks.children(self._ns, self._engine, parent, self._now)


class Blocks:
    """Keeps, finds and lets go of blocks and of the activation cubes that hold them."""

    def __init__(self, parts: Parts, lives: Lives) -> None:
        self._parts, self._lives = parts, lives
        self._writer = CarrierWriter(parts, lives)

    # -- writing

    def expect(self, names: Sequence[str]) -> None:
        """Say that files of these names are about to be put, before they are.

        If their rows do not follow within ten minutes, they are removed, whoever is there then.
        """
        sweep.expect(self._parts, names)

    def keep(
        self, path: str, header: Prefilled, rows: Sequence[BlockRow]
    ) -> tuple[VersionRow, str]:
        """Have a cube hold blocks whose files are there; durable when it returns.

        There is one cube for the same sources, engine and form: it gets its next version, unless
        nothing but its blocks is new. It holds these blocks then and no others.

        Raises:
            CubeNotFoundError: A source is not readable; nothing is kept, the files go.
            VersionConflictError: The text of a source was changed since; likewise.
            FrozenCubeError: The cube is frozen; likewise.
        """
        facts = facts_made(header, len(rows), sum(row.size for row in rows))
        try:
            with self._parts.store.write() as tx:
                row, text = self._writer.write(tx, path, header, State.ACTIVATED, facts)
                sweep.note_places(tx, self._parts)
                namespace = tx.cubes.touch_namespace(path)
                tx.blocks.add(namespace.number, row.key, self._dated(rows))
                release(tx, self._parts, row.key, tuple(each.name for each in rows))
        except (CubeNotFoundError, VersionConflictError, FrozenCubeError, InvalidInputError):
            self._discard([each.name for each in rows])
            raise
        return row, text

    def promise(self, path: str, header: Prefilled) -> tuple[VersionRow, str]:
        """Write the cube before its blocks, in state "generated", and the job that makes them.

        A cube that is in use already stays as it is.

        Raises:
            CubeNotFoundError: A source is not readable.
            VersionConflictError: The text of a source was changed since.
        """
        with self._parts.store.write() as tx:
            known = self._writer.same(tx, path, header)
            if known is not None and known.state in _IN_USE and not has_ended(known):
                return known, tx.cubes.body(known.key, known.text_version)[0]
            facts = facts_made(header, 0, 0)
            row, text = self._writer.write(tx, path, header, State.GENERATED, facts)
            enqueue_making(tx, self._parts, path, row)
            return row, text

    def _dated(self, rows: Sequence[BlockRow]) -> list[BlockRow]:
        """New blocks count as used now: else they would be the first to make room."""
        now = self._parts.clock.now_us()
        return [row if row.number else row._replace(used_at=now) for row in rows]

    def refuse(self, path: str, cube_id: str, why: str) -> tuple[VersionRow, str]:
        """Archive a cube that was not proven to say what its sources say; its blocks go."""
        return self._ended(path, cube_id, REFUSED, why)

    def demote(self, path: str, cube_id: str) -> tuple[VersionRow, str]:
        """Archive a carrier at its user's wish; its blocks go at once, the text stays.

        Raises:
            CubeNotFoundError: No readable cube of that id.
            InvalidInputError: It is no activation cube.
            FrozenCubeError: It is frozen, or held.
        """
        return self._ended(path, cube_id, DEMOTED, True)

    def drop(self, numbers: Iterable[int]) -> None:
        """Delete blocks that are damaged or missing, and their files."""
        with self._parts.store.write() as tx:
            tx.blocks.drop(numbers)
            enqueue_sweep(tx, self._parts.clock.now_us())
        self.sweep()

    def make_room(
        self,
        wanted_bytes: int,
        budget: int,
        order: Callable[[list[BlockRow]], list[BlockRow]],
    ) -> bool:
        """Drop blocks until this many more bytes fit; their files are gone when it returns.

        Args:
            wanted_bytes: Of files that are to be put.
            budget: Most bytes of all files of blocks.
            order: Sorts blocks, those that go first in front.

        Returns:
            False if they never fit; then nothing was dropped.
        """
        if wanted_bytes > budget:
            return False
        with self._parts.store.read() as tx:
            over = tx.blocks.total_bytes() + wanted_bytes - budget
        if over <= 0:
            return True
        with self._parts.store.write() as tx:
            over = tx.blocks.total_bytes() + wanted_bytes - budget
            numbers = []
            for row in order(tx.blocks.all()):
                if over <= 0:
                    break
                numbers.append(row.number)
                over -= row.size
            tx.blocks.drop(numbers)
            enqueue_sweep(tx, self._parts.clock.now_us())
        self.sweep()
        return True

    # -- finding

    def carriers(self, path: str, engine: str, now: int | None = None) -> list[Carrier]:
        """The activation cubes of an engine that may be used, in order of writing.

        All their sources are visible, not archived, in force, at the text that was computed, and
        not such as are given on request alone.
        """
        now = self._parts.clock.now_us() if now is None else now
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            if known is None:
                return []
            selection = Selection(kinds=(ACTIVATION,), states=_IN_USE, now=now)
            rows = tx.cubes.select(known.number, selection)
            return [
                _carrier(tx, row)
                for row in rows
                if row.model == engine
                and not has_ended(row)
                and is_true(tx, known.number, row, now)
            ]

    @contextmanager
    def matching(self, path: str, engine: str) -> Iterator[Matching]:
        """The blocks that a prompt may begin with; none in a namespace that is not there."""
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            now = self._parts.clock.now_us()
            yield Matching(tx, known.number if known else None, engine, now)

    def header_of(self, path: str, cube_id: str) -> tuple[VersionRow, tuple[str, ...], str]:
        """An activation cube, the ids of its sources in order, and its form: for its job.

        Raises:
            CubeNotFoundError: No readable cube of that id.
            InvalidInputError: It is no activation cube.
        """
        with self._parts.store.read() as tx:
            row = self._activation(tx, path, cube_id)
        return row, source_ids(row), str(facts_of(row).get("form", ""))

    def drops(self) -> int:
        """A counter that rises whenever a block goes, in any process."""
        with self._parts.store.read() as tx:
            return tx.blocks.drops()

    def present(self, names: Iterable[str]) -> set[str]:
        """Those of the names that belong to a block."""
        with self._parts.store.read() as tx:
            return tx.blocks.present(names)

    # -- files

    def sweep(self) -> tuple[str, ...]:
        """Remove files of blocks that went; the names of places that were not reached."""
        return sweep.sweep(self._parts)

    def tidy(self) -> None:
        """On opening a store: remove what a crash left, as far as that keeps nobody waiting."""
        sweep.sweep(self._parts, nearest=True)
        sweep.look_daily(self._parts)

    def _discard(self, names: Sequence[str]) -> None:
        """Remove files that were put and get no row."""
        if not names:
            return
        now = self._parts.clock.now_us()
        with self._parts.store.write() as tx:
            tx.outbox.doom(set(names) - tx.blocks.present(names), now)
            enqueue_sweep(tx, now)
        self.sweep()

    # -- within

    def _ended(self, path: str, cube_id: str, why: str, detail: object) -> tuple[VersionRow, str]:
        with self._parts.store.write() as tx:
            row = self._activation(tx, path, cube_id)
            if why == DEMOTED and (row.hold or row.state == State.FROZEN):
                raise FrozenCubeError(cube_id, "demote", "held" if row.hold else "frozen")
            namespace = tx.cubes.touch_namespace(path)
            release(tx, self._parts, row.key)
            tx.ledger.drop_waiting(making_name(path, row))
            verb = "demote" if why == DEMOTED else "refuse"
            row = self._lives.write(tx, path, namespace, ended(row, why, detail), verb)
        self.sweep()
        return row, ""

    def _activation(self, tx: Transaction, path: str, cube_id: str) -> VersionRow:
        row = self._lives.readable(tx, path, cube_id)
        if row.kind != ACTIVATION:
            raise InvalidInputError(f"cube {cube_id!r} is {row.kind}, not an activation cube")
        return row


def _carrier(tx: Transaction, row: VersionRow) -> Carrier:
    facts = facts_of(row)
    count, size = tx.blocks.held(row.key)
    form, tokens = str(facts.get("form", "")), int(facts.get("tokens", 0))
    return Carrier(row, source_ids(row), form, tokens, count, size)
