"""Search, with scores explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from fastapi import Form, Query
from starlette.requests import Request
from starlette.responses import Response

from mneme.core.cube import PLAINTEXT_TYPES
from mneme.server.console import signals
from mneme.server.console.display import in_url
from mneme.server.console.forms import SearchQuery
from mneme.server.console.home import local, see
from mneme.server.console.render import page
from mneme.server.console.route import pages, space_of

if TYPE_CHECKING:
    from mneme.recall.context import Hit

router = pages()
MODES: Final = ("hybrid", "lexical", "dense")
_CHARS: Final = 600  # of a hit's text, around the passage that was found


class Shown(NamedTuple):
    """A hit as the page shows it: text before, of and after the passage, and its signals."""

    hit: Hit
    before: str
    passage: str
    after: str
    telling: list[signals.Signal]
    grouped: list[tuple[str, list[signals.Signal]]]


@router.get("/n/{ns}/search")
def search(request: Request, ns: str, given: Annotated[SearchQuery, Query()]) -> Response:
    """What answers a question best, and why."""
    space = space_of(request, ns, "read")
    asked = bool(given.q.strip())
    hits = space.search(given.q, **given.arguments(), explain=True) if asked else []
    request.app.state.recent.enter_scores(hit.score for hit in hits)
    return page(
        request,
        "search.html",
        space=space.path,
        q=given.q,
        given=given,
        shown=shown_of(hits, given.why),
        this=request.url.remove_query_params("why").query,
        modes=MODES,
        types=PLAINTEXT_TYPES,
        narrowed=given.narrowed,
        degraded=any(hit.degraded for hit in hits),
    )


@router.post("/n/{ns}/feedback")
def feedback(
    request: Request,
    ns: str,
    id: Annotated[str, Form()],  # noqa: A002 (the contract's name)
    used: Annotated[bool, Form()],
    q: Annotated[str, Form()] = "",
    back: Annotated[str, Form()] = "",
) -> Response:
    """Tell the ranking what helped."""
    space = space_of(request, ns, "update")
    space.feedback([id], used=used, query=q or None)
    return see(local(back) if back else f"/n/{in_url(space.path)}/memories/{in_url(id)}")


def shown_of(hits: list[Hit], why: str = "") -> list[Shown]:
    """Hits with their passages marked and the signals that tell most; of one, all signals."""
    tops = signals.tops_of(hit.scores or {} for hit in hits)
    return [
        Shown(
            hit,
            *_around(hit),
            signals.telling(hit.scores or {}, tops),
            signals.grouped(hit.scores or {}, tops) if hit.cube.id == why else [],
        )
        for hit in hits
    ]


def _around(hit: Hit) -> tuple[str, str, str]:
    """The text around the best passage, cut to what a list can show."""
    text = hit.cube.text
    start, end = hit.span or (0, 0)
    if end - start >= len(text.rstrip()):  # the whole text: nothing to mark
        start, end = 0, 0
    first = max(0, start - _CHARS // 3)
    last = min(len(text), first + _CHARS)
    end = min(end, last)
    before = ("… " if first else "") + text[first:start]
    return (
        before,
        text[start:end],
        text[max(start, end) : last] + (" …" if last < len(text) else ""),
    )
