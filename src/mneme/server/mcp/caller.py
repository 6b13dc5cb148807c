"""Who asks through MCP, and which namespace they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mneme.app.namespace import Namespace
    from mneme.govern.permission import Principal
    from mneme.server.service import Service

HEADER = "Mneme-Namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One principal at the door.

    Attributes:
        service: The way to namespaces; it checks the grants.
        principal: Who asks; never what an argument says.
        chosen: The namespace of the header, where a client sets one.
    """

    service: Service
    principal: Principal
    chosen: str | None = None

    @property
    def home(self) -> str | None:
        """The namespace that is meant where a call names none."""
        return self.chosen or self.principal.home

    def may_somewhere(self, verb: str) -> bool:
        """Whether the grants allow a verb at home or, without one, on any namespace."""
        if self.home is not None:
            return self.principal.may(verb, self.home.replace("~", "/"))
        return any(
            grant.allows(verb, path.replace("*", "any"))
            for grant in self.principal.grants
            for path in grant.namespaces
        )

    def space(self, verb: str, named: str | None = None) -> Namespace:
        """A namespace, if the principal may do the verb there.

        Raises:
            ForbiddenError: It is not granted, whether it exists or not.
            InvalidInputError: None is meant, or it is no namespace.
        """
        path = named or self.home
        if path is None:
            raise InvalidInputError(
                "say which namespace is meant: give `namespace`, or set the header "
                f"{HEADER}; the resource mneme://namespaces lists those that you may read"
            )
        return self.service.namespace(self.principal, path, verb)

    def readable(self) -> list[str]:
        """Namespaces that hold something and that the principal may read."""
        known = self.service.memory.namespaces()
        return [path for path in known if self.principal.may("read", path)]
