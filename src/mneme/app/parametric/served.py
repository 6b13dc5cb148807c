"""Answers of a server that has shards loaded: routed and named here, computed there."""

from __future__ import annotations

from logging import getLogger
from time import perf_counter
from typing import TYPE_CHECKING

from mneme.app.activation.remote import read_stream
from mneme.app.activation.reply import Reply
from mneme.app.parametric.answering import BETWEEN, heeds, item_of
from mneme.app.parametric.exporting import exported
from mneme.app.parametric.routing import Routes
from mneme.core.errors import BackendUnavailableError, MnemeError
from mneme.memories.activation.ledger import Timings
from mneme.recall.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mneme.app.activation.remote import Streamed
    from mneme.app.parametric.routing import Asked
    from mneme.core.engine import RemoteAdapters
    from mneme.memories.parametric.phrasings import Bank
    from mneme.vault.vault import Vault

    Said = Sequence[Mapping[str, str]]

_log = getLogger(__name__)


class ServedChat:
    """Answers what shards were proven to answer, by a server that loads them.

    Args:
        vault: Has the shards.
        adapters: Of the server.
        bank: How relations are asked for.
    """

    def __init__(self, vault: Vault, adapters: RemoteAdapters, bank: Bank) -> None:
        self._vault, self._adapters = vault, adapters
        self.routes = Routes(vault, adapters.base, bank)

    def answer(
        self, path: str, said: Said, most: int, note: Callable[[str], None] | None = None
    ) -> Reply | None:
        """The server's answer; None where text is to answer, or it did not take the shard.

        Args:
            path: Of the namespace.
            said: The conversation, the question last.
            most: Tokens of the answer to each part of the question.
            note: Told the answer.
        """
        begun = perf_counter()
        asked = self.routes.routed(path, said[-1]["content"])
        if not heeds(asked, said):
            return None
        try:
            parts = [self._part(path, each, most) for each in asked]
        except MnemeError as error:
            _log.warning("the server did not answer with a shard: %s", error)
            return None
        text = BETWEEN.join(part.text for part in parts)
        if note is not None:
            note(text)
        counts = [part.last for part in parts if part.last is not None]
        return Reply(
            text=text,
            plan=tuple(item_of(path, each) for each in asked),
            timings=Timings(
                ttft_s=parts[0].first_s,
                total_s=perf_counter() - begun,
                prompt_tokens=sum(each.prompt_tokens or 0 for each in counts) or None,
                answer_tokens=sum(each.answer_tokens or 0 for each in counts),
                prefill_s=parts[0].first_s,
            ),
            context=Context(text=""),
        )

    def let_go(self, path: str = "") -> None:
        """Have the server forget shards that have no row any longer."""
        if not self.routes.let_go(path):
            return
        try:
            self._adapters.forget(self._vault.adapters.present)
        except BackendUnavailableError as error:
            _log.warning("the server still has shards that are gone: %s", error)

    def _part(self, path: str, asked: Asked, most: int) -> Streamed:
        def write(folder: Path) -> object:
            return exported(self._vault, path, asked.shard.row, folder, asked.shard.row.version)

        engine = self._adapters.engine(asked.shard.digest, write)
        return read_stream(engine, [{"role": "user", "content": asked.clause}], most)
