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


class KeyRing:
    """The access keys of a store."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._read: tuple[str | None, dict[str, dict[str, Any]]] = (None, {})

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
            known = self._load(tx)
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
            known = self._load(tx)
            old = self._of(known, key_id)
            now = self._parts.clock.now_us()
            record = old | {
                "digest": self._digest(key_id, secret),
                "old_digest": old["digest"],
                "rotated_at": now,
                "old_until": now + overlap_us,
            }
            self._save(tx, known | {key_id: record}, "rotate_key", key_id)
        return f"mneme_{key_id}_{secret}", _key(key_id, record)

    def revoke(self, key_id: str) -> None:
        """Refuse a key from now on.

        Raises:
            CubeNotFoundError: There is no such key.
        """
        with self._parts.store.write() as tx:
            known = dict(self._load(tx))
            self._of(known, key_id)
            del known[key_id]
            self._save(tx, known, "revoke_key", key_id)

    def all(self) -> list[AccessKey]:
        """What is known of each key, the oldest first."""
        with self._parts.store.read() as tx:
            return [_key(key_id, record) for key_id, record in self._load(tx).items()]

    def principal(self, text: str) -> Principal | None:
        """Whose key this is; None for one that is unknown, expired or not a key at all."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        with self._parts.store.read() as tx:
            record = self._load(tx).get(match[1])
        now = self._parts.clock.now_us()
        if record is None or (record["expires_at"] is not None and record["expires_at"] <= now):
            return None
        given = self._digest(*match.groups())
        fits = hmac.compare_digest(given, record["digest"])
        if not fits and record.get("old_until", 0) > now:
            fits = hmac.compare_digest(given, record["old_digest"])
        if not fits:
            return None
        key = _key(match[1], record)
        return Principal(
            id=key.id, name=key.name, grants=key.grants, requests_per_s=key.requests_per_s
        )

    def _secret(self) -> str:
        raw = self._parts.random_bytes(_SECRET_BYTES)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def _digest(self, key_id: str, secret: str) -> str:
        text = f"access key {key_id} {secret}".encode()
        return hmac.new(self._parts.secret, text, hashlib.sha256).hexdigest()

    def _load(self, tx: Transaction) -> dict[str, dict[str, Any]]:
        text = tx.ledger.meta(_RECORD)
        if text != self._read[0]:
            self._read = (text, json.loads(text) if text else {})
        return self._read[1]

    def _save(
        self, tx: Transaction, records: dict[str, dict[str, Any]], verb: str, key_id: str
    ) -> None:
        tx.ledger.set_meta(_RECORD, json.dumps(records, separators=(",", ":")))
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
