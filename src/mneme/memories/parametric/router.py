"""Which shard answers a question: an index by subject and relation over ledgers of one namespace.

In: the ledgers of the active shards, a bank of phrasings, a question. Out: a `Route`. No tensor
library, no model: words alone. A wrong route answers falsely and with full confidence, a missing
one costs some text; so whatever is not certain is not routed. The alternatives, routers by
activations (WISE, arXiv 2405.14768; GRACE, arXiv 2211.11031), are in `routers`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mneme.memories.parametric.cues import Cues
from mneme.memories.parametric.facts import SELF, Entry, FactLedger
from mneme.memories.parametric.normal import (
    OPENERS,
    OWN,
    PAST,
    PRESENT,
    SUBJECT,
    Tokens,
    normal,
    template_of,
    words_of,
)
from mneme.memories.parametric.whereabouts import Place, Whereabouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mneme.memories.parametric.cues import Asking

_LONGEST: Final = 400  # characters of a question; longer ones ask for more than a fact
_CLAUSE: Final = re.compile(
    rf"(?<=[.?!;])\s+(?=\S)|\n+|,?\s+and\s+(?=(?:{'|'.join(sorted(OPENERS))}|tell)\b)"
    rf"|,\s+(?=(?:{'|'.join(sorted(OPENERS))})\b)",
    re.IGNORECASE,
)
_PART_WORDS: Final = "of from with for in at by on called named"
_PART_OF: Final = frozenset(_PART_WORDS.split())


class Bank(Protocol):
    """The bank of phrasings, as far as routing needs it; it does not change."""

    def __hash__(self) -> int: ...

    @property
    def relations(self) -> Iterable[str]: ...
    def name_of(self, relation: str) -> str | None: ...
    def of(self, relation: str, thing: str = "") -> Asking: ...


class Match(NamedTuple):
    """A clause of a question, and the fact that it asks for.

    shard: Whose weights know it.
    entry: Of that shard's ledger.
    clause: The words of the question that ask for it, a question by themselves.
    """

    shard: str
    entry: Entry
    clause: str


class Route(NamedTuple):
    """What an index makes of a question.

    matches: One for each clause that asks for a routed fact, in order.
    covered: Whether it asks for these and for nothing else: weights alone may answer.
    reason: Why, in words.
    """

    matches: tuple[Match, ...]
    covered: bool
    reason: str


class RouterIndex:
    """An index of one namespace; putting and dropping a shard costs what its ledger holds.

    Threads may share it: each sees a shard whole or not at all.
    """

    def __init__(self, bank: Bank, *, newest_wins: bool = False) -> None:
        """An empty one.

        Args:
            bank: How relations are asked for.
            newest_wins: Of several shards that know the same slot, the one put last answers;
                otherwise a slot with different objects is not routed.
        """
        self._bank, self._newest_wins = bank, newest_wins
        self._cues = Cues(_cues_of(bank))
        self._ledgers: dict[str, FactLedger] = {}
        self._order: dict[str, int] = {}
        self._puts = 0
        self._where = Whereabouts()
        self._lock = RLock()

    def put(self, shard: str, ledger: FactLedger) -> None:
        """Route to a shard; a shard of the same name is replaced and counts as put last."""
        with self._lock:
            self.drop(shard)
            self._puts += 1
            self._order[shard], self._ledgers[shard] = self._puts, ledger
            for entry in ledger.entries:
                place = Place(shard, entry, self._relation(entry))
                self._where.add(place, self._own_words(place))

    def drop(self, shard: str) -> None:
        """Route to it no more; an unknown one is no error."""
        with self._lock:
            self._order.pop(shard, None)
            for entry in self._ledgers.pop(shard, FactLedger()).entries:
                place = Place(shard, entry, self._relation(entry))
                self._where.remove(place, self._own_words(place))

    def shards(self) -> tuple[str, ...]:
        """Those that are routed to, in the order in which they were put."""
        with self._lock:
            return tuple(self._ledgers)

    def route(self, question: str) -> Route:
        """The facts that a question asks for.

        Args:
            question: One message, or a prompt that a fact's object completes.
        """
        if len(question) > _LONGEST:
            return Route((), False, "the question is too long to ask for facts alone")
        with self._lock:
            return self._route(question)

    def _route(self, question: str) -> Route:
        whole = self._clause(question)
        if isinstance(whole, Match):
            return Route((whole,), True, _words(whole))
        parts = [part.strip(" ,") for part in _CLAUSE.split(question)]
        parts = [part for part in parts if words_of(part)]
        if len(parts) < 2:
            return Route((), False, whole)
        found = [self._clause(part) for part in parts]
        matches = tuple(each for each in found if isinstance(each, Match))
        missed = [each for each in found if isinstance(each, str)]
        return Route(matches, not missed, "; ".join(missed or map(_words, matches)))

    def _clause(self, clause: str) -> Match | str:
        """The fact that a clause asks for, or why there is none."""
        words = words_of(clause.replace("{", " ").replace("}", " "))
        if told := self._where.told(words):
            return self._one(told, clause)
        names, asked = self._where.subjects(words)
        if len(names) != 1:
            return "it names several" if names else "it names nobody of whom a shard knows"
        slots = self._where.of(names.pop())
        form = normal(asked)
        relations = self._cues.exact(form) or self._cues.near(form)
        if not relations:
            return self._by_name(slots, form, clause) or self._by_noun(slots, asked, clause)
        known = sorted(relations & slots.keys())
        if len(known) > 1 or (known and not self._cues.exact(form) and len(relations) > 1):
            return f"it may ask for {' or '.join(sorted(relations))}"
        return self._one(slots[known[0]], clause) if known else _UNKNOWN

    def _by_name(
        self, slots: Mapping[str, Sequence[Place]], form: Tokens, clause: str
    ) -> Match | None:
        """Of what has a name, that: "what is the name of my employer"."""
        if "name" not in form:
            return None
        said = [word for at, word in enumerate(form) if not _is_of_name(form, at)]
        found = {r for opener in ("what", "who") for r in self._cues.near((opener, *said[1:]))}
        places = [place for relation in found for place in slots.get(relation, ())]
        if form[0] not in _OPEN or not all(_is_name(place.entry.fact.object) for place in places):
            return None
        match = self._one(places, clause) if places and len(found) == 1 else None
        return match if isinstance(match, Match) else None

    def _by_noun(
        self, slots: Mapping[str, Sequence[Place]], asked: Sequence[str], clause: str
    ) -> Match | str:
        """Of what I bought, that which is a bike: "which bike did I buy"."""
        end = next((at for at, word in enumerate(asked) if at and _ends_noun(word)), 1)
        noun = list(asked[1:end])
        if noun[:1] in (["kind"], ["sort"], ["type"]) and noun[1:2] == ["of"]:
            noun = noun[2:]
        if not noun or asked[0] not in _OPEN:
            return "it asks for something else than the bank has words for"
        forms = [normal([opener, *asked[end:]]) for opener in ("what", "where", "who")]
        relations = {r for form in forms for r in self._cues.exact(form) or self._cues.near(form)}
        places = [place for relation in relations for place in slots.get(relation, ())]
        places = [place for place in places if _is_a(place.entry.fact.object, noun)]
        return self._one(places, clause) if places else _UNKNOWN

    def _one(self, places: Sequence[Place], clause: str) -> Match | str:
        """The only object among them, from the shard that was put last."""
        newest = max(places, key=lambda place: self._order[place.shard])
        if self._newest_wins:
            places = [place for place in places if place.shard == newest.shard]
        if len({tuple(words_of(place.entry.fact.object)) for place in places}) > 1:
            return "several things are known that answer it"
        return Match(newest.shard, newest.entry, clause)

    def _relation(self, entry: Entry) -> str:
        """The bank's name of an entry's relation.

        One that the bank has no name for is asked for as its object wants it ("when", "where"): it
        is a relation of its own for each way.
        """
        said, thing = entry.fact.relation, entry.fact.object
        name = self._bank.name_of(said)
        asking = self._bank.of(said, thing)
        relation = name or " / ".join((said, *asking.questions))
        self._cues.add(relation, asking)
        return relation

    def _own_words(self, place: Place) -> list[str]:
        """Prompts of an entry that the bank would not make: they ask for this entry alone."""
        entry, relation = place.entry, place.relation
        subject = entry.fact.subject
        own = subject == SELF
        return [
            prompt
            for prompt in entry.prompts
            if relation
            not in self._cues.exact(
                template_of(prompt if own else prompt.replace(subject, SUBJECT), own=own)
            )
        ]


_OPEN: Final = frozenset({"what", "which"})
_ANY: Final = (["thing"], ["things"])
_UNKNOWN: Final = "no shard knows this of the subject"


@lru_cache(maxsize=4)
def _cues_of(bank: Bank) -> Cues:
    """Of the relations that the bank names: the same for all namespaces."""
    cues = Cues()
    for relation in bank.relations:
        cues.add(relation, bank.of(relation))
    return cues


def _ends_noun(word: str) -> bool:
    return word == SUBJECT or normal([word])[0] in PRESENT | PAST


def _is_a(thing: str, noun: Sequence[str]) -> bool:
    """Whether a thing is of a kind, and more is said of it than that: "a red bike" is a bike."""
    if noun in _ANY:
        return True
    words = words_of(thing)
    cut = next((at for at, word in enumerate(words) if at and word in _PART_OF), len(words))
    return words[:cut][-len(noun) :] == list(noun) and len(words) > len(noun)


def _is_of_name(form: Tokens, at: int) -> bool:
    """Whether a word only says that a name is asked for: "name of ...", "... 's name"."""
    after, before = form[at + 1 : at + 2], form[at - 1 : at]
    return (
        form[at] == "name"
        or (form[at] == "of" and before == ("name",))
        or (form[at] == OWN and after == ("name",))
    )


def _is_name(thing: str) -> bool:
    return all(word[0].isupper() for word in thing.split())


def _words(match: Match) -> str:
    fact = match.entry.fact
    return f"{match.shard} knows {fact.subject}, {fact.relation}"
