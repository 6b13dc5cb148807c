"""A server under load: 32 connections, 80 % searches and 20 % adds, for minutes, on two cores.

    python benchmarks/doors_load.py --minutes 5                   # both sets, ~15 minutes
    python benchmarks/doors_load.py --sets hundred --minutes 0.5 --stores FOLDER

Sets: `hundred` is 100 namespaces of 1,000 turns, each request on one of them at random; `one` is
one namespace of 100,000 turns. The turns are made up (chat_turns.py). A server process serves a
copy of the prepared store, as a user's would (its workers read what is added), with as many
processes as `mneme serve` has on this machine, or `--processes`; this process is the
client: each connection sends its next request as soon as it has the answer to the last one. It
speaks HTTP/1.1 by hand, because it shares the cores with what it measures: its own CPU time is
reported. Caches of each process are warmed by searches in each namespace; that time is
reported, too.
Out: benchmarks/results/doors_load.json. `jobs_left` says how far the worker was behind at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat_turns import Turn, make_questions, make_turns
from doors_server import Server, cpu_s, resident_mb, running
from measuring import Others, folder_mb, machine_facts, percentile, save

CONNECTIONS = 32
SEARCHES = 0.8
WARM_LINES = 8
SETS = {"hundred": (100, 1_000), "one": (1, 100_000)}
GOALS = {
    "hundred": {"requests_per_s": 200, "p99_ms": 400, "errors": 0},
    "one": {"requests_per_s": 30, "errors": 0},
}
_SAMPLE_S = 5.0
_WARM_SHARE = 0.2  # of the time, before memory is expected to be flat


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--sets", default="hundred,one")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--stores", type=Path, default=None, help="where prepared stores are kept")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the turns, to try it out"
    )
    parser.add_argument("--no-infer", action="store_true", help="added turns are not read")
    parser.add_argument("--no-worker", action="store_true", help="no background work at all")
    parser.add_argument("--processes", type=int, default=0, help="0: as many as `mneme serve` has")
    parser.add_argument("--server", default="", help="options of doors_server.py")
    parser.add_argument("--out", default="doors_load.json")
    options = parser.parse_args()
    from mneme.server.processes import processes_of
    from mneme.settings import Settings

    env = {"MNEME_INFER": "false"} if options.no_infer else {}
    env |= {"MNEME_WORKER": "false"} if options.no_worker else {}
    found: dict[str, Any] = {"machine": machine_facts(), "goals": GOALS}
    found |= {"connections": options.connections, "searches_share": SEARCHES}
    found["processes"] = processes_of(Settings(serve_processes=options.processes))
    server_options = ["--processes", str(options.processes), *options.server.split()]
    with tempfile.TemporaryDirectory() as folder:
        kept = options.stores or Path(folder)
        for name in options.sets.split(","):
            spaces, turns = SETS[name]
            shape = Shape(name, spaces, max(20, int(turns * options.scale)))
            prepared = prepare(kept, shape)
            copy = Path(folder) / f"copy-{name}"
            shutil.copytree(prepared, copy)
            with running(copy, *server_options, env=env) as server:
                plan = Plan(shape, options.connections, options.minutes * 60, found["processes"])
                found[name] = asyncio.run(Load(server, plan).run())
            found[name] |= {"jobs_left": jobs_left(copy), "store_mb": folder_mb(copy)}
            print(name, json.dumps({k: v for k, v in found[name].items() if k != "memory"}))
            shutil.rmtree(copy)
    print("wrote", save(options.out, found))
    return 0


@dataclass(frozen=True)
class Shape:
    """What the store holds."""

    name: str
    spaces: int
    turns: int

    def path(self, number: int) -> str:
        return f"bench/u{number:03d}"

    def talk(self, number: int) -> list[Turn]:
        return make_turns(self.turns, seed=100 + number)


@dataclass(frozen=True)
class Plan:
    """What is asked of the server."""

    shape: Shape
    connections: int
    seconds: float
    processes: int


def prepare(folder: Path, shape: Shape) -> Path:
    """A store of this shape, with all background work done; made once."""
    store = folder / f"{shape.name}-{shape.spaces}x{shape.turns}"
    if (store / "ready").exists():
        return store
    import mneme
    from mneme.settings import Settings

    started = time.perf_counter()
    with mneme.open(store, settings=Settings(worker=False, infer=False, sleep=False)) as memory:
        for number in range(shape.spaces):
            messages = (t.message() | {"session": t.session} for t in shape.talk(number))
            memory.namespace(shape.path(number)).add_many(messages)
        memory.drain()
    (store / "ready").touch()
    print(f"prepared {store.name} in {time.perf_counter() - started:.0f} s")
    return store


def jobs_left(store: Path) -> dict[str, Any]:
    """How many jobs wait once the server has ended, by state."""
    import mneme
    from mneme.settings import Settings

    with mneme.open(store, settings=Settings(worker=False)) as memory:
        return dict(memory.stats().jobs)


@dataclass
class Seen:
    """What the client saw of one kind of request."""

    took_ms: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        ends = {f"p{p}_ms": percentile(self.took_ms, p) for p in (50, 95, 99)}
        more = {"max_ms": max(self.took_ms), "errors": self.errors}
        return {"requests": len(self.took_ms), **ends, **more}


class Load:
    """Connections that ask until the time is up."""

    def __init__(self, server: Server, plan: Plan) -> None:
        self._server, self._plan = server, plan
        self._seen = {"search": Seen(), "add": Seen()}
        self._ends = 0.0
        shape = plan.shape
        asked = min(shape.spaces, 5)
        self._questions = [q for n in range(asked) for q in make_questions(shape.talk(n), 400)]
        self._said = [turn.text for turn in make_turns(5_000, seed=5)]

    async def run(self) -> dict[str, Any]:
        started = time.perf_counter()
        await self._warm()
        warm_s = time.perf_counter() - started
        others, own, servers = Others(), time.process_time(), cpu_s(self._server.pid)
        started = time.perf_counter()
        self._ends = started + self._plan.seconds
        memory = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._connection(n) for n in range(self._plan.connections)))
        took = time.perf_counter() - started
        both = Seen(
            [ms for seen in self._seen.values() for ms in seen.took_ms],
            {k: v for seen in self._seen.values() for k, v in seen.errors.items()},
        )
        return {
            "seconds": took,
            "requests_per_s": len(both.took_ms) / took,
            **both.summary(),
            **{name: seen.summary() for name, seen in self._seen.items()},
            "warm_s": warm_s,
            "client_cpu_share": (time.process_time() - own) / took,
            "server_cpu_share": (cpu_s(self._server.pid) - servers) / took,
            "machine_busy_share": others.share(),
            **growth(await memory, len(self._seen["add"].took_ms) / took),
        }

    async def _warm(self) -> None:
        """A search in each namespace, one after the other, on so many lines that all processes
        take some of them: each has indexes of its own."""
        for _ in range(WARM_LINES if self._plan.processes > 1 else 1):
            line = await Line.to(self._server)
            for number in range(self._plan.shape.spaces):
                status = await line.ask(self._search(number, "Who has a garden?"))
                if status != 200:
                    raise SystemExit(f"a search was answered by {status}")
            line.close()

    async def _connection(self, number: int) -> None:
        rng = random.Random(number)
        line = await Line.to(self._server)
        for kind, request in self._requests(rng):
            started = time.perf_counter()
            if started >= self._ends:
                break
            seen = self._seen[kind]
            try:
                status = await line.ask(request)
            except (OSError, EOFError) as error:
                status = type(error).__name__
                line = await Line.to(self._server)
            seen.took_ms.append((time.perf_counter() - started) * 1e3)
            if status not in {200, 201}:
                seen.errors[str(status)] = seen.errors.get(str(status), 0) + 1
        line.close()

    def _requests(self, rng: random.Random) -> Iterator[tuple[str, bytes]]:
        shape, said = self._plan.shape, 0
        while True:
            number = rng.randrange(shape.spaces)
            if rng.random() < SEARCHES:
                yield "search", self._search(number, rng.choice(self._questions))
            else:
                said += 1
                yield "add", self._add(number, rng.choice(self._said), f"live{said // 20}")

    def _search(self, number: int, question: str) -> bytes:
        return self._post(number, "search", {"query": question})

    def _add(self, number: int, text: str, session: str) -> bytes:
        return self._post(number, "memories", {"content": text, "session": session})

    def _post(self, number: int, verb: str, body: dict[str, Any]) -> bytes:
        path = self._plan.shape.path(number).replace("/", "~")
        data = json.dumps(body).encode()
        head = (
            f"POST /v1/namespaces/{path}/{verb} HTTP/1.1\r\nHost: 127.0.0.1:{self._server.port}\r\n"
            f"Authorization: Bearer {self._server.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    async def _watch(self) -> list[tuple[float, float]]:
        """Resident memory of the server, all its processes, as it goes: seconds, MB."""
        started, samples = time.perf_counter(), []
        while time.perf_counter() < self._ends:
            samples.append((time.perf_counter() - started, resident_mb(self._server.pid)))
            await asyncio.sleep(min(_SAMPLE_S, self._plan.seconds / 20))
        return samples


class Line:
    """One kept connection that speaks just enough HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, server: Server) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", server.port))

    async def ask(self, request: bytes) -> int | str:
        """Send it, read the whole answer; its status."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self._reader.readexactly(size + 2)
            await self._reader.readuntil(b"\r\n")
        else:
            length = lowered.split(b"content-length:")[1].split(b"\r\n")[0]
            await self._reader.readexactly(int(length))
        return int(head[9:12])

    def close(self) -> None:
        self._writer.close()


def growth(memory: list[tuple[float, float]], adds_per_s: float) -> dict[str, Any]:
    """How memory went after the first fifth: by a straight line, and for each turn that was added.

    The store grows while it is measured: an index of 256 bytes and some words for each new turn is
    no leak, and a line is steeper than that would be if there were one.
    """
    begins = memory[-1][0] * _WARM_SHARE
    late = [(at, mb) for at, mb in memory if at >= begins]
    mean_at = sum(at for at, _ in late) / len(late)
    mean_mb = sum(mb for _, mb in late) / len(late)
    spread = sum((at - mean_at) ** 2 for at, _ in late)
    slope = sum((at - mean_at) * (mb - mean_mb) for at, mb in late) / spread if spread else 0.0
    return {
        "memory": [[round(at, 1), round(mb, 1)] for at, mb in memory],
        "memory_mb": {"first": memory[0][1], "after_a_fifth": late[0][1], "last": late[-1][1]},
        "memory_mb_per_minute": slope * 60,
        "memory_bytes_per_added_turn": slope * 1e6 / adds_per_s if adds_per_s else 0.0,
    }


if __name__ == "__main__":
    sys.exit(main())
