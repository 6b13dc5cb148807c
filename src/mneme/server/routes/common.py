"""What the routes share: the way to a namespace, answers as JSON, and what OpenAPI says of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from mneme.app.namespace import Namespace
from mneme.core.errors import InvalidInputError, UnknownArgumentError
from mneme.server.jsons import as_json
from mneme.server.service import principal_of, service_of
from mneme.server.shapes.fields import Id
from mneme.server.shapes.problems import EVERYWHERE, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from pydantic import BaseModel

PREFIX: Final = "/v1/namespaces/{ns}"
NAMESPACE: Final = r"^[A-Za-z0-9_.@:-]+(~[A-Za-z0-9_.@:-]+)*$"

Ns = Annotated[
    str,
    Path(
        pattern=NAMESPACE,
        max_length=512,
        description="A namespace; its `/` is written `~`.",
        examples=["alice", "acme~alice"],
    ),
]
CubeId = Annotated[Id, Path(alias="id")]


def space_for(verb: str) -> Callable[[Request, str], Coroutine[Any, Any, Namespace]]:
    """A dependency: the namespace of the path, if the key grants a verb there."""

    async def space(request: Request, ns: Ns) -> Namespace:
        return service_of(request).namespace(principal_of(request), ns, verb)

    return space


Readable = Annotated[Namespace, Depends(space_for("read"))]
Addable = Annotated[Namespace, Depends(space_for("add"))]
Updatable = Annotated[Namespace, Depends(space_for("update"))]
Forgettable = Annotated[Namespace, Depends(space_for("forget"))]
Erasable = Annotated[Namespace, Depends(space_for("erase"))]


async def known_query(request: Request) -> None:
    """Refuse query parameters that a route does not have, and those given twice for one value."""
    if not request.scope["query_string"]:
        return
    lists = _query_of(request.scope["route"])
    for name in request.query_params:
        if name not in lists:
            raise UnknownArgumentError("the query", name, lists)
        if not lists[name] and len(request.query_params.getlist(name)) > 1:
            raise InvalidInputError(f"the query names {name!r} twice; give one value")


def _query_of(route: APIRoute) -> dict[str, bool]:
    """The query parameters of a route, and whether each is a list."""
    known: dict[str, bool] | None = getattr(route, "known_query", None)
    if known is None:
        known = {
            field.alias: "list" in str(field.field_info.annotation)
            for field in get_flat_params(route.dependant)
            if isinstance(field.field_info, params.Query)
        }
        route.known_query = known  # type: ignore[attr-defined]
    return known


class Records(JSONResponse):
    """JSON of records."""

    def render(self, content: object) -> bytes:
        """The body."""
        return as_json(content)


def router_of(tag: str, prefix: str = "") -> APIRouter:
    """A router whose routes refuse what they do not know."""
    return APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(known_query)])


def answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A record, or several, as JSON."""
    return Records(value, status, headers=headers)


def says(
    name: str,
    summary: str,
    model: type[BaseModel] | None = None,
    *refused: int,
    status: int = 200,
    means: str = "Done.",
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a route says of itself: its name for clients, its summary and its answers.

    Args:
        name: The operationId.
        summary: In one line.
        model: Of the answer; None: it has no body.
        refused: Statuses of its own refusals.
        status: Of the answer.
        means: What the answer is.
        headers: Those that the answer carries, and what they say.
    """
    described: dict[str, Any] = {"description": means}
    if model is not None:
        described["model"] = model
    if headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return {
        "operation_id": name,
        "summary": summary,
        "status_code": status,
        "response_model": None,
        "responses": {status: described} | refusals(*(refused or EVERYWHERE)),
    }
