"""What to consolidate when. Pure functions; times are microseconds since 1970, UTC."""

from __future__ import annotations

from typing import Final

QUIET_S: Final = 600.0  # seconds without a turn after which a session counts as over
FEWEST_TURNS: Final = 3  # of a session that is worth a summary
FEWEST_FOR_MODEL: Final = 40  # of a session that is worth a call of a language model: with the
# reading of turns that makes at most one call for 20 turns
LEAST_STATEMENTS: Final = 2  # of a subject that is worth a profile
LEAST_MENTIONS: Final = 3  # of a name that is worth a note


def is_quiet(last_at: int, now: int, quiet_s: float = QUIET_S) -> bool:
    """Whether a session has rested long enough since its last turn."""
    return now - last_at >= quiet_s * 1e6
