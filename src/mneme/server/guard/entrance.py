"""What stands before every door: who asks, and whether they may come in at all.

Pure ASGI, so that streams pass through untouched. In order: the shape of the request, its Host and
Origin, who sent it, how often they come, how long it is. What is let through has its principal in
the scope under "principal", and acts under that name for as long as it is answered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response

from mneme.core.acting import acting_as
from mneme.core.errors import MnemeError
from mneme.server.guard.exchange import Exchange
from mneme.server.guard.hosts import CLOSE, Hosts
from mneme.server.guard.keys import SIGN_IN, Callers, is_open, wants_page
from mneme.server.guard.rates import Buckets
from mneme.server.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mneme.govern.permission import Principal
    from mneme.server.service import Service
    from mneme.server.sessions import Sessions

MOST_HEADER_BYTES: Final = 64 * 1024
MOST_HEADERS: Final = 100
MOST_TARGET_BYTES: Final = 16 * 1024
_ONCE: Final = frozenset(
    {b"authorization", b"content-length", b"content-type", b"host", b"origin", b"transfer-encoding"}
)
_SLOW: Final = re.compile(r"/v1/(?:.*/)?chat(?:/completions)?", re.DOTALL)  # waits for a model
_FAILURES: Final = 20  # wrong keys of one address before it is slowed down
_FAILURES_PER_S: Final = 1.0
_SLOWED_S: Final = 1.0
_MOST_SLOWED: Final = 64


class Guard:
    """Lets in whoever may come in.

    Args:
        app: What it guards.
        service: Knows the keys and the limits.
        sessions: Knows who signed in.

    Raises:
        InvalidInputError: A host or an origin of the settings is none.
    """

    def __init__(self, app: ASGIApp, service: Service, sessions: Sessions) -> None:
        self._app, self._settings = app, service.settings
        self._callers = Callers(service.memory, sessions)
        self._hosts = Hosts(service.settings)
        self._rates = Buckets()
        self._failures = Buckets()
        self._slowed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:  # there is no door for sockets
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = self._settings
        slow = _SLOW.fullmatch(scope["path"]) is not None
        exchange = Exchange(
            scope,
            receive,
            send,
            body_bytes=limits.serve_body_bytes,
            timeout_s=max(limits.serve_timeout_s, limits.upstream_timeout_s * slow),
        )
        headers = Headers(scope=scope)
        refusal = _misshapen(scope) or self._hosts.refusal(scope, headers)
        if refusal is None:
            exchange.extra = self._hosts.for_pages(headers)
            refusal = self._hosts.preflight(scope, headers) or await self._unknown(scope, headers)
        if refusal is not None:
            await exchange.refuse(refusal)
        elif exchange.is_too_long(headers.get("content-length")):
            await exchange.refuse_long(waits="expect" in headers)
        elif "principal" not in scope:
            await exchange.run(self._app)
        else:
            with acting_as(scope["principal"].name):
                await exchange.run(self._app)

    async def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        """Why whoever asks is not let in; None if they are, with the principal in the scope."""
        path, method = scope["path"], scope["method"]
        if is_open(path):
            return await self._signing_in(scope) if path == SIGN_IN and method == "POST" else None
        try:
            principal = self._callers.principal(headers, method)
        except MnemeError as error:
            return problem(503, f"the store of the keys does not answer: {error}")
        if principal is not None:
            scope["principal"] = principal
            return self._too_often(principal)
        if wants_page(path, method, headers) and "authorization" not in headers:
            return RedirectResponse(SIGN_IN, 303)
        if "authorization" in headers and await self._slow_down(scope):
            return _later("too many wrong keys came from your address", 1)
        return problem(
            401,
            "give a key: `Authorization: Bearer mneme_...`; `mneme keys add` makes one",
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def _signing_in(self, scope: Scope) -> Response | None:
        """Signing in is guessing too; who does it often is slowed down."""
        if await self._slow_down(scope):
            return _later("too many have tried to sign in from your address", 1)
        return None

    def _too_often(self, principal: Principal) -> Response | None:
        per_s = principal.requests_per_s or self._settings.serve_requests_per_s
        if per_s == 0:
            return None
        wait_s = self._rates.take(principal.id, per_s=per_s, burst=max(1.0, 2 * per_s))
        if wait_s == 0:
            return None
        return _later(f"this key may send {per_s:g} requests a second", math.ceil(wait_s))

    async def _slow_down(self, scope: Scope) -> bool:
        """Let an address that failed often wait; whether too many wait already.

        A key cannot be guessed. This keeps whoever tries all the same from taking up the server.
        """
        if self._settings.serve_requests_per_s == 0:
            return False
        address = _network((scope.get("client") or ("",))[0])
        if self._failures.take(address, per_s=_FAILURES_PER_S, burst=_FAILURES) == 0:
            return False
        if self._slowed >= _MOST_SLOWED:
            return True
        self._slowed += 1
        try:
            await asyncio.sleep(_SLOWED_S)
        finally:
            self._slowed -= 1
        return False


def _misshapen(scope: Scope) -> Response | None:
    """Why a request is refused for its head alone."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET_BYTES:
        return problem(414, f"a path and its query may have {MOST_TARGET_BYTES} bytes")
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > MOST_HEADERS or size > MOST_HEADER_BYTES:
        return problem(
            431, f"a request may have {MOST_HEADERS} headers of {MOST_HEADER_BYTES} bytes in all"
        )
    once = [name for name, _ in headers if name in _ONCE]
    if len(once) != len(set(once)):
        return problem(400, "a header that may come once came twice", headers=CLOSE)
    if b"transfer-encoding" in once and b"content-length" in once:
        return problem(400, "a request has a length or is chunked, not both", headers=CLOSE)
    return None


def _later(detail: str, seconds: int) -> Response:
    return problem(429, f"{detail}; try again later", headers={"Retry-After": str(seconds)})


def _network(address: str) -> str:
    """What counts as one address: of IPv6, all that one household has."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if known.version == 4:
        return address
    return str(ipaddress.ip_network((int(known), 64), strict=False))
