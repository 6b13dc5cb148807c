"""Chat turns for speed benchmarks: the same on every machine, from no data set.

Out: turns of about 25 words in sessions of 20, two to four speakers each, over about two years, and
questions about them. Everyday words come from the lists here, ending by ending; behind them stand
made-up names and rare words, drawn by Zipf's law, so that the vocabulary grows with the number of
turns as it does in real talk (about 20k different words at 100k turns). The text says nothing
worth finding: use it for time and memory, never for recall.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

SESSION_TURNS = 20
START = datetime(2024, 3, 4, 8, 0, tzinfo=UTC)


def _words(text: str) -> list[str]:
    return text.split()


SPEAKERS = _words("""
    Ada Boris Chiara Dmitri Elif Farid Greta Hiro Ines Jonas Kemal Leila Marek Nadia Olu Petra
    Quentin Rosa Stefan Tomoko Ursula Viktor Wanda Xenia Yusuf Zora
""")

STEMS = _words("""
    garden kitchen guitar bicycle window mountain river market ticket letter doctor lawyer
    camera puzzle blanket ladder engine bottle candle carpet basket dinner breakfast holiday
    concert museum library airport station hospital office meeting project budget invoice
    contract client report deadline server laptop printer phone battery charger cable screen
    keyboard recipe onion pepper tomato cheese noodle soup salad coffee tea juice bread cookie
    apple orange lemon pumpkin chicken salmon shrimp butter sugar cinnamon dog cat parrot rabbit
    horse turtle kitten puppy cousin sister brother uncle aunt neighbour teacher student
    painting drawing pottery sculpture novel poem story chapter song album drum piano violin
    trumpet choir theatre movie series episode game match team coach runner swimmer climber
    marathon yoga tennis football chess hockey skate surf camp tent trail forest lake beach
    island desert storm snow rain sunshine winter spring summer autumn birthday wedding
    anniversary party present cake balloon photo album frame wall roof door floor stair plumber
    painter builder tenant landlord mortgage salary pension tax insurance claim allergy fever
    headache vaccine dentist surgery therapy pill diet vitamin exercise sleep dream worry
    promise secret rumour joke lesson exam degree course lecture thesis essay language accent
    grammar dictionary passport visa suitcase flight train ferry taxi scooter
""")

VERBS = _words("""
    paint fix plan book cook clean order visit call remember forget enjoy finish start learn
    practise repair borrow return collect design print record mention discuss cancel delay move
    pack carry plant water train watch answer ask walk climb travel rent pay save spend count
""")

ENDINGS = ("", "", "", "s", "s", "ing", "ed", "er", "ful", "like")

SMALL_WORDS = _words("""
    the and to a of i it was in that my for you is with so we on but have at this me just like
    be really about they she he not are as out up had what when all if from get do your one an
    there been how then some her his would think know time good great now more could because
    after next last them very only also us our who than before over again still much even
""")

OPENERS = (
    "Hey {other},", "Oh wow,", "That sounds great!", "Honestly,", "By the way,", "You know,",
    "I was thinking,", "Guess what?", "Thanks {other}!", "Not sure yet,", "Good question.",
    "Well,", "No way!", "Sure,", "I heard that", "Sorry for the late answer,", "Same here,",
)  # fmt: skip
TIMES = (
    "last Friday", "yesterday", "next week", "in March", "two weeks ago", "on Sunday",
    "this morning", "last year", "tomorrow", "in the summer", "on the 14th", "since January",
)  # fmt: skip
SYLLABLES = [
    a + b
    for a in [
        "b",
        "d",
        "f",
        "g",
        "k",
        "l",
        "m",
        "n",
        "p",
        "r",
        "s",
        "t",
        "v",
        "z",
        "ch",
        "sh",
        "br",
        "tr",
    ]
    for b in "aeiou"
]


@dataclass(frozen=True)
class Turn:
    """One message of the made-up talk."""

    session: str
    speaker: str
    role: str
    text: str
    at: datetime

    def message(self) -> dict[str, Any]:
        return {"role": self.role, "name": self.speaker, "content": self.text, "at": self.at}

    def indexed_text(self) -> str:
        """What a store without fields for the speaker would be given."""
        return f"{self.speaker}: {self.text}"


def make_turns(count: int, *, seed: int = 7, people: int | None = None) -> list[Turn]:
    """The first `count` turns of the talk with this seed: a prefix of any longer one."""
    rng = random.Random(seed)
    words = _Words(rng)
    crowd = SPEAKERS[:people] if people else SPEAKERS
    turns: list[Turn] = []
    for number in itertools.count():
        if len(turns) >= count:
            return turns[:count]
        turns.extend(_session(number, rng, words, crowd))
    raise AssertionError


def make_questions(turns: list[Turn], count: int, *, seed: int = 11) -> list[str]:
    """Questions that name the speaker and rarer words of a turn; every fifth also a time."""
    rng = random.Random(seed)
    questions = []
    for i in range(count):
        turn = rng.choice(turns)
        rare = [w.strip(".,!?").lower() for w in turn.text.split()]
        rare = [w for w in rare if len(w) > 4 and w not in SMALL_WORDS] or ["project"]
        about = " and the ".join(rng.sample(rare, min(2, len(rare))))
        when = f" {rng.choice(TIMES)}" if i % 5 == 0 else ""
        form = QUESTIONS[i % len(QUESTIONS)]
        questions.append(form.format(who=turn.speaker, about=about, when=when))
    return questions


QUESTIONS = (
    "What did {who} say about the {about}{when}?",
    "When did {who} talk about the {about}{when}?",
    "Who helped {who} with the {about}{when}?",
    "Why does {who} like the {about}{when}?",
    "How many {about} does {who} have{when}?",
)


class _Words:
    """Draws words: small ones, everyday ones by Zipf, and a long tail of names and rarities."""

    def __init__(self, rng: random.Random) -> None:
        everyday = [s + e for s in dict.fromkeys(STEMS + VERBS) for e in dict.fromkeys(ENDINGS)]
        tail = ["".join(rng.choices(SYLLABLES, k=rng.choice((2, 3, 3, 4)))) for _ in range(30_000)]
        rng.shuffle(everyday)
        self._all = everyday + list(dict.fromkeys(tail))
        self._weights = list(itertools.accumulate(1 / (r + 12) for r in range(len(self._all))))
        self._small = list(itertools.accumulate(1 / (r + 2) for r in range(len(SMALL_WORDS))))

    def content(self, rng: random.Random, count: int) -> list[str]:
        return rng.choices(self._all, cum_weights=self._weights, k=count)

    def small(self, rng: random.Random, count: int) -> list[str]:
        return rng.choices(SMALL_WORDS, cum_weights=self._small, k=count)


def _session(number: int, rng: random.Random, words: _Words, crowd: list[str]) -> list[Turn]:
    speakers = rng.sample(crowd, rng.choice((2, 2, 2, 3, 4)))
    topic = words.content(rng, 14)
    at = START + timedelta(hours=number * 4, minutes=rng.randrange(60))
    turns = []
    for place in range(SESSION_TURNS):
        speaker, other = speakers[place % len(speakers)], speakers[(place + 1) % len(speakers)]
        at += timedelta(seconds=rng.randrange(20, 240))
        text = _sentences(rng, words, topic, other)
        role = "user" if place % 2 == 0 else "assistant"
        turns.append(Turn(f"s{number}", speaker, role, text, at))
    return turns


def _sentences(rng: random.Random, words: _Words, topic: list[str], other: str) -> str:
    parts = [rng.choice(OPENERS).format(other=other)]
    for _ in range(rng.choice((1, 2, 2, 3))):
        size = rng.randrange(7, 15)
        own = words.content(rng, size // 3) + rng.choices(topic, k=size // 5 + 1)
        line = own + words.small(rng, size - len(own))
        rng.shuffle(line)
        if rng.random() < 0.2:
            line.append(rng.choice(TIMES))
        parts.append(" ".join(line).capitalize() + rng.choice("...!?"))
    return " ".join(parts)
