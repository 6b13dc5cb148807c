"""The routes on the whole store and on the server itself."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import JSONResponse, PlainTextResponse

from mneme.core.clock import from_us
from mneme.core.errors import ForbiddenError
from mneme.core.moments import optional_us
from mneme.server import metrics
from mneme.server.routes.common import answer, router_of, says
from mneme.server.service import principal_of, service_of
from mneme.server.shapes import records
from mneme.server.shapes.fields import Moment, QueryLimit
from mneme.vault.audit import AuditEntry

router = router_of("store")


def only_admin(request: Request) -> None:
    """Refuse whoever may not look after the store."""
    if not principal_of(request).is_root:
        raise ForbiddenError("this needs a key with the verb 'admin' on every namespace")


@router.get(
    "/v1/namespaces",
    **says("list_namespaces", "List namespaces", records.Namespaces, means="In order of paths."),
)
def namespaces(
    request: Request,
    prefix: Annotated[str, Query(pattern="^[A-Za-z0-9_.@:/~-]*$", max_length=512)] = "",
) -> JSONResponse:
    """The namespaces that hold a memory and that the key may read."""
    known = service_of(request).memory.namespaces(prefix.replace("~", "/"))
    principal = principal_of(request)
    return answer({"items": [path for path in known if principal.may("read", path)]})


@router.get(
    "/v1/stats",
    **says("get_stats", "Counts of the store", records.Stats, means="Of the whole store."),
)
def stats(request: Request) -> JSONResponse:
    """Counts, bytes for each kind and tier, job states; needs the verb admin."""
    only_admin(request)
    return answer(service_of(request).memory.stats())


@router.get(
    "/v1/audit",
    **says("list_audit", "List audit entries", records.AuditPage, means="A page, oldest first."),
)
def audit(
    request: Request,
    since: Moment | None = None,
    limit: QueryLimit = 1000,
    cursor: Annotated[str | None, Query(pattern="^a[0-9]{1,15}$")] = None,
) -> JSONResponse:
    """Who did what to which memory when; no content. Needs the verb admin."""
    only_admin(request)
    service = service_of(request)
    after = optional_us(since, service.settings.zone, name="since") or 0
    with service.memory.vault.parts.store.read() as tx:
        rows = tx.ledger.audit(int(cursor[1:]) if cursor else 0)
        found = list(islice((row for row in rows if row.at >= after), limit + 1))
    entries = [AuditEntry(**{**row._asdict(), "at": from_us(row.at)}) for row in found[:limit]]
    following = f"a{entries[-1].number}" if len(found) > limit else None
    return answer({"items": entries, "next_cursor": following})


@router.get("/healthz", **says("get_health", "Whether the server runs", records.Health))
async def healthz() -> JSONResponse:
    """Whether the server answers; needs no key."""
    return answer({"status": "ok"})


@router.get("/readyz", **says("get_readiness", "Whether the store answers", records.Health))
def readyz(request: Request) -> JSONResponse:
    """Whether the store can be read; needs no key. 503 if it cannot."""
    with service_of(request).memory.vault.parts.store.read() as tx:
        tx.ledger.next_due()
    return answer({"status": "ok"})


@router.get("/metrics", **says("get_metrics", "Counts for Prometheus", None))
def get_metrics(request: Request) -> PlainTextResponse:
    """Requests by route and status, their times, and counts of the store; needs the verb admin.

    No content and no name of a namespace is among them.
    """
    only_admin(request)
    requests: metrics.Requests = request.app.state.requests
    lines = [*requests.summed().lines(), *metrics.store_lines(service_of(request).memory.stats())]
    return PlainTextResponse("\n".join(lines) + "\n", media_type=metrics.MEDIA_TYPE)
