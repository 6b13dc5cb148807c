"""Who may do what where: grants of verbs on namespaces. Pure; nothing is looked up here."""

from __future__ import annotations

from dataclasses import dataclass

VERBS: tuple[str, ...] = (
    "read",  # get, list, search, recall, history, sources; jobs of the namespace
    "add",
    "update",  # and rollback, archive, activate, freeze, unfreeze, feedback, promote, demote
    "forget",  # and restore
    "erase",
    "export",
    "import",
    "chat",
    "admin",  # keys, audit, statistics of the whole store; goes with every namespace
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


def covers(pattern: str, namespace: str) -> bool:
    """Whether a pattern of a grant stands for a namespace."""
    if pattern == ALL:
        return True
    if pattern.endswith("/*"):
        return namespace.startswith(pattern[:-1])
    return pattern == namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: a key and what it grants. The name is what audit entries say.

    Attributes:
        id: Of the key.
        name: Of whoever holds it, as its maker named it.
        grants: What it allows; any one of them is enough.
        requests_per_s: Its own limit; None: that of the server.
    """

    id: str
    name: str
    grants: tuple[Grant, ...]
    requests_per_s: float | None = None

    def may(self, verb: str, namespace: str) -> bool:
        """Whether it may do a verb on a namespace."""
        return any(grant.allows(verb, namespace) for grant in self.grants)

    @property
    def is_admin(self) -> bool:
        """Whether it may look after keys and read the audit log."""
        return any("admin" in grant.verbs for grant in self.grants)

    @property
    def home(self) -> str | None:
        """The one namespace that its grants name, where there is just one."""
        named = {path for grant in self.grants for path in grant.namespaces}
        [path] = named if len(named) == 1 else {ALL}
        return None if path.endswith(ALL) else path
