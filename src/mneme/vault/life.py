"""Further versions of a cube: edits, changes of state, and what follows for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mneme.core.errors import (
    CubeNotFoundError,
    FrozenCubeError,
    InvalidInputError,
    LifecycleError,
    VersionConflictError,
)
from mneme.core.lifecycle import State, enter
from mneme.core.rows import Selection
from mneme.memories.plaintext.merge import sketches
from mneme.vault import audit
from mneme.vault.adapter_files import brought_back
from mneme.vault.bonds import FORGOTTEN_WITH, SUPERSEDES, later, still_hidden, superseded
from mneme.vault.carried import readable
from mneme.vault.entries import Said, make_entries
from mneme.vault.marks import DERIVED, marks_of
from mneme.vault.stale import (
    CARRIES,
    PARAMETRIC,
    check_usable,
    enqueue_making,
    is_to_build,
    let_go,
    outlived,
    says_otherwise,
)
from mneme.vault.sweep import sweep
from mneme.vault.write import SOURCE, embedder_number, enqueue_followers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.rows import Condition, Namespace, VersionRow
    from mneme.core.store import Transaction
    from mneme.vault.entries import Entry
    from mneme.vault.parts import Parts

Follow = Callable[["Transaction", "Namespace", "VersionRow"], None]
FollowRows = Callable[["Transaction", "Namespace", "dict[str, VersionRow]"], None]


_READABLE = tuple(s.value for s in State if s not in {State.FORGOTTEN, State.EXPIRED})
_CASCADES = {"archive", "activate"}
_OF_ANY_KIND = {"labels", "priority", "hold", "expires_at"}  # other fields follow from the sources
_ROLLED_BACK = {"plaintext", PARAMETRIC}
_SALT_BYTES = 16


class Lives:
    """Changes cubes of a namespace; every change is a version."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def update(
        self,
        path: str,
        cube_id: str,
        changes: dict[str, Any],
        *,
        expected_version: int | None = None,
        follow: Follow | None = None,
    ) -> tuple[VersionRow, str]:
        """Write a version with other fields; `text` among the changes gives it another text.

        `follow` is called before the commit, with what was written.

        Raises:
            CubeNotFoundError: No readable cube of that id.
            VersionConflictError: It is not at the expected version.
            FrozenCubeError: It is frozen.
        """
        text, indexed = changes.pop("text", None), changes.pop("indexed", None)
        said = None if text is None else (text, self._prepare(path, cube_id, text, indexed))
        with self._parts.store.write() as tx:
            row = self.readable(tx, path, cube_id)
            if expected_version is not None and row.version != expected_version:
                raise VersionConflictError(cube_id, expected_version, row.version)
            if row.state == State.FROZEN and set(changes) != {"hold"}:
                raise FrozenCubeError(cube_id, "update")
            if row.kind != "plaintext" and (said or set(changes) - _OF_ANY_KIND):
                raise InvalidInputError(f"cube {cube_id!r} is made of others: change its sources")
            namespace = tx.cubes.touch_namespace(path)
            row = row._replace(**changes)
            written = self.write(tx, path, namespace, row, "update", said=said)
            if follow is not None:
                follow(tx, namespace, written)
            body = tx.cubes.body(written.key, written.text_version)[0]
        self._sweep()
        return written, body

    def rollback(
        self, path: str, cube_id: str, to_version: int, follow: Follow | None = None
    ) -> tuple[VersionRow, str]:
        """Write a version with the text, type, metadata and validity of an older one.

        Of a shard: with the adapter of an older one, if its sources still say what it says.
        """
        with self._parts.store.write() as tx:
            row = self.readable(tx, path, cube_id)
            if row.state == State.FROZEN:
                raise FrozenCubeError(cube_id, "rollback")
            if row.kind not in _ROLLED_BACK:
                raise InvalidInputError(f"cube {cube_id!r} is made of others: roll these back")
            old = [v for v in tx.cubes.versions(row.key) if v.version == to_version]
            if not old:
                raise InvalidInputError(
                    f"cube {cube_id!r} has versions 1 to {row.version}, not {to_version!r}"
                )
            if row.kind == PARAMETRIC:
                back = brought_back(self._parts, tx, path, row, old[0])
                namespace = tx.cubes.touch_namespace(path)
                return self.write(tx, path, namespace, back, "rollback"), ""
            namespace = tx.cubes.touch_namespace(path)
            back = row._replace(
                text_version=old[0].text_version, type=old[0].type, metadata=old[0].metadata,
                valid_from=old[0].valid_from, valid_to=old[0].valid_to, sources=old[0].sources,
                method="rolled back",
            )  # fmt: skip
            written = self.write(tx, path, namespace, back, "rollback")
            text = tx.cubes.body(written.key, written.text_version)[0]
            if written.origin == DERIVED:
                self._mark_again(tx, namespace, written, text)
            if follow is not None:
                follow(tx, namespace, written)
        self._sweep()
        return written, text

    def transit(self, path: str, cube_id: str, verb: str) -> tuple[VersionRow, str]:
        """Take a cube along an edge of the life cycle; parts of a document go with it.

        Raises:
            FrozenCubeError: The cube is frozen and the edge is not for frozen ones.
            LifecycleError: There is no such edge from where it is.
        """
        with self._parts.store.write() as tx:
            row = self.readable(tx, path, cube_id)
            state = enter(verb, State(row.state))
            if state is None:
                if row.state == State.FROZEN:
                    raise FrozenCubeError(cube_id, verb)
                raise LifecycleError(cube_id, row.state, verb)
            if verb == "activate":
                check_usable(row)
            namespace = tx.cubes.touch_namespace(path)
            if verb in _CASCADES:
                self._take_parts_along(tx, path, namespace, row, verb)
            changed = self._version(tx, path, namespace, row._replace(state=state), verb)
            return changed, tx.cubes.body(row.key, row.text_version)[0]

    def _take_parts_along(
        self, tx: Transaction, path: str, namespace: Namespace, whole: VersionRow, verb: str
    ) -> None:
        """Archive or activate the parts of a document; those that an edit dropped stay archived."""
        text = tx.cubes.body(whole.key, whole.text_version)[0]
        for part in self.parts_of(tx, namespace, whole.key):
            state = enter(verb, State(part.state))
            if state is not None and tx.cubes.body(part.key, part.text_version)[0] in text:
                self._version(tx, path, namespace, part._replace(state=state), verb)

    def forget(
        self, path: str, ids: Sequence[str] | None, conditions: tuple[Condition, ...]
    ) -> int:
        """Hide cubes, and all that derives from them, from every read; the number hidden."""
        with self._parts.store.write() as tx:
            known = tx.cubes.namespace(path)
            if ids is None:
                rows = self.selected(tx, known, conditions, _READABLE)
            else:
                rows = [self.readable(tx, path, cube_id) for cube_id in dict.fromkeys(ids)]
            if not rows:
                return 0
            namespace = tx.cubes.touch_namespace(path)
            hidden: set[int] = set()
            for row in rows:
                self.hide(tx, path, namespace, row, hidden)
            return len(hidden)

    def restore(self, path: str, cube_id: str) -> tuple[VersionRow, str]:
        """Undo `forget`, also for what was hidden along with the cube."""
        with self._parts.store.write() as tx:
            known = tx.cubes.namespace(path)
            row = tx.cubes.current(known.number, cube_id) if known else None
            if row is None or (row.expires_at and row.expires_at <= self._parts.clock.now_us()):
                raise CubeNotFoundError(cube_id, path)
            if row.state != State.FORGOTTEN:
                raise LifecycleError(cube_id, row.state, "restore")
            namespace = tx.cubes.touch_namespace(path)
            return self._show(tx, path, namespace, row), tx.cubes.body(row.key, row.text_version)[0]

    def reward(
        self, path: str, rewards: dict[str, float], follow: FollowRows | None = None
    ) -> None:
        """Raise or lower what ranking thinks of cubes; all of them must be readable.

        `follow` is called before the commit, with the cubes by id.
        """
        now = self._parts.clock.now_us()
        with self._parts.store.write() as tx:
            rows = {i: self.readable(tx, path, i) for i in rewards}
            tx.ledger.add_usage(
                (rows[i].key, int(change > 0), now, change) for i, change in rewards.items()
            )
            tx.entries.mark_changed([row.key for row in rows.values()])
            changes = [audit.Change("feedback", path, i, rows[i].version, "") for i in rewards]
            audit.append(tx.ledger, changes, at=now, actor=self._parts.actor)
            if follow is not None and rows:
                follow(tx, tx.cubes.touch_namespace(path), rows)

    def keys_of(self, path: str, ids: Sequence[str]) -> list[int]:
        """The store's numbers of cubes, without those that are gone."""
        with self._parts.store.read() as tx:
            known = tx.cubes.namespace(path)
            rows = [tx.cubes.current(known.number, i) for i in ids] if known else []
            return [row.key for row in rows if row is not None]

    def expire_due(self) -> int | None:
        """Give cubes whose time is over their last state; when the next is due."""
        now = self._parts.clock.now_us()
        with self._parts.store.write() as tx:
            for path, row in tx.cubes.overdue(now, _READABLE):
                namespace = tx.cubes.touch_namespace(path)
                self._version(tx, path, namespace, row._replace(state=State.EXPIRED), "expire")
                for carrier in outlived(tx, self._parts, path, namespace, row):
                    self._version(tx, path, namespace, carrier, "release")
            return tx.cubes.next_expiry(now)

    def readable(self, tx: Transaction, path: str, cube_id: str) -> VersionRow:
        """The current version of a cube that reads may show."""
        return readable(tx, path, cube_id, self._parts.clock.now_us())

    def selected(
        self,
        tx: Transaction,
        known: Namespace | None,
        conditions: tuple[Condition, ...],
        states: tuple[str, ...],
        *,
        with_expired: bool = False,
    ) -> list[VersionRow]:
        """The current versions that conditions mean."""
        if known is None:
            return []
        now = 0 if with_expired else self._parts.clock.now_us()
        selection = Selection(states=states, conditions=conditions, now=now)
        return tx.cubes.select(known.number, selection)

    # -- one version

    def write(  # noqa: PLR0913 (a version has so many sides)
        self,
        tx: Transaction,
        path: str,
        namespace: Namespace,
        row: VersionRow,
        verb: str,
        *,
        said: tuple[str, Entry] | None = None,
        method: str | None = None,
    ) -> VersionRow:
        """Write the next version of a cube, with another text and its entry where one is given."""
        if said is not None:
            text, entry = said
            row = row._replace(text_version=row.version + 1, method=method or _edited(row.method))
            number = None if entry.vectors is None else embedder_number(tx, self._parts)
            salt = self._parts.random_bytes(_SALT_BYTES)
            tx.cubes.add_texts([entry.row(row.key, row.text_version, (text, salt), number)])
            if row.origin == DERIVED:
                self._mark_again(tx, namespace, row, text)
            else:
                self._sketch_again(tx, namespace, row.key, entry)
            enqueue_followers(tx, self._parts, [], [entry])
        stale = says_otherwise(tx, namespace.number, row)
        written = self._version(tx, path, namespace, row, verb)
        for carrier in let_go(tx, self._parts, path, namespace, row) if stale else ():
            self._version(tx, path, namespace, carrier, "release")
        return written

    def _sweep(self) -> None:
        """Remove the files of blocks that an edit let go of; what is not reached, a job does."""
        if self._parts.blobs:
            sweep(self._parts)

    def _prepare(self, path: str, cube_id: str, text: str, indexed: bool | None) -> Entry:
        """The index entry of a cube's next text, made before the transaction."""
        with self._parts.store.read() as tx:
            row = self.readable(tx, path, cube_id)
            if indexed is None:
                indexed = bool(tx.entries.entry(row.key, row.text_version).spans)
        return self.entry_of(row, text, indexed=indexed)

    def entry_of(self, row: VersionRow, text: str, *, indexed: bool = True) -> Entry:
        """The index entry of a text of a cube."""
        said = Said(text, row.role, row.speaker, row.event_at, indexed=indexed)
        inline = self._parts.embedding if self._parts.embedding.inline else None
        return make_entries([said], inline)[0]

    def _mark_again(
        self, tx: Transaction, namespace: Namespace, row: VersionRow, text: str
    ) -> None:
        tx.written.drop_marks(row.key)
        marks = marks_of(row, text, self._parts.secret)
        tx.written.add_marks((namespace.number, kind, mark, row.key) for kind, mark in marks)

    def _sketch_again(self, tx: Transaction, namespace: Namespace, key: int, entry: Entry) -> None:
        tx.ledger.drop_sketch(key)
        bands = sketches([entry.terms])[0]
        tx.ledger.add_sketches((namespace.number, band, key) for band in bands)

    def _version(
        self, tx: Transaction, path: str, namespace: Namespace, row: VersionRow, verb: str
    ) -> VersionRow:
        now = max(self._parts.clock.now_us(), row.recorded_at)  # a clock may be set back
        row = row._replace(version=row.version + 1, recorded_at=now, actor=self._parts.actor)
        tx.cubes.add_version(namespace, row)
        body, salt = tx.cubes.body(row.key, row.text_version)
        change = audit.Change(verb, path, row.id, row.version, audit.digest_of(body, salt))
        audit.append(tx.ledger, [change], at=now, actor=self._parts.actor)
        enqueue_followers(tx, self._parts, [row], [])
        return row

    # -- what follows for others

    def parts_of(self, tx: Transaction, namespace: Namespace, key: int) -> list[VersionRow]:
        """The cubes that were cut from a document."""
        rows = tx.cubes.current_of_keys(namespace.number, tx.ledger.children(key, SOURCE))
        return [row for row in rows if row.method == "section"]

    def hide(
        self,
        tx: Transaction,
        path: str,
        namespace: Namespace,
        row: VersionRow,
        hidden: set[int],
    ) -> None:
        """Forget a cube and what derives from it, within a transaction; `hidden` gets the keys."""
        if row.key in hidden:
            return
        hidden.add(row.key)
        gone = row._replace(state=State.FORGOTTEN, prior_state=row.state)
        self._version(tx, path, namespace, gone, "forget")
        self.reopen(tx, path, namespace, row.key)
        children = [*tx.ledger.children(row.key, SOURCE), *tx.ledger.children(row.key, CARRIES)]
        for child in tx.cubes.current_of_keys(namespace.number, children):
            if child.state != State.FORGOTTEN:
                tx.ledger.add_edges([(row.key, child.key, FORGOTTEN_WITH)])
                self.hide(tx, path, namespace, child, hidden)
            elif tx.ledger.parents(child.key, FORGOTTEN_WITH):  # another source hid it before
                tx.ledger.add_edges([(row.key, child.key, FORGOTTEN_WITH)])

    def reopen(self, tx: Transaction, path: str, namespace: Namespace, key: int) -> None:
        """Let what a cube superseded hold again, since the cube itself goes."""
        for older in superseded(tx, namespace, key):
            others = [
                row
                for row in tx.cubes.current_of_keys(
                    namespace.number, tx.ledger.parents(older.key, SUPERSEDES)
                )
                if row.key != key and row.state != State.FORGOTTEN
            ]
            if older.valid_to is not None and not others:
                again = older._replace(valid_to=None)
                self._version(tx, path, namespace, again, "reopen")

    def _show(
        self, tx: Transaction, path: str, namespace: Namespace, row: VersionRow
    ) -> VersionRow:
        tx.ledger.set_parents(row.key, FORGOTTEN_WITH, [])
        back = row._replace(state=row.prior_state or State.ACTIVATED, prior_state=None)
        shown = self._version(tx, path, namespace, back, "restore")
        if is_to_build(shown):  # its job found nothing, or a source was changed meanwhile
            enqueue_making(tx, self._parts, path, shown)
        for older in superseded(tx, namespace, row.key):
            if older.valid_to is None:
                ended = older._replace(valid_to=later(row.valid_from, older.valid_from))
                self._version(tx, path, namespace, ended, "supersede")
        with_it = tx.ledger.children(row.key, FORGOTTEN_WITH)
        for child in tx.cubes.current_of_keys(namespace.number, with_it):
            others = still_hidden(tx, namespace, child.key, row.key)
            tx.ledger.set_parents(child.key, FORGOTTEN_WITH, others)
            if child.state == State.FORGOTTEN and not others:
                self._show(tx, path, namespace, child)
        return shown


def _edited(method: str) -> str:
    """A section that is edited is still a section of its document."""
    return method if method == "section" else "edited"
