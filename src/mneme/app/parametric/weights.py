"""The shards of one engine in this process: in memory, in slots, and on while it answers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mneme.app.parametric.beside import Beside
from mneme.app.parametric.routing import Routes
from mneme.core.errors import StoreCorruptError
from mneme.memories.parametric.adapter import base_of
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mneme.app.parametric.settings import AdapterSettings
    from mneme.core.engine import Engine, Session
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.phrasings import Bank
    from mneme.memories.parametric.shelf import Shelf
    from mneme.vault.adapters import Shard
    from mneme.vault.vault import Vault

_IN_SLOTS = "lora"  # the carrier that slots hold
_NARROWEST = 1  # rank of slots at first; a shard of a higher one makes them wider


class Weights(Routes):
    """Shards of one store for one engine.

    Args:
        vault: Has their rows and files.
        engine: The base.
        settings: Of slots and memory.
        bank: How relations are asked for.
    """

    def __init__(self, vault: Vault, engine: Engine, settings: AdapterSettings, bank: Bank) -> None:
        super().__init__(vault, base_of(engine.fields), bank)
        self.engine, self._settings = engine, settings
        self._shelf: Shelf | None = None
        self._beside = Beside(engine, self._load)
        self._places: dict[str, tuple[str, str, int]] = {}  # digest -> path, cube, version

    @property
    def shelf(self) -> Shelf:
        """The shards in memory and in slots; slots are made when a shard is first used."""
        from mneme.memories.parametric.shelf import Shelf
        from mneme.memories.parametric.slots import Slots

        with self._lock:
            if self._shelf is None:
                slots = Slots(self.engine, _NARROWEST, count=self._settings.slots)
                self._shelf = Shelf(
                    self.engine, slots, self._load, host_bytes=self._settings.host_bytes
                )
            return self._shelf

    @property
    def capacity(self) -> int:
        """The most different shards of one batch."""
        return self._settings.slots

    def in_slots(self, path: str, shard: Shard) -> bool:
        """Whether a shard is of the kind that slots hold; then it may be named in a batch."""
        with self._lock:
            self._places[shard.digest] = (path, shard.row.id, shard.row.version)
        return bool(facts_of(shard.row).get("carrier") == _IN_SLOTS)

    @contextmanager
    def switched(self, digests: Sequence[str | None]) -> Iterator[None]:
        """While it is open, row i of a batch runs with a shard, or as the base."""
        if any(digests):
            with self.shelf.using(digests):
                yield
        else:
            with self.engine.lock:
                yield

    def session(self, path: str, shard: Shard) -> Session:
        """A prompt that is read and answered with a shard on.

        Raises:
            StoreCorruptError: Its files are missing or damaged.
        """
        if self.in_slots(path, shard):
            return self.shelf.session(shard.digest)
        return self._beside.session(shard.digest)

    def let_go(self, path: str = "") -> bool:
        if not super().let_go(path):
            return False
        present = self._vault.adapters.present
        if self._shelf is not None:
            self._shelf.let_go(present)
        self._beside.let_go(present)
        with self._lock:
            for digest in set(self._places) - present(self._places):
                del self._places[digest]
        return True

    def bytes(self) -> int:
        """Bytes of shards in memory, beside the slots."""
        return 0 if self._shelf is None else self._shelf.bytes()

    def close(self) -> None:
        """Take the hooks off the model, and let go of all."""
        self._beside.close()
        if self._shelf is not None:
            self._shelf.close()

    def _load(self, digest: str) -> Adapter:
        with self._lock:
            known = self._places.get(digest)
        if known is None:  # it went this moment
            raise StoreCorruptError("an adapter is asked for that no shard holds any longer")
        path, cube_id, version = known
        return self.unpacked(path, cube_id, version).adapter
