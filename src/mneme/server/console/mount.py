"""Put the console's pages and files into the application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.staticfiles import StaticFiles

from mneme.server.console import (
    audit,
    changing,
    charts,
    erasing,
    finding,
    home,
    keys,
    memory,
    playground,
    signing,
    store,
    timeline,
)
from mneme.server.console.watch import Recent, Watch

if TYPE_CHECKING:
    from fastapi import FastAPI

STATIC = Path(__file__).parent / "static"
_PAGES = (
    home, signing, finding, timeline, memory, changing, erasing, playground, store, charts, audit,
    keys,
)  # fmt: skip


def mount(app: FastAPI) -> None:
    """Add the pages, their static files, and what measures requests for the charts."""
    app.state.recent = Recent()
    app.add_middleware(Watch, recent=app.state.recent)
    for each in _PAGES:
        app.include_router(each.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
