"""Who asks: the holder of a key, or a browser that signed in with one. Nothing else says it.

A browser's cookie goes along with requests that other pages make it send. So it counts only for
requests that the browser says come from pages of ours; where they change something, that has to be
said, not merely not denied.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.requests import cookie_parser

from mneme.server.sessions import COOKIE

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from mneme.app.memory import MemoryOS
    from mneme.govern.permission import Principal
    from mneme.server.sessions import Sessions

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/openapi.json", "/login"})
OPEN_FOLDER: Final = "/static/"
SIGN_IN: Final = "/login"
READING: Final = frozenset({"GET", "HEAD"})
_BEARER: Final = "bearer "
_FOR_PROGRAMS: Final = re.compile(r"/(?:v1|mcp|metrics)(?:/.*)?", re.DOTALL)


class Callers:
    """Tells who sent a request.

    Args:
        memory: Knows the keys.
        sessions: Knows who signed in.
    """

    def __init__(self, memory: MemoryOS, sessions: Sessions) -> None:
        self._memory, self._sessions = memory, sessions

    def principal(self, headers: Headers, method: str) -> Principal | None:
        """Whoever sent a request with these headers; None for nobody who may come in.

        A key is decisive where one is given: a browser's session does not make up for a bad one.
        """
        given = headers.get("authorization")
        if given is not None:
            return self._memory.principal(bearer_of(given))
        session = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if not session or not cookie_counts(headers, method):
            return None
        return self._sessions.principal(session)


def is_open(path: str) -> bool:
    """Whether a path is answered to everybody."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def wants_page(path: str, method: str, headers: Headers) -> bool:
    """Whether a person with a browser asks for a page, who can be sent to sign in."""
    page = method in READING and "text/html" in headers.get("accept", "")
    return page and not _FOR_PROGRAMS.fullmatch(path)


def bearer_of(authorization: str) -> str:
    """The key of an Authorization header; empty where it holds none."""
    is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
    return authorization[len(_BEARER) :].strip() if is_bearer else ""


def cookie_counts(headers: Headers, method: str) -> bool:
    """Whether a request comes from a page of ours, so that its cookie says who asks.

    Pages of other ports of this computer are of the same *site*, and get the cookie; they are not
    of the same *origin*. An Origin that is not ours was refused before this is asked, but for those
    of `serve_origins`, which have to show a key.
    """
    site = headers.get("sec-fetch-site")
    if method in READING:
        opened = headers.get("sec-fetch-mode") == "navigate"  # by a link, or in the address bar
        return opened or site in {None, "same-origin", "none"}
    if site is not None:
        return site == "same-origin"
    _, _, host = headers.get("origin", "").partition("://")
    return host != "" and host == headers.get("host", "")
