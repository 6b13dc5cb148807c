"""Which names the server goes by, and whose web pages may call it.

A page on the web can make a browser look up a name of its own as 127.0.0.1 and then call a server
on this computer as if both were of one origin (DNS rebinding). The browser still sends that name
as the Host: so only known names are answered. Addresses are no names: nobody can rebind them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from mneme.core.errors import InvalidInputError
from mneme.server.problems import problem

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope

    from mneme.settings import Settings

CLOSE: Final = {"Connection": "close"}  # for what cannot be trusted to end where it says
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # nobody calls a server so
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._:\[\]-]+")
_ASKED = re.compile(r"[A-Za-z0-9 ,_-]{0,1000}")
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"


class Hosts:
    """The names and pages that the settings know.

    Raises:
        InvalidInputError: One of them is no name, or no origin.
    """

    def __init__(self, settings: Settings) -> None:
        own = () if settings.serve_host in EVERYWHERE else (settings.serve_host,)
        named = [*own, *_listed(settings.serve_hosts)]
        self._names = LOOPBACK | {_host_name(each) for each in named}
        self._origins = frozenset(map(_origin, _listed(settings.serve_origins)))

    def refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why a request may not come in, by its Host and its Origin; None if it may."""
        host = headers.get("host", "")
        match = _HOST.fullmatch(host)
        if match is None:
            return problem(400, "the request names no Host, or one that is none", headers=CLOSE)
        if match[1].lower() not in self._names and match[1] != _address(scope):
            return problem(
                421,
                "this server does not go by that name; name it in MNEME_SERVE_HOSTS if it should",
            )
        origin = headers.get("origin")
        if origin is None or is_own(origin, host) or origin.lower() in self._origins:
            return None
        return problem(
            403, "pages of that origin may not call; name it in MNEME_SERVE_ORIGINS if they should"
        )

    def preflight(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a browser that asks before it lets a page of another origin call."""
        if scope["method"] != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        asked = headers.get("access-control-request-headers", "")
        allowed = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": asked if _ASKED.fullmatch(asked) else "",
            "Access-Control-Max-Age": "600",
        }
        return Response(status_code=204, headers=allowed)

    def for_pages(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """Headers that let a page of a known other origin read the answer."""
        origin = headers.get("origin")
        if origin is None or is_own(origin, headers.get("host", "")):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", b"*"),
            (b"vary", b"Origin"),
        ]


def is_own(origin: str, host: str) -> bool:
    """Whether pages of an origin are our own: those of the host that was called."""
    scheme, _, rest = origin.lower().partition("://")
    return scheme in {"http", "https"} and rest != "" and rest == host.lower()


def _address(scope: Scope) -> str:
    """The address that a request came in by, as a Host would say it."""
    address = (scope.get("server") or ("",))[0]
    return f"[{address}]" if ":" in address else str(address)


def _listed(text: str) -> list[str]:
    return [part for each in text.split(",") if (part := each.strip())]


def _host_name(text: str) -> str:
    bare = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
    match = _HOST.fullmatch(bare)
    if match is None:
        raise InvalidInputError(
            f"{text!r:.80} is no host; serve_hosts takes names such as memory.example.org"
        )
    return match[1].lower()


def _origin(text: str) -> str:
    origin = text.lower().rstrip("/")
    if not _ORIGIN.fullmatch(origin):
        raise InvalidInputError(
            f"{text!r:.80} is no origin; serve_origins takes such as https://app.example.org"
        )
    return origin
