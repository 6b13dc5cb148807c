"""A chat: recall, plan, prompt, answer, keep. Any failure of memory ends in a plain prefill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from mneme.app.activation.keep import Headed
from mneme.app.activation.narrowing import first_logits
from mneme.app.activation.reply import PlanItem, Reply, recalled_items
from mneme.memories.activation.ledger import Timings, break_even

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.app.activation.keep import Keeper
    from mneme.app.activation.opening import Opener
    from mneme.app.activation.prompting import Asking, Prompt, Prompter
    from mneme.core.engine import Engine
    from mneme.memories.activation.memory import Feeds, Opening


class Chat:
    """Answers questions of one store with one engine.

    Args:
        engine: The model.
        prompter: Makes its prompts.
        opener: Finds what is known of them.
        keeper: Keeps what was computed of their heads.
    """

    def __init__(self, engine: Engine, prompter: Prompter, opener: Opener, keeper: Keeper) -> None:
        self._engine, self._prompter = engine, prompter
        self._opener, self._keeper = opener, keeper

    def answer(self, asking: Asking, note: Callable[[str], None] | None = None) -> Reply:
        """The likeliest answer.

        Args:
            asking: The question.
            note: Told the text of each token as soon as it is known.

        Raises:
            InvalidInputError: The prompt is longer than the model's window.
        """
        begun = perf_counter()
        prompt = self._prompter.prompt(asking)
        answer = self._generated(asking, prompt, note)
        timings = replace(answer.timings, total_s=perf_counter() - begun)
        return Reply(
            text=answer.text,
            plan=tuple(self._plan(prompt, answer.opening)),
            timings=timings,
            context=prompt.context,
        )

    def _generated(
        self, asking: Asking, prompt: Prompt, note: Callable[[str], None] | None
    ) -> _Answer:
        from mneme.memories.activation.memory import greedy

        engine = self._engine
        begun = perf_counter()
        headed = self._opened(asking, prompt)
        opening, feeds, logits, verified = self._read(asking, prompt, headed.opening)
        prefill_s = perf_counter() - begun - opening.load_s - opening.decode_s
        moments: list[float] = []
        shown: list[int] = []

        def heard(token: int) -> None:
            moments.append(perf_counter())
            if note is not None and not engine.ends(token):
                before = engine.decode(shown)
                shown.append(token)
                note(engine.decode(shown).removeprefix(before))

        answer = greedy(engine, feeds, logits, asking.max_new_tokens, heard)
        failed = headed.failed
        if opening.woven_tokens:
            failed += self._keeper.promise(asking.path, prompt)
        timings = Timings(
            ttft_s=moments[0] - begun,
            total_s=0.0,
            prompt_tokens=len(prompt.tokens),
            hit_tokens=opening.hit_tokens,
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
            stored_tokens=headed.stored,
            failed=(*opening.failed, *failed),
        )
        return _Answer(text=engine.decode(answer).strip(), opening=opening, timings=timings)

    def _opened(self, asking: Asking, prompt: Prompt) -> Headed:
        """A session that has read what is known of a prompt, and the rest of its head."""
        opening = self._open(asking, prompt)
        if asking.narrowing is not None or not self._keeper.wants(prompt, opening):
            return Headed(opening, 0, ())
        headed = self._keeper.headed(asking.path, prompt, opening)
        return headed or Headed(self._open(asking, prompt), 0, ())

    def _open(self, asking: Asking, prompt: Prompt) -> Opening:
        return self._opener.open(
            asking.path, prompt, lambda: self._prompter.ends(prompt), asking.narrowing
        )

    def _read(
        self, asking: Asking, prompt: Prompt, opening: Opening
    ) -> tuple[Opening, Feeds, object, bool | None]:
        """Read what was not found of a prompt; a sample of what was found is verified."""
        rest = prompt.tokens[opening.tokens :]
        if asking.narrowing is not None:
            feeds, logits = first_logits(
                self._engine, opening, rest, asking.narrowing, asking.max_new_tokens
            )
            return opening, feeds, logits, None
        logits = opening.session.feed(rest)
        opening, logits, verified = self._opener.verified(prompt.tokens, opening, logits)
        return opening, opening.session, logits, verified

    # -- the plan

    def _plan(self, prompt: Prompt, opening: Opening) -> list[PlanItem]:
        return [
            *self._carried(prompt, opening),
            *recalled_items(prompt.context, self._engine.count),
        ]

    def _carried(self, prompt: Prompt, opening: Opening) -> list[PlanItem]:
        items, start = [], 0
        found = opening.tokens if opening.woven_tokens else opening.hit_tokens
        ends = self._prompter.ends(prompt) if prompt.carriers else []
        for carrier, end in zip(prompt.carriers, ends, strict=True):
            known = min(max(found - start, 0), end - start)
            whole = known == end - start
            items.append(
                PlanItem(
                    carrier="activation" if whole else "text",
                    cube_id=carrier.row.id,
                    sources=carrier.source_ids,
                    tokens=end - start,
                    reason=_reason(carrier.form, opening, known, end - start),
                )
            )
            start = end
        return items


def _reason(form: str, opening: Opening, known: int, tokens: int) -> str:
    if opening.woven_tokens:
        return (
            f"promoted; kept as {form}, moved to its place, with {opening.computed_tokens} tokens "
            "computed again: an approximation that is proven for this model"
        )
    if known < tokens:
        return f"promoted; {known} of {tokens} tokens were there, the rest was computed"
    return f"promoted; keys and values kept as {form}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What was generated."""

    text: str
    opening: Opening
    timings: Timings
