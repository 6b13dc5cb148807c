"""What stands before every door: who asks, and whether they may come in at all.

Pure ASGI, so that streams pass through untouched. It puts the principal into the scope under
"principal" and says who acts for as long as the request is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse

from mneme.core.acting import acting_as
from mneme.server.guard_keys import SIGN_IN, Callers, is_open, wants_page
from mneme.server.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mneme.server.service import Service
    from mneme.server.sessions import Sessions


class Guard:
    """Lets requests with a good key through.

    Args:
        app: What it guards.
        service: Knows the keys.
        sessions: Knows who signed in.
    """

    def __init__(self, app: ASGIApp, service: Service, sessions: Sessions) -> None:
        self._app = app
        self._callers = Callers(service.memory, sessions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        principal = self._callers.principal(headers, scope["method"])
        if principal is None and wants_page(scope["path"], scope["method"], headers):
            await RedirectResponse(SIGN_IN, 303)(scope, receive, send)
            return
        if principal is None:
            refused = problem(
                401,
                "give a key: `Authorization: Bearer mneme_...`; `mneme keys add` makes one",
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refused(scope, receive, send)
            return
        scope["principal"] = principal
        with acting_as(principal.name):
            await self._app(scope, receive, send)
