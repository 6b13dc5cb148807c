"""The results of a question about a whole history, spread over it.

What came up in which order came up in many sessions: each result holds back the next one of its
session. A summary is made of exchanges: a result brings the reply to it, or what it replies to.
In: margins of candidates, and the kind of question. Out: margins; other questions keep theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mneme.recall.query import Asked
    from mneme.vault.index.namespace import NamespaceIndex

    Slots = npt.NDArray[Any]
    Margins = npt.NDArray[Any]

_HELD_BACK: Final = 0.5  # by each better result of the session, in standard deviations
_BROUGHT: Final = 1.2  # nearer to the other half of an exchange, in standard deviations


class Layout(NamedTuple):
    """Where candidates stand.

    sessions: The session of each; -1 where it has none.
    partners: Which candidate is the other half of its exchange; -1 for none.
    """

    sessions: Slots
    partners: Slots


def is_broad(asked: Asked) -> bool:
    """Whether a question is about a whole history."""
    return asked.is_kind("raised") or asked.is_kind("summary")


def layout_of(index: NamespaceIndex, candidates: Slots) -> Layout:
    """Sessions and exchanges of candidates."""
    role = index.column("role")
    roles = [index.roles.find("user"), index.roles.find("assistant")]
    user, assistant = (-2 if found is None else found for found in roles)
    asks = role[candidates] == user
    other = np.where(asks, index.next[candidates], index.prev[candidates])
    replies = role[other] == np.where(asks, assistant, user)
    place = np.full(index.slots + 1, -1)
    place[candidates] = np.arange(len(candidates))
    partners = np.where(replies & (other >= 0), place[other], -1)
    return Layout(index.column("session")[candidates], partners)


def spread(margin: Margins, asked: Asked, layout: Layout) -> Margins:
    """Margins of candidates, spread if the question asks for breadth."""
    if asked.is_kind("raised"):
        return _over_sessions(margin, layout.sessions)
    if asked.is_kind("summary"):
        return _by_exchanges(margin, layout.partners)
    return margin


def _over_sessions(margin: Margins, sessions: Slots) -> Margins:
    """Each less by a step for every better one of its session."""
    order = np.lexsort((-margin, sessions))
    opens = np.flatnonzero(np.append(True, np.diff(sessions[order]) != 0))
    better = np.empty(len(margin))
    better[order] = np.arange(len(margin)) - np.repeat(opens, np.diff(opens, append=len(margin)))
    better[sessions < 0] = 0
    return np.asarray(margin - _HELD_BACK * margin.std() * better)


def _by_exchanges(margin: Margins, partners: Slots) -> Margins:
    """The worse half of each exchange brought nearer to the better one, at most just below it."""
    best = np.where(partners >= 0, margin[partners], -np.inf)
    brought = np.minimum(margin + _BROUGHT * margin.std(), np.nextafter(best, -np.inf))
    return np.asarray(np.where(best > margin, brought, margin))
