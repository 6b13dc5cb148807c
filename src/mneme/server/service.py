"""What every door works with, and how a request gets its namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.core.errors import ForbiddenError
from mneme.ingest import checks

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from mneme.app.memory import MemoryOS
    from mneme.app.namespace import Namespace
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.govern.permission import Principal
    from mneme.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One open memory behind the doors.

    Attributes:
        memory: Open for as long as the server runs.
        settings: Those that it was opened with.
        engine: The model that chats and that memory is promoted for; attached. None: none.
    """

    memory: MemoryOS
    settings: Settings
    engine: Engine | RemoteEngine | None = None

    def namespace(self, principal: Principal, path: str, verb: str) -> Namespace:
        """A namespace, if the principal may do the verb there.

        A namespace that is not granted is refused alike whether it exists or not.

        Args:
            principal: Who asks.
            path: As in a URL: `~` for `/`.
            verb: One of `mneme.govern.permission.VERBS`.

        Raises:
            ForbiddenError: The key does not grant it.
            InvalidInputError: It is no namespace.
        """
        known = checks.namespace_of(path.replace("~", "/"))
        if not principal.may(verb, known):
            raise ForbiddenError(f"this key does not grant {verb!r} on this namespace")
        return self.memory.namespace(known)


def service_of(connection: HTTPConnection) -> Service:
    """The service that a request or a socket came to."""
    service: Service = connection.app.state.service
    return service


def principal_of(connection: HTTPConnection) -> Principal:
    """Who asks: the guard put it there, from the key and nothing else."""
    principal: Principal = connection.scope["principal"]
    return principal
