"""Marks: keyed hashes by which derived cubes are found again without reading them all.

A derived cube is found by its slot (subject and relation), by what it says word for word, and, if
its object is long enough to be known again in other texts, by the first words of that object.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme.core.rows import VersionRow

DERIVED: Final = "derived"  # the origin of all that Mneme writes by itself
SLOT, SAID, ECHO = "slot", "said", "echo"
TABLE: Final = "table"  # of the cubes of tables, under the mark 0
MUTE: Final = "mute"  # of turns that written memory shall not read, under the mark 0
ON_REQUEST: Final = "on_request"  # the label of what is given back only where it is asked for
GOVERNED: Final = "governed"  # the method of a note on what was done at the user's request
ECHO_WORDS: Final = 4  # an object of fewer words may stand in other texts by chance

WORD = re.compile(r"\w+")
_NUMBERS = 1 << 63


def words_of(text: str) -> list[str]:
    """The words of a text, for comparing what it says."""
    return WORD.findall(text.casefold())


def mark_of(kind: str, value: str, secret: bytes) -> int:
    """The mark of a value: a number below 2**63 that only this store can make."""
    digest = hashlib.blake2b(f"{kind}\0{value}".encode(), key=secret, digest_size=8).digest()
    return int.from_bytes(digest, "big") % _NUMBERS


def said_as(type_: str, text: str) -> str:
    """What a cube says, so that two of one type that say it in the same words are the same."""
    return f"{type_}\0{' '.join(words_of(text))}"


def marks_of(row: VersionRow, text: str, secret: bytes) -> Iterator[tuple[str, int]]:
    """Kind and mark of all that a derived cube is found by."""
    yield SAID, mark_of(SAID, said_as(row.type, text), secret)
    if row.type == TABLE:
        yield TABLE, 0
    metadata = json.loads(row.metadata) if row.metadata else {}
    if slot := metadata.get("slot"):
        yield SLOT, mark_of(SLOT, slot, secret)
    words = words_of(str(metadata.get("object") or ""))
    if len(words) >= ECHO_WORDS:
        yield ECHO, mark_of(ECHO, " ".join(words[:ECHO_WORDS]), secret)


def superseded_by(row: VersionRow) -> list[str]:
    """Ids of the facts that a derived cube put an end to."""
    metadata = json.loads(row.metadata) if row.metadata else {}
    return [str(cube_id) for cube_id in metadata.get("supersedes", ())]
