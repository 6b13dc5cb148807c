"""The store as a whole: kinds and tiers with their bytes, and background jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from mneme.core.clock import from_us
from mneme.server.console.render import page
from mneme.server.console.route import admin_of, pages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mneme.core.rows import JobRow

router = pages()
_MOST_JOBS: Final = 200
_STATES: Final = {
    "waiting": "Due, or due later",
    "running": "At work now",
    "dead": "Given up after five tries; it needs a look",
}
_PARTS: Final = (
    ("Plaintext", (("text", "Texts"), ("index", "Index rows"), ("vector", "Vectors"))),
    ("Activation", ()),
    ("Parametric", ()),
)
_OVERALL: Final = (("disk", "Files on disk, in all"), ("memory", "Index in memory"))


class Part(NamedTuple):
    """Bytes of a tier, and their share of the largest tier that is shown."""

    name: str
    bytes: int
    share: float


class Job(NamedTuple):
    """A job as the page shows it; its payload is ids and numbers."""

    row: JobRow
    due_at: datetime
    lease_until: datetime | None


@router.get("/store")
def store(request: Request) -> Response:
    """What is kept, by kind and tier."""
    stats = admin_of(request).stats()
    return page(
        request,
        "store.html",
        stats=stats,
        kinds=kinds_of(stats.bytes),
        overall=[(title, stats.bytes[name]) for name, title in _OVERALL if name in stats.bytes],
    )


@router.get("/jobs")
def jobs(request: Request, state: str = "") -> Response:
    """Background work: what waits, what runs, and what was given up, with its error."""
    memory = admin_of(request)
    with memory.vault.parts.store.read() as tx:
        rows = tx.ledger.jobs()
    counts = {each: sum(row.state == each for row in rows) for each in _STATES}
    chosen = [row for row in rows if not state or row.state == state]
    return page(
        request,
        "jobs.html",
        jobs=[_job(row) for row in chosen[:_MOST_JOBS]],
        left_out=max(0, len(chosen) - _MOST_JOBS),
        counts=counts,
        state=state,
        states=_STATES,
    )


def kinds_of(sizes: Mapping[str, int]) -> list[tuple[str, int, list[Part]]]:
    """Each kind with its bytes and its tiers."""
    found = []
    for kind, named in _PARTS:
        tiers = {title: sizes.get(name, 0) for name, title in named}
        start = f"{kind.lower()} "
        tiers |= {
            f"{tier.capitalize()}": count
            for name, count in sizes.items()
            if name.startswith(start) and (tier := name.removeprefix(start))
        }
        found.append((kind, tiers))
    top = max([count for _, tiers in found for count in tiers.values()], default=0) or 1
    return [
        (kind, sum(tiers.values()), [Part(n, count, count / top) for n, count in tiers.items()])
        for kind, tiers in found
    ]


def _job(row: JobRow) -> Job:
    lease = None if row.lease_until is None else from_us(row.lease_until)
    return Job(row, from_us(row.due_at), lease)
