"""The verbs on access keys: who may come in through the server's doors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError
from mneme.core.moments import optional_us
from mneme.core.strict import strict
from mneme.govern.permission import ALL, VERBS, Grant
from mneme.ingest import checks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mneme.app.shared import Shared
    from mneme.govern.permission import Principal
    from mneme.vault.keys import AccessKey, Credential, KeyRing

    Moment = datetime | str | None

_PATTERN = re.compile(r"\*|[A-Za-z0-9_.@:-]+(/[A-Za-z0-9_.@:-]+)*(/\*)?")
_MOST_PATTERNS = 100
_LONGEST_OVERLAP_S = 30 * 86_400.0


class AccessVerbs:
    """Keys of a store: made, listed, rotated, revoked, and recognised."""

    _keys: KeyRing
    _shared: Shared

    @strict
    def make_key(
        self,
        name: str,
        *,
        namespaces: Sequence[str],
        verbs: Sequence[str] = (ALL,),
        expires_at: Moment = None,
        requests_per_s: float | None = None,
    ) -> tuple[str, AccessKey]:
        """A new key: its text, which is shown this once, and what is kept of it.

        Args:
            name: Of whoever will hold it; audit entries say it.
            namespaces: Paths; `acme/*` is all below `acme`, `*` is every namespace.
            verbs: Of read, add, update, forget, erase, export, import, chat and admin; `*` is all
                but admin.
            expires_at: From then on it is refused.
            requests_per_s: Its own limit; None: that of the server.
        """
        known = checks.name_of(name, name="name")
        if known is None:
            raise InvalidInputError("name says who will hold the key, such as 'alice'")
        at = optional_us(expires_at, self._shared.limits.zone, name="expires_at")
        if at is not None and at <= self._shared.vault.parts.clock.now_us():
            raise InvalidInputError("expires_at lies in the past: the key could never be used")
        if requests_per_s is not None and not 0 < requests_per_s < 1e6:
            raise InvalidInputError("requests_per_s takes a number above 0")
        grant = Grant(namespaces=_patterns(namespaces), verbs=_verbs(verbs))
        return self._keys.make(known, [grant], expires_at=at, requests_per_s=requests_per_s)

    @strict
    def list_keys(self) -> list[AccessKey]:
        """What is known of each key, the oldest first; never its secret."""
        return self._keys.all()

    @strict
    def rotate_key(self, id: str, *, overlap_s: float = 0.0) -> tuple[str, AccessKey]:  # noqa: A002
        """A new secret for a key; the old one works for `overlap_s` seconds more."""
        seconds = checks.seconds_of(overlap_s, name="overlap_s") or 0.0
        if seconds > _LONGEST_OVERLAP_S:
            raise InvalidInputError("overlap_s is 30 days at most: make another key instead")
        return self._keys.rotate(checks.id_of(id), overlap_us=int(seconds * 1e6))

    @strict
    def revoke_key(self, id: str) -> None:  # noqa: A002
        """Refuse a key from now on."""
        self._keys.revoke(checks.id_of(id))

    @strict
    def principal(self, key: str) -> Principal | None:
        """Whose key this is; None for one that is unknown or expired."""
        return self._keys.principal(key)

    @strict
    def credential(self, key: str) -> Credential | None:
        """What a key proves, without its secret, to ask `holder` later; None if it is no key."""
        return self._keys.credential(key)

    @strict
    def holder(self, credential: Credential) -> Principal | None:
        """Whose credential this is now; None once its key has ended or got another secret."""
        return self._keys.holder(credential)


def _patterns(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple) or not value:
        raise InvalidInputError("namespaces takes a list, such as ['alice'], ['acme/*'] or ['*']")
    if len(value) > _MOST_PATTERNS:
        raise InvalidInputError(f"a key may name {_MOST_PATTERNS} namespaces; use patterns, acme/*")
    for each in value:
        if not isinstance(each, str) or len(each) > 512 or not _PATTERN.fullmatch(each):
            raise InvalidInputError(f"{each!r:.80} is no namespace, nor one with /* behind it")
    return tuple(dict.fromkeys(value))


def _verbs(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple) or not value:
        raise InvalidInputError("verbs takes a list, such as ['read'] or ['*']")
    return tuple(dict.fromkeys(checks.one_of(each, (*VERBS, ALL), name="a verb") for each in value))
