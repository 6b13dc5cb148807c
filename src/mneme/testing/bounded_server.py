"""A real HTTP server on 127.0.0.1 for tests, bounded in time and count."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class BoundedServer(ThreadingHTTPServer):
    """Keeps what was asked, and ends by itself.

    Args:
        handler: Answers; appends to `asked`.
        most_requests: After so many it ends.
        most_s: After so many seconds, too.

    Attributes:
        asked: What came, in order.
        ending: Set when it ends, so that answers that wait do not go on.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], *, most_requests: int, most_s: float
    ) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[Any] = []
        self.ending = threading.Event()
        self._most_requests, self._ends_at = most_requests, time.monotonic() + most_s

    def service_actions(self) -> None:
        """End when it was enough."""
        over = len(self.asked) >= self._most_requests or time.monotonic() > self._ends_at
        if over and not self.ending.is_set():
            self.ending.set()
            threading.Thread(target=self.shutdown, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that gave up is what the tests are about."""


Server = TypeVar("Server", bound=BoundedServer)


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """A server that runs in a thread until the block ends, at the latest."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()
