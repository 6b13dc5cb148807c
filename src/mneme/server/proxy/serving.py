"""From a chat request to its answer: memory before, the model, memory after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import httpx2
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mneme.server.proxy import upstream
from mneme.server.proxy.passing import CutError, Passing
from mneme.server.proxy.recalled import Recalled, recalled
from mneme.server.proxy.remembered import Exchange, exchange_of, remember
from mneme.server.proxy.reply import Listener, Reply, read_whole
from mneme.server.proxy.talk import Talk, UnreadableError, read
from mneme.server.proxy.whose import Whose, whose_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from mneme.app.namespace import Namespace
    from mneme.govern.permission import Principal
    from mneme.server.service import Service

    RawHeaders = list[tuple[bytes, bytes]]

_AT_ONCE: Final = 16  # threads that wait for the store: other doors have theirs
_SMALL_BYTES: Final = 256 << 10  # of a request that is read without a thread
_MOST_CUBES: Final = 32  # that a header names
_MAY_BE_OURS: Final = frozenset({400, 413, 422})  # a model may refuse what memory added
_AT_END: Final = "at-end"


@dataclass(slots=True)
class Proxy:
    """What the requests of one server share."""

    service: Service
    client: httpx2.AsyncClient
    reading: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_AT_ONCE))
    writing: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_AT_ONCE))
    models: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_AT_ONCE))


@dataclass(slots=True, kw_only=True)
class Chat:
    """One request on its way.

    Attributes:
        whose: Whose memory.
        body: As it came.
        talk: The same, read; None: it is nothing that memory can read.
        recalled: What memory adds.
        exchange: What memory keeps; None: nothing.
        refused: Whether the model refused what memory added, and was asked without.
    """

    whose: Whose
    body: bytes
    talk: Talk | None
    recalled: Recalled = field(default_factory=Recalled)
    exchange: Exchange | None = None
    refused: bool = False

    @property
    def sent(self) -> bytes:
        """What the model gets."""
        if self.talk is None or not self.recalled.text:
            return self.body
        return self.talk.with_system(self.recalled.text)

    @property
    def unread(self) -> str | None:
        """Why memory adds nothing; None: it was asked."""
        return self.whose.unread or (None if self.talk is not None else "unreadable request")

    @property
    def unkept(self) -> str | None:
        """Why memory keeps nothing; None: it will, if all goes well."""
        if self.whose.unkept or self.talk is None:
            return self.whose.unkept or "unreadable request"
        return None if self.exchange is not None else "nothing was said"

    @property
    def _read(self) -> str:
        if self.unread is not None:
            return f"no; {self.unread}"
        if self.refused:
            return "no; the model refused it"
        return str(len(self.recalled.cubes))

    def headers(self, kept: str, *, at_end: bool = False) -> RawHeaders:
        """What it says of itself: names and numbers, never a text.

        Args:
            kept: What became of the exchange.
            at_end: Whether only the end of a stream will say what was recalled.
        """
        whose, used = self.whose, Recalled() if self.refused else self.recalled
        degraded = "refused" if self.refused else self.recalled.degraded
        session = self.exchange.session if self.exchange is not None else whose.session
        said = {
            "namespace": whose.path,
            "session": session,
            "recalled": "at-end" if at_end else self._read,
            "tokens": str(used.tokens) if used.tokens else None,
            "cubes": ",".join(used.cubes[:_MOST_CUBES]),
            "degraded": degraded,
            "exchange": self.exchange.id if self.exchange is not None else None,
            "remembered": kept,
        }
        return [(f"x-mneme-{name}".encode(), text.encode()) for name, text in said.items() if text]


async def begin(proxy: Proxy, request: Request, principal: Principal) -> Chat:
    """A request, read, with whose memory it uses.

    Raises:
        RefusedError: A header is malformed, or the key does not grant it.
    """
    service = proxy.service
    whose = whose_of(principal, request.headers, service.settings.proxy_budget_tokens)
    body = await request.body()
    chat = Chat(whose=whose, body=body, talk=await _read(body))
    if whose.path is None or chat.talk is None:
        return chat
    if whose.unkept is None:
        space = service.namespace(principal, whose.path, "add")
        given = service.memory.vault, space, whose.session, chat.talk
        small = len(body) <= _SMALL_BYTES
        chat.exchange = (
            exchange_of(*given) if small else await run_in_threadpool(exchange_of, *given)
        )
    return chat


async def _read(body: bytes) -> Talk | None:
    try:
        return read(body) if len(body) <= _SMALL_BYTES else await run_in_threadpool(read, body)
    except UnreadableError:
        return None


def reading(proxy: Proxy, chat: Chat, principal: Principal) -> Namespace | None:
    """The namespace whose memory is added; None: none is."""
    if chat.unread is not None or chat.whose.path is None:
        return None
    return proxy.service.namespace(principal, chat.whose.path, "read")


async def recall(proxy: Proxy, chat: Chat, principal: Principal) -> None:
    """Ask memory for what goes into a request."""
    space = reading(proxy, chat, principal)
    if space is None or chat.talk is None:
        return
    chat.recalled = await recalled(
        space,
        chat.talk.question,
        said=chat.talk.texts,
        budget_tokens=chat.whose.budget_tokens,
        counter=proxy.service.memory.counter,
        limiter=proxy.reading,
    )


async def from_upstream(proxy: Proxy, chat: Chat, request: Request) -> Response:
    """The upstream's answer, with what memory says of itself.

    Raises:
        RefusedError: The upstream fails.
    """
    answer = await _ask(proxy, chat.sent, request)
    if chat.recalled.text and answer.status_code in _MAY_BE_OURS:
        await answer.aclose()
        chat.refused = True
        answer = await _ask(proxy, chat.body, request)
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.is_success and kind == "text/event-stream":
        kept = _AT_END if chat.exchange is not None else f"no; {chat.unkept}"
        headers = upstream.given(answer) + chat.headers(kept)
        listener = Listener()
        chunks = streamed(proxy, chat, _chunks(answer, listener), listener)
        return Passing(answer.status_code, headers, chunks)
    body = await upstream.whole(answer)
    return await whole(proxy, chat, answer.status_code, upstream.given(answer), body)


async def _ask(proxy: Proxy, body: bytes, request: Request) -> httpx2.Response:
    return await upstream.asked(
        proxy.client, proxy.service.settings, "/chat/completions",
        given=request.headers, query=request.url.query, body=body,
    )  # fmt: skip


async def _chunks(answer: httpx2.Response, listener: Listener) -> AsyncGenerator[bytes, None]:
    """The bytes of a stream; an end of which nobody said that it is one is a cut."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx2.HTTPError as error:
        raise CutError(type(error).__name__) from error
    finally:
        await answer.aclose()
    if not upstream.is_delimited(answer) and not listener.ended:
        raise CutError("the connection was closed")


async def whole(
    proxy: Proxy, chat: Chat, status: int, headers: RawHeaders, body: bytes
) -> Response:
    """An answer that is no stream; what it says of memory has happened."""
    kept = await keep(proxy, chat, read_whole(status, body))
    response = Response(body, status)
    length = (b"content-length", str(len(body)).encode())
    response.raw_headers = [*headers, length, *chat.headers(kept)]
    return response


async def streamed(
    proxy: Proxy, chat: Chat, chunks: AsyncGenerator[bytes, None], listener: Listener
) -> AsyncGenerator[bytes, None]:
    """The same bytes; the exchange is kept before the line that ends a stream goes on."""
    try:
        async for chunk in chunks:
            end = listener.hear(chunk)
            if end is None:
                yield chunk
                continue
            if end:
                yield chunk[:end]
            await keep(proxy, chat, listener.reply())
            yield chunk[end:]
    finally:
        await chunks.aclose()


async def keep(proxy: Proxy, chat: Chat, reply: Reply) -> str:
    """Keep the exchange, where one is wanted; what became of it."""
    if chat.exchange is None:
        return f"no; {chat.unkept}"
    return await remember(chat.exchange, reply, proxy.writing)
