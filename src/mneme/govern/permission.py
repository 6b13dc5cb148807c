"""Who may do what where: grants of verbs on namespaces. Pure; nothing is looked up here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

VERBS: tuple[str, ...] = (
    "read",  # get, list, search, recall, history, sources; jobs of the namespace
    "add",
    "update",  # and rollback, archive, activate, freeze, unfreeze, feedback, promote, demote
    "forget",  # and restore
    "erase",
    "export",
    "import",
    "chat",
    "admin",  # keys; on `*` also audit and statistics of the whole store
)
ALL = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Verbs that are allowed on namespaces.

    Attributes:
        namespaces: Paths; `acme/*` is all that lies below `acme`, `*` is every namespace.
        verbs: Of VERBS; `*` is all of them but `admin`.
    """

    namespaces: tuple[str, ...]
    verbs: tuple[str, ...]

    def allows(self, verb: str, namespace: str) -> bool:
        """Whether this grant covers a verb on a namespace."""
        verbs = verb in self.verbs or (ALL in self.verbs and verb != "admin")
        return verbs and any(covers(pattern, namespace) for pattern in self.namespaces)

    def includes(self, verb: str, pattern: str) -> bool:
        """Whether this grant covers a verb wherever a pattern stands for."""
        verbs = verb in self.verbs or (ALL in self.verbs and verb != "admin")
        return verbs and any(is_within(pattern, own) for own in self.namespaces)


def covers(pattern: str, namespace: str) -> bool:
    """Whether a pattern of a grant stands for a namespace."""
    if pattern == ALL:
        return True
    if pattern.endswith("/*"):
        return namespace.startswith(pattern[:-1])
    return pattern == namespace


def is_within(pattern: str, wider: str) -> bool:
    """Whether all that a pattern stands for, another one stands for too."""
    if pattern == ALL:
        return wider == ALL
    if not pattern.endswith("/*"):
        return covers(wider, pattern)
    return wider == ALL or (wider.endswith("/*") and pattern.startswith(wider[:-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: a key and what it grants. The name is what audit entries say.

    Attributes:
        id: Of the key.
        name: Of whoever holds it, as its maker named it.
        grants: What it allows; any one of them is enough.
        requests_per_s: Its own limit; None: that of the server.
        expires_at: From then on it is nobody; None: never.
    """

    id: str
    name: str
    grants: tuple[Grant, ...]
    requests_per_s: float | None = None
    expires_at: datetime | None = None

    def may(self, verb: str, namespace: str) -> bool:
        """Whether it may do a verb on a namespace."""
        return any(grant.allows(verb, namespace) for grant in self.grants)

    def may_give(self, grant: Grant) -> bool:
        """Whether it holds all of a grant itself, so that handing it on is no rise in rank."""
        return self.is_root or all(
            any(own.includes(verb, pattern) for own in self.grants)
            for verb in VERBS
            if verb in grant.verbs or (ALL in grant.verbs and verb != "admin")
            for pattern in grant.namespaces
        )

    def exceeded_by(
        self,
        grants: Iterable[Grant],
        *,
        expires_at: datetime | None,
        requests_per_s: float | None,
    ) -> str | None:
        """What a key with these terms would have that this one has not; None: nothing."""
        if self.is_root:
            return None
        if not all(map(self.may_give, grants)):
            return "verbs or namespaces that yours does not grant"
        if self.expires_at is not None and (expires_at is None or expires_at > self.expires_at):
            return f"a longer life than yours, which ends at {self.expires_at.isoformat()}"
        own = self.requests_per_s
        if own is not None and (requests_per_s is None or requests_per_s > own):
            return f"more requests a second than yours, which may send {own:g}"
        return None

    @property
    def is_admin(self) -> bool:
        """Whether it may look after keys: of its own namespaces, unless it `is_root`."""
        return any("admin" in grant.verbs for grant in self.grants)

    @property
    def is_root(self) -> bool:
        """Whether it is admin of every namespace, and so of the store."""
        return any("admin" in grant.verbs and ALL in grant.namespaces for grant in self.grants)

    @property
    def home(self) -> str | None:
        """The one namespace that its grants name, where there is just one."""
        named = {path for grant in self.grants for path in grant.namespaces}
        [path] = named if len(named) == 1 else {ALL}
        return None if path.endswith(ALL) else path
