"""Put the doors together: one ASGI application over one open memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from mneme import __version__
from mneme.core.errors import MnemeError
from mneme.server import console
from mneme.server.guard.entrance import Guard
from mneme.server.mcp.endpoint import McpEndpoint
from mneme.server.problems import answer_error
from mneme.server.proxy.refused import OpenAIErrors
from mneme.server.proxy.route import router as proxy_router
from mneme.server.routes import add_routes, measure
from mneme.server.sessions import Sessions
from mneme.server.turns import Turns

if TYPE_CHECKING:
    from mneme.server.service import Service


def create_app(service: Service) -> FastAPI:
    """The application; the memory stays open when it ends, whoever opened it closes it."""
    app = FastAPI(
        title="Mneme",
        version=__version__,
        summary="A memory operating system for language models and agents",
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.state.turns = Turns(service.settings)
    app.add_exception_handler(MnemeError, answer_error)
    add_routes(app)
    app.include_router(proxy_router)
    app.add_route("/mcp", McpEndpoint(service), include_in_schema=False)  # type: ignore[arg-type]
    app.state.sessions = Sessions(service.memory)
    console.mount(app)
    app.add_middleware(Guard, service=service, sessions=app.state.sessions)
    app.add_middleware(OpenAIErrors)  # before the guard: it says what that refuses
    measure(app)
    return app
