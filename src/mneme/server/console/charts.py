"""Charts: what keys and values saved, how fast answers came, and how sure they were.

All of it was measured in this process and is gone with it. Each chart is an SVG, and a table says
the same.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from mneme.server.console.render import page
from mneme.server.console.route import admin_of, pages
from mneme.server.console.watch import by_minute, histogram, quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mneme.server.console.watch import Asked

router = pages()
MINUTES: Final = 30
BINS: Final = 10
WIDTH: Final = 640
HEIGHT: Final = 160
_GAP: Final = 4
_QUANTILES: Final = (("median", 0.5), ("95 %", 0.95), ("99 %", 0.99))


class Bar(NamedTuple):
    """A bar of a chart: what it says, and where it stands."""

    label: str
    value: float
    x: float
    y: float
    width: float
    height: float


class Latency(NamedTuple):
    """How long one kind of request took: how many were measured, and quantiles in seconds."""

    what: str
    requests: int
    quantiles: list[tuple[str, float]]


class Saved(NamedTuple):
    """What keys and values saved in this process."""

    requests: int
    saved_s: float
    hit_tokens: int
    prompt_tokens: int
    loaded_bytes: int
    tiers: list[tuple[str, int]]

    @property
    def share(self) -> float:
        """Of the tokens of prompts, those whose keys and values were not computed."""
        return self.hit_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


@router.get("/charts")
def charts(request: Request) -> Response:
    """The charts."""
    ledger = admin_of(request).stats().ledger
    recent = request.app.state.recent
    asked, scores = recent.asked(), recent.scores()
    minutes = by_minute(asked, monotonic(), MINUTES)
    ages = [f"{MINUTES - 1 - n} min ago" for n in range(MINUTES)]
    shares = [f"{n / BINS:.1f} to {(n + 1) / BINS:.1f}" for n in range(BINS)]
    return page(
        request,
        "charts.html",
        saved=saved_of(ledger),
        latencies=latencies_of(asked),
        per_minute=bars_of(ages, minutes),
        scores=bars_of(shares, histogram(scores, BINS)),
        scored=len(scores),
        asked_in_all=len(asked),
        chart=(WIDTH, HEIGHT),
    )


def bars_of(labels: Sequence[str], values: Sequence[float]) -> list[Bar]:
    """Bars side by side; the highest value is as high as the chart."""
    top = max(values, default=0) or 1
    step = WIDTH / max(len(values), 1)
    return [
        Bar(
            label,
            value,
            round(n * step + _GAP / 2, 1),
            round(HEIGHT - HEIGHT * value / top, 1),
            round(step - _GAP, 1),
            round(HEIGHT * value / top, 1),
        )
        for n, (label, value) in enumerate(zip(labels, values, strict=True))
    ]


def latencies_of(asked: Iterable[Asked]) -> list[Latency]:
    """Quantiles for each kind of request that came."""
    took: dict[str, list[float]] = {}
    for each in asked:
        took.setdefault(each.what, []).append(each.took_s)
    return [
        Latency(what, len(times), [(name, quantile(times, at)) for name, at in _QUANTILES])
        for what, times in sorted(took.items())
    ]


def saved_of(ledger: Mapping[str, float]) -> Saved:
    """The sums of the ledger."""
    tier = "hit_tokens_"
    return Saved(
        requests=int(ledger.get("requests", 0)),
        saved_s=ledger.get("saved_s", 0.0),
        hit_tokens=int(ledger.get("hit_tokens", 0)),
        prompt_tokens=int(ledger.get("prompt_tokens", 0)),
        loaded_bytes=int(ledger.get("loaded_bytes", 0)),
        tiers=[(n.removeprefix(tier), int(v)) for n, v in ledger.items() if n.startswith(tier)],
    )
