"""The exchange of a chat, kept in one transaction or not at all.

What is kept: what users and tools said since the model's last reply, and the reply. What the
model was told from memory is no part of it, and its replies are kept as its own words, of which no
facts are made: so recalled text does not come back as something that the user said.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from mneme.core.clock import from_us
from mneme.core.errors import IdempotencyConflictError, MnemeError

if TYPE_CHECKING:
    from mneme.app.namespace import Namespace
    from mneme.server.proxy.reply import Reply
    from mneme.server.proxy.talk import Talk
    from mneme.vault.vault import Vault

LONGEST_S: Final = 5.0  # that the end of an answer waits for the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What one request adds to memory when it ends well.

    Attributes:
        id: The same for the same messages in the same session, however often they are sent.
        space: Whose memory.
        session: The client's, or one that the conversation's opening and the day give.
        new: What users and tools said in it.
    """

    id: str
    space: Namespace
    session: str
    new: tuple[dict[str, str], ...]


def exchange_of(vault: Vault, space: Namespace, session: str | None, talk: Talk) -> Exchange:
    """The exchange that a request begins.

    Args:
        vault: Its secret makes the names, so that they do not tell what was said; its clock says
            the day.
        space: Whose memory.
        session: As the client named it.
        talk: The request.
    """
    named = session if session is not None else _session_of(vault, talk)
    messages = json.dumps([space.path, named, *talk.messages], sort_keys=True)
    return Exchange(
        id=vault.writer.hashed(messages).hex(), space=space, session=named, new=talk.new
    )


def _session_of(vault: Vault, talk: Talk) -> str:
    day = from_us(vault.parts.clock.now_us()).date()
    return f"chat-{day}-{vault.writer.hashed(talk.opening).hex()[:12]}"


async def remember(exchange: Exchange, reply: Reply, limiter: anyio.CapacityLimiter) -> str:
    """Keep an exchange, if it ended well.

    Returns:
        "yes"; "repeated": it was there, with the reply of the first time; "late": the store takes
        longer than `LONGEST_S`, and goes on; or "no; " and why.
    """
    if reply.fault:
        return f"no; {reply.fault}"
    said = [*exchange.new]
    if reply.text.strip():
        said.append({"role": "assistant", "content": reply.text})
    if not said:
        return "no; nothing was said"

    def add() -> None:
        exchange.space.add(
            said,
            session=exchange.session,
            metadata={"exchange": exchange.id},
            idempotency_key=f"chat {exchange.id}",
        )

    try:
        with anyio.fail_after(LONGEST_S):
            await anyio.to_thread.run_sync(add, abandon_on_cancel=True, limiter=limiter)
    except TimeoutError:
        return "late"
    except IdempotencyConflictError:
        return "repeated"
    except MnemeError as error:
        return f"no; {type(error).__name__}"
    return "yes"
