"""The playground: what memory says for a question, and what a model answers with it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import Form, Query
from starlette.requests import Request
from starlette.responses import Response

from mneme.core.errors import InvalidInputError
from mneme.server.console.forms import AskForm, AskQuery
from mneme.server.console.render import page
from mneme.server.console.route import pages, space_of
from mneme.server.service import service_of

if TYPE_CHECKING:
    from mneme.app.activation.reply import Reply
    from mneme.recall.context import Citation, Context, Hit

router = pages()


class Cited(NamedTuple):
    """A line of the context: its citation, the hit, and the characters that are in it."""

    citation: Citation
    hit: Hit
    text: str


@router.get("/n/{ns}/playground")
def playground(request: Request, ns: str, given: Annotated[AskQuery, Query()]) -> Response:
    """The context that a prompt would get for a question."""
    space = space_of(request, ns, "read")
    began_s, context = perf_counter(), None
    if given.q.strip():
        context = space.recall(given.q, budget_tokens=given.budget, now=given.now or None)
    return _page(request, space.path, given, context, took_s=perf_counter() - began_s)


@router.post("/n/{ns}/playground")
def ask(request: Request, ns: str, given: Annotated[AskForm, Form()]) -> Response:
    """Let the model of this server answer, and show what went into its prompt, and as what."""
    space = space_of(request, ns, "chat", "read")
    engine = service_of(request).engine
    if engine is None:
        raise InvalidInputError("this server has no model: set serve_model, or attach an engine")
    if given.remember:
        space_of(request, ns, "add")
    began_s = perf_counter()
    reply = space.chat(given.q, engine=engine, budget_tokens=given.budget, remember=given.remember)
    took_s = perf_counter() - began_s
    return _page(request, space.path, given, reply.context, took_s=took_s, reply=reply)


def cited_of(context: Context) -> list[Cited]:
    """The citations of a context in their order, with what they stand for."""
    hits = {hit.cube.id: hit for hit in context.hits}
    return [
        Cited(each, hits[each.cube_id], hits[each.cube_id].cube.text[each.start : each.end])
        for each in context.citations
        if each.cube_id in hits
    ]


def _page(
    request: Request,
    path: str,
    given: AskQuery,
    context: Context | None,
    *,
    took_s: float,
    reply: Reply | None = None,
) -> Response:
    return page(
        request,
        "playground.html",
        space=path,
        given=given,
        context=context,
        cited=[] if context is None else cited_of(context),
        took_s=took_s,
        reply=reply,
        has_engine=service_of(request).engine is not None,
    )
