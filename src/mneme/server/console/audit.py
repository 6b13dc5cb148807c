"""The audit log: who did what to which memory and when, and whether the chain is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode

from fastapi import Form, Query
from starlette.requests import Request
from starlette.responses import Response

from mneme.server.console.forms import AuditQuery
from mneme.server.console.render import page
from mneme.server.console.route import admin_of, pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.vault.audit import AuditEntry

router = pages()
_ROWS: Final = 50
_FIELDS: Final = ("actor", "verb", "namespace", "cube_id")


@router.get("/audit")
def audit(request: Request, given: Annotated[AuditQuery, Query()]) -> Response:
    """Entries, the newest first."""
    memory = admin_of(request)
    entries = memory.audit(since=given.since or None)
    fitting = chosen(entries, given)
    rows, kept = fitting[:_ROWS], given.kept()
    more = len(fitting) > _ROWS
    return page(
        request,
        "audit.html",
        rows=rows,
        count=len(fitting),
        given=given,
        verbs=sorted({entry.verb for entry in entries}),
        head=memory.audit_head(),
        next_url=f"?{urlencode(kept | {'before': rows[-1].number})}" if more else None,
        first_url=f"?{urlencode(kept)}" if given.before else None,
    )


@router.post("/audit/verify")
def verify(request: Request, head: Annotated[str, Form()] = "") -> Response:
    """Check the store: rows, indexes, checksums and the chain; also against a head kept outside."""
    memory = admin_of(request)
    report = memory.verify(audit_head=head.strip() or None)
    return page(request, "verified.html", report=report, kept=head.strip())


def chosen(entries: Sequence[AuditEntry], given: AuditQuery) -> list[AuditEntry]:
    """The entries that fit, the newest first."""
    wanted = [(name, value) for name in _FIELDS if (value := getattr(given, name))]
    return [
        entry
        for entry in reversed(entries)
        if (not given.before or entry.number < given.before)
        and all(getattr(entry, name) == value for name, value in wanted)
    ]
