"""Counts and times of requests, in the text format of Prometheus (version 0.0.4).

By route and status only: no namespace, id or content is among the labels. The counts of a process
change in its event loop alone; where a server has several, `tallies` adds theirs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mneme.vault.upkeep import Stats

MEDIA_TYPE: Final = "text/plain; version=0.0.4"
_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"


class Requests:
    """What was asked of this process, and how long it took to the last byte of the answer.

    Attributes:
        others: Gives what other processes of the server counted, each as `counts` does.
    """

    def __init__(self) -> None:
        self.others: Callable[[], Iterable[dict[str, Any]]] = lambda: ()
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[str, list[int]] = {}
        self._sums: Counter[str] = Counter()

    def enter(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in _METHODS else _OTHER
        self._counts[known, route, status] += 1
        buckets = self._times.setdefault(route, [0] * (len(_BOUNDS_S) + 1))
        buckets[bisect_left(_BOUNDS_S, seconds)] += 1
        self._sums[route] += seconds  # type: ignore[assignment]

    def counts(self) -> dict[str, Any]:
        """All counts, as JSON can keep them."""
        counts = [[*labels, count] for labels, count in self._counts.copy().items()]
        times = {route: list(buckets) for route, buckets in self._times.copy().items()}
        return {"counts": counts, "times": times, "sums": dict(self._sums.copy())}

    def add(self, known: dict[str, Any]) -> None:
        """Add what `counts` gave elsewhere or before."""
        for method, route, status, count in known["counts"]:
            self._counts[method, route, status] += count
        for route, more in known["times"].items():
            buckets = self._times.get(route, [0] * len(more))
            self._times[route] = [a + b for a, b in zip(buckets, more, strict=True)]
        for route, seconds in known["sums"].items():
            self._sums[route] += seconds

    def summed(self) -> Requests:
        """What was asked of all processes of the server."""
        total = Requests()
        for known in (self.counts(), *self.others()):
            total.add(known)
        return total

    def lines(self) -> Iterator[str]:
        """What Prometheus reads."""
        yield "# TYPE mneme_http_requests_total counter"
        for (method, route, status), count in sorted(self._counts.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            yield f"mneme_http_requests_total{{{labels}}} {count}"
        yield "# TYPE mneme_http_request_seconds histogram"
        for route, buckets in sorted(self._times.items()):
            total = 0
            for bound, count in zip((*_BOUNDS_S, "+Inf"), buckets, strict=True):
                total += count
                labels = f'route="{route}",le="{bound}"'
                yield f"mneme_http_request_seconds_bucket{{{labels}}} {total}"
            yield f'mneme_http_request_seconds_sum{{route="{route}"}} {self._sums[route]:.6f}'
            yield f'mneme_http_request_seconds_count{{route="{route}"}} {total}'


class Measured:
    """Counts what passes through it. Pure ASGI, so that streams pass untouched.

    Args:
        app: What answers.
        requests: Where it is counted.
    """

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = perf_counter() - begun
            self._requests.enter(scope["method"], _route_of(scope), status, seconds)


def _route_of(scope: Scope) -> str:
    """The pattern of the route, never the path itself: that names namespaces and ids."""
    pattern = getattr(scope.get("route"), "path", None)
    return pattern if isinstance(pattern, str) and '"' not in pattern else _OTHER


def store_lines(stats: Stats) -> Iterator[str]:
    """The counts of the whole store, as Prometheus reads them."""
    gauges: dict[tuple[str, str], Mapping[str, float]] = {
        ("mneme_store_items", "what"): stats.counts,
        ("mneme_store_cubes", "state"): stats.states,
        ("mneme_store_bytes", "where"): stats.bytes,
        ("mneme_store_jobs", "state"): stats.jobs,
        ("mneme_store_waiting", "what"): {
            "vectors": stats.missing_vectors,
            "turns to read": stats.unread,
        },
        ("mneme_saved", "what"): stats.ledger,
    }
    for (name, label), values in gauges.items():
        yield f"# TYPE {name} gauge"
        for key, value in sorted(values.items()):
            yield f'{name}{{{label}="{key}"}} {value}'
