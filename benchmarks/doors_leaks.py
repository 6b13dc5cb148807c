"""20 principals, 50 planted tokens each, 20,000 requests that pry: how many tokens come back.

    python benchmarks/doors_leaks.py                  # 20,000 requests, over real HTTP and MCP
    python benchmarks/doors_leaks.py --requests 2000 --seed 7

Requests are made by `mneme.testing.intruders`: searches with filters, ids and cursors of others,
histories, exports, erasures, broken bodies, pages of the console, the proxy, tools of MCP. A token
of another in a body or a header is a leak; so is a token that its owner forgot or erased. And each
request that names a foreign id is sent again with an id that nobody has: both answers must be
alike.
Writes benchmarks/results/doors_leaks.json.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from doors_mcp_calls import ToolCaller
from measuring import machine_facts, save
from mneme.settings import Settings
from mneme.testing.doors import Door, running_door
from mneme.testing.intruders import Asked, Intruder, World, missing_id, plant
from mneme.testing.upstream import running_upstream
from mneme.wiring import build

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

_TOOK = re.compile(r"[0-9.]+ ms")


class Prying:
    """Sends requests and judges the answers."""

    def __init__(self, door: Door, world: World, rng: random.Random) -> None:
        self._world, self._rng = world, rng
        self._http = httpx2.Client(base_url=door.url, timeout=10)
        self._tools = ToolCaller(door)
        self.leaks: list[str] = []
        self.unlike: list[str] = []
        self.statuses: Counter[str] = Counter()
        self.twins = 0

    def close(self) -> None:
        self._tools.close()
        self._http.close()

    def one(self) -> None:
        who = self._rng.choice(self._world.intruders)
        asked = self._world.pry(self._rng, who)
        status, said = self._send(who, asked)
        self._world.note(asked, status)
        kind = "MCP" if asked.method == "MCP" else "HTTP"
        self.statuses[f"{kind} {status}"] += 1
        leaked = self._world.leaked(who, said)
        if leaked:
            self.leaks.append(f"{who.name} {asked!r:.300} -> {status} {sorted(leaked)}")
        self._learn(asked, said)
        if asked.named is not None and self._is_foreign(who, asked.named) and _reads(asked):
            self._twin(who, asked, (status, said))

    def _send(self, who: Intruder, asked: Asked) -> tuple[int, str]:
        if asked.method == "MCP":
            if asked.path.startswith("mneme://"):
                return self._tools.read(who, asked.path)
            return self._tools.call(who, asked.path, asked.body)
        headers = {"Authorization": f"Bearer {who.key}", **asked.headers}
        raw = {"content": asked.body} if isinstance(asked.body, bytes) else {"json": asked.body}
        body = {} if asked.body is None else raw
        answer = self._http.request(asked.method, asked.path, headers=headers, **body)
        heads = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        return answer.status_code, f"{heads}\n\n{answer.text}"

    def _learn(self, asked: Asked, said: str) -> None:
        """Cursors and jobs that others will try."""
        for found in re.findall(r'"next_cursor": ?"([^"]+)"', said)[:1]:
            self._world.cursors = [*self._world.cursors[-200:], found]
        for found in re.findall(r'"jobs": ?\["([^"]+)"', said)[:1]:
            self._world.jobs = [*self._world.jobs[-200:], found]

    def _is_foreign(self, who: Intruder, cube_id: str) -> bool:
        return any(cube_id in ids for path, ids in self._world.ids.items() if path not in who.reads)

    def _twin(self, who: Intruder, asked: Asked, first: tuple[int, str]) -> None:
        """The same request with an id that no cube has."""
        assert asked.named is not None
        nobody = missing_id(self._rng)
        body = json.loads(json.dumps(asked.body).replace(asked.named, nobody))
        path = asked.path.replace(asked.named, nobody)
        second = self._send(who, asked._replace(path=path, body=body))
        self.twins += 1
        if _alike(first) != _alike(second):
            self.unlike.append(f"{who.name} {asked!r:.300}: {_difference(first, second)}")


def _difference(first: tuple[int, str], second: tuple[int, str]) -> str:
    """Where two answers part, in a line."""
    one, other = _alike(first), _alike(second)
    at = next(
        (i for i, pair in enumerate(zip(one[1], other[1], strict=False)) if pair[0] != pair[1]), 0
    )
    return f"{one[0]} {one[1][at : at + 120]!r} / {other[0]} {other[1][at : at + 120]!r}"


def said_by_all(messages: Any) -> str:
    """An answer that gives away all that a model was told, memory included."""
    return " ".join(str(message.get("content")) for message in messages)


def _reads(asked: Asked) -> bool:
    return not isinstance(asked.body, bytes)


def _alike(answer: tuple[int, str]) -> tuple[int, str]:
    """An answer without what changes from request to request."""
    status, said = answer
    lines = [
        line for line in said.split("\n") if not line.lower().startswith(("date:", "x-request"))
    ]
    return status, _TOOK.sub("MS", _ID.sub("ID", "\n".join(lines)))


def measure(requests: int, principals: int, tokens: int, seed: int) -> dict[str, Any]:
    """Plant, pry, count."""
    rng = random.Random(seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_upstream(answer=said_by_all, most_requests=10**6, most_s=3600) as upstream,
    ):
        settings = Settings(serve_requests_per_s=0, upstream_url=upstream.url)
        with build(Path(folder) / "store", settings=settings) as memory:
            world = plant(memory, rng, principals=principals, tokens=tokens)
            with running_door(memory, settings=settings) as door:
                prying = Prying(door, world, rng)
                for number in range(1, requests + 1):
                    prying.one()
                    if number % 1000 == 0:
                        print(f"{number} of {requests}: {len(prying.leaks)} leaks, "
                              f"{len(prying.unlike)} unlike", flush=True)  # fmt: skip
                prying.close()
            sound = memory.verify().ok
    for line in (*prying.leaks[:10], *prying.unlike[:10]):
        print(line)
    return {
        "requests": requests, "principals": principals, "tokens": principals * tokens,
        "seed": seed, "foreign_tokens": len(prying.leaks), "twins": prying.twins,
        "unlike": len(prying.unlike), "statuses": dict(prying.statuses), "store_sound": sound,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--principals", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = measure(given.requests, given.principals, given.tokens, given.seed)
    print(json.dumps(found, indent=2))
    what = (
        "requests of principals that pry: tokens of others that came back, and foreign ids that "
        "answered otherwise than missing ones"
    )
    save(
        "doors_leaks.json",
        {
            "what": what,
            "command": "python benchmarks/doors_leaks.py",
            "rows": [found],
            "machine": machine_facts(),
        },
    )


if __name__ == "__main__":
    main()
