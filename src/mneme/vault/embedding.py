"""Vectors for passages and questions, from an embedder that may be down.

In: texts. Out: unit vectors as float32, or None while the embedder does not answer. After a
failure it is left alone for a while, so that a dead server does not slow every call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mneme.core.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mneme.core.clock import Clock
    from mneme.core.protocols import Embedder

    Vectors = npt.NDArray[np.float32]

_BATCH = 2048


class Embedding:
    """The embedder of a store.

    Args:
        embedder: Its answers are checked already; None for a store that searches by words alone.
        clock: Tells when a failed embedder may be tried again.
        inline: Whether a write waits for its vectors; a remote embedder gets a job instead.
        pause_s: How long a failed embedder is left alone.
    """

    def __init__(
        self, embedder: Embedder | None, clock: Clock, *, inline: bool = True, pause_s: float = 5.0
    ) -> None:
        self.embedder, self.inline = embedder, inline
        self._clock, self._pause_us = clock, int(pause_s * 1e6)
        self._down_until = 0
        self.last_error: str | None = None
        self._id: str | None = None

    @property
    def id(self) -> str | None:
        """The embedder's id; None without one, or while a remote one was never reached."""
        if self._id is None and self.embedder is not None and self._may_try():
            try:
                self._id = self.embedder.id
            except BackendUnavailableError as error:
                self._fail(error)
        return self._id

    def make(self, texts: Sequence[str], *, query: bool = False) -> Vectors | None:
        """Vectors [len(texts), dim]; None while the embedder does not answer."""
        if self.embedder is None or self.id is None or not self._may_try():
            return None
        try:
            return self.demand(texts, query=query)
        except BackendUnavailableError:
            return None

    def demand(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        """Vectors [len(texts), dim], whatever happened before.

        Raises:
            BackendUnavailableError: The embedder does not answer, or not sensibly.
        """
        if self.embedder is None:
            raise BackendUnavailableError("the store has no embedder; set one in the settings")
        try:
            batches = [
                self.embedder.embed(part, query=query)
                for part in (texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH))
            ]
        except BackendUnavailableError as error:
            self._fail(error)
            raise
        self._down_until, self.last_error = 0, None
        return np.concatenate(batches) if batches else np.zeros((0, self.embedder.dim), np.float32)

    def _may_try(self) -> bool:
        return self._clock.now_us() >= self._down_until

    def _fail(self, error: BackendUnavailableError) -> None:
        self._down_until = self._clock.now_us() + self._pause_us
        self.last_error = str(error)
