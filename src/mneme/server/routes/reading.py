"""The routes that read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from mneme.app.namespace import Namespace
from mneme.core.plain import plain
from mneme.server.service import principal_of, service_of

router = APIRouter(prefix="/v1/namespaces/{ns}", tags=["memories"])


def readable(request: Request, ns: str) -> Namespace:
    """The namespace of the path, if the key grants reading it."""
    return service_of(request).namespace(principal_of(request), ns, "read")


@router.post("/search")
def search(space: Annotated[Namespace, Depends(readable)], body: dict[str, Any]) -> JSONResponse:
    """The memories that answer a question best, best first."""
    return JSONResponse({"hits": plain(space.search(**body))})
