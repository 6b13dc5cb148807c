"""The verbs on a whole server, and the two ways to call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from mneme.client.namespace import AsyncRemoteNamespace, RemoteNamespace
from mneme.client.records import record, records
from mneme.client.transport import AsyncSender, Sender
from mneme.client.verbs import Awaiting, Waiting, verb
from mneme.client.wire import Flow, get
from mneme.ingest import checks
from mneme.vault.audit import AuditEntry
from mneme.vault.upkeep import Stats

if TYPE_CHECKING:
    from datetime import datetime

    Moment = datetime | str | None

TIMEOUT_S = 30.0


class ServerVerbs:
    """What concerns more than one namespace."""

    @verb
    def namespaces(self, prefix: str = "") -> Flow[list[str]]:
        """Paths of namespaces that hold a cube, of those that the key grants."""
        answer = yield get("/v1/namespaces", prefix=prefix)
        return [str(each) for each in answer.json()["items"]]

    @verb
    def stats(self) -> Flow[Stats]:
        """Counts, bytes and job states; needs an admin's key."""
        return record(Stats, (yield get("/v1/stats")).json())

    @verb
    def audit(self, *, since: Moment = None) -> Flow[list[AuditEntry]]:
        """The audit entries, oldest first; needs an admin's key."""
        entries: list[AuditEntry] = []
        cursor = None
        while True:
            page = (yield get("/v1/audit", since=since, cursor=cursor)).json()
            entries += records(AuditEntry, page["items"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return entries


class Client(ServerVerbs, Waiting):
    """A server of Mneme; each verb waits for the answer. A context manager.

    Args:
        url: Its address, such as "http://127.0.0.1:8377".
        key: The text of an access key; None: requests go without one, and most are refused.
        timeout_s: Seconds to wait for a connection, and between two parts of an answer.

    Raises:
        MissingDependencyError: httpx2 is not installed; the extra `client` brings it.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._sender, self.url = Sender(url, key=key, timeout_s=timeout_s), url

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def namespace(self, path: str | tuple[str, ...]) -> RemoteNamespace:
        """The memories of one owner; `"acme/alice"` or `("acme", "alice")`."""
        return RemoteNamespace(self._sender, checks.namespace_of(path))

    def close(self) -> None:
        """Let go of connections."""
        self._sender.close()


class AsyncClient(ServerVerbs, Awaiting):
    """The same, whose verbs are coroutines; an asynchronous context manager."""

    def __init__(self, url: str, key: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._sender, self.url = AsyncSender(url, key=key, timeout_s=timeout_s), url

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def namespace(self, path: str | tuple[str, ...]) -> AsyncRemoteNamespace:
        """The memories of one owner; `"acme/alice"` or `("acme", "alice")`."""
        return AsyncRemoteNamespace(self._sender, checks.namespace_of(path))

    async def close(self) -> None:
        """Let go of connections."""
        await self._sender.close()
