"""The model in this process, behind OpenAI's dialect.

In: a chat request. Out: the objects that OpenAI's server gives, `chat.completion`, or a stream of
`chat.completion.chunk`. Memory goes in as `Namespace.chat` puts it: as text, keys and values, or
weights. A client that leaves stops the model at its next token.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio

from mneme.app.activation.engines import is_remote
from mneme.core.errors import BackendUnavailableError, InvalidInputError, MnemeError
from mneme.server.proxy.engine_asked import wanted_of
from mneme.server.proxy.passing import CutError, Passing
from mneme.server.proxy.plain import Said, answer_plainly
from mneme.server.proxy.recalled import Recalled
from mneme.server.proxy.refused import RefusedError
from mneme.server.proxy.reply import Listener
from mneme.server.proxy.serving import streamed, whole

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.responses import Response

    from mneme.app.activation.reply import Reply
    from mneme.app.namespace import Namespace
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.server.proxy.engine_asked import Wanted
    from mneme.server.proxy.serving import Chat, Proxy

_JSON: Final = [(b"content-type", b"application/json")]
_EVENTS: Final = [(b"content-type", b"text/event-stream; charset=utf-8")]
_ENDS: Final = b"data: [DONE]\n\n"


class _LeftError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(slots=True)
class _Speaker:
    """One answer of the model: made in a thread, heard piece by piece.

    Attributes:
        result: The whole answer, once it is there.
        recalled: What memory put in.
    """

    engine: Engine | RemoteEngine
    wanted: Wanted
    space: Namespace | None
    budget_tokens: int
    recalled: Recalled = field(default_factory=Recalled)
    result: Said | None = None
    _said: int = 0
    _left: threading.Event = field(default_factory=threading.Event)

    async def pieces(self, limiter: anyio.CapacityLimiter) -> AsyncGenerator[str, None]:
        """The texts of the answer as they are made; then `result` is set."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def note(piece: str) -> None:
            if self._left.is_set():
                raise _LeftError
            self._said += 1
            loop.call_soon_threadsafe(queue.put_nowait, piece)

        def speak() -> Said:
            return self._answer(note)

        work = asyncio.ensure_future(anyio.to_thread.run_sync(speak, limiter=limiter))
        work.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (piece := await queue.get()) is not None:
                yield piece
            self.result = work.result()
        finally:
            self._left.set()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _answer(self, note: Any) -> Said:  # noqa: ANN401 (a callable)
        wanted = self.wanted
        if self.space is not None:
            try:
                reply = self.space.chat(
                    list(wanted.messages), engine=self.engine, remember=False,
                    budget_tokens=self.budget_tokens, max_new_tokens=wanted.new_tokens, note=note,
                )  # fmt: skip
            except MnemeError as error:
                if self._said:
                    raise
                self.recalled = Recalled(degraded=type(error).__name__)
            else:
                self.recalled = _recalled(reply)
                timings = reply.timings
                return Said(reply.text, timings.prompt_tokens or 0, timings.answer_tokens)
        return answer_plainly(self.engine, wanted.messages, wanted.new_tokens, note)


def _recalled(reply: Reply) -> Recalled:
    cubes = dict.fromkeys(item.cube_id for item in reply.plan)
    degraded = "embedder" if reply.context.degraded else ""
    return Recalled(tokens=reply.context.tokens, cubes=tuple(cubes), degraded=degraded)


async def from_engine(
    proxy: Proxy, chat: Chat, engine: Engine | RemoteEngine, space: Namespace | None
) -> Response:
    """The model's answer, with what memory says of itself.

    Args:
        proxy: Of the server.
        chat: The request.
        engine: One that is attached.
        space: Whose memory it answers from; None: nobody's.

    Raises:
        RefusedError: The request asks for what the model cannot do, or the model fails.
    """
    wanted = wanted_of(chat.talk, name_of(proxy, engine))
    speaker = _Speaker(engine, wanted, space, chat.whose.budget_tokens)
    frame = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "created": proxy.service.memory.vault.parts.clock.now_us() // 1_000_000,
        "model": wanted.model,
    }
    if wanted.streams:
        return await _stream(proxy, chat, speaker, frame)
    try:
        async for _ in speaker.pieces(proxy.models):
            pass
    except MnemeError as error:
        raise _fault_of(error) from error
    chat.recalled = speaker.recalled
    body = json.dumps(_completion(speaker, frame), ensure_ascii=False).encode()
    return await whole(proxy, chat, 200, _JSON, body)


def name_of(proxy: Proxy, engine: Engine | RemoteEngine) -> str:
    """What the model in this process is called."""
    if is_remote(engine):
        return engine.id
    folder = proxy.service.settings.serve_model
    return folder.rstrip("/").rpartition("/")[2] if folder else "local"


async def _stream(proxy: Proxy, chat: Chat, speaker: _Speaker, frame: dict[str, Any]) -> Response:
    """A stream that begins when the model has said something: till then it may still fail."""
    pieces = speaker.pieces(proxy.models)
    try:
        first = await anext(pieces, None)
    except MnemeError as error:
        raise _fault_of(error) from error
    chat.recalled = speaker.recalled
    kept = "at-end" if chat.exchange is not None else f"no; {chat.unkept}"
    events = _events(speaker, frame, first, pieces)
    headers = [*_EVENTS, *chat.headers(kept, at_end=chat.unread is None)]
    return Passing(200, headers, streamed(proxy, chat, events, Listener()))


async def _events(
    speaker: _Speaker, frame: dict[str, Any], first: str | None, pieces: AsyncGenerator[str, None]
) -> AsyncGenerator[bytes, None]:
    """The events of a stream, as OpenAI's server sends them."""
    wanted = speaker.wanted
    frame = {**frame, "object": "chat.completion.chunk"}
    usage = {"usage": None} if wanted.with_usage else {}

    def event(delta: dict[str, str], reason: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event({**frame, "choices": [choice], **usage, **more})

    try:
        yield event({"role": "assistant", "content": ""})
        if first is not None:
            yield event({"content": first})
        async for piece in pieces:
            if piece:
                yield event({"content": piece})
    except MnemeError as error:
        raise CutError(type(error).__name__) from error
    finally:
        await pieces.aclose()
    recalled = {"cubes": list(speaker.recalled.cubes), "tokens": speaker.recalled.tokens}
    yield event({}, _reason(speaker), mneme=recalled)
    if wanted.with_usage:
        yield _event({**frame, "choices": [], "usage": _usage(speaker)})
    yield _ENDS


def _event(said: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(said, ensure_ascii=False)}\n\n".encode()


def _completion(speaker: _Speaker, frame: dict[str, Any]) -> dict[str, Any]:
    assert speaker.result is not None
    message = {"role": "assistant", "content": speaker.result.text, "refusal": None}
    choice = {
        "index": 0, "message": message, "logprobs": None, "finish_reason": _reason(speaker),
    }  # fmt: skip
    usage = _usage(speaker)
    return {**frame, "object": "chat.completion", "choices": [choice], "usage": usage}


def _reason(speaker: _Speaker) -> str:
    full = speaker.result is not None and speaker.result.tokens >= speaker.wanted.new_tokens
    return "length" if full else "stop"


def _usage(speaker: _Speaker) -> dict[str, int]:
    assert speaker.result is not None
    read, written = speaker.result.prompt_tokens, speaker.result.tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _fault_of(error: MnemeError) -> RefusedError:
    name = type(error).__name__
    if isinstance(error, InvalidInputError):
        return RefusedError(400, str(error), code=name, param="messages")
    status = 502 if isinstance(error, BackendUnavailableError) else 500
    return RefusedError(status, str(error), code=name)
