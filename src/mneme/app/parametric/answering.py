"""An answer from weights: no text of memory in the prompt."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from mneme.app.activation.reply import PlanItem, Reply
from mneme.core.errors import MnemeError
from mneme.memories.activation.ledger import Timings
from mneme.recall.context import Context
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mneme.app.parametric.routing import Asked
    from mneme.app.parametric.weights import Weights
    from mneme.vault.adapters import Shard

    Said = Sequence[Mapping[str, str]]

_ASKS_AND_ANSWERS = frozenset({"user", "assistant"})
BETWEEN = "; "  # answers to several questions in one


class WeightsChat:
    """Answers what shards were proven to answer; everything else is left to text."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def answer(
        self,
        path: str,
        said: Said,
        max_new_tokens: int,
        note: Callable[[str], None] | None = None,
    ) -> Reply | None:
        """The likeliest answer; None where text is to answer.

        The question is asked as it was proven: alone, without what was said before; it names whom
        it is about. Where a system message wants to be heeded, only shards answer that were proven
        within a conversation.

        Args:
            path: Of the namespace.
            said: The conversation, the question last.
            max_new_tokens: Of the answer to each part of the question.
            note: Told each piece of the answer.
        """
        begun = perf_counter()
        asked = self._weights.routed(path, said[-1]["content"])
        if not heeds(asked, said, within=True):
            return None
        before = said[:-1] if _wants_more(said) else ()
        try:
            parts = [self._part(path, before, each, max_new_tokens) for each in asked]
        except MnemeError:  # damaged, or gone this moment: its texts are there
            return None
        text = BETWEEN.join(part[0] for part in parts)
        if note is not None:
            note(text)
        return Reply(
            text=text,
            plan=tuple(item_of(path, each) for each in asked),
            timings=Timings(
                ttft_s=parts[0][2],
                total_s=perf_counter() - begun,
                prompt_tokens=sum(part[1] for part in parts),
                answer_tokens=sum(part[3] for part in parts),
                prefill_s=parts[0][2],
            ),
            context=Context(text=""),
        )

    def _part(
        self, path: str, before: Said, asked: Asked, most: int
    ) -> tuple[str, int, float, int]:
        """Answer, tokens of the prompt, seconds to the first token, tokens of the answer."""
        from mneme.memories.activation.memory import greedy

        engine = self._weights.engine
        begun = perf_counter()
        prompt = engine.render([*before, {"role": "user", "content": asked.clause}])
        session = self._weights.session(path, asked.shard)
        moments: list[float] = []
        logits = session.feed(prompt)
        answer = greedy(
            engine, session, logits, most, lambda _token: moments.append(perf_counter())
        )
        first = (moments[0] if moments else perf_counter()) - begun
        return engine.decode(answer).strip(), len(prompt), first, len(answer)


def name_of(path: str, shard: Shard) -> str:
    """How a shard is called: its owner, its number, its version."""
    return f"{path}/{shard.number:04d} v{shard.row.version}"


def heeds(asked: Sequence[Asked], said: Said, *, within: bool = False) -> bool:
    """Whether shards may answer: a system message is heeded by those proven in conversations.

    Args:
        asked: What the question asks for; nothing: they may not.
        said: The conversation.
        within: Whether they can be asked within it.
    """
    if not asked or not _wants_more(said):
        return bool(asked)
    return within and all(_in_conversation(each.shard) for each in asked)


def item_of(path: str, asked: Asked) -> PlanItem:
    """The shard that answers, in a plan."""
    return PlanItem(
        carrier="parametric",
        cube_id=asked.shard.row.id,
        sources=(asked.entry.fact.cube_id,),
        tokens=0,
        reason=f"adapter {name_of(path, asked.shard)}: fact {asked.entry.fact.text!r}",
    )


def _wants_more(said: Said) -> bool:
    return any(each["role"] not in _ASKS_AND_ANSWERS for each in said)


def _in_conversation(shard: Shard) -> bool:
    gate = facts_of(shard.row).get("gate") or {}
    return bool(gate.get("answers_in_conversation"))
