"""Heads of prompts that chats made of several promoted texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from mneme.core.rows import VersionRow

COMPOSED: Final = "composed"  # in the metadata of such a head: the carriers that it is made of


def is_composed(row: VersionRow) -> bool:
    """Whether an activation cube was made by a chat, of several that were promoted."""
    return COMPOSED in facts_of(row)
