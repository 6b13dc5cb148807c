"""uvicorn's connections, bounded where uvicorn waits without end.

Bounded are their number, the time that the head of a request may take to come, and how long a
client may leave its answer unread. h11 parses: it refuses what two parsers could read in two
ways (request smuggling), and what it refuses is answered as a problem.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mneme.server.problems import MEDIA_TYPE, problem

if TYPE_CHECKING:
    import asyncio

MOST_CONNECTIONS = 500
HEAD_S = 10.0
_CLOSE = (b"connection", b"close")


class Wire(H11Protocol):
    """One connection of a client.

    Attributes:
        most: Connections at one time; what comes beyond is told to come later.
        head_s: How long the head of a request may take to come.
        stall_s: How long a client may read nothing while an answer waits.
    """

    most: ClassVar[int] = MOST_CONNECTIONS
    head_s: ClassVar[float] = HEAD_S
    stall_s: ClassVar[float] = 60.0

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 (as uvicorn has it)
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(503, "there are too many connections; try again later")
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        self._stop_stalling()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_stalling()
        self._stall = self.loop.call_later(self.stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_stalling()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 refuses; the hint of its error is the status."""
        error = sys.exception()
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if not getattr(self.cycle, "response_complete", True):  # there is no cycle before a request
            self.cycle.disconnected = True  # what the door still says goes nowhere
            self.cycle.message_event.set()
        self._refuse(hint, f"{msg} {error}".strip() if error else msg)

    def _refuse(self, status: int, detail: str) -> None:
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()  # an answer is under way
            return
        body = bytes(problem(status, detail).body)
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            _CLOSE,
        ]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self) -> None:
        """Give a head, and the rest of a body that nobody reads any more, their time."""
        theirs = self.conn.their_state
        unread = theirs is h11.SEND_BODY and self.cycle.response_complete
        if theirs is not h11.IDLE and not unread:
            self._stop_watching()
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(self.head_s, self._too_slow)

    def _too_slow(self) -> None:
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, f"the head of the request took more than {self.head_s:g} seconds")
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_stalling(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def wire_of(timeout_s: float, *, most: int = MOST_CONNECTIONS) -> type[Wire]:
    """The connections of a server with these limits."""

    class Limited(Wire):
        head_s = min(HEAD_S, timeout_s)
        stall_s = timeout_s

    Limited.most = most
    return Limited
