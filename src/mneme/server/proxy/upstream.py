"""The server behind the proxy: any that speaks OpenAI's dialect.

What goes there: the client's request with its headers, without those of ours and without our key.
What comes back: status, headers and bytes as they are, without what belongs to one connection and
without cookies, which would be set for us.
"""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final

import httpx2

from mneme.server.proxy.refused import RefusedError
from mneme.server.proxy.whose import PREFIX

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from mneme.settings import Settings

    RawHeaders = list[tuple[bytes, bytes]]

_HOP: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",  # codespell:ignore te
    }
)  # fmt: skip
_NOT_SENT: Final = _HOP | {
    "host", "content-length", "authorization", "cookie", "x-api-key", "api-key", "origin",
    "referer", "accept-encoding", "expect", "forwarded",
}  # fmt: skip
_NOT_GIVEN: Final = _HOP | {
    "content-length", "date", "server", "set-cookie", "set-cookie2", "alt-svc", "clear-site-data",
    "strict-transport-security", "content-security-policy",
}  # fmt: skip
_NOT_OURS: Final = ("sec-", "x-forwarded-", "access-control-", PREFIX)
_MOST_CONNECTIONS: Final = 1000
_MOST_IDLE: Final = 100
_MOST_BYTES: Final = 64 << 20  # of an answer that is no stream


def open_client(settings: Settings) -> httpx2.AsyncClient:
    """A pool of connections to the server that the settings name; close it at the end."""
    wait = settings.upstream_timeout_s
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(wait, connect=min(wait, 10.0), pool=min(wait, 10.0)),
        limits=httpx2.Limits(
            max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_IDLE
        ),
        headers={"accept-encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # one user's are not another's
        trust_env=False,
    )


async def asked(
    client: httpx2.AsyncClient, settings: Settings, path: str, *, given: Headers, query: str,
    body: bytes | None,
) -> httpx2.Response:  # fmt: skip
    """The upstream's answer, its body still to be read; close it.

    Args:
        client: Of `open_client`.
        settings: Say where and with which key.
        path: Behind the address, such as "/chat/completions".
        given: The client's headers.
        query: The client's query string.
        body: What is sent; None: a GET.

    Raises:
        RefusedError: It cannot be reached, or says nothing that is HTTP, or nothing in time.
    """
    url = f"{(settings.upstream_url or '').rstrip('/')}{path}" + (f"?{query}" if query else "")
    headers = sent(given.raw, settings.upstream_key)
    try:
        request = client.build_request(
            "GET" if body is None else "POST", url, headers=headers, content=body
        )
        return await client.send(request, stream=True)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise fault_of(error) from error


async def whole(answer: httpx2.Response) -> bytes:
    """The bytes of an answer, which is closed.

    Raises:
        RefusedError: It breaks off, or is too large.
    """
    parts, size = [], 0
    try:
        async for chunk in answer.aiter_raw():
            parts.append(chunk)
            size += len(chunk)
            if size > _MOST_BYTES:
                raise RefusedError(502, "the upstream's answer is too large", code="too_large")
    except httpx2.HTTPError as error:
        raise fault_of(error) from error
    finally:
        await answer.aclose()
    return b"".join(parts)


def sent(headers: RawHeaders, key: str | None) -> RawHeaders:
    """The headers that the upstream gets."""
    kept = _passing(headers, _NOT_SENT)
    return kept if key is None else [*kept, (b"authorization", f"Bearer {key}".encode())]


def given(answer: httpx2.Response) -> RawHeaders:
    """The headers of an answer that the client gets."""
    return _passing(answer.headers.raw, _NOT_GIVEN)


def fault_of(error: Exception) -> RefusedError:
    """What a client is told of an upstream that failed; never its address, which may hold a key."""
    kind = type(error).__name__
    if isinstance(error, httpx2.PoolTimeout):
        return RefusedError(503, "too many requests are under way", code="proxy_busy")
    if isinstance(error, httpx2.TimeoutException):
        return RefusedError(
            504, f"the upstream server did not answer in time ({kind})", code="upstream_timeout"
        )
    if isinstance(error, httpx2.ConnectError | httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        message = f"the upstream server cannot be reached ({kind}); check MNEME_UPSTREAM_URL"
        return RefusedError(502, message, code="upstream_unreachable")
    return RefusedError(
        502, f"the upstream server broke off its answer ({kind})", code="upstream_broken"
    )


def is_delimited(answer: httpx2.Response) -> bool:
    """Whether HTTP itself says where the answer ends, so that a cut is seen."""
    return "content-length" in answer.headers or "transfer-encoding" in answer.headers


def _passing(headers: RawHeaders, held: frozenset[str]) -> RawHeaders:
    named = [(name.decode("latin-1").lower(), name, value) for name, value in headers]
    return [
        (name.lower(), value)
        for known, name, value in named
        if known not in held and not known.startswith(_NOT_OURS)
    ]
