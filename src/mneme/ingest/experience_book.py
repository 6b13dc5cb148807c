"""The experience of a namespace within one transaction: read, changed, and written back together.

What is distilled is kept as cubes of type `procedure` (levels "steps" and "script") and `lesson`,
with their data in the metadata. A cube changes by a new version; one that a user edited keeps the
user's words, and a frozen one stays as it is. What tools said taints all that is distilled of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mneme.core.lifecycle import State
from mneme.core.rows import Selection
from mneme.govern.trust import trust_of
from mneme.memories.plaintext.experience.distilled import Distilled, distilled_from_json
from mneme.memories.plaintext.experience.scoring import gist_from_json, same
from mneme.vault.codec import canonical_json, sources_json, sources_of
from mneme.vault.draft import Draft
from mneme.vault.marks import DERIVED, marks_of
from mneme.vault.write import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.provenance import SourceSpan
    from mneme.core.rows import Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.memories.plaintext.experience.distilled import Level
    from mneme.memories.plaintext.experience.scoring import Gist
    from mneme.vault.vault import Vault

DISTILLED: Final = "distilled"  # the method of all that is made here
TYPES: Final = ("procedure", "lesson")

_STATES: Final = (State.ACTIVATED.value, State.FROZEN.value)
_MOST_SPANS: Final = 8  # runs that a cube names; further ones are linked without a span


class Run(NamedTuple):
    """The stored run that experience is drawn from."""

    row: VersionRow
    span: SourceSpan  # the characters that support what is drawn


@dataclass(slots=True, kw_only=True)
class Item(Distilled):
    """A procedure or a lesson, as it is to be.

    Attributes:
        row: The version that is stored; None for a new one.
        like: The stored procedure whose runs a new one is drawn from, too.
        runs: Further runs that it is drawn from.
        model: The language model that worded it.
    """

    row: VersionRow | None = None
    like: VersionRow | None = None
    runs: list[Run] = field(default_factory=list)
    changed: bool = False
    model: str | None = None

    def count(self, outcome: float, at: int, *, advised: bool = False) -> None:
        """Take in the outcome of a run."""
        self.record = self.record.counted(outcome, at, advised=advised)
        self.changed = True


def item_of(row: VersionRow) -> Item | None:
    """The experience that a stored cube holds; None for any other cube."""
    return _item(row, _facts(row))


def _facts(row: VersionRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.metadata) if row.metadata else {}
    return found if row.origin == DERIVED else {}


def _item(row: VersionRow, facts: dict[str, Any]) -> Item | None:
    known = distilled_from_json(facts)
    if known is None:
        return None
    return Item(
        level=known.level, family=known.family, task=known.task, template=known.template,
        lesson=known.lesson, record=known.record, seen=known.seen, row=row,
    )  # fmt: skip


class Book:
    """All experience of a namespace that may be advised, within a transaction."""

    def __init__(self, vault: Vault, tx: Transaction, path: str, namespace: Namespace) -> None:
        self._vault, self._tx, self._path, self._namespace = vault, tx, path, namespace
        selection = Selection(types=TYPES, states=_STATES, now=vault.parts.clock.now_us())
        rows = tx.cubes.select(namespace.number, selection)
        self._known = [(row, _facts(row)) for row in rows]
        self._items: dict[int, Item | None] = {}  # by key of the cube, as far as they are read
        self._new: list[Item] = []

    def like(self, gist: Gist) -> list[Item]:
        """What is known of the same task, in order of writing."""
        return self._read(lambda _, facts: _is_same(facts, gist))

    def of_family(self, family: str, level: Level) -> list[Item]:
        """The procedure of a family at one level, if it is there."""
        return self._read(lambda _, f: f.get("family") == family and f.get("level") == level)

    def named(self, ids: set[str]) -> list[Item]:
        """What has these ids."""
        return self._read(lambda row, _: row.id in ids)

    def add(self, item: Item) -> None:
        """Take in a new item."""
        item.changed = True
        self._new.append(item)

    def write(self) -> list[tuple[VersionRow, str]]:
        """Write what changed; the versions and texts, what was known first."""
        read = [self._items[key] for key in sorted(self._items)]
        old = [item for item in read if item is not None and item.changed and not _frozen(item)]
        return [self._update(item) for item in old] + [self._insert(item) for item in self._new]

    def _read(self, wanted: Callable[[VersionRow, dict[str, Any]], bool]) -> list[Item]:
        for row, facts in self._known:
            if row.key not in self._items and wanted(row, facts):
                self._items[row.key] = _item(row, facts)
        found = (self._items[row.key] for row, facts in self._known if wanted(row, facts))
        return [item for item in found if item is not None]

    def _insert(self, item: Item) -> tuple[VersionRow, str]:
        first, like = item.runs[0].row, item.like
        spans = [*(() if like is None else sources_of(like)), *(run.span for run in item.runs)]
        trusts = {run.row.trust for run in item.runs} | ({like.trust} if like else set())
        draft = Draft(
            text=item.text, type="lesson" if item.level == "lesson" else "procedure",
            session=first.session, role="assistant", event_at=first.event_at, origin=DERIVED,
            method=DISTILLED, metadata=canonical_json(item.to_json()), model=item.model,
            trust=trust_of(DERIVED, trusts), sources=tuple(spans[-_MOST_SPANS:]),
        )  # fmt: skip
        row = self._vault.writer.insert(self._tx, self._path, self._namespace, [draft])[0]
        parents = [] if like is None else self._tx.ledger.parents(like.key, SOURCE)
        parents += [run.row.key for run in item.runs]
        self._tx.ledger.add_edges((parent, row.key, SOURCE) for parent in parents)
        return row, draft.text

    def _update(self, item: Item) -> tuple[VersionRow, str]:
        row = item.row
        assert row is not None
        old, _ = self._tx.cubes.body(row.key, row.text_version)
        own = row.method == DISTILLED  # else a user gave it other words, which stay
        text = item.text if own else old
        spans = (*sources_of(row), *(run.span for run in item.runs))[:_MOST_SPANS]
        trusts = {row.trust, *(run.row.trust for run in item.runs)}
        new = row._replace(
            metadata=canonical_json(item.to_json()), sources=sources_json(spans),
            trust=trust_of(DERIVED, trusts),
        )  # fmt: skip
        lives, said = self._vault.lives, None
        if text != old:
            said = (text, lives.entry_of(row, text))
        new = lives.write(
            self._tx, self._path, self._namespace, new, "refine", said=said, method=row.method
        )
        self._tx.ledger.add_edges((run.row.key, row.key, SOURCE) for run in item.runs)
        self._tx.written.drop_marks(row.key)
        self._tx.written.add_marks(
            (self._namespace.number, kind, mark, row.key)
            for kind, mark in marks_of(new, text, self._vault.parts.secret)
        )
        return new, text


def _is_same(facts: dict[str, Any], gist: Gist) -> bool:
    known = gist_from_json(facts.get("gist"))
    return known is not None and same(known, gist)


def _frozen(item: Item) -> bool:
    return item.row is not None and item.row.state == State.FROZEN
