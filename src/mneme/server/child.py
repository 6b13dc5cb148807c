"""One of several processes of a server: opens the store and serves on the shared address.

Its first line of stdin is an `Order`; it says `ready` on stdout, and ends when stdin does, so that
it never outlives the process that started it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mneme.core.errors import MnemeError
from mneme.server.arenas import few_arenas
from mneme.settings import Settings

if TYPE_CHECKING:
    from mneme.server.listening import Listening

READY: Final = b"ready\n"
_INPUT, _OUTPUT = 0, 1
_FORM: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is to serve.

    Attributes:
        target: The store, as for `mneme.open`.
        settings: Those of this process.
        host: Address of the socket that holds the port.
        port: That port.
        counts: The file in which it keeps its counts, in a folder that all processes share.
        access_log: Whether there is a line for each request.
    """

    target: str | None
    settings: Settings
    host: str
    port: int
    counts: str
    access_log: bool

    def line(self) -> bytes:
        """The order as one line; it holds secrets, so it goes through a pipe and nowhere else."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Order:
        """The order that a line says."""
        said = json.loads(line)
        return cls(**said | {"settings": Settings(**said["settings"])})

    def __repr__(self) -> str:
        return f"Order(port={self.port}, counts={self.counts!r})"


def main() -> None:
    """Serve what stdin orders, until a signal or the end of stdin."""
    order = Order.of(_first_line())
    log_to_stderr(access_log=order.access_log)
    try:
        _serve(order)
    except MnemeError as error:
        sys.exit(f"mneme: {error}")


def log_to_stderr(*, access_log: bool) -> None:
    """Warnings of all parts, and a line for each request if wanted; neither holds content."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORM))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("mneme.access").setLevel(logging.INFO if access_log else logging.WARNING)


def _serve(order: Order) -> None:
    few_arenas()
    from mneme.server.app import create_app
    from mneme.server.listening import Listening, bind, config_of
    from mneme.server.mcp.graph import WRITING
    from mneme.server.service import Service
    from mneme.server.tallies import Tallies
    from mneme.wiring import build

    WRITING.among(Path(order.counts).with_name("graph.lock"))
    with build(order.target, settings=order.settings) as memory:
        app = create_app(Service(memory=memory, settings=order.settings))
        tallies = Tallies(app.state.requests, Path(order.counts))
        with tallies, bind(order.host, order.port, shared=True) as listening:
            server = Listening(config_of(app, order.settings), lambda: _say(READY))
            thread = threading.Thread(target=_end_with_input, args=(server, order), daemon=True)
            thread.start()
            server.run([listening])


def _first_line() -> bytes:
    """Read without a buffer: another thread waits for the end of the same pipe later."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the server listens, its parent decides
    line = b""
    while not line.endswith(b"\n"):
        got = os.read(_INPUT, 1)
        if not got:
            sys.exit(0)  # nobody wants it any more
        line += got
    return line


def _say(what: bytes) -> None:
    os.write(_OUTPUT, what)


def _end_with_input(server: Listening, order: Order) -> None:
    while os.read(_INPUT, 1024):
        pass
    server.should_exit = True
    shutil.rmtree(Path(order.counts).parent, ignore_errors=True)  # whose folder it was is gone
