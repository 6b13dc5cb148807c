"""Routes of pages: what goes wrong is said on a page, with its status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mneme.core.errors import ForbiddenError, MnemeError
from mneme.server.console.render import page
from mneme.server.problems import status_of
from mneme.server.service import principal_of, service_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette._utils import AwaitableOrContextManager
    from starlette.datastructures import FormData
    from starlette.responses import Response

    from mneme.app.memory import MemoryOS
    from mneme.app.namespace import Namespace

_LONGEST_FIELD_BYTES: Final = 3 * 64 << 20  # a document, percent-encoded
_TITLES: Final = {
    403: "Not allowed",
    404: "Not found",
    409: "Changed meanwhile, or not possible in this state",
    422: "That cannot be done as it was asked",
    501: "A part is not installed",
    503: "A part does not answer",
    507: "The disk is full",
}


class FormRequest(Request):
    """A request whose fields may be as long as a text may be; the guard bounds the whole body."""

    def form(
        self,
        *,
        max_files: float = 0,
        max_fields: float = 100,
        max_part_size: int = _LONGEST_FIELD_BYTES,
    ) -> AwaitableOrContextManager[FormData]:
        """The form."""
        return super().form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors of Mneme and of forms shown to the person."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(FormRequest(request.scope, request.receive))
            except MnemeError as error:
                return failed(request, status_of(error), str(error))
            except RequestValidationError as error:
                said = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
                return failed(request, 422, said)
            except HTTPException as error:  # such as a form that cannot be read
                return failed(request, error.status_code, str(error.detail))

        return answer


def failed(request: Request, status: int, detail: str) -> Response:
    """A page that says what went wrong."""
    title = _TITLES.get(status, "Something went wrong")
    return page(request, "error.html", status=status, title=title, detail=detail)


def pages() -> APIRouter:
    """A router for pages; they are no part of the API's description."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def space_of(request: Request, ns: str, verb: str, *more: str) -> Namespace:
    """The namespace of a page, if the key grants the verbs on it; a page that shows reads, too."""
    for each in more:
        service_of(request).namespace(principal_of(request), ns, each)
    return service_of(request).namespace(principal_of(request), ns, verb)


def admin_of(request: Request) -> MemoryOS:
    """The whole store, if the key looks after all of it.

    A key with `admin` on some namespaces looks after its keys over HTTP: these pages show the
    whole.

    Raises:
        ForbiddenError: It does not.
    """
    if not principal_of(request).is_root:
        raise ForbiddenError("this page is for keys that grant admin on every namespace")
    return service_of(request).memory
