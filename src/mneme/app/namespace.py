"""Namespace: the verbs on the memories of one owner, each a short delegation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.app.chatting import ActivationVerbs
from mneme.app.experience import ExperienceVerbs
from mneme.app.learning import LearningVerbs
from mneme.app.life import LifeVerbs
from mneme.app.sleep import SleepVerbs
from mneme.app.tables import TableVerbs
from mneme.app.tasks import TaskVerbs
from mneme.app.tuning import ParametricVerbs
from mneme.app.working.verbs import WorkingVerbs
from mneme.core.filters import parse_filters
from mneme.core.moments import moment_us, optional_us
from mneme.core.rows import Selection
from mneme.core.strict import strict
from mneme.ingest import changes, checks
from mneme.ingest.bulk import AddReport, Bulk
from mneme.ingest.files import import_file
from mneme.ingest.reader import Arguments, Repeats, drafts_of
from mneme.recall import asking
from mneme.transfer import cube_file
from mneme.vault.codec import cube_of
from mneme.vault.pages import Page, list_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mneme.app.shared import Shared
    from mneme.core.cube import MemCube
    from mneme.core.report import ImportReport
    from mneme.core.rows import Condition, VersionRow
    from mneme.recall.context import Context, Hit

    Moment = datetime | str | None
    Cubes = list[MemCube]  # `list` is a verb within Namespace

_CATCH_UP_S = 0.5  # that a context waits at most for turns to be read


class Namespace(
    LifeVerbs,
    ActivationVerbs,
    ParametricVerbs,
    ExperienceVerbs,
    LearningVerbs,
    WorkingVerbs,
    SleepVerbs,
    TaskVerbs,
    TableVerbs,
):
    """The memories of one owner; nothing of another is within reach."""

    def __init__(self, shared: Shared, path: str) -> None:
        self.path = path
        self._shared = shared
        self._vault, self._limits, self._zone = shared.vault, shared.limits, shared.limits.zone

    def __repr__(self) -> str:
        return f"Namespace({self.path!r})"

    # -- writing

    @strict
    def add(
        self,
        content: object,
        *,
        session: str | None = None,
        role: str = "user",
        speaker: str | None = None,
        at: Moment = None,
        type: str | None = None,  # noqa: A002 (the contract's name)
        metadata: Mapping[str, Any] | None = None,
        origin: str | None = None,
        labels: Iterable[str] = (),
        priority: float | None = None,
        hold: bool = False,
        expires_at: Moment = None,
        idempotency_key: str | None = None,
        infer: str = "auto",
    ) -> Cubes:
        """Keep a string, a message, a list of messages, or a document; durable on return."""
        arguments = Arguments(
            session=session, role=role, speaker=speaker, at=at, type=type, metadata=metadata,
            origin=origin, labels=labels, priority=priority, hold=hold, expires_at=expires_at,
            idempotency_key=idempotency_key, infer=infer,
        )  # fmt: skip
        now = self._vault.parts.clock.now_us()
        drafts = drafts_of(content, arguments, self._limits, Repeats(), now)
        kept = self._vault.writer.add(self.path, drafts)
        self._shared.wake()
        return [cube_of(each.row, self.path, each.text) for each in kept]

    @strict
    def add_many(
        self,
        items: Iterable[object],
        *,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> AddReport:
        """Keep many; a status for each, and one bad item does not stop the others."""
        stream = checks.items_of(items)
        report = AddReport(tuple(Bulk(self._vault, self._limits).add(self.path, stream, progress)))
        self._shared.wake()
        return report

    @strict
    def update(
        self,
        id: str,  # noqa: A002 (the contract's name)
        *,
        text: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        type: str | None = None,  # noqa: A002
        valid_from: Moment = None,
        valid_to: Moment = None,
        labels: Iterable[str] | None = None,
        priority: float | None = None,
        hold: bool | None = None,
        expires_at: Moment = None,
        expected_version: int | None = None,
    ) -> MemCube:
        """Write a new version; what is None stays as it was."""
        fields = changes.changes_of(
            {
                "text": text,
                "metadata": metadata,
                "type": type,
                "valid_from": valid_from,
                "valid_to": valid_to,
                "labels": labels,
                "priority": priority,
                "hold": hold,
                "expires_at": expires_at,
            },
            self._limits,
        )
        expected = checks.version_of(expected_version, name="expected_version")
        changed = changes.update(
            self._vault, self.path, checks.id_of(id), fields, expected, self._limits
        )
        self._shared.wake()
        return self._cube(changed)

    @strict
    def rollback(self, id: str, *, to_version: int) -> MemCube:  # noqa: A002
        """A new version with an older one's payload and validity; the state stays."""
        wanted = checks.version_of(to_version, name="to_version") or 0
        return self._cube(changes.rollback(self._vault, self.path, checks.id_of(id), wanted))

    # -- reading

    @strict
    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        mode: str = "hybrid",
        types: Sequence[str] | None = None,
        kinds: Sequence[str] = ("plaintext",),
        session: str | None = None,
        since: Moment = None,
        until: Moment = None,
        now: Moment = None,
        valid_at: Moment = None,
        as_of: Moment = None,
        filters: Mapping[str, Any] | None = None,
        min_score: float | None = None,
        include_archived: bool = False,
        explain: bool = False,
    ) -> list[Hit]:
        """The cubes that answer a question best, best first."""
        asked = asking.asked_of(
            {
                "query": query,
                "limit": limit,
                "mode": mode,
                "types": types,
                "kinds": kinds,
                "session": session,
                "since": since,
                "until": until,
                "now": now,
                "valid_at": valid_at,
                "as_of": as_of,
                "filters": filters,
                "min_score": min_score,
                "include_archived": include_archived,
                "explain": explain,
            },
            self._zone,
            self._vault.parts.clock.now_us(),
        )
        return self._shared.searcher.search(self.path, self._as_learned(asked))

    @strict
    def recall(
        self,
        query: str,
        *,
        budget_tokens: int = 1500,
        session: str | None = None,
        now: Moment = None,
        valid_at: Moment = None,
        as_of: Moment = None,
        types: Sequence[str] | None = None,
    ) -> Context:
        """A context for a prompt, within a budget of tokens; what was just said is read first."""
        asked = asking.asked_of(
            {
                "query": query,
                "limit": asking.CANDIDATES,
                "session": session,
                "now": now,
                "valid_at": valid_at,
                "as_of": as_of,
                "types": types,
            },
            self._zone,
            self._vault.parts.clock.now_us(),
        )
        budget = asking.budget_of(budget_tokens)
        if asked.window.as_of is None:
            self._shared.catch_up(self.path, _CATCH_UP_S)
        context = self._shared.searcher.recall(self.path, self._as_learned(asked), budget)
        ids = [hit.cube.id for hit in context.hits]
        self._shared.usage.count(self._vault.lives.keys_of(self.path, ids))
        return context

    @strict
    def get(
        self,
        id: str,  # noqa: A002
        *,
        version: int | None = None,
        as_of: Moment = None,
        include_archived: bool = True,
    ) -> MemCube:
        """One version of a cube."""
        return self._vault.reader.get(
            self.path,
            checks.id_of(id),
            version=checks.version_of(version, name="version"),
            as_of=optional_us(as_of, self._zone, name="as_of"),
            include_archived=checks.flag_of(include_archived, name="include_archived"),
        )

    @strict
    def list(
        self,
        *,
        types: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        session: str | None = None,
        filters: Mapping[str, Any] | None = None,
        limit: int = 100,
        cursor: str | None = None,
        include_archived: bool = False,
    ) -> Page:
        """Current cubes in order of writing, page by page."""
        selection = Selection(
            types=asking.types_of(types),
            kinds=asking.kinds_of(kinds),
            session=checks.name_of(session, name="session"),
            conditions=self._conditions(filters),
        )
        archived = checks.flag_of(include_archived, name="include_archived")
        return list_page(
            self._vault, self.path, selection, limit=asking.limit_of(limit), cursor=cursor,
            include_archived=archived,
        )  # fmt: skip

    @strict
    def history(self, id: str) -> Cubes:  # noqa: A002
        """All versions, oldest first."""
        return self._vault.reader.history(self.path, checks.id_of(id))

    @strict
    def sources(self, id: str) -> Cubes:  # noqa: A002
        """What a cube derives from, one step."""
        return self._vault.reader.sources(self.path, checks.id_of(id))

    @strict
    def derived(self, id: str) -> Cubes:  # noqa: A002
        """What derives from a cube, one step."""
        return self._vault.reader.derived(self.path, checks.id_of(id))

    @strict
    def repeats(self, id: str) -> Cubes:  # noqa: A002
        """Later cubes that say nearly the same."""
        return self._vault.reader.repeats(self.path, checks.id_of(id))

    # -- moving

    @strict
    def export(self, path: str | Path) -> int:
        """Write all cubes with all versions to one file; the number of cubes."""
        return cube_file.export(self._vault, self.path, checks.path_of(path))

    @strict
    def import_(
        self,
        path: str | Path,
        *,
        format: str = "auto",  # noqa: A002 (the contract's name)
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """Read a file of a known format; what was imported before is recognised."""
        path = checks.path_of(path)
        own = format == "auto" and cube_file.is_cube_file(path)
        if own or format == cube_file.FORMAT:
            report = cube_file.import_cubes(self._vault, self.path, path, progress)
        else:
            bulk = Bulk(self._vault, self._limits)
            report = import_file(bulk, self.path, path, format, progress)
        self._shared.wake()
        return report

    # -- within

    def _cube(self, changed: tuple[VersionRow, str]) -> MemCube:
        row, text = changed
        return self._vault.reader.show(self.path, row, text)

    def _conditions(self, filters: object) -> tuple[Condition, ...]:
        return parse_filters(filters, lambda value: moment_us(value, self._zone, name="filter"))
