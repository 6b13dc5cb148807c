"""Browsers that signed in with a key: a cookie holds a random id, the key itself is not kept.

A session ends when its time is up, when it is ended, and as soon as its key is revoked, expires or
gets another secret. Sessions are one small record of the store, so that all processes of a server
know them, and a restart of it ends none; it keeps keyed hashes of their ids, and is written when
somebody signs in or out and at no other time.

    session = request.app.state.sessions.start(key_text)
    if session is not None:
        keep_in(response, request, session)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Final

from mneme.vault.keys import Credential

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from mneme.app.memory import MemoryOS
    from mneme.core.store import Transaction
    from mneme.govern.permission import Principal

    Held = tuple[str, str, int]  # id of the key, keyed hash of its secret, end in microseconds

COOKIE: Final = "mneme_session"
LASTS_S: Final = 12 * 3600
MOST: Final = 1_000
_RECORD: Final = "browser_sessions"
_EDITION: Final = "browser_sessions_edition"  # changes with the record, and is read each time
_ID_BYTES = 32
_US = 1_000_000


class Sessions:
    """Who signed in with a browser; those of all processes that have the store open.

    Args:
        memory: Knows the keys and the time, and keeps the sessions.
        most: Sessions at one time; the oldest go first.
        lasts_s: Seconds from the start of a session to its end.
    """

    def __init__(self, memory: MemoryOS, *, most: int = MOST, lasts_s: float = LASTS_S) -> None:
        self._memory, self._most, self._lasts_us = memory, most, int(lasts_s * _US)
        self._parts = memory.vault.parts
        self._known: tuple[str, dict[str, Held]] = ("", {})

    def start(self, key: str) -> str | None:
        """The id of a new session for whoever holds a key; None if the key is not good."""
        shown = self._memory.credential(key.strip())
        if shown is None or self._memory.holder(shown) is None:
            return None
        session, now = secrets.token_urlsafe(_ID_BYTES), self._now()
        with self._parts.store.write() as tx:
            known = {name: held for name, held in _load(tx).items() if held[2] > now}
            known[self._hashed(session)] = (shown.key_id, shown.digest, now + self._lasts_us)
            for oldest in list(known)[: -self._most]:
                del known[oldest]
            _save(tx, known)
        return session

    def principal(self, session: str) -> Principal | None:
        """Whose session this is; None if it is unknown or has ended."""
        held = self._current().get(self._hashed(session))
        if held is None or held[2] <= self._now():
            return None
        return self._memory.holder(Credential(key_id=held[0], digest=held[1]))

    def end(self, session: str) -> None:
        """End a session; an unknown one is ended already."""
        hashed = self._hashed(session)
        if hashed in self._current():
            with self._parts.store.write() as tx:
                _save(tx, {name: held for name, held in _load(tx).items() if name != hashed})

    def __len__(self) -> int:
        return len(self._current())

    def _current(self) -> dict[str, Held]:
        known = self._known
        with self._parts.store.read() as tx:
            edition = tx.ledger.meta(_EDITION) or "none"
            if edition != known[0]:
                known = self._known = (edition, _load(tx))
        return known[1]

    def _hashed(self, session: str) -> str:
        """Under what a session is kept, so that the time of a look-up tells nothing of its id."""
        said = b"browser session " + session.encode("utf-8", "surrogatepass")
        return hmac.new(self._parts.secret, said, hashlib.sha256).hexdigest()

    def _now(self) -> int:
        return self._parts.clock.now_us()


def _load(tx: Transaction) -> dict[str, Held]:
    """The sessions, the oldest first."""
    return {name: tuple(held) for name, held in json.loads(tx.ledger.meta(_RECORD) or "{}").items()}


def _save(tx: Transaction, known: dict[str, Held]) -> None:
    tx.ledger.set_meta(_RECORD, json.dumps(known, separators=(",", ":")))
    tx.ledger.set_meta(_EDITION, secrets.token_hex(8))


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
