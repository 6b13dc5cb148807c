"""A server of Mneme in a process of its own, for benchmarks; and what starts it and looks at it.

As a program it opens a store, prints one line of JSON (`url`, `key`) and serves until its standard
input ends, so that it never outlives whoever started it:

    python benchmarks/doors_server.py --store FOLDER --processes 1 --threads 8

It has as many processes as `mneme serve` would, unless `--processes` says how many; the options of
the loop and the threads are for one. The rest is for the benchmarks that start it: `running`, and
`resident_mb` and `cpu_s` of all of its processes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
ENDS_IN_S = 30.0


@dataclass(frozen=True)
class Server:
    """One that runs."""

    port: int
    key: str
    pid: int


@contextmanager
def running(store: Path, *options: str, env: dict[str, str] | None = None) -> Iterator[Server]:
    """A server over a store, until the block ends; `options` as of the program."""
    command = [sys.executable, __file__, "--store", str(store), *options]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"MNEME_SERVE_REQUESTS_PER_S": "0"} | (env or {}),
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the server did not start")
        said = json.loads(line)
        yield Server(said["port"], said["key"], process.pid)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(ENDS_IN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def family(pid: int) -> list[int]:
    """A process and its children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [
        pid,
        *(int(child) for task in tasks for child in (task / "children").read_text().split()),
    ]


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, in MB (1e6 bytes)."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children, all their threads."""
    ticks = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--loop", default="auto", help="of uvicorn: auto, asyncio or uvloop")
    parser.add_argument("--threads", type=int, default=0, help="that answer; 0: as the server says")
    parser.add_argument("--switch-interval-s", type=float, default=0.0, help="0: Python's own")
    parser.add_argument("--processes", type=int, default=0, help="0: as many as `mneme serve` has")
    options = parser.parse_args()
    if options.loop == "auto" and not options.threads and not options.switch_interval_s:
        return serve(options.store, options.processes)
    return serve_alone(options)


def serve(store: Path, processes: int) -> int:
    """As `mneme serve` does it."""
    import mneme
    from mneme.server import serving
    from mneme.settings import Settings

    settings = serving.changed(Settings.from_environment(), serve_port=0, serve_processes=processes)
    with mneme.open(store, settings=serving.changed(settings, worker=False)) as memory:
        key, _ = memory.make_key("benchmark", namespaces=["*"], verbs=["*", "admin"])

    def tell(started: serving.Started) -> None:
        said = {"port": int(started.url.rpartition(":")[2]), "key": key}
        print(json.dumps(said), flush=True)
        threading.Thread(target=signal_with_input, daemon=True).start()

    serving.serve(store, settings=settings, tell=tell)
    return 0


def serve_alone(options: argparse.Namespace) -> int:
    """One process, run in another way than `mneme serve` runs it."""
    import mneme
    from mneme.server.app import create_app
    from mneme.server.listening import Listening, bind, config_of
    from mneme.server.service import Service
    from mneme.settings import Settings

    settings = Settings.from_environment()
    if options.switch_interval_s:
        sys.setswitchinterval(options.switch_interval_s)
    with mneme.open(options.store, settings=settings) as memory:
        key, _ = memory.make_key("benchmark", namespaces=["*"], verbs=["*", "admin"])
        app = create_app(Service(memory=memory, settings=settings))
        listening = bind("127.0.0.1", 0)
        config = config_of(app, settings)
        config.loop = options.loop
        server = Listening(config)
        if options.threads:
            app.add_middleware(Threads, count=options.threads)
        said = {"port": listening.getsockname()[1], "key": key}
        print(json.dumps(said), flush=True)
        threading.Thread(target=end_with_input, args=(server,), daemon=True).start()
        server.run(sockets=[listening])
    return 0


class Threads:
    """Sets how many threads answer, before the first request."""

    def __init__(self, app: object, count: int) -> None:
        self._app, self._count, self._set = app, count, False

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        if not self._set:
            from anyio.to_thread import current_default_thread_limiter

            current_default_thread_limiter().total_tokens = self._count
            self._set = True
        await self._app(scope, receive, send)  # type: ignore[operator]


def signal_with_input() -> None:
    """End this process, as whoever started it would, when that closes its input."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def end_with_input(server: object) -> None:
    """Stop the server when whoever started it closes its input."""
    sys.stdin.read()
    server.should_exit = True  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
