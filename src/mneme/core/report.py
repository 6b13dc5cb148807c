"""What an import did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """Counts of an import, and why what was left out was left out.

    Attributes:
        format: The format that the file was read as.
        added: Messages, documents or cubes that are new.
        repeated: Those that were there already.
        skipped: (where, why) of what could not be kept; one entry may stand for many.
        left_out: How many messages or documents the entries of `skipped` stand for.
    """

    format: str
    added: int
    repeated: int
    skipped: tuple[tuple[str, str], ...]
    left_out: int = 0
