"""How long a memory may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.lifecycle import HIDDEN

if TYPE_CHECKING:
    from mneme.core.rows import VersionRow


def is_hidden(row: VersionRow, now_us: int) -> bool:
    """Whether no read may show the cube: forgotten, or past its time by the clock."""
    return row.state in HIDDEN or (row.expires_at is not None and row.expires_at <= now_us)
