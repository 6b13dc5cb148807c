"""Whose memory a chat works with: from the headers of a request and the grants of its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mneme.core.errors import InvalidInputError
from mneme.govern.permission import ALL
from mneme.ingest import checks
from mneme.server.proxy.refused import RefusedError

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from mneme.govern.permission import Principal

PREFIX: Final = "x-mneme-"
_MODES: Final = {
    "off": frozenset[str](),
    "read": frozenset({"read"}),
    "write": frozenset({"add"}),
    "on": frozenset({"read", "add"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """What of memory a request may use.

    Attributes:
        path: The namespace; None: none.
        session: As the client named it; None: it named none.
        budget_tokens: Of memory that is added.
        unread: Why no memory is added; None: it is.
        unkept: Why nothing is remembered; None: it is.
    """

    path: str | None
    session: str | None
    budget_tokens: int
    unread: str | None = None
    unkept: str | None = None


def may_chat(principal: Principal) -> bool:
    """Whether a key may use the model at all: it grants "chat" somewhere."""
    return any("chat" in grant.verbs or ALL in grant.verbs for grant in principal.grants)


def whose_of(principal: Principal, headers: Headers, budget_tokens: int) -> Whose:
    """What the headers ask for, as far as the key grants it.

    Args:
        principal: Who asks.
        headers: Of the request.
        budget_tokens: That of the server; the request may lower it.

    Raises:
        RefusedError: A header is malformed, or the key may not chat (there).
    """
    wanted = _mode_of(headers)
    session, budget = _session_of(headers), _budget_of(headers, budget_tokens)
    path = _path_of(headers) or principal.home
    if not may_chat(principal) or (path is not None and not principal.may("chat", path)):
        raise RefusedError(
            403, "this key does not grant 'chat' on this namespace", code="ForbiddenError"
        )
    if path is None:
        why = "no namespace; name one in X-Mneme-Namespace"
        return Whose(
            path=None, session=session, budget_tokens=budget,
            unread=why if "read" in wanted else "off", unkept=why if "add" in wanted else "off",
        )  # fmt: skip
    return Whose(
        path=path, session=session, budget_tokens=budget,
        unread=_why_not(principal, path, "read", wanted),
        unkept=_why_not(principal, path, "add", wanted),
    )  # fmt: skip


def _why_not(principal: Principal, path: str, verb: str, wanted: frozenset[str]) -> str | None:
    if verb not in wanted:
        return "off"
    return None if principal.may(verb, path) else f"the key does not grant {verb}"


def _mode_of(headers: Headers) -> frozenset[str]:
    mode = headers.get("x-mneme-memory", "on").lower()
    if mode not in _MODES:
        raise _malformed("X-Mneme-Memory takes on, read, write or off")
    return _MODES[mode]


def _path_of(headers: Headers) -> str | None:
    named = headers.get("x-mneme-namespace")
    if named is None:
        return None
    try:
        return checks.namespace_of(named.replace("~", "/"))
    except InvalidInputError as error:
        raise _malformed(f"X-Mneme-Namespace: {error}") from error


def _session_of(headers: Headers) -> str | None:
    named = headers.get("x-mneme-session")
    if named is None:
        return None
    try:
        return checks.name_of(named.encode("latin-1").decode(), name="session")
    except (UnicodeDecodeError, InvalidInputError) as error:
        raise _malformed("X-Mneme-Session takes a name in UTF-8, of 512 bytes at most") from error


def _budget_of(headers: Headers, most: int) -> int:
    named = headers.get("x-mneme-budget-tokens")
    if named is None:
        return most
    if not named.isascii() or not named.isdigit() or len(named) > 9:
        raise _malformed("X-Mneme-Budget-Tokens takes a number from 0 on")
    return min(int(named), most)


def _malformed(message: str) -> RefusedError:
    return RefusedError(400, message, code="InvalidInputError")
