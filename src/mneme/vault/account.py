"""What language models cost, kept in the store: a restart forgets no money that was spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.rows import Spent

if TYPE_CHECKING:
    from mneme.core.store import Store


class StoreAccount:
    """The account of a store, by kind of work; every entry is durable before `spend` returns."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spend(self, job: str, spent: Spent) -> None:
        """Add what a call cost."""
        with self._store.write() as tx:
            tx.written.spend(job, spent)

    def spent(self, job: str) -> Spent:
        """What a kind of work cost so far."""
        with self._store.read() as tx:
            return tx.written.spent().get(job, Spent())
