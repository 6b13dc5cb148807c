"""From cubes to facts: who, what is said of them, and what answers a question about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mneme.core.statement import Utterance
from mneme.ingest.extract import rules
from mneme.memories.parametric.facts import Fact
from mneme.vault.carried import may_be_said
from mneme.vault.stale import facts_of
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.memories.parametric.phrasings import Bank
    from mneme.vault.vault import Vault

_SAYS_MUCH = frozenset({"turn", "document", "summary", "note", "table", "profile", "task"})


class Readable(NamedTuple):
    """What could be read of cubes.

    facts: In order.
    labels: Of each fact, with its trust: what may not share a shard.
    unread: Id of each other cube, and why it stays text.
    """

    facts: list[Fact]
    labels: dict[str, tuple[str, str]]
    unread: list[tuple[str, str]]


def facts_in(vault: Vault, path: str, rows: Sequence[VersionRow], bank: Bank) -> Readable:
    """The facts of cubes, and of what was extracted from them where they are turns or documents.

    Args:
        vault: Has them.
        path: Of the namespace.
        rows: Cubes that are visible.
        bank: Reads statements.
    """
    found = Readable([], {}, [])
    now = vault.parts.clock.now_us()
    with vault.parts.store.read() as tx:
        namespace = tx.cubes.namespace(path)
        if namespace is None:
            return found
        for row in rows:
            told = list(_told(tx, namespace, row))
            if not told:
                found.unread.append((row.id, "no fact was extracted from it"))
            for each in told:
                if each.id not in found.labels:
                    _add(tx, found, each, now, bank)
    return found


def _told(tx: Transaction, namespace: Namespace, row: VersionRow) -> Iterator[VersionRow]:
    """The cube itself if it says one thing, else what was extracted from it."""
    if row.type not in _SAYS_MUCH:
        yield row
        return
    children = tx.cubes.current_of_keys(namespace.number, tx.ledger.children(row.key, SOURCE))
    extracted = [child for child in children if child.method == "extracted"]
    if not extracted and row.type == "turn" and row.role == "user":
        yield row  # the rules found nothing; the bank may read it as one statement
    yield from extracted


def _add(tx: Transaction, found: Readable, row: VersionRow, now: int, bank: Bank) -> None:
    if not may_be_said(row, now):
        found.unread.append((row.id, "it does not hold now, or is given on request alone"))
        return
    body = tx.cubes.body(row.key, row.text_version)[0]
    triple = triple_of(row, body, bank)
    if triple is None:
        found.unread.append((row.id, "no subject, relation and object could be read in it"))
        return
    subject, relation, object_ = triple
    found.labels[row.id] = (row.labels or "", row.trust)
    found.facts.append(
        Fact(
            cube_id=row.id, version=row.version, subject=subject, relation=relation,
            object=object_, text=body,
        )
    )  # fmt: skip


def triple_of(row: VersionRow, body: str, bank: Bank) -> tuple[str, str, str] | None:
    """As the cube's metadata says it, or the bank, or the rules of written memory read it."""
    said = facts_of(row)
    parts = [said.get(name) for name in ("subject", "relation", "object")]
    if said.get("hedged"):
        return None
    if all(isinstance(part, str) and part.strip() for part in parts):
        subject, relation, object_ = (str(part).strip() for part in parts)
        return subject, relation, object_
    known = bank.read(body)
    if known is not None or row.type in _SAYS_MUCH:
        return known
    heard = Utterance(id=row.id, text=body, role=row.role, speaker=row.speaker, at=row.event_at)
    for statement in rules.read(heard).statements:
        if statement.subject and statement.relation and statement.object and not statement.hedged:
            return statement.subject, statement.relation, statement.object
    return None
