"""What a consolidation needs to be told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mneme.transform.fading import Worth


class Fading(NamedTuple):
    """A derived cube that the forgetting curve gives up, and why."""

    id: str
    why: str


class Undone(NamedTuple):
    """What an undo did.

    turned_back: Changes that were turned back.
    kept: (cube id, why) of those that were left alone.
    """

    turned_back: int
    kept: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When to consolidate what; see `schedule.policies`.

    Attributes:
        is_quiet: Whether a session whose last turn was at one time may be summed up at another.
        fewest_turns: Of a session that gets a summary.
        fewest_for_model: Turns of a session that a language model sums up, where there is one.
        least_statements: Of a subject that gets a profile.
        least_mentions: Of a name that gets a note.
        gives_up: Why a derived cube may be archived now; None if it may not.
        archive: Whether to archive those.
    """

    is_quiet: Callable[[int, int], bool]
    fewest_turns: int
    fewest_for_model: int
    least_statements: int
    least_mentions: int
    gives_up: Callable[[Worth, int], str | None]
    archive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolidationReport:
    """What a consolidation did, or with `dry_run` would do.

    Attributes:
        run_id: For `undo`; None where nothing was changed.
        finished: Whether all was done; else a job goes on with it.
        done: How many cubes were made, rewritten, merged, archived, linked: "note made" and so on.
        dropped: What was not done since a statement would no longer have been found, and which.
        refused: (session, why) of summaries of a language model that were refused.
        fading: What the forgetting curve gives up; archived only where that was asked for.
    """

    run_id: str | None = None
    finished: bool = True
    done: dict[str, int] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    fading: tuple[Fading, ...] = ()
