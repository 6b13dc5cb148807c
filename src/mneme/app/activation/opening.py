"""From a prompt to a session that has read as much of it as is known."""

from __future__ import annotations

from logging import getLogger
from typing import TYPE_CHECKING

from mneme.app.activation.narrowing import SENTENCES
from mneme.app.activation.proofs import is_proven, mend_in_use
from mneme.core.errors import MnemeError, UnsuitedModelError
from mneme.memories.activation.forms import is_cuttable
from mneme.memories.activation.keys import block_key, root_key, salt_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.app.activation.attached import Attached, KVSettings
    from mneme.app.activation.narrowing import Narrowing
    from mneme.app.activation.prompting import Prompt
    from mneme.core.rows import BlockRow
    from mneme.memories.activation.match import Match
    from mneme.memories.activation.memory import Opening
    from mneme.memories.activation.weave import Piece
    from mneme.vault.vault import Vault

_log = getLogger(__name__)


class Opener:
    """Opens prompts of one store for one engine."""

    def __init__(
        self,
        vault: Vault,
        attached: Attached,
        settings: KVSettings,
        *,
        chance: Callable[[], float],
        used: Callable[[Sequence[int]], None],
    ) -> None:
        self._vault, self._attached, self._settings = vault, attached, settings
        self._chance, self._used = chance, used

    def open(
        self,
        path: str,
        prompt: Prompt,
        ends: Callable[[], Sequence[int]],
        narrowing: Narrowing | None = None,
    ) -> Opening:
        """The longest known beginning; what was lost is forgotten.

        Args:
            path: Of the namespace.
            prompt: All of it.
            ends: Gives where the texts of each carrier end; only asked where it matters.
            narrowing: What of it to read.
        """
        memory, blocks = self._attached.memory, self._vault.blocks
        salt = salt_of(self._vault.parts.secret, path)
        epoch = memory.tiers.epoch
        with blocks.matching(path, self._attached.engine.fingerprint) as index:
            match = memory.match(index, salt, prompt.tokens)
        partly = self._partly(path, prompt, match, narrowing)
        if partly is not None:
            self._used([row.number for row in partly.rows])
            return partly
        opening = memory.open(match, epoch=epoch)
        if opening.lost:
            _log.warning("%d blocks are missing or damaged; computed again", len(opening.lost))
            self._drop(opening.lost)
        if opening.tokens < prompt.stable and self._may_weave(prompt, opening):
            opening = self._woven(prompt, opening, ends())
        self._used([row.number for row in opening.rows])
        self._bring_near(path, opening)
        return opening

    def _partly(
        self, path: str, prompt: Prompt, match: Match, narrowing: Narrowing | None
    ) -> Opening | None:
        """Only the sentences that the question looks at, where there is an index of them."""
        if narrowing is None or narrowing.policy != SENTENCES or not match.rows:
            return None
        from mneme.memories.activation.partial import INDEX, open_partly

        memory, tokens = self._attached.memory, prompt.tokens[: match.tokens]
        fingerprint, salt = memory.engine.fingerprint, salt_of(self._vault.parts.secret, path)
        key = block_key(root_key(fingerprint, salt), fingerprint, salt, tokens)
        with self._vault.blocks.matching(path, fingerprint) as index:
            rows = [row for row in index.of_keys([key]) if row.form == INDEX]
        if not rows or not all(is_cuttable(row.form) for row in match.rows):
            return None
        rest = prompt.tokens[match.tokens :]
        return open_partly(memory, match, rows[0], rest, narrowing.keep)

    def _bring_near(self, path: str, opening: Opening) -> None:
        """Have what the next question will likely need brought to host memory meanwhile."""
        fingerprint, rows = self._attached.engine.fingerprint, opening.rows
        if not rows or opening.woven_tokens:
            return

        def choose() -> Sequence[BlockRow]:
            from mneme.memories.activation.prefetch import likely

            with self._vault.blocks.matching(path, fingerprint) as index:
                return likely(index, rows)

        self._attached.prefetcher.after(choose)

    def _may_weave(self, prompt: Prompt, opening: Opening) -> bool:
        several = len(prompt.carriers) > 1 and all(is_cuttable(c.form) for c in prompt.carriers)
        return several and opening.exact and is_proven(self._vault, self._attached.engine)

    def _woven(self, prompt: Prompt, opening: Opening, ends: Sequence[int]) -> Opening:
        """Texts that were computed elsewhere, moved to their places."""
        from mneme.memories.activation.weave import Piece, weave

        pieces: list[Piece] = []
        starts = [0, *ends]
        with self._vault.parts.store.read() as tx:
            for carrier, start, end in zip(prompt.carriers, starts, ends, strict=False):
                if end > opening.tokens:
                    held = tx.blocks.of_cube(carrier.row.key)
                    rows = [row for row in held if row.tokens]
                    pieces.append(Piece(max(start, opening.tokens), end, rows))
        try:
            memory = self._attached.memory
            return weave(memory, opening, prompt.tokens, pieces, mend_in_use())
        except UnsuitedModelError as error:
            _log.info("nothing is moved for this model: %s", error)
            return opening

    def verified(
        self, tokens: Sequence[int], opening: Opening, logits: object
    ) -> tuple[Opening, object, bool | None]:
        """A sampled share of exact hits, held against a full prefill before the answer.

        Args:
            tokens: The whole prompt.
            opening: What was found of it.
            logits: What followed from there.

        Returns:
            The opening and the logits to go on with, and whether both agreed; None: not sampled.
        """
        from mneme.memories.activation.memory import Opening, relative

        if not opening.hit_tokens or not opening.exact or self._chance() >= self._settings.verify:
            return opening, logits, None
        session = self._attached.engine.session(record=True)
        full = session.feed(tokens)
        if relative(logits, full) <= self._attached.memory.tolerance:
            return opening, logits, True
        _log.error("stored keys and values differ from a full prefill; they are dropped")
        self._drop(opening.rows)
        return Opening(session=session, failed=("verification failed",)), full, False

    def _drop(self, rows: Sequence[BlockRow]) -> None:
        try:
            self._vault.blocks.drop([row.number for row in rows])
        except MnemeError as error:  # the next question finds them damaged again
            _log.warning("damaged blocks could not be dropped: %s", error)
