"""What is promoted together, built now or by a job."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mneme.core.errors import (
    InvalidInputError,
)
from mneme.vault.codec import sources_of
from mneme.vault.draft import Prefilled
from mneme.vault.read import LISTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.app.activation.attached import Attached
    from mneme.core.cube import MemCube
    from mneme.core.rows import Condition, VersionRow
    from mneme.transform.text_to_kv import Order, Prefiller
    from mneme.vault.vault import Vault


_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class Promoter:
    """Promotes cubes of a store for one engine."""

    def __init__(self, vault: Vault, attached: Attached, prefiller: Prefiller) -> None:
        self._vault, self._attached, self._prefiller = vault, attached, prefiller

    def build(
        self, path: str, ids: Sequence[str], order: Order, extra: Mapping[str, object] = _NOTHING
    ) -> MemCube:
        """Build one activation cube now; who asks for the same waits for the one build."""
        key = "\n".join((self._attached.engine.fingerprint, path, order.form, *ids))
        row, text = self._attached.builders.once(
            key, lambda: self._prefiller.build(path, ids, order, extra)
        )
        return self._vault.reader.show(path, row, text)

    def promise(self, path: str, ids: Sequence[str], order: Order) -> MemCube:
        """Write one activation cube that a job builds."""
        vault = self._vault
        with vault.parts.store.read() as tx:
            rows = [vault.lives.readable(tx, path, cube_id) for cube_id in ids]
        header = Prefilled(
            sources=tuple((row.id, row.version) for row in rows),
            engine=self._attached.engine.fingerprint,
            form=order.form,
            tokens=0,
            extra={"sentences": order.sentences},
        )
        row, text = vault.blocks.promise(path, header)
        return vault.reader.show(path, row, text)


def groups_of(
    vault: Vault,
    path: str,
    ids: Sequence[str] | None,
    conditions: tuple[Condition, ...],
    *,
    episodes: bool = False,
) -> list[list[str]]:
    """Ids of what becomes one activation cube each.

    A document stands alone, without the sections that were cut from it where it is whole among the
    targets; everything else is put together, or cut into episodes.

    Raises:
        CubeNotFoundError: One of the ids is not readable.
        InvalidInputError: One of them is no plaintext.
    """
    rows = _without_own_sections(targets_of(vault, path, ids, conditions))
    documents = [[row.id] for row in rows if row.type == "document"]
    others = [row for row in rows if row.type != "document"]
    if episodes:
        return [*documents, *_episodes(vault, others)]
    return [*documents, *([[row.id for row in others]] if others else [])]


def targets_of(
    vault: Vault, path: str, ids: Sequence[str] | None, conditions: tuple[Condition, ...]
) -> list[VersionRow]:
    """The plaintext cubes that are to be promoted.

    Raises:
        CubeNotFoundError: One of the ids is not readable.
        InvalidInputError: One of them is no plaintext.
    """
    with vault.parts.store.read() as tx:
        known = tx.cubes.namespace(path)
        if ids is None:
            found = vault.lives.selected(tx, known, conditions, LISTED)
            return [row for row in found if row.kind == "plaintext"]
        rows = [vault.lives.readable(tx, path, cube_id) for cube_id in dict.fromkeys(ids)]
    for row in rows:
        if row.kind != "plaintext":
            raise InvalidInputError(f"cube {row.id!r} is {row.kind}; promote its source")
    return rows


def _without_own_sections(rows: Sequence[VersionRow]) -> list[VersionRow]:
    wholes = {row.id for row in rows}
    return [
        row
        for row in rows
        if row.method != "section" or not wholes & {s.cube_id for s in sources_of(row)}
    ]


def _episodes(vault: Vault, rows: Sequence[VersionRow]) -> list[list[str]]:
    """Turns by episodes: cut where the conversation paused, or where its topic changed."""
    if not rows:
        return []
    from mneme.memories.activation.episodes import cut_episodes

    rows = sorted(rows, key=lambda row: (_when(row), row.key))
    with vault.parts.store.read() as tx:
        bodies = [tx.cubes.body(row.key, row.text_version)[0] for row in rows]
    vectors = vault.parts.embedding.make(bodies)
    alike = [[1.0]] * len(rows)  # no embedder: pauses alone
    runs = cut_episodes(alike if vectors is None else vectors, [_when(row) / 1e6 for row in rows])
    return [[rows[number].id for number in run] for run in runs]


def _when(row: VersionRow) -> int:
    return row.recorded_at if row.event_at is None else row.event_at
