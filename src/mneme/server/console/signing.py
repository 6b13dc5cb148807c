"""Sign in with a key, and out. The key comes in the body of a form and goes nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Form
from starlette.requests import Request
from starlette.responses import Response

from mneme.server.console.home import see
from mneme.server.console.render import page
from mneme.server.console.route import pages
from mneme.server.sessions import COOKIE, drop_from, keep_in

if TYPE_CHECKING:
    from mneme.server.sessions import Sessions

router = pages()


@router.get("/login")
def form(request: Request) -> Response:
    """A form for a key."""
    return page(request, "login.html", problem=None)


@router.post("/login")
def sign_in(request: Request, key: Annotated[str, Form()] = "") -> Response:
    """Start a session, if the key is good."""
    session = _sessions(request).start(key.strip())
    if session is None:
        said = "This key is not known here, or it has expired or been revoked."
        return page(request, "login.html", status=401, problem=said)
    answer = see("/")
    keep_in(answer, request, session)
    return answer


@router.post("/logout")
def sign_out(request: Request) -> Response:
    """End the session."""
    _sessions(request).end(request.cookies.get(COOKIE, ""))
    answer = see("/login")
    drop_from(answer)
    return answer


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions
