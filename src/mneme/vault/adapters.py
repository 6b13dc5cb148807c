"""Parametric cubes: what was written into weights from texts, as cubes that hold files.

Rows, names and bytes only; what an adapter says to a model is known elsewhere. A version and the
rows of its files are one transaction. Files of earlier versions stay, for a rollback, until an
erasure or the user takes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.errors import (
    BackendUnavailableError,
    CubeNotFoundError,
    FrozenCubeError,
    InvalidInputError,
    VersionConflictError,
)
from mneme.core.lifecycle import State
from mneme.core.rows import is_adapter_file
from mneme.govern.retention import is_hidden
from mneme.vault import sweep
from mneme.vault.adapter_files import check_files
from mneme.vault.adapter_writer import AdapterWriter, in_use, shards_of, wanted_ids
from mneme.vault.carried import source_ids, still_says
from mneme.vault.codec import sources_of
from mneme.vault.stale import (
    DEMOTED,
    PROMISED,
    REFUSED,
    ended,
    enqueue_sweep,
    facts_of,
    making_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mneme.core.rows import AdapterFile, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.draft import Tuned
    from mneme.vault.life import Lives
    from mneme.vault.parts import Parts

_REFUSALS = (
    BackendUnavailableError,
    CubeNotFoundError,
    FrozenCubeError,
    InvalidInputError,
    VersionConflictError,
)


class Shard(NamedTuple):
    """A parametric cube that may be used.

    Attributes:
        row: Its current version.
        number: The shard's, within its namespace.
        digest: Names its files.
        source_ids: In the order of the ledger.
    """

    row: VersionRow
    number: int
    digest: str
    source_ids: tuple[str, ...]


class Adapters:
    """Keeps, finds and lets go of parametric cubes and of the files that they hold."""

    def __init__(self, parts: Parts, lives: Lives) -> None:
        self._parts, self._lives = parts, lives
        self._writer = AdapterWriter(parts, lives)

    # -- writing

    def expect(self, names: Sequence[str]) -> None:
        """Say that files of these names are about to be put, before they are.

        If their rows do not follow within ten minutes, they are removed, whoever is there then.
        """
        sweep.expect(self._parts, names)

    def promise(self, path: str, header: Tuned) -> tuple[VersionRow, str]:
        """Write a cube before its adapter, and the job that writes that; with its (empty) text.

        A new cube is in state "generated". One that is in use already (`header.cube_id`) stays in
        use as it is; its job finds the new sources by `header_of`.

        Raises:
            CubeNotFoundError: A source, or the cube, is not readable.
            VersionConflictError: The text of a source was changed since it was read.
            FrozenCubeError: The cube is frozen.
            InvalidInputError: There is no source, or the cube was demoted.
        """
        with self._parts.store.write() as tx:
            return self._writer.promise(tx, path, header), ""

    def keep(
        self, path: str, header: Tuned, files: Sequence[AdapterFile]
    ) -> tuple[VersionRow, str]:
        """Have a cube hold an adapter whose files are there; durable when it returns.

        It is a new cube with the next free number, or the next version of `header.cube_id`.

        Raises:
            CubeNotFoundError: A source, or the cube, is not readable; nothing is kept, the files
                go.
            VersionConflictError: The text of a source was changed since it was read; likewise.
            FrozenCubeError: The cube is frozen; likewise.
            InvalidInputError: The files are not those of one digest; likewise.
            BackendUnavailableError: They are not there; likewise.
        """
        try:
            with self._parts.store.write() as tx:
                check_files(self._parts.adapters, header.digest, files)
                size = sum(file.size for file in files)
                row = self._writer.write(tx, path, header, State.ACTIVATED, size=size)
                tx.adapters.add(row.key, row.version, files)
                tx.ledger.drop_waiting(making_name(path, row))
        except _REFUSALS:
            self._discard([each.name for each in files])
            raise
        return row, ""

    def refuse(
        self, path: str, what: str | Tuned, why: str, extra: Mapping[str, Any] | None = None
    ) -> tuple[VersionRow, str]:
        """Archive a shard that was not proven; what it was to say stays text.

        That version holds no files; earlier ones keep theirs. A shard that is in use, and was
        promised further facts, stays in use without them ("not_added" in its metadata says why).

        Args:
            path: Of the namespace.
            what: The id of a cube that was promised; or what a cube says of itself.
            why: Goes into its metadata as "refused".
            extra: Likewise: the gate's figures.

        Raises:
            CubeNotFoundError: No readable cube of that id, or a source is not readable.
            InvalidInputError: It is no parametric cube.
        """
        told = {**(extra or {}), REFUSED: why}
        with self._parts.store.write() as tx:
            if not isinstance(what, str) and what.cube_id is None:
                header = replace(what, digest="", extra={**what.extra, **told})
                return self._writer.write(tx, path, header, State.ARCHIVED, size=0), ""
            cube_id = what if isinstance(what, str) else str(what.cube_id)
            row = self._writer.parametric(tx, path, cube_id)
            tx.ledger.drop_waiting(making_name(path, row))
            if in_use(row) and PROMISED in facts_of(row):
                return self._writer.unpromise(tx, path, row, told), ""
            return self._end(tx, path, row, (REFUSED, why), extra), ""

    def demote(self, path: str, cube_id: str) -> tuple[VersionRow, str]:
        """Archive a shard at its user's wish; all its files go at once, the texts stay.

        Raises:
            CubeNotFoundError: No readable cube of that id.
            InvalidInputError: It is no parametric cube.
            FrozenCubeError: It is frozen, or held.
        """
        with self._parts.store.write() as tx:
            row = self._writer.parametric(tx, path, cube_id)
            if row.hold or row.state == State.FROZEN:
                raise FrozenCubeError(cube_id, "demote", "held" if row.hold else "frozen")
            row = self._end(tx, path, row, (DEMOTED, True))
            if tx.adapters.release(row.key):
                enqueue_sweep(tx, self._parts.clock.now_us())
        self.sweep()
        return row, ""

    # -- finding

    def shards(self, path: str, base: str) -> list[Shard]:
        """The shards of a base that may be used, in order of writing.

        Not each of their facts may still be said: see `holds`.
        """
        now = self._parts.clock.now_us()
        with self._parts.store.read() as tx:
            rows = shards_of(tx, tx.cubes.namespace(path))
        shown = [row for row in rows if row.model == base and not is_hidden(row, now)]
        return [_shard(row) for row in shown if in_use(row)]

    def holds(self, path: str, shard: VersionRow, cube_ids: Iterable[str]) -> set[str]:
        """Those of a shard's sources that may still be said, unasked, as they were written.

        They are visible, in force, not archived, their texts unchanged. None, if the shard itself
        is not used any longer, or holds another adapter by now.
        """
        wanted, now = set(cube_ids), self._parts.clock.now_us()
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            row = tx.cubes.current(known.number, shard.id) if known else None
            if known is None or row is None or is_hidden(row, now) or not in_use(row):
                return set()
            if facts_of(row)["digest"] != facts_of(shard)["digest"]:
                return set()
            return {
                span.cube_id
                for span in sources_of(shard)
                if span.cube_id in wanted and still_says(tx, known.number, span, now)
            }

    def header_of(
        self, path: str, cube_id: str
    ) -> tuple[VersionRow, tuple[str, ...], dict[str, Any]]:
        """A parametric cube, the ids of what its job is to write it from, and its metadata.

        Sources that are not readable any longer are left out.

        Raises:
            CubeNotFoundError: No readable cube of that id.
            InvalidInputError: It is no parametric cube.
        """
        now = self._parts.clock.now_us()
        with self._parts.store.read() as tx:
            row = self._writer.parametric(tx, path, cube_id)
            known = tx.cubes.namespace(path)
            found = [tx.cubes.current(known.number, i) for i in wanted_ids(row)] if known else []
        ids = tuple(each.id for each in found if each is not None and not is_hidden(each, now))
        return row, ids, facts_of(row)

    def files_of(
        self, path: str, cube_id: str, version: int | None = None
    ) -> tuple[str, list[AdapterFile]]:
        """The digest of a version, and its files; ("", []) for one that holds none.

        Args:
            path: Of the namespace.
            cube_id: A parametric cube.
            version: None: the current one.

        Raises:
            CubeNotFoundError: No readable cube of that id, or not that version of it.
            InvalidInputError: It is no parametric cube.
        """
        with self._parts.store.read() as tx:
            row = self._writer.parametric(tx, path, cube_id)
            if version is not None and version != row.version:
                found = tx.cubes.version_at(row.key, version)
                if found is None:
                    raise CubeNotFoundError(cube_id, path)
                row = found[1]
            digest = str(facts_of(row)["digest"])
            files = tx.adapters.of_digest(row.key, digest) if digest else []
        return (digest, files) if files else ("", [])

    def present(self, digests: Iterable[str]) -> set[str]:
        """Those of the digests that name files of any version."""
        with self._parts.store.read() as tx:
            return tx.adapters.digests(digests)

    def drops(self) -> int:
        """A counter that rises whenever a cube lets go of files, in any process."""
        with self._parts.store.read() as tx:
            return tx.adapters.drops()

    def seq(self, path: str) -> int:
        """A counter that rises with every change in a namespace; 0 where there was none."""
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
        return known.seq if known else 0

    # -- files

    def sweep(self) -> tuple[str, ...]:
        """Remove files that went; the names of places that were not reached."""
        return sweep.sweep(self._parts)

    def _discard(self, names: Sequence[str]) -> None:
        """Remove files that were put and get no row."""
        names = [name for name in names if is_adapter_file(name)]
        if not names:
            return
        now = self._parts.clock.now_us()
        with self._parts.store.write() as tx:
            tx.outbox.doom(set(names) - tx.adapters.present(names), now)
            enqueue_sweep(tx, now)
        self.sweep()

    # -- within

    def _end(
        self,
        tx: Transaction,
        path: str,
        row: VersionRow,
        why: tuple[str, object],
        extra: Mapping[str, Any] | None = None,
    ) -> VersionRow:
        tx.ledger.drop_waiting(making_name(path, row))
        verb = "demote" if why[0] == DEMOTED else "refuse"
        row = ended(row, *why, extra)
        return self._lives.write(tx, path, tx.cubes.touch_namespace(path), row, verb)


def _shard(row: VersionRow) -> Shard:
    facts = facts_of(row)
    return Shard(row, int(facts["shard"]), str(facts["digest"]), source_ids(row))
