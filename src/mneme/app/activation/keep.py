"""Compute the head of a prompt once, and keep it, so that the next question finds it."""

from __future__ import annotations

from dataclasses import replace
from logging import getLogger
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from mneme.app.activation.composed import COMPOSED
from mneme.core.errors import MnemeError
from mneme.memories.activation.forms import is_cuttable
from mneme.memories.activation.keys import run_keys, salt_of
from mneme.vault.draft import Prefilled

if TYPE_CHECKING:
    from mneme.app.activation.attached import Attached
    from mneme.app.activation.prompting import Prompt
    from mneme.memories.activation.memory import Opening
    from mneme.transform.text_to_kv import Prefiller
    from mneme.vault.vault import Vault

_log = getLogger(__name__)


class Headed(NamedTuple):
    """A prompt whose head was computed just now.

    opening: Goes on after the head.
    stored: How many tokens were new and are kept now.
    failed: What went wrong, in words.
    """

    opening: Opening
    stored: int
    failed: tuple[str, ...]


class Keeper:
    """Keeps heads of one engine; what cannot be kept is done without.

    Args:
        vault: Where cubes and blocks are.
        attached: The engine.
        prefiller: Stores files.
        form: Of heads that several cubes make up.
    """

    def __init__(
        self, vault: Vault, attached: Attached, prefiller: Prefiller, *, form: str
    ) -> None:
        self._vault, self._attached = vault, attached
        self._prefiller, self._form = prefiller, form

    def wants(self, prompt: Prompt, opening: Opening) -> bool:
        """Whether what is missing of the head of a prompt is worth being kept."""
        whole = all(is_cuttable(each.form) for each in prompt.carriers)
        missing = opening.tokens < prompt.stable
        return bool(prompt.carriers) and whole and missing and opening.exact

    def headed(self, path: str, prompt: Prompt, opening: Opening) -> Headed | None:
        """Compute what is missing of a head, and keep it; None where somebody else just did.

        Of several that ask at the same time, in whatever thread or process, one computes it.
        """
        fingerprint, made = self._attached.engine.fingerprint, []
        salt = salt_of(self._vault.parts.secret, path)
        head = run_keys(fingerprint, salt, prompt.tokens[: prompt.stable])[-1]

        def build() -> bool:
            made.append(self._headed(path, prompt, opening))
            return True

        def known() -> bool | None:
            with self._vault.blocks.matching(path, fingerprint) as index:
                match = self._attached.memory.match(index, salt, prompt.tokens)
            return True if match.tokens >= prompt.stable else None

        self._attached.builders.once(f"head {head.hex()}", build, known=known)
        return made[0] if made else None

    def promise(self, path: str, prompt: Prompt) -> tuple[str, ...]:
        """Have a job compute exactly what was put together; what went wrong, in words."""
        try:
            self._vault.blocks.promise(path, self._header(prompt, self._form, tokens=0))
        except MnemeError as error:
            return (f"not kept: {error}",)
        return ()

    def _headed(self, path: str, prompt: Prompt, opening: Opening) -> Headed:
        missing = prompt.stable - opening.tokens
        begun = perf_counter()
        opening.session.feed(prompt.tokens[opening.tokens : prompt.stable])
        cost_s = opening.built_s + perf_counter() - begun
        after = replace(opening, tokens=prompt.stable, computed_tokens=missing)
        try:
            self._keep(path, prompt, opening, cost_s)
        except MnemeError as error:  # only the next answer takes longer
            _log.warning("keys and values were not kept: %s", error)
            return Headed(after, 0, (f"not kept: {error}",))
        return Headed(after, missing, ())

    def _header(self, prompt: Prompt, form: str, *, tokens: int) -> Prefilled:
        carriers = prompt.carriers
        return Prefilled(
            sources=tuple(
                (text.row.id, text.row.version) for each in prompt.texts for text in each
            ),
            engine=self._attached.engine.fingerprint,
            form=form,
            tokens=tokens,
            extra={COMPOSED: [each.row.id for each in carriers]} if len(carriers) > 1 else {},
        )

    def _keep(self, path: str, prompt: Prompt, opening: Opening, cost_s: float) -> None:
        from mneme.memories.activation.memory import whole_run

        kv = whole_run(opening, opening.session, prompt.stable)
        if kv is None:
            raise AssertionError("exact blocks hold every token")
        form = prompt.carriers[0].form if len(prompt.carriers) == 1 else self._form
        blocks = self._attached.memory.blocks(
            salt_of(self._vault.parts.secret, path), prompt.tokens[: prompt.stable], kv,
            form=form, cost_s=cost_s,
            known={row.key: row for row in opening.rows if row.form == form},
        )  # fmt: skip
        header = self._header(prompt, form, tokens=prompt.stable)
        self._prefiller.keep(path, header, blocks)
