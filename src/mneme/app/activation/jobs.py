"""The job that builds keys and values: what was promised, and what an edit made stale."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mneme.app.activation.composed import COMPOSED, is_composed
from mneme.app.activation.promote import Promoter
from mneme.app.activation.remote import PINNED
from mneme.core.errors import (
    BackendUnavailableError,
    CubeNotFoundError,
    GateFailedError,
    InvalidInputError,
)
from mneme.transform.text_to_kv import Order, order_of
from mneme.vault.stale import PREFILL, facts_of, is_to_build

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.app.activation.engines import Engines
    from mneme.core.rows import JobRow
    from mneme.vault.vault import Vault

    Handler = Callable[[JobRow], None]


def prefilling(vault: Vault, engines: Engines) -> Handler:
    """The handler of jobs that build what an edit made stale, or what was promised."""

    def prefill(job: JobRow) -> None:
        told = json.loads(job.payload)
        path, cube_id = told["namespace"], told["cube"]
        try:
            row, ids, form = vault.blocks.header_of(path, cube_id)
        except CubeNotFoundError:
            return  # forgotten or erased meanwhile
        if not is_to_build(row) or row.model is None:
            return
        if form == PINNED:
            engines.pins(row.model).build(path, ids, Order())
            return
        attached = engines.find(row.model)
        if attached is None:
            raise BackendUnavailableError("the engine of this activation cube is not attached")
        extra = {COMPOSED: facts_of(row)[COMPOSED]} if is_composed(row) else {}
        sentences = bool(facts_of(row).get("sentences"))
        promoter = Promoter(vault, attached, engines.prefiller(attached))
        try:
            promoter.build(path, ids, order_of(form, sentences=sentences), extra)
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
