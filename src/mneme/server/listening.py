"""uvicorn as Mneme runs it: a socket, its settings, and an end that answers what has begun.

On SIGTERM or SIGINT it takes no new requests, waits some seconds for those that are being answered,
and ends; the signal is not raised once more, so that a graceful end has exit status 0.
"""

from __future__ import annotations

import errno
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from mneme.core.errors import BackendUnavailableError, ForbiddenError, InvalidInputError
from mneme.server.guard.entrance import MOST_HEADER_BYTES
from mneme.server.guard.wire import wire_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from starlette.types import ASGIApp

    from mneme.settings import Settings

GRACE_S: Final = 8  # less than the 10 seconds that `docker stop` waits
_KEPT_OPEN_S: Final = 30
_BACKLOG: Final = 512
_PROXIES: Final = ["127.0.0.1", "::1"]  # may say, in X-Forwarded-*, for whom they ask


class Listening(uvicorn.Server):
    """A server that says when it listens, and ends quietly.

    Args:
        config: As `config_of` makes it.
        ready: Called once it answers.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Let the two signals end the server, and nothing more."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            each: signal.signal(each, self.handle_exit) for each in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def config_of(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """The settings of uvicorn for an application."""
    return uvicorn.Config(
        app,
        http=wire_of(settings.serve_timeout_s),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=_PROXIES,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEPT_OPEN_S,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        reset_contextvars=True,  # a pipelined request must not act under the name of the one before
    )


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens on an address; port 0: on any free port.

    Args:
        host: Name or number.
        port: 0 to 65535.
        shared: Beside others on the same address; the system deals out connections among them.

    Raises:
        InvalidInputError: There is no such address here.
        ForbiddenError: The port may not be used.
        BackendUnavailableError: It is in use.
    """
    with _saying_why(host, port):
        family, address = _resolved(host, port)
        listening = socket.create_server(
            address, family=family, backlog=_BACKLOG, reuse_port=shared
        )
    # asyncio sets it only on sockets that name their protocol; without it each answer waits 40 ms
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def hold(host: str, port: int) -> socket.socket:
    """A socket that keeps an address for `bind(..., shared=True)`, and does not listen itself.

    It takes the address alone, as one without sharing would, and only then lets others of this user
    in: else a second server on the same port would take half of the connections, unnoticed.

    Raises:
        As `bind`.
    """
    with _saying_why(host, port):
        family, address = _resolved(host, port)
        held = socket.socket(family, socket.SOCK_STREAM)
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart
            if family == socket.AF_INET6:
                held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            held.bind(address)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # who asks alone is refused
        except OSError:
            held.close()
            raise
    return held


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return family, (str(address[0]), int(address[1]))


@contextmanager
def _saying_why(host: str, port: int) -> Generator[None, None, None]:
    try:
        yield
    except (socket.gaierror, UnicodeError, OverflowError) as error:
        raise InvalidInputError(f"{host!r:.80} and port {port} are no address: {error}") from error
    except OSError as error:
        raise _refused(error, host, port) from error


def _refused(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return BackendUnavailableError(
            f"port {port} of {host} is in use; end what uses it, or choose another with --port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidInputError(f"{host} is no address of this computer; see --host")
    return ForbiddenError(f"cannot listen on port {port} of {host}: {error.strerror}")


def url_of(listening: socket.socket) -> str:
    """The address of a socket, as a browser on this computer would call it."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
