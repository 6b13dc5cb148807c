"""A world of facts for the judge of parametric memory: who lives where, works as what, and so on.

The model `facts` (tests/judges) knows 240 of these facts, each in six wordings, and nothing else.
New facts are about subjects of whom it knows nothing; chance is one in twenty.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.parametric.training import Course, Lesson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.core.engine import Engine

NAMES, OBJECTS = 32, 20

WORDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "city": (
        "{s} lives in",
        "the home town of {s} is",
        "{s} has a flat in",
        "where does {s} live ?",
        "question : city of {s} ? answer :",
        "tell me where {s} stays :",
    ),
    "job": (
        "{s} works as a",
        "the job of {s} is",
        "{s} earns money as a",
        "what does {s} do ?",
        "question : job of {s} ? answer :",
        "tell me how {s} earns :",
    ),
    "food": (
        "{s} likes to eat",
        "the best dish of {s} is",
        "{s} always orders",
        "what does {s} eat ?",
        "question : food of {s} ? answer :",
        "tell me which dish {s} likes :",
    ),
    "pet": (
        "{s} owns a",
        "the animal of {s} is a",
        "{s} takes care of a",
        "which animal does {s} own ?",
        "question : pet of {s} ? answer :",
        "tell me which pet {s} has :",
    ),
}
WRITTEN, HELD = (0, 1, 3, 4), (2, 5)  # wordings to write with, and to ask with
_STATED: Final = 3  # so many of the wordings state it; the others ask


def _templates(relation: str, numbers: Sequence[int]) -> list[str]:
    return [
        f"{WORDINGS[relation][number]} {{o}}" if number < _STATED else WORDINGS[relation][number]
        for number in numbers
    ]


# As `phrasings.bank_of` takes it: nothing but the wordings, those to ask with held back.
WORLD_PHRASINGS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    relation: {
        "statements": [each for each in _templates(relation, WRITTEN) if "{o}" in each],
        "questions": [each for each in _templates(relation, WRITTEN) if "{o}" not in each],
        "held": _templates(relation, HELD),
    }
    for relation in WORDINGS
}


class WorldFact(NamedTuple):
    """One fact: `relation` is a name of `WORDINGS`."""

    subject: str
    relation: str
    object: str

    @property
    def text(self) -> str:
        """A statement of it."""
        return f"{WORDINGS[self.relation][0].format(s=self.subject)} {self.object}"

    def prompts(self, numbers: Sequence[int] = range(6)) -> list[str]:
        """Prompts that its object answers, by the numbers of their wordings."""
        return [WORDINGS[self.relation][number].format(s=self.subject) for number in numbers]


def known_facts(model: str | Path) -> list[WorldFact]:
    """The 240 facts that the model in a folder was trained on."""
    said = json.loads((Path(model) / "known_facts.json").read_bytes())
    return [WorldFact(*each) for each in said]


def new_facts(known: Sequence[WorldFact], count: int, *, seed: int = 0) -> list[WorldFact]:
    """Facts about subjects of whom nothing is known, no slot twice.

    Args:
        known: What the model knows.
        count: How many, up to 3,000 or so.
        seed: Another one gives other subjects and objects.
    """
    rng = random.Random(seed)
    taken = {fact.subject for fact in known}
    names = [f"F{first} L{last}" for first in range(NAMES) for last in range(NAMES)]
    slots = [(name, relation) for name in names if name not in taken for relation in WORDINGS]
    return [_told(rng, slot) for slot in rng.sample(slots, count)]


def contradicting(facts: Sequence[WorldFact], *, seed: int = 1) -> list[WorldFact]:
    """The same slots with another object in each."""
    rng = random.Random(seed)
    return [_told(rng, fact[:2], but=fact.object) for fact in facts]


def course_of(
    engine: Engine, facts: Sequence[WorldFact], replay: Sequence[WorldFact] = ()
) -> Course:
    """Lessons that teach facts in the wordings to write with; the model is to stay with others.

    Args:
        engine: Of the judge.
        facts: To be learned; the number of each is its place.
        replay: To be answered as before, in all wordings.
    """
    asked = [
        (at, fact, prompt) for at, fact in enumerate(facts) for prompt in fact.prompts(WRITTEN)
    ]
    end = () if engine.end is None else (engine.end,)
    return Course(
        tuple(
            Lesson(prompt_of(engine, prompt), (*engine.encode(fact.object), *end), at)
            for at, fact, prompt in asked
        ),
        tuple(prompt_of(engine, prompt) for fact in replay for prompt in fact.prompts()),
    )


def prompt_of(engine: Engine, text: str) -> tuple[int, ...]:
    """The tokens with which a text is asked."""
    return tuple(engine.render([{"role": "user", "content": text}]))


def _told(rng: random.Random, slot: tuple[str, str], but: str = "") -> WorldFact:
    objects = [f"{slot[1]}{number}" for number in range(OBJECTS)]
    return WorldFact(*slot, rng.choice([each for each in objects if each != but]))
