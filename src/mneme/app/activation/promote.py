"""What is promoted together, built now or by a job."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mneme.app.activation.keep import COMPOSED, is_composed
from mneme.core.errors import (
    BackendUnavailableError,
    CubeNotFoundError,
    GateFailedError,
    InvalidInputError,
)
from mneme.core.lifecycle import State
from mneme.transform.text_to_kv import order_of
from mneme.vault.codec import sources_of
from mneme.vault.draft import Prefilled
from mneme.vault.read import LISTED
from mneme.vault.stale import PREFILL, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mneme.app.activation.engines import Attached, Engines
    from mneme.core.cube import MemCube
    from mneme.core.rows import Condition, JobRow
    from mneme.transform.text_to_kv import Order, Prefiller
    from mneme.vault.vault import Vault

    Handler = Callable[[JobRow], None]

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
        )
        row, text = vault.blocks.promise(path, header)
        return vault.reader.show(path, row, text)


def groups_of(
    vault: Vault, path: str, ids: Sequence[str] | None, conditions: tuple[Condition, ...]
) -> list[list[str]]:
    """Ids of what becomes one activation cube each.

    A document stands alone, without the sections that were cut from it where it is whole among the
    targets; everything else is put together.

    Raises:
        CubeNotFoundError: One of the ids is not readable.
        InvalidInputError: One of them is no plaintext.
    """
    with vault.parts.store.read() as tx:
        known = tx.cubes.namespace(path)
        if ids is None:
            found = vault.lives.selected(tx, known, conditions, LISTED)
            rows = [row for row in found if row.kind == "plaintext"]
        else:
            rows = [vault.lives.readable(tx, path, cube_id) for cube_id in dict.fromkeys(ids)]
    for row in rows:
        if row.kind != "plaintext":
            raise InvalidInputError(f"cube {row.id!r} is {row.kind}; promote its source")
    wholes = {row.id for row in rows}
    rows = [
        row
        for row in rows
        if row.method != "section" or not wholes & {s.cube_id for s in sources_of(row)}
    ]
    documents = [[row.id] for row in rows if row.type == "document"]
    others = [row.id for row in rows if row.type != "document"]
    return [*documents, *([others] if others else [])]


def prefilling(vault: Vault, engines: Engines) -> Handler:
    """The handler of jobs that build what an edit made stale, or what was promised."""

    def prefill(job: JobRow) -> None:
        told = json.loads(job.payload)
        path, cube_id = told["namespace"], told["cube"]
        try:
            row, ids, form = vault.blocks.header_of(path, cube_id)
        except CubeNotFoundError:
            return  # forgotten or erased meanwhile
        if row.state not in {State.GENERATED, State.ARCHIVED} or row.model is None:
            return
        attached = engines.find(row.model)
        if attached is None:
            raise BackendUnavailableError("the engine of this activation cube is not attached")
        extra = {COMPOSED: facts_of(row)[COMPOSED]} if is_composed(row) else {}
        promoter = Promoter(vault, attached, engines.prefiller(attached))
        try:
            promoter.build(path, ids, order_of(form), extra)
        except (GateFailedError, InvalidInputError) as error:  # another try would say the same
            vault.blocks.refuse(path, cube_id, error.message)
        except CubeNotFoundError:
            return  # a source went: so did the cube

    return prefill


def hurry(vault: Vault, fingerprint: str) -> None:
    """Have what waits for an engine built now, since it is there."""
    now = vault.parts.clock.now_us()
    with vault.parts.store.read() as tx:
        waiting = [job for job in tx.ledger.jobs() if job.kind == PREFILL and job.due_at > now]
    for job in waiting:
        told = json.loads(job.payload)
        try:
            row, _, _ = vault.blocks.header_of(told["namespace"], told["cube"])
        except CubeNotFoundError:
            continue
        if row.model == fingerprint:
            with vault.parts.store.write() as tx:
                tx.ledger.enqueue(PREFILL, job.unique_key, job.payload, now)
