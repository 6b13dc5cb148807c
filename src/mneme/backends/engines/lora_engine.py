"""A server's model that wears adapters: their files lie where the server sees them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from mneme.backends.engines.lora_server import LoraServer
from mneme.backends.engines.remote import OpenAIEngine
from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.engine import RemoteAdapters, RemoteEngine

_DIGEST = re.compile(r"[0-9a-f]{64}")


class LoraEngine(OpenAIEngine):
    """An `OpenAIEngine` whose server takes adapters while it runs.

    Args:
        model: The model's name, as the server knows it.
        adapters: Its adapters.
        url: The server's address.
        key: Its key, if it wants one.
        timeout_s: How long it may be silent.
    """

    def __init__(
        self,
        model: str,
        adapters: ServerAdapters,
        *,
        url: str,
        key: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        super().__init__(model, url=url, key=key, timeout_s=timeout_s)
        self._adapters = adapters

    @property
    def adapters(self) -> RemoteAdapters | None:
        return self._adapters


class ServerAdapters:
    """The adapters of a server, and the folder in which it finds them.

    Args:
        server: Loads and unloads.
        base: What its model is: `metadata["base"]` of the shards that were written for it.
        folder: Which this process writes and the server reads, at the same path.

    Raises:
        InvalidInputError: The base is no such hash.
    """

    def __init__(self, server: LoraServer, base: str, folder: str | Path) -> None:
        if not _DIGEST.fullmatch(base):
            raise InvalidInputError(
                "base is the 64 hex digits in the metadata of a shard that was written for the "
                "server's model"
            )
        self._server, self.base, self._folder = server, base, Path(folder).absolute()
        self._loaded: set[str] = set()
        self._lock = Lock()

    def engine(self, digest: str, write: Callable[[Path], object]) -> RemoteEngine:
        with self._lock:
            folder = self.folder_of(digest)
            if digest not in self._loaded:
                if not folder.is_dir():
                    write(folder)
                self._server.load(digest, folder)
                self._loaded.add(digest)
        return self._server.engine(digest)

    def folder_of(self, digest: str) -> Path:
        return self._folder / digest

    def forget(self, present: Callable[[set[str]], set[str]]) -> None:
        known = {path.name for path in self._folder.glob("*") if _DIGEST.fullmatch(path.name)}
        with self._lock:
            gone = known | self._loaded
            for digest in sorted(gone - present(gone)):
                shutil.rmtree(self.folder_of(digest), ignore_errors=True)
                self._server.unload(digest)
                self._loaded.discard(digest)
