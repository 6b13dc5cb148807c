"""Where facts are: by the subject's name and the relation, for all shards of one index."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.parametric.facts import SELF, Entry
from mneme.memories.parametric.normal import (
    SUBJECT,
    Tokens,
    in_first_person,
    name_of,
    normal,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SELF_NAME: Final = (SUBJECT,)  # no word of a text is written so
_PRONOUNS: Final = (
    "you your he his she her it its they their we our him them us this that these those one "
    "someone everyone who what i me my"
)
_NOBODY: Final = frozenset(_PRONOUNS.split())


class Place(NamedTuple):
    """An entry of the ledger of a shard.

    relation: As the bank calls it, whatever the fact calls it.
    """

    shard: str
    entry: Entry
    relation: str


class Whereabouts:
    """Entries by name, relation and shard. Adding and removing one costs the same in any size."""

    def __init__(self) -> None:
        self._slots: dict[Tokens, dict[str, list[Place]]] = {}
        self._lengths: dict[str, Counter[int]] = defaultdict(Counter)  # by a name's first word
        self._prompts: dict[Tokens, list[Place]] = {}

    def add(self, place: Place, prompts: Iterable[str]) -> None:
        """Keep an entry.

        Args:
            place: Of a subject that is a pronoun, nothing is kept: it may mean anyone.
            prompts: That ask for this entry in words of their own.
        """
        name = _name(place.entry)
        if name is None:
            return
        if name not in self._slots:
            self._slots[name] = {}
            self._lengths[name[0]][len(name)] += 1
        self._slots[name].setdefault(place.relation, []).append(place)
        for form in _forms(name, prompts):
            self._prompts.setdefault(form, []).append(place)

    def remove(self, place: Place, prompts: Iterable[str]) -> None:
        """Undo `add` of the same."""
        name = _name(place.entry)
        if name is None:
            return
        slots = self._slots[name]
        _take(slots, place.relation, place)
        for form in _forms(name, prompts):
            _take(self._prompts, form, place)
        if not slots:
            del self._slots[name]
            lengths = self._lengths[name[0]]
            lengths[len(name)] -= 1
            if not lengths[len(name)]:
                del lengths[len(name)]
            if not lengths:
                del self._lengths[name[0]]

    def of(self, name: Tokens) -> Mapping[str, Sequence[Place]]:
        """What is known of a subject, by relation."""
        return self._slots.get(name, {})

    def told(self, words: Sequence[str]) -> Sequence[Place]:
        """The entries that have these very words among their prompts."""
        return self._prompts.get(normal(words), ())

    def subjects(self, words: Sequence[str]) -> tuple[set[Tokens], list[str]]:
        """Whom a question names, and its words with the subject in their place."""
        found: set[Tokens] = set()
        asked: list[str] = []
        at = 0
        while at < len(words):
            name = self._name_at(words, at)
            if name is not None:
                found.add(name)
                asked.append(SUBJECT)
                at += len(name)
                continue
            own = in_first_person(words[at : at + 1])
            if own[0] == SUBJECT:
                found.add(SELF_NAME)
            asked += own
            at += 1
        return found, asked

    def _name_at(self, words: Sequence[str], at: int) -> Tokens | None:
        """The longest known name that begins there."""
        for length in sorted(self._lengths.get(words[at], ()), reverse=True):
            name = tuple(words[at : at + length])
            if name in self._slots:
                return name
        return None


def _name(entry: Entry) -> Tokens | None:
    if entry.fact.subject == SELF:
        return SELF_NAME
    name = name_of(entry.fact.subject)
    return None if not name or (len(name) == 1 and name[0] in _NOBODY) else name


def _forms(name: Tokens, prompts: Iterable[str]) -> list[Tokens]:
    """Normal forms of the prompts that name the subject."""
    split = [words_of(prompt) for prompt in prompts]
    return list(dict.fromkeys(normal(words) for words in split if _names(words, name)))


def _names(words: Sequence[str], name: Tokens) -> bool:
    if name == SELF_NAME:
        return SUBJECT in in_first_person(words)
    return any(tuple(words[at : at + len(name)]) == name for at in range(len(words)))


def _take(
    places: dict[str, list[Place]] | dict[Tokens, list[Place]], key: object, place: Place
) -> None:
    kept = places[key]  # type: ignore[index]
    kept.remove(place)
    if not kept:
        del places[key]  # type: ignore[arg-type]
