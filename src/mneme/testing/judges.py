"""Questions whose answers show whether a mechanism of activation memory works.

A context is a line of words: facts `kNN vNN` scattered among fillers `wNN`. Small models, trained
for nothing else, answer `? kNN` with the value. They judge mechanisms (does the memory arrive, at
the right position, whole?), not how policies rank on real models.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

KEYS, VALUES, FILLERS = 96, 96, 64
_SHORTEST = 2  # words of a fact


@dataclass(frozen=True, slots=True)
class Case:
    """A context and questions about it.

    Attributes:
        text: Words, separated by blanks; the begin token is not among them.
        questions: Of each, the words to put after the context and the word that answers.
        facts: (key, value) in the order of the text.
    """

    text: str
    questions: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


def recall_case(seed: int, *, words: int, facts: int, questions: int) -> Case:
    """Each key is given once; the answer is its value."""
    rng = random.Random(seed)
    keys = [f"k{n:02d}" for n in rng.sample(range(KEYS), facts)]
    said = [(key, f"v{rng.randrange(VALUES):02d}") for key in keys]
    asked = rng.sample(said, min(questions, facts))
    return Case(_scatter(rng, said, words), _questions(asked), tuple(said))


def latest_case(seed: int, *, words: int, facts: int, questions: int) -> Case:
    """Keys are given about twice; the answer is the newest value. Sees errors of position."""
    rng = random.Random(seed)
    keys = [f"k{n:02d}" for n in rng.sample(range(KEYS), facts // 2)]
    order = [keys[n % len(keys)] for n in range(facts)]
    rng.shuffle(order)
    said = [(key, f"v{rng.randrange(VALUES):02d}") for key in order]
    newest = dict(said)
    asked = rng.sample(sorted(newest.items()), min(questions, len(newest)))
    return Case(_scatter(rng, said, words), _questions(asked), tuple(said))


def _scatter(rng: random.Random, said: list[tuple[str, str]], words: int) -> str:
    """Facts among fillers, at random places, in order."""
    free = words - _SHORTEST * len(said)
    if free < 0:
        raise ValueError(f"{len(said)} facts need {_SHORTEST * len(said)} words, not {words}")
    places = [True] * len(said) + [False] * free
    rng.shuffle(places)
    facts = iter(said)
    line: list[str] = []
    for is_fact in places:
        line += next(facts) if is_fact else (f"w{rng.randrange(FILLERS):02d}",)
    return " ".join(line)


def _questions(asked: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((f"| ? {key}", value) for key, value in asked)
