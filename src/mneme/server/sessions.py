"""Browsers that signed in with a key: a cookie holds a random id, the key itself is not kept.

A session ends when its time is up, when it is ended, and as soon as its key is revoked, expires or
gets another secret. Sessions live in the process: after a restart people sign in again.

    session = request.app.state.sessions.start(key_text)
    if session is not None:
        keep_in(response, request, session)
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from mneme.app.memory import MemoryOS
    from mneme.govern.permission import Principal
    from mneme.vault.keys import Credential

COOKIE: Final = "mneme_session"
LASTS_S: Final = 12 * 3600
MOST: Final = 10_000
_ID_BYTES = 32
_US = 1_000_000


class Sessions:
    """Who signed in with a browser.

    Args:
        memory: Knows the keys and the time.
        most: Sessions at one time; the oldest go first.
        lasts_s: Seconds from the start of a session to its end.
    """

    def __init__(self, memory: MemoryOS, *, most: int = MOST, lasts_s: float = LASTS_S) -> None:
        self._memory, self._most, self._lasts_us = memory, most, int(lasts_s * _US)
        self._known: OrderedDict[bytes, tuple[Credential, int]] = OrderedDict()  # oldest first
        self._lock = Lock()

    def start(self, key: str) -> str | None:
        """The id of a new session for whoever holds a key; None if the key is not good."""
        shown = self._memory.credential(key.strip())
        if shown is None or self._memory.holder(shown) is None:
            return None
        session = secrets.token_urlsafe(_ID_BYTES)
        with self._lock:
            self._known[_hashed(session)] = (shown, self._now() + self._lasts_us)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return session

    def principal(self, session: str) -> Principal | None:
        """Whose session this is; None if it is unknown or has ended."""
        hashed = _hashed(session)
        with self._lock:
            shown, ends = self._known.get(hashed, (None, 0))
        if shown is None:
            return None
        principal = self._memory.holder(shown) if self._now() < ends else None
        if principal is None:
            self._forget(hashed)
        return principal

    def end(self, session: str) -> None:
        """End a session; an unknown one is ended already."""
        self._forget(_hashed(session))

    def __len__(self) -> int:
        return len(self._known)

    def _forget(self, hashed: bytes) -> None:
        with self._lock:
            self._known.pop(hashed, None)

    def _now(self) -> int:
        return self._memory.vault.parts.clock.now_us()


def keep_in(response: Response, request: HTTPConnection, session: str) -> None:
    """Let the browser keep a session: out of reach of scripts and of other sites.

    Whoever says that a proxy spoke https to the browser is believed: it makes the cookie stricter.
    """
    said = request.headers.get("x-forwarded-proto", "")
    response.set_cookie(
        COOKIE,
        session,
        max_age=LASTS_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure="https" in {request.url.scheme, said},
    )


def drop_from(response: Response) -> None:
    """Let the browser forget its session."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def _hashed(session: str) -> bytes:
    """Under what a session is looked up, so that the time that takes tells nothing of its id."""
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).digest()
