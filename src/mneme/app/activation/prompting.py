"""From a question to the tokens of a prompt, and what memory stands in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.app.activation.composed import is_composed
from mneme.core.errors import CubeNotFoundError, InvalidInputError
from mneme.memories.activation.keys import token_bytes
from mneme.memories.activation.prompt import common, harmless, messages_of, stable_tokens
from mneme.recall.pack import pack
from mneme.recall.plan import choose_carriers, not_said_by
from mneme.transform.text_to_kv import promoted_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.app.activation.narrowing import Narrowing
    from mneme.core.engine import Engine
    from mneme.memories.activation.prompt import Promoted
    from mneme.recall.context import Context, Hit
    from mneme.transform.text_to_kv import Text
    from mneme.vault.blocks import Carrier
    from mneme.vault.vault import Vault

    Said = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question on its way.

    Attributes:
        path: Of the namespace.
        said: The conversation, the question last.
        hits: What was recalled for it, best first.
        budget_tokens: Of recalled text, by the engine's own tokenizer.
        max_new_tokens: Of the answer.
        narrowing: What of the memory to answer on; None: all.
    """

    path: str
    said: Said
    hits: Sequence[Hit]
    budget_tokens: int
    max_new_tokens: int
    narrowing: Narrowing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt with what memory put into it.

    Attributes:
        carriers: Whose texts stand at its head, in order.
        texts: Those texts, one list for each carrier.
        promoted: The same as they stand in the prompt.
        context: The recalled text.
        tokens: All of it.
        stable: How many tokens of it are the head.
    """

    carriers: Sequence[Carrier]
    texts: Sequence[Sequence[Text]]
    promoted: Sequence[Sequence[Promoted]]
    context: Context
    tokens: list[int]
    stable: int


class _EngineCounter:
    """Counts tokens as the engine does."""

    exact = True

    def __init__(self, engine: Engine) -> None:
        self.count = engine.count


class Prompter:
    """Makes prompts of one store for one engine."""

    def __init__(self, vault: Vault, engine: Engine) -> None:
        self._vault, self._engine = vault, engine

    def prompt(self, asking: Asking) -> Prompt:
        """A prompt that fits the model's window.

        Raises:
            InvalidInputError: Not even one without promoted texts fits.
        """
        engine = self._engine
        carriers, composed = self._carriers(asking.path)
        question = engine.count(asking.said[-1]["content"])
        room = engine.window - asking.max_new_tokens - asking.budget_tokens - question
        chosen = choose_carriers(carriers, asking.hits, max(0, room))
        while True:
            prompt = self._rendered(asking, chosen, composed)
            spare = engine.window - asking.max_new_tokens - len(prompt.tokens)
            if spare >= 0:
                return prompt
            if not chosen:
                raise InvalidInputError(
                    f"the prompt has {len(prompt.tokens)} tokens and the answer may have "
                    f"{asking.max_new_tokens}; the model takes {engine.window}: shorten the "
                    "conversation, or lower budget_tokens or max_new_tokens"
                )
            chosen = chosen[:-1]

    def _rendered(
        self, asking: Asking, chosen: Sequence[Carrier], composed: Sequence[Carrier]
    ) -> Prompt:
        engine = self._engine
        carriers, texts = self._texts(asking.path, chosen)
        promoted = [promoted_of(each, engine.special) for each in texts]
        covered = {cube_id for each in carriers for cube_id in each.source_ids}
        context = pack(
            not_said_by(asking.hits, covered),
            budget_tokens=asking.budget_tokens,
            counter=_EngineCounter(engine),
        )
        head = [text for each in promoted for text in each]
        plain = not engine.has_template
        recalled = harmless(context.text, engine.special)
        tokens = engine.render(messages_of(head, asking.said, recalled, plain=plain))
        stable = self._stored(tokens, carriers, composed)
        if not stable and head:
            stable = len(common([stable_tokens(engine, head), tokens]))
        return Prompt(
            carriers=carriers,
            texts=texts,
            promoted=promoted,
            context=context,
            tokens=tokens,
            stable=stable,
        )

    def _texts(
        self, path: str, chosen: Sequence[Carrier]
    ) -> tuple[list[Carrier], list[list[Text]]]:
        """Carriers with their texts, without those whose texts went this very moment."""
        carriers, texts = [], []
        for each in chosen:
            try:
                texts.append(texts_of(self._vault, path, each.source_ids))
            except CubeNotFoundError:
                continue
            carriers.append(each)
        return carriers, texts

    def _stored(
        self, tokens: Sequence[int], carriers: Sequence[Carrier], composed: Sequence[Carrier]
    ) -> int:
        """Tokens of the head, where its whole run is kept and the prompt begins with it; else 0."""
        ids = tuple(cube_id for each in carriers for cube_id in each.source_ids)
        for carrier in (*carriers, *composed):
            if carrier.source_ids == ids and 0 < carrier.tokens < len(tokens):
                with self._vault.parts.store.read() as tx:
                    rows = tx.blocks.of_cube(carrier.row.key)
                run = b"".join(row.tokens for row in rows)
                if run == token_bytes(tokens[: carrier.tokens]):
                    return carrier.tokens
        return 0

    def _carriers(self, path: str) -> tuple[list[Carrier], list[Carrier]]:
        """What was promoted, each text once; and the heads that chats made of several."""
        said: set[str] = set()
        carriers, composed = [], []
        for each in self._vault.blocks.carriers(path, self._engine.fingerprint):
            if is_composed(each.row):
                composed.append(each)
            elif not said.issuperset(each.source_ids):
                carriers.append(each)
                said.update(each.source_ids)
        return carriers, composed

    def ends(self, prompt: Prompt) -> list[int]:
        """Where the texts of each carrier end, in tokens of the prompt."""
        ends = []
        for number in range(1, len(prompt.carriers)):
            texts = [text for each in prompt.promoted[:number] for text in each]
            ends.append(len(common([stable_tokens(self._engine, texts), prompt.tokens])))
        return [*ends, prompt.stable]
