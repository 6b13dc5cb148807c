"""Jobs as clients know them: ids that are given out, and what became of the job.

A job that is done leaves no row, and SQLite may give its number to another. So an id says which job
was meant (kind, number, name, tries, when it was due, and the namespace that may ask), and carries
a MAC keyed by the store's secret: an id that was made up, or that belongs to a namespace which the
asker may not read, is answered like one that never was.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.core.clock import from_us
from mneme.core.errors import CubeNotFoundError
from mneme.core.plain import plain

if TYPE_CHECKING:
    from mneme.core.rows import JobRow
    from mneme.govern.permission import Principal
    from mneme.server.service import Service

    Job = dict[str, Any]

ENDED: Final = frozenset({"done", "dead"})
_MAC_BYTES: Final = 16
_LONGEST_ID: Final = 2048


class JobUnknownError(CubeNotFoundError):
    """No job has this id, as far as the asker may know."""

    def __init__(self) -> None:
        super().__init__("", "")
        self.message = "there is no job of this id; GET /v1/jobs shows those that are not done"


class _Meant(NamedTuple):
    """What an id says of its job."""

    kind: str
    number: int
    name: str  # a hash of its unique key
    tries: int
    due_at: int
    namespace: str | None


def ids_named(service: Service, *names: str) -> list[str]:
    """Ids of the jobs of some names that wait or run."""
    with service.memory.vault.parts.store.read() as tx:
        rows = [row for name in names for row in tx.ledger.jobs_named(name)]
    return [_id_of(service, row) for row in rows]


def jobs_of(service: Service, principal: Principal) -> list[Job]:
    """The jobs that are not done and that the asker may know of, oldest first."""
    with service.memory.vault.parts.store.read() as tx:
        rows = tx.ledger.jobs()
    return [_shown(service, row) for row in rows if _may_know(principal, _namespace_of(row))]


def job_of(service: Service, principal: Principal, job_id: str) -> Job:
    """A job by the id that was given out for it.

    Raises:
        JobUnknownError: It is no id of this store, or none that the asker may know.
    """
    meant = _meant(service, job_id)
    if meant is None or not _may_know(principal, meant.namespace):
        raise JobUnknownError
    with service.memory.vault.parts.store.read() as tx:
        row = tx.ledger.job(meant.number)
    if row is not None and _is_same(meant, row):
        return _shown(service, row) | {"id": job_id}
    return {
        "id": job_id,
        "kind": meant.kind,
        "namespace": meant.namespace,
        "state": "done",
        "tries": meant.tries,
        "due_at": None,
        "error": None,
    }


def _is_same(meant: _Meant, row: JobRow) -> bool:
    """Whether a row is still the job that an id was given out for.

    A waiting job is only ever moved forward, save after a failure, which it then tells of: one of
    the same name and number that is due later, and did not fail, came after it.
    """
    named = (row.kind, _hash(row.unique_key)) == (meant.kind, meant.name)
    moved = row.due_at > meant.due_at and row.error is None
    return named and row.tries >= meant.tries and not moved


def _may_know(principal: Principal, namespace: str | None) -> bool:
    return principal.is_root or (namespace is not None and principal.may("read", namespace))


def _said(row: JobRow) -> dict[str, Any]:
    payload = json.loads(row.payload)
    return payload if isinstance(payload, dict) else {}


def _namespace_of(row: JobRow) -> str | None:
    """Whose job it is; None for the upkeep of the whole store."""
    return _said(row).get("namespace")


def _shown(service: Service, row: JobRow) -> Job:
    return {
        "id": _id_of(service, row),
        "kind": row.kind,
        "namespace": _namespace_of(row),
        "state": row.state,
        "tries": row.tries,
        "due_at": plain(from_us(row.due_at)),
        "error": row.error,
    }


def _id_of(service: Service, row: JobRow) -> str:
    meant = _Meant(
        row.kind, row.number, _hash(row.unique_key), row.tries, row.due_at, _namespace_of(row)
    )
    said = json.dumps(meant, separators=(",", ":")).encode()
    return _text(_mac(service, said) + said)


def _meant(service: Service, job_id: str) -> _Meant | None:
    if len(job_id) > _LONGEST_ID or not job_id.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(job_id + "=" * (-len(job_id) % 4))
    except ValueError:
        return None
    mac, said = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(service, said)) or _text(raw) != job_id:
        return None
    return _Meant(*json.loads(said))


def _mac(service: Service, said: bytes) -> bytes:
    key = service.memory.vault.parts.secret
    return hmac.new(key, b"job id " + said, hashlib.sha256).digest()[:_MAC_BYTES]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _hash(unique_key: str) -> str:
    return hashlib.sha256(unique_key.encode()).hexdigest()[:16]
