"""The routes of the HTTP door, one file for each group of verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.server.metrics import Measured, Requests
from mneme.server.openapi import describe
from mneme.server.refusals import add_refusals
from mneme.server.routes import finding, jobs, keys, life, memories, models, moving, store

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_routes(app: FastAPI) -> None:
    """Put the routes of /v1 and of the server itself into an app, and have it describe them."""
    for part in (memories, finding, life, moving, models, jobs, store, keys):
        app.include_router(part.router)
    add_refusals(app)
    describe(app)


def measure(app: FastAPI) -> None:
    """Count requests; the last thing that is put around an app, so that it sees all of them."""
    app.state.requests = Requests()
    app.add_middleware(Measured, requests=app.state.requests)
