"""The routes that ask: search, recall, and what helped."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mneme.core.plain import plain
from mneme.server.routes.common import PREFIX, Readable, Updatable, answer, router_of, says
from mneme.server.shapes import records
from mneme.server.shapes.bodies import FeedbackBody, RecallBody, SearchBody
from mneme.server.turns import take_turns

router = router_of("finding", PREFIX)


@router.post(
    "/search",
    **says("search", "Find memories", records.Hits, means="Best first."),
)
async def search(request: Request, space: Readable, body: SearchBody) -> JSONResponse:
    """The memories that answer a question best, by meaning and by words, best first."""

    def work() -> JSONResponse:
        return answer({"hits": space.search(**body.given())})

    return await take_turns(request.app.state.turns.search, work)


@router.post(
    "/recall",
    **says("recall", "Make a context for a prompt", records.Context, means="Within the budget."),
)
async def recall(request: Request, space: Readable, body: RecallBody) -> JSONResponse:
    """Memory made ready for a prompt, within a budget of tokens, each item cited as `[n]`."""

    def work() -> JSONResponse:
        context = space.recall(**body.given())
        return answer(plain(context) | {"messages": context.to_messages()})

    return await take_turns(request.app.state.turns.recall, work)


@router.post(
    "/feedback",
    **says("give_feedback", "Say what helped", None, 404, status=204, means="Noted."),
)
def feedback(space: Updatable, body: FeedbackBody) -> Response:
    """Tell the ranking which of the memories that were shown helped.

    `used` is true or false for all of them, or the ids of those that did.
    """
    given = body.given()
    shown = given.pop("hits_or_ids")
    space.feedback(shown, **given)
    return Response(status_code=204)
