"""Access keys: who may come in, with what; only keyed hashes of the secrets are kept.

A key's text is `mneme_<id>_<secret>`; the secret has 256 random bits, so that one keyed hash is
enough: there is nothing to guess. All keys are one small record of the store: a change of them and
its audit entry are one transaction, and copies of the store carry them along.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mneme.core.clock import from_us
from mneme.core.errors import CubeNotFoundError, InvalidInputError
from mneme.govern.permission import Grant, Principal
from mneme.vault import audit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mneme.core.store import Transaction
    from mneme.vault.parts import Parts

_RECORD = "access_keys"
_EDITION = "access_keys_edition"  # changes with the record; so small that each request can read it
_KEY = re.compile(r"mneme_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_SECRET_BYTES = 32
_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """What is known of a key; its secret is not.

    Attributes:
        id: 12 hex digits, part of the key's text.
        name: Of whoever holds it; audit entries say it.
        grants: What it allows.
        made_at: When it was made.
        expires_at: From then on it is refused; None: never.
        rotated_at: When its secret was last changed.
        old_until: Until then the secret before that works too.
        requests_per_s: Its own limit; None: that of the server.
    """

    id: str
    name: str
    grants: tuple[Grant, ...]
    made_at: datetime
    expires_at: datetime | None = None
    rotated_at: datetime | None = None
    old_until: datetime | None = None
    requests_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key that was shown, without its secret: enough to ask later whether it still holds.

    Attributes:
        key_id: Which key.
        digest: The keyed hash of what was shown.
    """

    key_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Held:
    """A key as it is looked up for each request; times in microseconds."""

    principal: Principal
    digest: str
    ends: int | None
    old_digest: str
    old_until: int

    def fits(self, digest: str, now: int) -> bool:
        """Whether a hash is that of the secret, or of the last one while it still works."""
        if self.ends is not None and self.ends <= now:
            return False
        newest = hmac.compare_digest(digest, self.digest)
        return newest or (self.old_until > now and hmac.compare_digest(digest, self.old_digest))


class KeyRing:
    """The access keys of a store.

    Each look-up reads the edition of the record from the store, so that a change by any process
    holds at once; the record itself is read again when its edition is another.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: tuple[str, dict[str, _Held]] = ("", {})

    def make(
        self,
        name: str,
        grants: Sequence[Grant],
        *,
        expires_at: int | None = None,
        requests_per_s: float | None = None,
    ) -> tuple[str, AccessKey]:
        """A new key: its text, which nobody can be shown again, and what is kept of it."""
        key_id, secret = self._parts.random_bytes(6).hex(), self._secret()
        with self._parts.store.write() as tx:
            known = _load(tx)
            if len(known) >= _MOST_KEYS:
                raise InvalidInputError(f"there are {_MOST_KEYS} keys; revoke some first")
            record = {
                "name": name,
                "grants": [[list(g.namespaces), list(g.verbs)] for g in grants],
                "made_at": self._parts.clock.now_us(),
                "expires_at": expires_at,
                "requests_per_s": requests_per_s,
                "digest": self._digest(key_id, secret),
            }
            self._save(tx, known | {key_id: record}, "make_key", key_id)
        return f"mneme_{key_id}_{secret}", _key(key_id, record)

    def rotate(self, key_id: str, *, overlap_us: int) -> tuple[str, AccessKey]:
        """A new secret for a key; the old one works for a while yet."""
        secret = self._secret()
        with self._parts.store.write() as tx:
            known = _load(tx)
            old = self._of(known, key_id)
            now = self._parts.clock.now_us()
            kept = overlap_us > 0  # else the old one is dropped, whatever the clocks of others say
            record = old | {
                "digest": self._digest(key_id, secret),
                "old_digest": old["digest"] if kept else "",
                "rotated_at": now,
                "old_until": now + overlap_us if kept else None,
            }
            self._save(tx, known | {key_id: record}, "rotate_key", key_id)
        return f"mneme_{key_id}_{secret}", _key(key_id, record)

    def revoke(self, key_id: str) -> None:
        """Refuse a key from now on.

        Raises:
            CubeNotFoundError: There is no such key.
        """
        with self._parts.store.write() as tx:
            known = dict(_load(tx))
            self._of(known, key_id)
            del known[key_id]
            self._save(tx, known, "revoke_key", key_id)

    def all(self) -> list[AccessKey]:
        """What is known of each key, the oldest first."""
        with self._parts.store.read() as tx:
            return [_key(key_id, record) for key_id, record in _load(tx).items()]

    def credential(self, text: str) -> Credential | None:
        """What a text would prove if it is a key; None if it does not look like one."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        return Credential(key_id=match[1], digest=self._digest(match[1], match[2]))

    def holder(self, shown: Credential) -> Principal | None:
        """Whose credential this is now; None once the key is unknown, expired or rotated away."""
        held = self._current().get(shown.key_id)
        if held is None or not held.fits(shown.digest, self._parts.clock.now_us()):
            return None
        return held.principal

    def principal(self, text: str) -> Principal | None:
        """Whose key this is; None for one that is unknown, expired or not a key at all."""
        shown = self.credential(text)
        return None if shown is None else self.holder(shown)

    def _current(self) -> dict[str, _Held]:
        known = self._known
        with self._parts.store.read() as tx:
            edition = tx.ledger.meta(_EDITION) or "first"
            if edition != known[0]:
                held = {key_id: _held(key_id, record) for key_id, record in _load(tx).items()}
                known = self._known = (edition, held)
        return known[1]

    def _secret(self) -> str:
        raw = self._parts.random_bytes(_SECRET_BYTES)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def _digest(self, key_id: str, secret: str) -> str:
        text = f"access key {key_id} {secret}".encode()
        return hmac.new(self._parts.secret, text, hashlib.sha256).hexdigest()

    def _save(
        self, tx: Transaction, records: dict[str, dict[str, Any]], verb: str, key_id: str
    ) -> None:
        tx.ledger.set_meta(_RECORD, json.dumps(records, separators=(",", ":")))
        tx.ledger.set_meta(_EDITION, self._parts.random_bytes(8).hex())
        change = audit.Change(verb, "", key_id, 0, "")
        now = self._parts.clock.now_us()
        audit.append(tx.ledger, [change], at=now, actor=self._parts.actor)

    def _of(self, known: dict[str, dict[str, Any]], key_id: str) -> dict[str, Any]:
        if key_id not in known:
            raise KeyUnknownError(key_id)
        return known[key_id]


class KeyUnknownError(CubeNotFoundError):
    """There is no key of this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id, "")
        self.message = f"there is no key {key_id!r}; `mneme keys list` shows those that there are"


def _load(tx: Transaction) -> dict[str, dict[str, Any]]:
    text = tx.ledger.meta(_RECORD)
    return json.loads(text) if text else {}


def _held(key_id: str, record: dict[str, Any]) -> _Held:
    key = _key(key_id, record)
    principal = Principal(
        id=key.id,
        name=key.name,
        grants=key.grants,
        requests_per_s=key.requests_per_s,
        expires_at=key.expires_at,
    )
    return _Held(
        principal,
        record["digest"],
        record["expires_at"],
        record.get("old_digest", ""),
        record.get("old_until") or 0,
    )


def _key(key_id: str, record: dict[str, Any]) -> AccessKey:
    def moment(name: str) -> datetime | None:
        return None if record.get(name) is None else from_us(record[name])

    return AccessKey(
        id=key_id,
        name=record["name"],
        grants=tuple(Grant(namespaces=tuple(n), verbs=tuple(v)) for n, v in record["grants"]),
        made_at=from_us(record["made_at"]),
        expires_at=moment("expires_at"),
        rotated_at=moment("rotated_at"),
        old_until=moment("old_until"),
        requests_per_s=record["requests_per_s"],
    )
