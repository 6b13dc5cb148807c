"""Keep what a chat computed of the head of its prompt, so that the next question finds it."""

from __future__ import annotations

from dataclasses import dataclass
from logging import getLogger
from typing import TYPE_CHECKING

from mneme.core.errors import MnemeError
from mneme.memories.activation.forms import is_cuttable
from mneme.memories.activation.keys import salt_of
from mneme.vault.draft import Prefilled
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.app.activation.attached import Attached
    from mneme.core.rows import VersionRow
    from mneme.memories.activation.memory import Opening
    from mneme.transform.text_to_kv import Prefiller, Text
    from mneme.vault.blocks import Carrier
    from mneme.vault.vault import Vault

_log = getLogger(__name__)
COMPOSED = "composed"  # in the metadata of a head that several carriers make up


def is_composed(row: VersionRow) -> bool:
    """Whether an activation cube was made by a chat, of several that were promoted."""
    return COMPOSED in facts_of(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """The head of a prompt whose session was fed.

    Attributes:
        tokens: Of the head.
        carriers: What stands in it.
        texts: Of their sources, as they were read, in order.
        opening: What was found of it, and the session.
        cost_s: Seconds that computing all of it takes.
    """

    tokens: Sequence[int]
    carriers: Sequence[Carrier]
    texts: Sequence[Text]
    opening: Opening
    cost_s: float


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

    def keep(self, path: str, computed: Computed) -> tuple[int, tuple[str, ...]]:
        """How many tokens were new and are kept now, and what went wrong, in words."""
        missing = len(computed.tokens) - computed.opening.tokens
        if computed.opening.woven_tokens:
            return self._promised(path, computed)
        thinned = any(not is_cuttable(each.form) for each in computed.carriers)
        if not computed.carriers or missing <= 0 or thinned or not computed.opening.exact:
            return 0, ()
        try:
            self._keep(path, computed)
        except MnemeError as error:  # the answer is there; only the next one takes longer
            _log.warning("keys and values were not kept: %s", error)
            return 0, (f"not kept: {error}",)
        return missing, ()

    def _promised(self, path: str, computed: Computed) -> tuple[int, tuple[str, ...]]:
        """Have a job compute exactly what was put together, so that the next answer is exact."""
        try:
            self._vault.blocks.promise(path, self._header(computed, self._form, tokens=0))
        except MnemeError as error:
            return 0, (f"not kept: {error}",)
        return 0, ()

    def _header(self, computed: Computed, form: str, *, tokens: int) -> Prefilled:
        carriers = computed.carriers
        return Prefilled(
            sources=tuple((text.row.id, text.row.version) for text in computed.texts),
            engine=self._attached.engine.fingerprint,
            form=form,
            tokens=tokens,
            extra={COMPOSED: [each.row.id for each in carriers]} if len(carriers) > 1 else {},
        )

    def _keep(self, path: str, computed: Computed) -> None:
        from mneme.memories.activation.memory import whole_run

        opening, carriers = computed.opening, computed.carriers
        kv = whole_run(opening, opening.session, len(computed.tokens))
        if kv is None:
            raise AssertionError("exact blocks hold every token")
        form = carriers[0].form if len(carriers) == 1 else self._form
        blocks = self._attached.memory.blocks(
            salt_of(self._vault.parts.secret, path), computed.tokens, kv, form=form,
            cost_s=computed.cost_s,
            known={row.key: row for row in opening.rows if row.form == form},
        )  # fmt: skip
        header = self._header(computed, form, tokens=len(computed.tokens))
        self._prefiller.keep(path, header, blocks)
