"""Lists of cubes, page by page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mneme.core.errors import InvalidInputError
from mneme.vault.read import LISTED, LISTED_WITH_ARCHIVED

if TYPE_CHECKING:
    from mneme.core.cube import MemCube
    from mneme.core.rows import Selection
    from mneme.vault.vault import Vault

_CURSOR = re.compile("k[0-9a-f]{1,15}")


@dataclass(frozen=True, slots=True)
class Page:
    """Cubes in order of writing, and where the next page begins; None after the last."""

    items: tuple[MemCube, ...]
    next_cursor: str | None


def list_page(
    vault: Vault,
    path: str,
    selection: Selection,
    *,
    limit: int,
    cursor: str | None,
    include_archived: bool,
) -> Page:
    """One page of a selection, whose states and time are filled in here.

    What Mneme derived is listed where its types or origin are asked for, as in searches; what
    carries a memory in another way, where its kind is.
    """
    fields = {condition.field for condition in selection.conditions}
    named = "state" in fields
    if selection.types is None and not fields & {"type", "origin"}:
        selection = selection._replace(said=True)
    if selection.kinds is None:
        selection = selection._replace(kinds=("plaintext",))
    states = LISTED_WITH_ARCHIVED if include_archived or named else LISTED
    selection = selection._replace(states=states, now=vault.parts.clock.now_us())
    rows = vault.reader.select(path, selection, after_key=_key(cursor), limit=limit + 1)
    more = len(rows) > limit
    return Page(
        tuple(cube for _, cube in rows[:limit]), f"k{rows[limit - 1][0]:x}" if more else None
    )


def _key(cursor: object) -> int:
    if cursor is None:
        return 0
    if isinstance(cursor, str) and _CURSOR.fullmatch(cursor):
        return int(cursor[1:], 16)
    raise InvalidInputError(f"{cursor!r:.80} is no cursor; give the next_cursor of a page")
