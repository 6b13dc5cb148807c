"""An answer of a model without any memory: its messages, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mneme.app.activation.engines import is_remote
from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.engine import Engine, RemoteEngine

    Messages = Sequence[dict[str, str]]
    Note = Callable[[str], None]


class Said(NamedTuple):
    """An answer. `tokens` are those of the answer."""

    text: str
    prompt_tokens: int
    tokens: int


def answer_plainly(
    engine: Engine | RemoteEngine, messages: Messages, new_tokens: int, note: Note
) -> Said:
    """The likeliest answer.

    Args:
        engine: The model.
        messages: The conversation; the last is the user's.
        new_tokens: Most of the answer.
        note: Told each piece of the answer as soon as it is there.

    Raises:
        InvalidInputError: The prompt and the answer are longer than the model's window.
        BackendUnavailableError: A model behind a server does not answer.
    """
    if is_remote(engine):
        return _remote(engine, messages, new_tokens, note)
    return _local(engine, messages, new_tokens, note)


def _local(engine: Engine, messages: Messages, new_tokens: int, note: Note) -> Said:
    from mneme.memories.activation.memory import greedy

    prompt = engine.render(messages)
    if len(prompt) + new_tokens > engine.window:
        raise InvalidInputError(
            f"the prompt has {len(prompt)} tokens and the answer may have {new_tokens}; the model "
            f"takes {engine.window}: shorten the conversation or lower max_tokens"
        )
    shown: list[int] = []

    def heard(token: int) -> None:
        if not engine.ends(token):
            before = engine.decode(shown)
            shown.append(token)
            note(engine.decode(shown).removeprefix(before))

    session = engine.session()
    answer = greedy(engine, session, session.feed(prompt), new_tokens, heard)
    return Said(engine.decode(answer).strip(), len(prompt), len(answer))


def _remote(engine: RemoteEngine, messages: Messages, new_tokens: int, note: Note) -> Said:
    parts, read, written = [], 0, 0
    for piece in engine.stream(messages, max_new_tokens=new_tokens):
        if piece.text:
            parts.append(piece.text)
            note(piece.text)
        read, written = piece.prompt_tokens or read, piece.answer_tokens or written
    return Said("".join(parts).strip(), read, written)
