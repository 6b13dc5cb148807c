"""What stands before every door: who asks, and whether they may come in at all.

Pure ASGI, so that streams pass through untouched. It puts the principal into the scope under
"principal" and says who acts for as long as the request is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from mneme.core.acting import acting_as
from mneme.server.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mneme.server.service import Service

OPEN_PATHS: Final = frozenset({"/healthz", "/openapi.json"})
_BEARER = "bearer "


class Guard:
    """Lets requests with a good key through.

    Args:
        app: What it guards.
        service: Knows the keys.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("authorization", "")
        key = given[len(_BEARER) :] if given.lower().startswith(_BEARER) else ""
        principal = await run_in_threadpool(self._service.memory.principal, key)
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
