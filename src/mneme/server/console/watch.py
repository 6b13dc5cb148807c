"""How long requests that ask the memory took in this process, for the charts.

A ring of the newest few thousand; nothing of what was asked is kept.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

_MOST: Final = 5000
_ASKING: Final = {
    "/search": "search",
    "/recall": "recall",
    "/playground": "recall",
    "/completions": "chat",
}


class Asked(NamedTuple):
    """One request: what it was, when it came (monotonic seconds), and how long it took."""

    what: str
    at_s: float
    took_s: float


class Recent:
    """The newest requests, and the scores of the hits that searches of the console showed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked: deque[Asked] = deque(maxlen=_MOST)
        self._scores: deque[float] = deque(maxlen=_MOST)

    def enter(self, asked: Asked) -> None:
        """Add a request."""
        with self._lock:
            self._asked.append(asked)

    def enter_scores(self, scores: Iterable[float]) -> None:
        """Add the scores of hits."""
        with self._lock:
            self._scores.extend(scores)

    def asked(self) -> list[Asked]:
        """The requests, oldest first."""
        with self._lock:
            return list(self._asked)

    def scores(self) -> list[float]:
        """The scores, oldest first."""
        with self._lock:
            return list(self._scores)


class Watch:
    """Measures requests that ask the memory, from any door."""

    def __init__(self, app: ASGIApp, recent: Recent) -> None:
        self._app, self._recent = app, recent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and measure."""
        path = scope.get("path", "")
        what = _ASKING.get(path[path.rfind("/") :]) if scope["type"] == "http" else None
        asks = what is not None and (scope["method"] == "POST" or bool(scope["query_string"]))
        if what is None or not asks:
            await self._app(scope, receive, send)
            return
        began_s = perf_counter()
        await self._app(scope, receive, send)
        self._recent.enter(Asked(what, monotonic(), perf_counter() - began_s))


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least such a share of the values does not exceed."""
    ordered = sorted(values)
    place = min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))
    return ordered[place]


def by_minute(asked: Iterable[Asked], now_s: float, minutes: int) -> list[int]:
    """How many requests came in each of the last minutes, the oldest first."""
    counts = [0] * minutes
    for each in asked:
        ago = int((now_s - each.at_s) // 60)
        if 0 <= ago < minutes:
            counts[minutes - 1 - ago] += 1
    return counts


def histogram(values: Iterable[float], bins: int) -> list[int]:
    """How many values between 0 and 1 lie in each of equal bins."""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, max(0, int(value * bins)))] += 1
    return counts
