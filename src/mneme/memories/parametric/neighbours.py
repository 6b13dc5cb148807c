"""Prompts near the facts of a ledger that ask for none of them.

What a shard must leave alone is nearest to what it knows: the same questions about other people,
and other questions about the same people. The writer replays them, the gate asks them. No tensor
library is needed.
"""

from __future__ import annotations

import random
from itertools import chain
from typing import TYPE_CHECKING, Final

from mneme.memories.parametric.facts import SELF, FactLedger
from mneme.memories.parametric.synthesis import phrasing_for, spoken
from mneme.memories.parametric.templates import Phrasing, capital, plain, prompt_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mneme.memories.parametric.phrasings import Bank

_STRANGER_NAMES: Final = (
    "Anna Berg, Tomas Novak, Mei Lin, Omar Haddad, Ruth Castle, Jonas Frey, Lucia Ortega, "
    "Peter Hall, Ines Duarte, David, Sofia, my neighbour, my cousin, my teacher"
)
_STRANGERS: Final = tuple(_STRANGER_NAMES.split(", "))
_SOME_THING: Final = "thing"  # its article stands for that of the object
_OWN_SHARE: Final = 0.2  # of the questions about others, where the owner is one of them
_MOST_TRIES = 40  # for each prompt that is asked for


def neighbours(
    ledger: FactLedger, bank: Bank, known: Callable[[str], bool], seed: int, count: int
) -> list[str]:
    """Prompts like those of a ledger that its facts do not answer.

    In turn: a template of a relation of the ledger about somebody else (names put together from
    those of the ledger, and strangers), and one of another relation about a subject of the ledger.

    Args:
        ledger: What must not be asked for.
        bank: Says how relations are asked for.
        known: Whether the model can read a text.
        seed: Of the choice; the same one gives the same prompts.
        count: How many, at most; fewer where the model knows too few words.
    """
    rng = random.Random(seed)
    facts = _Facts(ledger, bank)
    found: dict[str, str] = {}
    if not len(ledger):
        return []
    kinds = (facts.of_others, facts.of_other_relations)
    for at in range(count * _MOST_TRIES):
        if len(found) >= count:
            break
        prompt = kinds[at % 2](rng)
        text = next((each for each in (capital(prompt), prompt) if prompt and known(each)), None)
        if text is not None and not facts.ask(text):
            found.setdefault(plain(text), text)
    return list(found.values())


class _Facts:
    """What a ledger knows, and what is near it.

    Args:
        ledger: With one entry at least.
        bank: Of its relations.
    """

    def __init__(self, ledger: FactLedger, bank: Bank) -> None:
        entries = ledger.entries
        self._asked = {plain(each) for e in entries for each in (*e.prompts, *e.held)}
        self._bank = bank
        self._phrasings: dict[str, Phrasing] = {}
        self._taken: dict[str, set[str]] = {}  # by subject: relations that its facts may answer
        self._subjects: dict[str, str] = {}  # plain: as it is spoken of
        for entry in entries:
            phrasing = phrasing_for(entry.fact, bank)
            who = SELF if entry.fact.subject == SELF else spoken(entry.fact)
            self._phrasings.setdefault(phrasing.relation, phrasing)
            self._subjects.setdefault(plain(who), who)
            self._taken.setdefault(plain(who), set()).update(self._near(phrasing))
        self._names = self._made_up()
        self._relations = [bank.of(each) for each in bank.relations]

    def of_others(self, rng: random.Random) -> str:
        """A question of the ledger about somebody of whom it does not say that; or empty."""
        phrasing = rng.choice(list(self._phrasings.values()))
        own = SELF not in self._subjects and rng.random() < _OWN_SHARE
        who = SELF if own else rng.choice([*self._names, *self._subjects.values()])
        return self._prompt(rng, phrasing, who)

    def of_other_relations(self, rng: random.Random) -> str:
        """Something else about a subject of the ledger; or empty."""
        return self._prompt(
            rng, rng.choice(self._relations), rng.choice([*self._subjects.values()])
        )

    def ask(self, prompt: str) -> bool:
        """Whether a prompt asks for a fact of the ledger."""
        if plain(prompt) in self._asked:
            return True
        return any(
            relation in self._taken.get(plain(who), ())
            for who, relation in self._bank.asked(prompt)
        )

    def _prompt(self, rng: random.Random, phrasing: Phrasing, who: str) -> str:
        if phrasing.relation in self._taken.get(plain(who), ()):
            return ""
        own = who == SELF
        template = rng.choice((*phrasing.said_of(own=own), *phrasing.held_of(own=own)))
        return prompt_of(template, who, _SOME_THING) or ""

    def _near(self, phrasing: Phrasing) -> Iterator[str]:
        """The relations that a fact of a relation may answer, its own included."""
        yield phrasing.relation
        yield from phrasing.near
        said = {plain(each) for each in _templates(phrasing)}
        for relation in self._bank.relations:
            other = self._bank.of(relation)
            alike = not said.isdisjoint(plain(each) for each in _templates(other))
            if alike or phrasing.relation in other.near:
                yield relation

    def _made_up(self) -> list[str]:
        """Names of nobody in the ledger: parts of its names put together anew, and strangers."""
        names = [who.split() for who in self._subjects.values() if who != SELF]
        full = [name for name in names if len(name) > 1 and name[0][:1].isupper()]
        mixed = [" ".join([*one[:-1], other[-1]]) for one in full for other in full]
        fresh = dict.fromkeys(name for name in mixed if plain(name) not in self._subjects)
        strangers = (name for name in _STRANGERS if plain(name) not in self._subjects)
        return [*fresh, *strangers]


def _templates(phrasing: Phrasing) -> Sequence[str]:
    parts = (phrasing.said_of(own=own) + phrasing.held_of(own=own) for own in (False, True))
    return tuple(chain.from_iterable(parts))
