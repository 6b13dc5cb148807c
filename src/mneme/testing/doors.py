"""A real server of Mneme on 127.0.0.1, in a thread, for tests.

    with running_door(memory) as door:
        httpx2.get(door.url + "/v1/...", headers=door.headers)

It listens on a free port and ends with the block. `door.key` may do everything everywhere; make
others with `memory.make_key`.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.govern.permission import ALL
from mneme.server.app import create_app
from mneme.server.listening import Listening, bind, config_of, url_of
from mneme.server.service import Service
from mneme.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme.app.memory import MemoryOS
    from mneme.core.engine import Engine, RemoteEngine

_STARTS_IN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where a server listens, and a key to it.

    Attributes:
        url: Its address, without a slash at the end.
        key: Of a principal "root" that may do everything, look after keys included.
    """

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs."""
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def running_door(
    memory: MemoryOS,
    *,
    settings: Settings | None = None,
    engine: Engine | RemoteEngine | None = None,
) -> Iterator[Door]:
    """A server over an open memory, until the block ends.

    Args:
        memory: Stays open.
        settings: Of the server; None: the defaults, with no limit of requests.
        engine: One that is attached.
    """
    chosen = Settings(serve_requests_per_s=0) if settings is None else settings
    key, _ = memory.make_key("root", namespaces=[ALL], verbs=[ALL, "admin"])
    app = create_app(Service(memory=memory, settings=chosen, engine=engine))
    listening = bind("127.0.0.1", 0)
    server = Listening(config_of(app, chosen))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    ends = time.monotonic() + _STARTS_IN_S
    while not server.started and time.monotonic() < ends:
        time.sleep(0.005)
    try:
        yield Door(url=url_of(listening), key=key)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
