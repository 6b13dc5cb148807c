"""Questions of many owners in one batch: each row with its own shard, or as the bare base."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from mneme.app.activation.reply import PlanItem, Reply, recalled_items
from mneme.app.parametric.answering import item_of
from mneme.core.errors import MnemeError
from mneme.memories.activation.ledger import Timings
from mneme.recall.context import Context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from mneme.app.activation.prompting import Asking, Prompter
    from mneme.app.parametric.weights import Weights

_ROWS = 32  # of one batch


class _Row(NamedTuple):
    """A prompt, and what is on while it is answered."""

    prompt: list[int]
    digest: str | None
    plan: tuple[PlanItem, ...]
    context: Context


class Together:
    """Answers questions of one store with one engine, many at a time."""

    def __init__(self, weights: Weights, prompter: Prompter) -> None:
        self._weights, self._prompter = weights, prompter

    def answer(self, asked: Sequence[Asking]) -> list[Reply]:
        """One reply for each, in order; texts that were promoted are read anew, not from blocks.

        Raises:
            InvalidInputError: A prompt is longer than the model's window.
        """
        begun = perf_counter()
        rows = [self._routed(each) or self._plain(each) for each in asked]
        replies: list[Reply] = []
        for batch in self._batches(rows):
            most = max(each.max_new_tokens for each in asked)
            try:
                replies += self._answered(batch, most)
            except MnemeError:  # a shard went this moment: its texts are there
                at = len(replies)
                plain = [self._plain(each) for each in asked[at : at + len(batch)]]
                replies += self._answered(plain, most)
        total_s = perf_counter() - begun
        return [
            replace(reply, timings=replace(reply.timings, total_s=total_s)) for reply in replies
        ]

    def _routed(self, asking: Asking) -> _Row | None:
        """A row that one shard answers; None where text is to answer."""
        path, said = asking.path, asking.said
        found = self._weights.routed(path, said[-1]["content"])
        if len(found) != 1 or not self._weights.in_slots(path, found[0].shard):
            return None
        prompt = self._weights.engine.render([{"role": "user", "content": found[0].clause}])
        plan = (item_of(path, found[0]),)
        return _Row(prompt, found[0].shard.digest, plan, Context(text=""))

    def _plain(self, asking: Asking) -> _Row:
        prompt = self._prompter.prompt(asking)
        carried = (
            PlanItem(
                carrier="text", cube_id=each.row.id, sources=each.source_ids, tokens=each.tokens,
                reason="promoted; read anew in a batch",
            )
            for each in prompt.carriers
        )  # fmt: skip
        recalled = recalled_items(prompt.context, self._weights.engine.count)
        return _Row(prompt.tokens, None, (*carried, *recalled), prompt.context)

    def _batches(self, rows: Sequence[_Row]) -> Iterator[list[_Row]]:
        """In order, with no more different shards in one than there are slots."""
        batch: list[_Row] = []
        for row in rows:
            digests = {each.digest for each in (*batch, row)} - {None}
            if batch and (len(batch) == _ROWS or len(digests) > self._weights.capacity):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _answered(self, batch: Sequence[_Row], most: int) -> list[Reply]:
        from mneme.memories.parametric.batch import generate

        engine, passes = self._weights.engine, list[float]()
        digests = [row.digest for row in batch]

        def switched() -> AbstractContextManager[None]:
            passes.append(perf_counter())
            return self._weights.switched(digests)

        prompts = [row.prompt for row in batch]
        answers = generate(engine, prompts, switched, max_new_tokens=most)
        ended = perf_counter()
        first_s = (passes[1] if len(passes) > 1 else ended) - passes[0]
        timings = Timings(
            ttft_s=first_s, total_s=ended - passes[0], prompt_tokens=None, prefill_s=first_s
        )
        return [
            Reply(
                text=engine.decode(answer).strip(),
                plan=row.plan,
                timings=replace(timings, prompt_tokens=len(row.prompt), answer_tokens=len(answer)),
                context=row.context,
            )
            for row, answer in zip(batch, answers, strict=True)
        ]
