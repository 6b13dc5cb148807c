"""The life of a cube: a table of allowed edges, and nothing else.

`merged` is entered by the sources of a merge and `expired` by the clock; `erased` is no state of a
cube, since nothing of it is left.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """A state that a stored cube may be in."""

    GENERATED = "generated"
    ACTIVATED = "activated"
    ARCHIVED = "archived"
    FROZEN = "frozen"
    MERGED = "merged"
    EXPIRED = "expired"
    FORGOTTEN = "forgotten"


_ANY = tuple(State)

# verb -> (states it leaves from, state it enters); restore enters the state before forgetting.
EDGES: dict[str, tuple[tuple[State, ...], State]] = {
    "activate": ((State.GENERATED, State.ARCHIVED), State.ACTIVATED),
    "archive": ((State.ACTIVATED,), State.ARCHIVED),
    "freeze": ((State.ACTIVATED,), State.FROZEN),
    "unfreeze": ((State.FROZEN,), State.ACTIVATED),
    "merge": ((State.ACTIVATED, State.ARCHIVED), State.MERGED),
    "expire": (tuple(s for s in _ANY if s not in {State.EXPIRED, State.FORGOTTEN}), State.EXPIRED),
    "forget": (tuple(s for s in _ANY if s is not State.FORGOTTEN), State.FORGOTTEN),
}

SEARCHED = frozenset({State.ACTIVATED, State.FROZEN})
SEARCHED_WITH_ARCHIVED = SEARCHED | {State.ARCHIVED, State.MERGED}
HIDDEN = frozenset({State.EXPIRED, State.FORGOTTEN})


def enter(verb: str, state: State) -> State | None:
    """The state that `verb` leads to from `state`; None where the table has no such edge."""
    leaves, enters = EDGES[verb]
    return enters if state in leaves else None
