"""The forgetting curve: how well a memory is retained, what it is worth, and what may be archived.

Retention is e^(-t/S), where t is the time since it was last of use and S, the strength, grows with
each use (MemoryBank, arXiv:2305.10250). Age alone archives nothing: a memory goes only if its value
is low as well, and its value counts what it is, how often it was of use, what feedback said, how
important it was declared, what is linked with it, and whether anything else says the same. Pure
functions.
"""

from __future__ import annotations

from math import exp, log1p
from typing import Final, NamedTuple

DAY_US: Final = 86_400_000_000

FIRST_STRENGTH_DAYS: Final = 30.0  # of what was never of use
STRONGEST_DAYS: Final = 3650.0
FORGOTTEN_BELOW: Final = 0.2  # retention from which on a memory may be archived
WORTH_KEEPING: Final = 0.35  # value that keeps a memory whatever its age

# What a memory says by its type; what is not named here is worth `_OTHER`.
_OF_TYPE: Final = {
    "instruction": 1.0, "preference": 0.6, "profile": 0.6, "procedure": 0.5, "lesson": 0.5,
    "fact": 0.3, "event": 0.2, "summary": 0.2, "note": 0.1,
}  # fmt: skip
_OTHER: Final = 0.5


class Known(NamedTuple):
    """What is known of a memory.

    uses: How often it was given back or praised.
    utility: What feedback said, -1 to 1.
    priority: 0 to 1 as declared; None if nobody said.
    links: Other memories that are linked with it or derive from it.
    unique: Whether no other memory in default search says nearly the same.
    used_at: When it was last of use, or else when it was recorded.
    """

    id: str
    type: str
    uses: int
    utility: float
    priority: float | None
    links: int
    unique: bool
    used_at: int
    held: bool = False


class Verdict(NamedTuple):
    """What the curve says of a memory, and why."""

    id: str
    archive: bool
    retention: float
    value: float
    why: str


def strength_days(uses: int) -> float:
    """Days after which a memory that was used so often is retained at 1/e; doubles with a use."""
    return min(FIRST_STRENGTH_DAYS * 2.0 ** min(uses, 20), STRONGEST_DAYS)


def retention(age_us: int, uses: int) -> float:
    """How well a memory is retained, 0 to 1, `age_us` after it was last of use."""
    return exp(-max(age_us, 0) / DAY_US / strength_days(uses))


def value(known: Known) -> float:
    """What a memory is worth, whatever its age; 0.35 keeps it."""
    worth = _OF_TYPE.get(known.type, _OTHER)
    worth += 0.1 * log1p(known.uses) + 0.5 * known.utility
    worth += 0.5 * (known.priority or 0.0) + 0.05 * min(known.links, 4)
    return worth + (0.2 if known.unique else 0.0)


def judge(known: Known, now: int) -> Verdict:
    """Whether a memory may be archived: forgotten, of little value, not held, said elsewhere."""
    left, worth = retention(now - known.used_at, known.uses), value(known)
    spared = known.held or known.unique
    archive = left < FORGOTTEN_BELOW and worth < WORTH_KEEPING and not spared
    return Verdict(known.id, archive, left, worth, _why(known, left, worth, archive=archive))


def _why(known: Known, left: float, worth: float, *, archive: bool) -> str:
    if known.held:
        return "held"
    if left >= FORGOTTEN_BELOW:
        return f"retention {left:.2f}"
    if not archive:
        return f"value {worth:.2f}" if worth >= WORTH_KEEPING else "said nowhere else"
    return (
        f"retention {left:.2f}, value {worth:.2f}: {known.type}, {known.uses} uses, "
        f"{known.links} links, said elsewhere, too"
    )
