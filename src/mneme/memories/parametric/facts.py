"""The ledger of a shard: which facts its weights were written from, and with which words.

No tensor library is needed to read it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mneme.core.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SELF = "user"  # the subject of what the owner says of themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one cube says, in three parts.

    Attributes:
        cube_id: Of the cube that says it.
        version: Of that cube, as it was read.
        subject: Whom or what it is about; `SELF` for the owner of the namespace.
        relation: What is said of the subject: a name of the bank of phrasings ("lives in"), or
            the words of the text.
        object: What answers a question about subject and relation.
        text: The statement, verbatim.
    """

    cube_id: str
    version: int
    subject: str
    relation: str
    object: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fact, and the prompts that ask for its object.

    Attributes:
        fact: What is to be known.
        prompts: Those that it is written with.
        held: Those that it is never written with: the gate asks them.
    """

    fact: Fact
    prompts: tuple[str, ...]
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactLedger:
    """The entries of one version of one shard."""

    entries: tuple[Entry, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def cube_ids(self) -> tuple[str, ...]:
        """The cubes that the facts come from, each once, in order."""
        return tuple(dict.fromkeys(entry.fact.cube_id for entry in self.entries))

    def without(self, cube_ids: Iterable[str]) -> FactLedger:
        """The ledger without what came from some cubes."""
        gone = set(cube_ids)
        return FactLedger(tuple(e for e in self.entries if e.fact.cube_id not in gone))

    def to_bytes(self) -> bytes:
        """JSON, one line for each entry."""
        lines = (json.dumps(asdict(e), ensure_ascii=False, sort_keys=True) for e in self.entries)
        return "".join(f"{line}\n" for line in lines).encode()

    @staticmethod
    def from_bytes(data: bytes | memoryview) -> FactLedger:
        """What `to_bytes` wrote.

        Raises:
            StoreCorruptError: It is something else.
        """
        try:
            return FactLedger(tuple(_entry(json.loads(ln)) for ln in bytes(data).splitlines()))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise StoreCorruptError(f"a ledger of facts cannot be read: {error}") from error


def _entry(said: dict[str, object]) -> Entry:
    fact, prompts, held = said["fact"], said["prompts"], said["held"]
    if not isinstance(fact, dict) or not isinstance(prompts, list) or not isinstance(held, list):
        raise TypeError("an entry is a fact and two lists")
    return Entry(fact=Fact(**fact), prompts=_texts(prompts), held=_texts(held))


def _texts(said: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(each) for each in said)
