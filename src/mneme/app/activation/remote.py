"""Chats with an engine behind a server: what is stable comes first, where its cache finds it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from mneme.app.activation.reply import PlanItem, Reply, recalled_items
from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.memories.activation.ledger import Timings
from mneme.memories.activation.prompt import head_of, messages_of
from mneme.recall.pack import pack
from mneme.recall.plan import not_said_by
from mneme.transform.text_to_kv import promoted_of, texts_of
from mneme.vault.draft import Prefilled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.app.activation.prompting import Asking
    from mneme.core.cube import MemCube
    from mneme.core.engine import Message, RemoteEngine, RemotePiece
    from mneme.core.protocols import TokenCounter
    from mneme.recall.context import Context
    from mneme.transform.text_to_kv import Order
    from mneme.vault.blocks import Carrier
    from mneme.vault.vault import Vault

PINNED = "server"  # the form of what only stands at the head: the server keeps its own blocks


class Streamed(NamedTuple):
    """An answer as it came."""

    text: str
    last: RemotePiece | None
    first_s: float
    total_s: float


class RemoteChat:
    """Answers questions of one store with an engine behind a server.

    Args:
        vault: Has the cubes.
        engine: The server's model.
        counter: Estimates tokens; the server's own numbers are what the ledger shows.
    """

    def __init__(self, vault: Vault, engine: RemoteEngine, counter: TokenCounter) -> None:
        self._vault, self._engine, self._counter = vault, engine, counter

    def answer(self, asking: Asking, note: Callable[[str], None] | None = None) -> Reply:
        """The server's answer.

        Raises:
            BackendUnavailableError: It does not answer, or breaks off: nothing is remembered.
            InvalidInputError: A policy was asked for.
        """
        if asking.narrowing is not None:
            raise InvalidInputError("a server keeps its own cache: no policy can be chosen for it")
        begun = perf_counter()
        pinned = self._vault.blocks.carriers(asking.path, self._engine.id)
        promoted = [
            text
            for each in pinned
            for text in promoted_of(texts_of(self._vault, asking.path, each.source_ids), ())
        ]
        covered = {cube_id for each in pinned for cube_id in each.source_ids}
        context = pack(
            not_said_by(asking.hits, covered),
            budget_tokens=asking.budget_tokens,
            counter=self._counter,
        )
        messages = messages_of(promoted, asking.said, context.text, plain=False)
        streamed = read_stream(self._engine, messages, asking.max_new_tokens, note)
        return Reply(
            text=streamed.text,
            plan=tuple(self._plan(pinned, context)),
            timings=_timings(streamed, perf_counter() - begun),
            context=context,
        )

    def _plan(self, pinned: Sequence[Carrier], context: Context) -> list[PlanItem]:
        head = [
            PlanItem(
                carrier="text",
                cube_id=each.row.id,
                sources=each.source_ids,
                tokens=each.tokens,
                reason="promoted; at the head, where the server's cache of prefixes finds it",
            )
            for each in pinned
        ]
        return head + recalled_items(context, self._counter.count)


def read_stream(
    engine: RemoteEngine,
    messages: Sequence[Message],
    most: int,
    note: Callable[[str], None] | None = None,
) -> Streamed:
    """A server's whole answer.

    Raises:
        BackendUnavailableError: It does not answer, or breaks off.
    """
    begun = perf_counter()
    pieces, first_s, last = [], None, None
    for piece in engine.stream(messages, max_new_tokens=most):
        if piece.text:
            first_s = perf_counter() - begun if first_s is None else first_s
            pieces.append(piece.text)
            if note is not None:
                note(piece.text)
        last = piece
    total_s = perf_counter() - begun
    if last is None:
        raise BackendUnavailableError(f"{engine.id} gave no answer at all; try again")
    return Streamed("".join(pieces).strip(), last, first_s or total_s, total_s)


class Pins:
    """Lets cubes stand at the head of every prompt, where a server's cache finds them."""

    def __init__(self, vault: Vault, engine_id: str, counter: TokenCounter) -> None:
        self._vault, self._engine_id, self._counter = vault, engine_id, counter

    def build(self, path: str, ids: Sequence[str], order: Order) -> MemCube:
        """Pin cubes; the server computes what it keeps of them with the first question.

        Raises:
            InvalidInputError: A form other than the server's own is asked for.
        """
        if order.policy is not None:
            raise InvalidInputError("a server keeps its own cache: no policy can be chosen for it")
        texts = texts_of(self._vault, path, ids)
        head = head_of(promoted_of(texts, ()), plain=False)
        header = Prefilled(
            sources=tuple((text.row.id, text.row.version) for text in texts),
            engine=self._engine_id,
            form=PINNED,
            tokens=self._counter.count(head),
        )
        row, text = self._vault.blocks.keep(path, header, [])
        return self._vault.reader.show(path, row, text)

    promise = build  # there is nothing to wait for


def _timings(streamed: Streamed, total_s: float) -> Timings:
    last = streamed.last
    cached = (last.cached_tokens if last else None) or 0
    return Timings(
        ttft_s=streamed.first_s,
        total_s=total_s,
        prompt_tokens=last.prompt_tokens if last else None,
        hit_tokens=cached,
        tokens_by_tier={"server": cached} if cached else {},
        answer_tokens=(last.answer_tokens if last else None) or 0,
        prefill_s=streamed.first_s,
    )
