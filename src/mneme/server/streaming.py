"""Answers that come piece by piece: server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from mneme.core.errors import MnemeError
from mneme.core.plain import plain
from mneme.server.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.responses import Response

MEDIA_TYPE: Final = "text/event-stream"
BEAT_S: Final = 15.0  # of silence, after which a comment keeps proxies from closing
BEAT: Final = b": still here\n\n"
_END: Final = "end"  # these two are no events
_SILENCE: Final = "silence"

Event = tuple[str, Any]


def event(name: str, data: object) -> bytes:
    """One event; JSON has no line ends, so that it is one line of data."""
    said = json.dumps(plain(data), ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {said}\n\n".encode()


def as_events(stream: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that carries events; nothing on the way may keep or hold it."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type=MEDIA_TYPE, headers=headers)


class _GoneError(Exception):
    """Nobody listens any more; ends the work between two pieces."""


async def told(work: Callable[[Callable[[str], None]], object], last: str) -> Response:
    """Run work in a thread and tell what it notes, piece by piece, then its result.

    What fails before the first piece is answered with its own status; later an event says it. If
    the listener goes, the work ends at its next piece.

    Args:
        work: Is given what to note pieces with; a piece is told as {"text": piece}.
        last: The name of the event with the result.
    """
    queue: asyncio.Queue[Event] = asyncio.Queue()
    loop, gone = asyncio.get_running_loop(), asyncio.Event()

    def put(name: str, data: object) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (name, data))

    def note(piece: str) -> None:
        if gone.is_set():
            raise _GoneError
        if piece:
            put("token", {"text": piece})

    def run() -> None:
        try:
            put(last, work(note))
        except MnemeError as error:
            put("error", error)
        except _GoneError:
            pass
        except BaseException:
            put("error", MnemeError("an error of the server; its log says more"))
            raise
        finally:
            put(_END, None)

    task = asyncio.create_task(run_in_threadpool(run))
    first = await queue.get()
    if first[0] == "error":
        await asyncio.wait([task])
        return problem_of(first[1])
    return as_events(_events(queue, first, task, gone))


async def _events(
    queue: asyncio.Queue[Event], first: Event, task: asyncio.Task[None], gone: asyncio.Event
) -> AsyncIterator[bytes]:
    try:
        name, data = first
        while name != _END:
            if name != _SILENCE:
                yield event(name, data if name != "error" else _said(data))
            name, data = await _next(queue)
            if name == _SILENCE:
                yield BEAT
        await task
    finally:
        gone.set()


async def _next(queue: asyncio.Queue[Event]) -> Event:
    try:
        async with asyncio.timeout(BEAT_S):
            return await queue.get()
    except TimeoutError:
        return _SILENCE, None


def _said(error: MnemeError) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(bytes(problem_of(error).body))
