"""The audit chain: each entry's hash covers the one before, so that none can be changed or dropped.

An entry holds ids and a keyed hash of the text, never content. The key is the text's own salt,
which erasure destroys: what stays then says that something was erased, and nothing of what.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.core.clock import from_us
from mneme.core.rows import AuditRow
from mneme.vault.codec import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from mneme.core.store import Ledger

EMPTY_HEAD = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change: who did what to which cube when, with a keyed hash of the text."""

    number: int
    at: datetime
    verb: str
    actor: str
    namespace: str
    cube_id: str
    version: int
    digest: str
    hash: str


@dataclass(frozen=True, slots=True)
class Change:
    """What the chain is told of one change."""

    verb: str
    namespace: str
    cube_id: str
    version: int
    digest: str


def digest_of(text: str, salt: bytes) -> str:
    """The hash of a text that only its salt can check."""
    return hashlib.blake2b(text.encode(), key=salt, digest_size=16).hexdigest()


def append(ledger: Ledger, changes: Iterable[Change], *, at: int, actor: str) -> str:
    """Add entries to the chain; its new head."""
    number, head = ledger.last_audit()
    rows = []
    for change in changes:
        number += 1
        row = AuditRow(
            number, at, change.verb, actor, change.namespace, change.cube_id, change.version,
            change.digest, "",
        )  # fmt: skip
        head = _chained(head, row)
        rows.append(row._replace(hash=head))
    ledger.append_audit(rows)
    return head


def _chained(previous: str, row: AuditRow) -> str:
    return hashlib.sha256((previous + canonical_json(row[:-1])).encode()).hexdigest()


def entries(ledger: Ledger, since: int | None) -> Iterator[AuditEntry]:
    """The entries at or after a moment, oldest first."""
    for row in ledger.audit():
        if since is None or row.at >= since:
            yield AuditEntry(**{**row._asdict(), "at": from_us(row.at)})


def problems(ledger: Ledger, kept_head: str | None) -> list[str]:
    """What is wrong with the chain; empty if nothing is.

    Args:
        ledger: The chain.
        kept_head: A head that was kept elsewhere and must still be part of the chain.
    """
    found: list[str] = []
    head, seen = EMPTY_HEAD, {EMPTY_HEAD}
    for expected, row in enumerate(ledger.audit(), start=1):
        head = _chained(head, row)
        seen.add(row.hash)
        if row.number != expected or row.hash != head:
            found.append(f"audit entry {row.number} does not continue the chain")
            break
    if kept_head is not None and not found and kept_head not in seen:
        found.append("the audit chain does not contain the head that was kept elsewhere")
    return found
