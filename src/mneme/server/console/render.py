"""Turn what a page shows into HTML, with everything escaped and nothing from elsewhere.

The content security policy allows no inline script and no inline style; htmx is told to evaluate
nothing and to keep no page in the browser's storage.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from mneme import __version__
from mneme.server.console import display

if TYPE_CHECKING:
    from starlette.requests import Request

    from mneme.govern.permission import Principal

TEMPLATES: Final = Path(__file__).parent / "templates"
THEMES: Final = ("light", "dark")
THEME_COOKIE: Final = "mneme_theme"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with none at all, forms would send Origin: null
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= display.FILTERS
    environment.globals["version"] = __version__
    return environment


def page(
    request: Request,
    name: str,
    *,
    status: int = 200,
    space: str | None = None,
    **shown: Any,  # noqa: ANN401 (whatever the template shows)
) -> HTMLResponse:
    """One page.

    Args:
        request: What it answers.
        name: Of the template.
        status: Of the response.
        space: The namespace that it is about, as a path.
        shown: What the template shows.
    """
    principal: Principal | None = request.scope.get("principal")
    theme = request.cookies.get(THEME_COOKIE, "")

    def may(verb: str) -> bool:
        return principal is not None and space is not None and principal.may(verb, space)

    text = (
        _environment()
        .get_template(name)
        .render(
            principal=principal,
            may=may,
            space=space,
            ns=None if space is None else display.in_url(space),
            theme=theme if theme in THEMES else "",
            here=request.url.path,
            asked=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
            **shown,
        )
    )
    return HTMLResponse(text, status, headers=HEADERS)
