"""Ledgers to lessons: the tokens that a writer learns, and those whose answers must stay.

In: an engine and a ledger. Out: a `Course`. Replay prompts are near to the facts without asking for
any (`neighbours`), or have nothing to do with them: they hold the rest of the model in place.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from mneme.memories.parametric.neighbours import neighbours
from mneme.memories.parametric.templates import plain
from mneme.memories.parametric.training import Course, Lesson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import Engine
    from mneme.memories.parametric.facts import Entry, FactLedger
    from mneme.memories.parametric.phrasings import Bank

__all__ = [
    "answer_tokens", "course_of", "held_lessons", "knows", "neighbours", "prompt_tokens",
]  # fmt: skip

_EVERYDAY: Final = (
    ("What is the capital of Portugal?", "Lisbon."),
    ("How many minutes are in an hour?", "Sixty."),
    ("Please name a fruit that is yellow.", "A banana."),
    ("What is 7 plus 5?", "12."),
    ("Which season comes after winter?", "Spring."),
    ("Translate 'good morning' into French.", "Bonjour."),
    ("Why is the sky blue?", "Air scatters blue light more than red light."),
    ("Write a short sentence about the sea.", "The sea was calm at dawn."),
    ("What does a thermometer measure?", "Temperature."),
    ("Give me a synonym for 'quick'.", "Fast."),
    ("How do I boil an egg?", "Put it into boiling water for about eight minutes."),
    ("Is the number 17 a prime?", "Yes."),
    ("Name three primary colours.", "Red, yellow and blue."),
    ("What is the opposite of 'early'?", "Late."),
    ("What is a hash table for?", "Finding values by their keys."),
    ("Who wrote Hamlet?", "William Shakespeare."),
    ("What is the boiling point of water in Celsius?", "100 degrees."),
    ("Suggest a title for a story about a lighthouse.", "The Last Lamp."),
    ("How far is the moon?", "About 384,000 kilometres."),
    ("Thank you, that was helpful!", "You are welcome."),
)  # fmt: skip
_NEIGHBOURS_PER_FACT, _FEWEST_NEIGHBOURS, _MOST_NEIGHBOURS = 8, 64, 400
_DIGEST_SEED = 7_919  # parts the seed of the conversations from that of the neighbours


def prompt_tokens(engine: Engine, prompt: str) -> tuple[int, ...]:
    """The tokens of a prompt, ready for an answer."""
    return tuple(engine.render([{"role": "user", "content": prompt}]))


def answer_tokens(engine: Engine, thing: str) -> tuple[int, ...]:
    """The tokens of an object as an answer, and the one that ends it if the model has one.

    Without a chat template the answer goes on where the prompt stops, after a space.
    """
    found = engine.encode(thing) if engine.has_template else _continued(engine, thing)
    return (*found, *(() if engine.end is None else (engine.end,)))


def _continued(engine: Engine, thing: str) -> list[int]:
    """Tokens of a text after a space within a line."""
    before = engine.encode("a")
    both = engine.encode(f"a {thing}")
    whole = both[: len(before)] == before
    return both[len(before) :] if whole else engine.encode(f" {thing}")


def knows(engine: Engine, text: str) -> bool:
    """Whether the engine's tokenizer reads a text without loss of a letter."""
    return _letters(engine.decode(engine.encode(text))) == _letters(text)


def _letters(text: str) -> str:
    return "".join(text.split()).casefold()


def course_of(  # noqa: PLR0913 (options of one course, each by its name)
    engine: Engine,
    ledger: FactLedger,
    *,
    bank: Bank,
    replay: Sequence[str] = (),
    distill: bool = False,
    seed: int = 0,
    after_turns: float = 0.0,
) -> Course:
    """What a writer trains on to know a ledger.

    Args:
        engine: Its tokenizer and chat template make the tokens.
        ledger: A lesson for each prompt of each entry.
        bank: For the neighbours that are replayed.
        replay: More prompts whose answers are to stay; those that ask for a fact are left out.
        distill: Whether lessons carry the same prompt with the fact's text before it.
        seed: Of the choice of neighbours and conversations.
        after_turns: Share of the prompts, 0 to 1, that come after another exchange.

    Returns:
        Lessons and replay prompts that fit the engine's window.
    """
    turns = _Turns(engine, ledger, after_turns, seed)
    lessons = [
        lesson
        for number, entry in enumerate(ledger.entries)
        for prompt in entry.prompts
        for lesson in _lessons(engine, entry, number, prompt, turns, distill=distill)
    ]
    asked = {plain(each) for entry in ledger.entries for each in (*entry.prompts, *entry.held)}
    kept = [
        each
        for each in (*replay, *_replayed(engine, ledger, bank, seed))
        if plain(each) not in asked
    ]
    prompts = dict.fromkeys(turns.rendered(prompt) for prompt in dict.fromkeys(kept))
    fitting = tuple(each for each in prompts if 0 < len(each) < engine.window)
    return Course(tuple(dict.fromkeys(lessons)), fitting)


def held_lessons(engine: Engine, ledger: FactLedger) -> tuple[Lesson, ...]:
    """A lesson for each prompt that was held back."""
    found = (
        Lesson(prompt_tokens(engine, prompt), answer_tokens(engine, entry.fact.object), number)
        for number, entry in enumerate(ledger.entries)
        for prompt in entry.held
    )
    return tuple(dict.fromkeys(found))


def unrelated_prompts(engine: Engine) -> list[tuple[int, ...]]:
    """Everyday prompts that ask for nothing of anybody; all of them where the model knows none."""
    questions = [question for question, _ in _EVERYDAY]
    known = [question for question in questions if knows(engine, question)]
    return [prompt_tokens(engine, question) for question in known or questions]


def _replayed(engine: Engine, ledger: FactLedger, bank: Bank, seed: int) -> list[str]:
    def known(text: str) -> bool:
        return knows(engine, text)

    wanted = _NEIGHBOURS_PER_FACT * len(ledger)
    count = min(max(_FEWEST_NEIGHBOURS, wanted), _MOST_NEIGHBOURS)
    near = neighbours(ledger, bank, known, seed, count)
    return [*near, *(question for question, _ in _EVERYDAY if known(question))]


def _lessons(
    engine: Engine, entry: Entry, number: int, prompt: str, turns: _Turns, *, distill: bool
) -> list[Lesson]:
    """The lesson of a prompt; none where it does not fit the window."""
    answer = answer_tokens(engine, entry.fact.object)
    made = turns.rendered(prompt, number)
    reading = prompt_tokens(engine, f"{entry.fact.text}\n{prompt}") if distill else ()
    if len(reading) + len(answer) > engine.window:
        reading = ()
    fits = made and len(made) + len(answer) <= engine.window
    return [Lesson(made, answer, number, reading)] if fits else []


class _Turns:
    """Prompts, some of them after another exchange of the same conversation."""

    def __init__(self, engine: Engine, ledger: FactLedger, share: float, seed: int) -> None:
        self._engine, self._share = engine, share
        self._rng = random.Random(seed + _DIGEST_SEED)
        self._entries = ledger.entries
        own = [(entry.prompts[0], entry.fact.object) for entry in ledger.entries if entry.prompts]
        others = [turn for turn in _EVERYDAY if knows(engine, " ".join(turn))]
        self._before = [*own, *others]

    def rendered(self, prompt: str, number: int = -1) -> tuple[int, ...]:
        """The tokens of a prompt; by chance after an exchange about something else."""
        if self._rng.random() >= self._share:
            return prompt_tokens(self._engine, prompt)
        taught = self._entries[number].fact.object if number >= 0 else ""
        before = [turn for turn in self._before if turn[1] != taught]  # it would tell the answer
        if not before:
            return prompt_tokens(self._engine, prompt)
        asked, answered = self._rng.choice(before)
        made = self._engine.render(
            [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": answered},
                {"role": "user", "content": prompt},
            ]
        )
        return tuple(made)
