"""The memories of one owner behind a server: the verbs of `mneme.Namespace`, each written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.client import adding
from mneme.client.models import ModelVerbs, targeted
from mneme.client.records import record, records
from mneme.client.verbs import Awaiting, Waiting, verb
from mneme.client.wire import (
    Flow,
    Request,
    encoded,
    get,
    given,
    listed,
    post,
)
from mneme.core.cube import MemCube
from mneme.core.errors import InvalidInputError
from mneme.core.report import ImportReport
from mneme.ingest import checks
from mneme.ingest.bulk import AddReport
from mneme.recall import asking
from mneme.recall.context import Context, Hit
from mneme.vault.erase import ErasureReceipt
from mneme.vault.pages import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mneme.client.transport import AsyncSender, Sender

    Moment = datetime | str | None
    Cubes = list[MemCube]  # `list` is a verb within the class
    Hits = list[Hit]
    Target = str | Sequence[str] | None

__all__ = ["AsyncRemoteNamespace", "NamespaceVerbs", "RemoteNamespace"]


class NamespaceVerbs(ModelVerbs):
    """What can be done with the memories of one owner; the classes below say how it is called."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    # -- writing

    @verb
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
    ) -> Flow[Cubes]:
        """Keep a string, a message, a list of messages, or a document; durable on return."""
        body, again = adding.with_key(
            content,
            {
                "session": session,
                "role": role,
                "speaker": speaker,
                "at": at,
                "type": type,
                "metadata": metadata,
                "origin": origin,
                "labels": listed(labels) or None,
                "priority": priority,
                "hold": hold,
                "expires_at": expires_at,
                "idempotency_key": idempotency_key,
                "infer": infer,
            },
        )
        answer = yield post(self._at("memories"), body, repeatable=again)
        return records(MemCube, answer.json()["cubes"])

    @verb
    def add_many(
        self,
        items: Iterable[object],
        *,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Flow[AddReport]:
        """Keep many; a status for each, and one bad item does not stop the others."""
        return (yield from adding.add_many(self._at("batch"), items, progress))

    @verb
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
    ) -> Flow[MemCube]:
        """Write a new version; what is None stays as it was."""
        body = given(
            text=text,
            metadata=metadata,
            type=type,
            valid_from=valid_from,
            valid_to=valid_to,
            labels=listed(labels),
            priority=priority,
            hold=hold,
            expires_at=expires_at,
            expected_version=expected_version,
        )
        request = Request(method="PATCH", path=self._of(id), body=encoded(body))
        return record(MemCube, (yield request).json())

    @verb
    def rollback(self, id: str, *, to_version: int) -> Flow[MemCube]:  # noqa: A002
        """A new version with an older one's payload and validity; the state stays."""
        request = post(self._of(id, "rollback"), {"to_version": to_version})
        return record(MemCube, (yield request).json())

    # -- life

    @verb
    def archive(self, id: str) -> Flow[MemCube]:  # noqa: A002
        """Take out of default search."""
        return record(MemCube, (yield post(self._of(id, "archive"), {})).json())

    @verb
    def activate(self, id: str) -> Flow[MemCube]:  # noqa: A002
        """Bring back into default search."""
        return record(MemCube, (yield post(self._of(id, "activate"), {})).json())

    @verb
    def freeze(self, id: str) -> Flow[MemCube]:  # noqa: A002
        """Refuse updates until `unfreeze`."""
        return record(MemCube, (yield post(self._of(id, "freeze"), {})).json())

    @verb
    def unfreeze(self, id: str) -> Flow[MemCube]:  # noqa: A002
        """Allow updates again."""
        return record(MemCube, (yield post(self._of(id, "unfreeze"), {})).json())

    @verb
    def forget(
        self, target: Target = None, *, filters: Mapping[str, Any] | None = None
    ) -> Flow[int]:
        """Hide from every read; the number hidden, what derives from the target included."""
        body = targeted(target, filters)
        answer = yield post(self._at("forget"), body)
        return int(answer.json()["hidden"])

    @verb
    def restore(self, id: str) -> Flow[MemCube]:  # noqa: A002
        """Undo `forget`."""
        return record(MemCube, (yield post(self._of(id, "restore"), {})).json())

    @verb
    def erase(
        self,
        target: Target = None,
        *,
        filters: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> Flow[ErasureReceipt]:
        """Remove for good, with all that derives from it; it cannot be undone."""
        body = targeted(target, filters) | given(reason=reason)
        return record(ErasureReceipt, (yield post(self._at("erase"), body)).json())

    @verb
    def preview_erase(
        self, target: Target = None, *, filters: Mapping[str, Any] | None = None
    ) -> Flow[Cubes]:
        """What `erase` would take, targets first, then all that derives from them."""
        body = targeted(target, filters) | {"dry_run": True}
        answer = yield post(self._at("erase"), body, repeatable=True)
        return records(MemCube, answer.json()["would"])

    # -- reading

    @verb
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
    ) -> Flow[Hits]:
        """The cubes that answer a question best, best first."""
        body = given(
            query=query,
            limit=limit,
            mode=mode,
            types=listed(types),
            kinds=listed(kinds),
            session=session,
            since=since,
            until=until,
            now=now,
            valid_at=valid_at,
            as_of=as_of,
            filters=filters,
            min_score=min_score,
            include_archived=include_archived,
            explain=explain,
        )
        answer = yield post(self._at("search"), body, repeatable=True)
        return records(Hit, answer.json()["hits"])

    @verb
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
    ) -> Flow[Context]:
        """A context for a prompt, within a budget of tokens; what was just said is read first."""
        body = given(
            query=query,
            budget_tokens=budget_tokens,
            session=session,
            now=now,
            valid_at=valid_at,
            as_of=as_of,
            types=listed(types),
        )
        answer = yield post(self._at("recall"), body, repeatable=True)
        return record(Context, answer.json())

    @verb
    def get(
        self,
        id: str,  # noqa: A002 (the contract's name)
        *,
        version: int | None = None,
        as_of: Moment = None,
        include_archived: bool = True,
    ) -> Flow[MemCube]:
        """One version of a cube."""
        request = get(self._of(id), version=version, as_of=as_of, include_archived=include_archived)
        return record(MemCube, (yield request).json())

    @verb
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
    ) -> Flow[Page]:
        """Current cubes in order of writing, page by page."""
        request = get(
            self._at("memories"),
            type=listed(types),
            kind=listed(kinds),
            session=session,
            filters=filters,
            limit=limit,
            cursor=cursor,
            include_archived=include_archived,
        )
        return record(Page, (yield request).json())

    @verb
    def history(self, id: str) -> Flow[Cubes]:  # noqa: A002
        """All versions, oldest first."""
        return records(MemCube, (yield get(self._of(id, "history"))).json()["items"])

    @verb
    def sources(self, id: str) -> Flow[Cubes]:  # noqa: A002
        """What a cube derives from, one step."""
        return records(MemCube, (yield get(self._of(id, "sources"))).json()["items"])

    @verb
    def derived(self, id: str) -> Flow[Cubes]:  # noqa: A002
        """What derives from a cube, one step."""
        return records(MemCube, (yield get(self._of(id, "derived"))).json()["items"])

    @verb
    def feedback(
        self, hits_or_ids: object, *, used: object, query: str | None = None
    ) -> Flow[None]:
        """Tell ranking which of the hits helped: `used` is true, false, or those that did."""
        shown = asking.ids_of(hits_or_ids)
        helped = used if isinstance(used, bool) else asking.ids_of(used)
        body = {"hits_or_ids": shown, "used": helped} | given(query=query)
        yield post(self._at("feedback"), body)

    # -- moving

    @verb
    def export(self, path: str | Path) -> Flow[int]:
        """Write all cubes with all versions to one file; the number of cubes."""
        request = Request(
            method="POST", path=self._at("export"), into=checks.path_of(path), repeatable=True
        )
        answer = yield request
        return int(answer.headers.get("x-mneme-cubes", 0))

    @verb
    def import_(
        self,
        path: str | Path,
        *,
        format: str = "auto",  # noqa: A002 (the contract's name)
    ) -> Flow[ImportReport]:
        """Read a file of a known format; what was imported before is recognised."""
        file = checks.path_of(path)
        if not file.is_file():
            raise InvalidInputError(f"{file} is no file")
        request = Request(
            method="POST",
            path=self._at("import"),
            query=(("format", format), ("filename", file.name)),
            headers={
                "Content-Length": str(file.stat().st_size),
                "Content-Type": "application/octet-stream",
            },
            upload=file,
            repeatable=True,
        )
        return record(ImportReport, (yield request).json())


class RemoteNamespace(NamespaceVerbs, Waiting):
    """The memories of one owner behind a server; each verb waits for the answer."""

    def __init__(self, sender: Sender, path: str) -> None:
        self.path, self._sender = path, sender


class AsyncRemoteNamespace(NamespaceVerbs, Awaiting):
    """The same, whose verbs are coroutines."""

    def __init__(self, sender: AsyncSender, path: str) -> None:
        self.path, self._sender = path, sender
