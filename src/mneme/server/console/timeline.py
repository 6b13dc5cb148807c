"""The timeline: memories in order of writing, by session, page by page."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from mneme.core.cube import PLAINTEXT_TYPES
from mneme.server.console.forms import TimelineQuery
from mneme.server.console.render import page
from mneme.server.console.route import pages, space_of

router = pages()
ROLES: Final = ("user", "assistant", "system", "tool")
KINDS: Final = ("plaintext", "activation", "parametric")


@router.get("/n/{ns}/timeline")
def timeline(request: Request, ns: str, given: Annotated[TimelineQuery, Query()]) -> Response:
    """One page of memories, and where the next begins."""
    space = space_of(request, ns, "read")
    found = space.list(**given.arguments())
    kept = given.kept()
    following = kept | {"cursor": found.next_cursor, "limit": given.limit}
    return page(
        request,
        "timeline.html",
        space=space.path,
        groups=[(name, list(items)) for name, items in groupby(found.items, lambda c: c.session)],
        count=len(found.items),
        given=given,
        narrowed=kept != {"kind": "plaintext"},
        next_url=None if found.next_cursor is None else f"?{urlencode(following)}",
        first_url=f"?{urlencode(kept)}" if given.cursor else None,
        types=PLAINTEXT_TYPES,
        roles=ROLES,
        kinds=KINDS,
    )
