"""A chat: recall, plan, prompt, answer, remember. Any failure of memory ends in a plain prefill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from logging import getLogger
from time import perf_counter
from typing import TYPE_CHECKING

from mneme.app.activation.keep import Computed, is_composed
from mneme.app.activation.reply import PlanItem, Reply
from mneme.core.errors import InvalidInputError, MnemeError
from mneme.memories.activation.keys import salt_of
from mneme.memories.activation.ledger import Timings, break_even
from mneme.memories.activation.prompt import common, messages_of, stable_tokens
from mneme.recall.pack import pack
from mneme.recall.plan import choose_carriers, not_said_by
from mneme.transform.text_to_kv import promoted_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mneme.app.activation.engines import Attached, KVSettings
    from mneme.app.activation.keep import Keeper
    from mneme.core.rows import BlockRow
    from mneme.memories.activation.memory import Opening
    from mneme.memories.activation.prompt import Promoted
    from mneme.recall.context import Context, Hit
    from mneme.transform.text_to_kv import Text
    from mneme.vault.blocks import Carrier
    from mneme.vault.vault import Vault

    Said = Sequence[Mapping[str, str]]

_log = getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question on its way.

    Attributes:
        path: Of the namespace.
        said: The conversation, the question last.
        hits: What was recalled for it, best first.
        budget_tokens: Of recalled text, by the engine's own tokenizer.
        max_new_tokens: Of the answer.
    """

    path: str
    said: Said
    hits: Sequence[Hit]
    budget_tokens: int
    max_new_tokens: int


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

    def __init__(self, attached: Attached) -> None:
        self.count = attached.engine.count


class Chat:
    """Answers questions of one store with one engine."""

    def __init__(
        self,
        vault: Vault,
        attached: Attached,
        settings: KVSettings,
        *,
        chance: Callable[[], float],
        used: Callable[[Sequence[int]], None],
        keeper: Keeper,
    ) -> None:
        self._vault, self._attached, self._settings = vault, attached, settings
        self._chance, self._used, self._keeper = chance, used, keeper

    def answer(self, asking: Asking, note: Callable[[str], None] | None = None) -> Reply:
        """The likeliest answer.

        Args:
            asking: The question.
            note: Told the text of each token as soon as it is known.

        Raises:
            InvalidInputError: The prompt is longer than the model's window.
        """
        begun = perf_counter()
        prompt = self._prompt(asking)
        answer = self._generated(asking, prompt, note)
        timings = replace(answer.timings, total_s=perf_counter() - begun)
        return Reply(
            text=answer.text,
            plan=tuple(self._plan(prompt, answer.opening)),
            timings=timings,
            context=prompt.context,
        )

    # -- the prompt

    def _prompt(self, asking: Asking) -> Prompt:
        engine = self._attached.engine
        carriers = [
            each
            for each in self._vault.blocks.carriers(asking.path, engine.fingerprint)
            if not is_composed(each.row)
        ]
        question = engine.count(asking.said[-1]["content"])
        room = engine.window - asking.max_new_tokens - asking.budget_tokens - question
        chosen = choose_carriers(carriers, asking.hits, max(0, room))
        while True:
            prompt = self._rendered(asking, chosen)
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

    def _rendered(self, asking: Asking, carriers: Sequence[Carrier]) -> Prompt:
        engine = self._attached.engine
        texts = [texts_of(self._vault, asking.path, each.source_ids) for each in carriers]
        promoted = [promoted_of(each, engine.special) for each in texts]
        covered = {cube_id for each in carriers for cube_id in each.source_ids}
        context = pack(
            not_said_by(asking.hits, covered),
            budget_tokens=asking.budget_tokens,
            counter=_EngineCounter(self._attached),
        )
        head = [text for each in promoted for text in each]
        plain = not engine.has_template
        tokens = engine.render(messages_of(head, asking.said, context.text, plain=plain))
        stable = common([stable_tokens(engine, head), tokens]) if head else []
        return Prompt(
            carriers=carriers,
            texts=texts,
            promoted=promoted,
            context=context,
            tokens=tokens,
            stable=len(stable),
        )

    # -- the answer

    def _generated(
        self, asking: Asking, prompt: Prompt, note: Callable[[str], None] | None
    ) -> _Answer:
        from mneme.memories.activation.memory import greedy

        engine = self._attached.engine
        begun = perf_counter()
        opening = self._opened(asking.path, prompt.tokens)
        opened = perf_counter()
        logits = opening.session.feed(prompt.tokens[opening.tokens :])
        prefill_s = perf_counter() - opened
        opening, logits, verified = self._verified(prompt.tokens, opening, logits)
        moments: list[float] = []
        shown: list[int] = []

        def heard(token: int) -> None:
            moments.append(perf_counter())
            if note is not None and not engine.ends(token):
                before = engine.decode(shown)
                shown.append(token)
                note(engine.decode(shown).removeprefix(before))

        answer = greedy(engine, opening.session, logits, asking.max_new_tokens, heard)
        kept = Computed(
            tokens=prompt.tokens[: prompt.stable],
            carriers=prompt.carriers,
            texts=[text for each in prompt.texts for text in each],
            opening=opening,
            cost_s=opening.built_s + prefill_s * _share(prompt, opening),
        )
        stored, failed = self._keeper.keep(asking.path, kept)
        timings = Timings(
            ttft_s=moments[0] - begun,
            total_s=0.0,
            prompt_tokens=len(prompt.tokens),
            hit_tokens=opening.tokens,
            tokens_by_tier=dict(opening.by_tier),
            answer_tokens=len(answer),
            load_s=opening.load_s,
            decode_s=opening.decode_s,
            prefill_s=prefill_s,
            first_decode_s=moments[1] - moments[0] if len(moments) > 1 else None,
            loaded_bytes=opening.loaded_bytes,
            built_s=opening.built_s,
            break_even=break_even(
                opening.built_s, opening.built_s - opening.load_s - opening.decode_s
            ),
            verified=verified,
            stored_tokens=stored,
            failed=(*opening.failed, *failed),
        )
        return _Answer(text=engine.decode(answer).strip(), opening=opening, timings=timings)

    def _opened(self, path: str, tokens: Sequence[int]) -> Opening:
        """The prompt's beginning, if it is known; what was lost is forgotten."""
        memory, blocks = self._attached.memory, self._vault.blocks
        salt = salt_of(self._vault.parts.secret, path)
        with blocks.matching(path, self._attached.engine.fingerprint) as index:
            opening = memory.open(index, salt, tokens)
        if opening.lost:
            _log.warning("%d blocks are missing or damaged; computed again", len(opening.lost))
            self._drop(opening.lost)
        self._used([row.number for row in opening.rows])
        return opening

    def _verified(
        self, tokens: Sequence[int], opening: Opening, logits: object
    ) -> tuple[Opening, object, bool | None]:
        """A sampled share of exact hits, held against a full prefill before the answer."""
        from mneme.memories.activation.memory import Opening, relative

        if not opening.tokens or not opening.exact or self._chance() >= self._settings.verify:
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

    # -- the plan

    def _plan(self, prompt: Prompt, opening: Opening) -> list[PlanItem]:
        return [*self._carried(prompt, opening), *self._recalled(prompt.context)]

    def _carried(self, prompt: Prompt, opening: Opening) -> list[PlanItem]:
        engine, items, start = self._attached.engine, [], 0
        for number, carrier in enumerate(prompt.carriers):
            texts = [text for each in prompt.promoted[: number + 1] for text in each]
            last = number + 1 == len(prompt.carriers)
            end = prompt.stable if last else len(stable_tokens(engine, texts))
            found = min(max(opening.tokens - start, 0), end - start)
            whole = found >= end - start or (last and opening.tokens + 1 >= len(prompt.tokens))
            reason = (
                f"promoted; keys and values kept as {carrier.form}"
                if whole
                else f"promoted; {found} of {end - start} tokens were there, the rest was computed"
            )
            items.append(
                PlanItem(
                    carrier="activation" if whole else "text",
                    cube_id=carrier.row.id,
                    sources=carrier.source_ids,
                    tokens=end - start,
                    reason=reason,
                )
            )
            start = end
        return items

    def _recalled(self, context: Context) -> list[PlanItem]:
        count = self._attached.engine.count
        ranks = {hit.cube.id: hit for hit in context.hits}
        return [
            PlanItem(
                carrier="text",
                cube_id=cited.cube_id,
                sources=(cited.cube_id,),
                tokens=count(ranks[cited.cube_id].cube.text[cited.start : cited.end]),
                reason=f"recalled for the question, rank {ranks[cited.cube_id].rank}",
            )
            for cited in context.citations
        ]


def _share(prompt: Prompt, opening: Opening) -> float:
    """What share of the tokens that were computed belongs to the head."""
    computed = len(prompt.tokens) - opening.tokens
    return max(0, prompt.stable - opening.tokens) / computed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What was generated."""

    text: str
    opening: Opening
    timings: Timings
