"""A chat with adapters that its user named: foreign ones, or several composed for one session."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from mneme.app.activation.engines import is_remote
from mneme.app.activation.prompting import Prompter
from mneme.app.activation.reply import PlanItem, Reply, recalled_items
from mneme.app.parametric.beside import AppliedSession
from mneme.app.parametric.handling import parametric
from mneme.core.errors import InvalidInputError
from mneme.ingest import checks
from mneme.memories.activation.ledger import Timings
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.app.activation.prompting import Asking
    from mneme.app.parametric.models import Models
    from mneme.app.parametric.weights import Weights
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.core.rows import VersionRow


def answer_with(
    models: Models,
    engine: Engine | RemoteEngine,
    asking: Asking,
    cube_ids: Sequence[str],
    note: Callable[[str], None] | None,
) -> Reply:
    """An answer with adapters that a user named.

    Raises:
        InvalidInputError: None is named, one is no parametric cube, or they do not go together.
    """
    if is_remote(engine):
        raise InvalidInputError("adapters are for a model in this process: give mneme.engine(path)")
    if asking.narrowing is not None:
        raise InvalidInputError("a policy is for keys and values: give no policy with adapters")
    rows = [parametric(models.vault, asking.path, checks.id_of(each)) for each in cube_ids]
    if not rows:
        raise InvalidInputError("adapters must not be empty: give ids, or leave it out")
    chat = NamedChat(models.weights(engine), Prompter(models.vault, engine))
    return chat.answer(asking, rows, note)


class NamedChat:
    """Answers with adapters on for the whole prompt: at a user's wish, without a gate."""

    def __init__(self, weights: Weights, prompter: Prompter) -> None:
        self._weights, self._prompter = weights, prompter

    def answer(
        self,
        asking: Asking,
        rows: Sequence[VersionRow],
        note: Callable[[str], None] | None = None,
    ) -> Reply:
        """The likeliest answer.

        Args:
            asking: The question; its recalled text stands in the prompt.
            rows: Parametric cubes; several are composed by adding up what they change.
            note: Told the answer.

        Raises:
            InvalidInputError: Several that cannot be composed, or another base.
            StoreCorruptError: Files are missing or damaged.
        """
        from mneme.memories.activation.memory import greedy
        from mneme.memories.parametric.merge import compose
        from mneme.memories.parametric.writers import build_carrier

        begun, engine = perf_counter(), self._weights.engine
        held = [self._weights.unpacked(asking.path, row.id).adapter for row in rows]
        if len(held) > 1 and any(each.carrier != "lora" for each in held):
            raise InvalidInputError("only adapters of the kind lora can be used together")
        adapter = compose(held) if len(held) > 1 else held[0]
        prompt = self._prompter.prompt(asking)
        applied = build_carrier(adapter.carrier).apply(engine, adapter)
        moments: list[float] = []
        try:
            started = perf_counter()
            session = AppliedSession(engine, applied)
            logits = session.feed(prompt.tokens)
            answer = greedy(
                engine, session, logits, asking.max_new_tokens,
                lambda _token: moments.append(perf_counter()),
            )  # fmt: skip
        finally:
            applied.close()
        text = engine.decode(answer).strip()
        if note is not None:
            note(text)
        first = (moments[0] if moments else perf_counter()) - started
        return Reply(
            text=text,
            plan=(*(_item(row) for row in rows), *recalled_items(prompt.context, engine.count)),
            timings=Timings(
                ttft_s=first, total_s=perf_counter() - begun, prompt_tokens=len(prompt.tokens),
                answer_tokens=len(answer), prefill_s=first,
            ),
            context=prompt.context,
        )  # fmt: skip


def _item(row: VersionRow) -> PlanItem:
    facts = facts_of(row)
    kind = "foreign, unproven" if row.trust == "untrusted" else f"{facts.get('facts', 0)} facts"
    return PlanItem(
        carrier="parametric",
        cube_id=row.id,
        sources=(),
        tokens=0,
        reason=f"adapter {row.id} v{row.version}: on by request, {kind}",
    )
