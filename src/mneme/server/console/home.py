"""The first page: choose a namespace; and the switch between dark and light."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mneme.core.errors import ForbiddenError
from mneme.govern.permission import VERBS
from mneme.ingest import checks
from mneme.server.console.display import in_url
from mneme.server.console.render import HEADERS, THEME_COOKIE, THEMES, page
from mneme.server.console.route import pages
from mneme.server.service import principal_of, service_of

router = pages()
_SHOWN: Final = tuple(verb for verb in VERBS if verb != "admin")  # admin is for no one place
_YEAR_S: Final = 365 * 86_400


@router.get("/")
def home(request: Request, go: str = "") -> Response:
    """The namespaces that the key opens."""
    principal = principal_of(request)
    if go.strip():
        path = checks.namespace_of(go.strip())
        if not principal.may("read", path):
            raise ForbiddenError("this key does not grant 'read' on this namespace")
        return see(f"/n/{in_url(path)}/search")
    known = service_of(request).memory.namespaces()
    if principal.home is not None and principal.home not in known:
        known.append(principal.home)
    verbs = {path: [v for v in _SHOWN if principal.may(v, path)] for path in known}
    return page(request, "home.html", rows=[(path, may) for path, may in verbs.items() if may])


@router.post("/theme")
def theme(
    request: Request, theme: Annotated[str, Form()] = "", back: Annotated[str, Form()] = "/"
) -> Response:
    """Remember dark or light in a cookie, and go back to the page."""
    answer = see(local(back))
    if theme in THEMES:
        answer.set_cookie(
            THEME_COOKIE,
            theme,
            max_age=_YEAR_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
    else:
        answer.delete_cookie(THEME_COOKIE)
    return answer


def see(url: str) -> RedirectResponse:
    """Go and read another page, after a form."""
    return RedirectResponse(url, 303, headers=HEADERS)


def local(url: str) -> str:
    """A path of this server; anything else becomes the first page."""
    plain = url.isprintable() and "\\" not in url
    return url if plain and url.startswith("/") and not url.startswith("//") else "/"
