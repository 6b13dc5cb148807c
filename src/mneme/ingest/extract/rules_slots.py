"""Which slot a statement fills, and what shape of thing fills it.

A slot is a subject and a relation. Two ways to name one give one key: "my favourite colour",
"favorite colour is now", "the current favorite color". Pure functions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from mneme.memories.plaintext.language.terms import stem, tokens_of

if TYPE_CHECKING:
    from mneme.core.statement import Statement

SPEAKER: Final = "user"

_DROPPED_WORDS: Final = (
    "the a an my our your his her their its this that of is are was were be been am now "
    "current currently new value still s called to in at as it"
)
_DROPPED: Final = frozenset(_DROPPED_WORDS.split())
_SPELLING: Final = {
    "favourite": "favorite", "favourites": "favorite", "fave": "favorite", "fav": "favorite",
    "colour": "color", "colours": "color", "flavour": "flavor", "neighbour": "neighbor",
    "behaviour": "behavior", "honour": "honor", "labour": "labor", "humour": "humor",
    "centre": "center", "theatre": "theater", "programme": "program", "grey": "gray",
    "mom": "mother", "mum": "mother", "dad": "father", "kids": "children", "kid": "children",
    "child": "children", "mobile": "phone", "cell": "phone", "bday": "birthday",
    "occupation": "job", "profession": "job", "hubby": "husband",
}  # fmt: skip
_SAME: Final = {
    "resid": "live", "relocat": "live", "lives": "live", "home": "live", "hometown": "hometown",
}  # fmt: skip

_WEEKDAY: Final = re.compile(
    r"(?:on |this |next |last )?(?:mon|tues|wednes|thurs|fri|satur|sun)day(?: (?:morning|afternoon"
    r"|evening|night))?",
    re.IGNORECASE,
)
_MONTHS: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE: Final = re.compile(
    rf"(?:on |in |the )*(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTHS}|{_MONTHS}(?: "
    rf"\d{{1,2}}(?:st|nd|rd|th)?)?"
    r"|\d{4}-\d\d-\d\d|\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?|\d{1,2}(?:st|nd|rd|th))(?:,? \d{4})?",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(
    r"(?:at )?(?:\d{1,2}[:.]\d\d(?: ?[ap]\.?m\.?)?|\d{1,2} ?[ap]\.?m\.?|noon|midnight)",
    re.IGNORECASE,
)
_MONEY: Final = re.compile(
    r"[$€£¥]\s?\d[\d.,]*[kmb]?|\d[\d.,]* ?(?:dollars|euros|pounds|usd|eur|gbp)", re.IGNORECASE
)
_NUMBERS: Final = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen"
    " seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"
)
_NUMBER: Final = re.compile(
    rf"[-+]?\d[\d.,]*(?: ?%)?|(?:{'|'.join(_NUMBERS.split())})(?:[- "
    rf"](?:{'|'.join(_NUMBERS.split())}))?",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_SHAPES: Final = (
    ("email", _EMAIL), ("clock", _CLOCK), ("weekday", _WEEKDAY), ("date", _DATE),
    ("money", _MONEY), ("number", _NUMBER),
)  # fmt: skip


def slot_of(statement: Statement) -> str | None:
    """The key of the slot that a statement fills; None for one that fills none.

    Statements of one slot have equal keys. What is said of oneself has no subject in its key: where
    several speak, the caller adds who did.
    """
    if statement.subject is None or statement.relation is None:
        return None
    words = [*words_of(statement.subject), *words_of(statement.relation)]
    return " ".join(sorted(words)) or None


@lru_cache(maxsize=8192)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name that tell it from others, stemmed."""
    stems = []
    for token in tokens_of(name.replace("_", " ")) if name != SPEAKER else ():
        word = token.removesuffix("'s")
        if word not in _DROPPED:
            stemmed = stem(_SPELLING.get(word, word))
            stems.append(_SAME.get(stemmed, stemmed))
    return tuple(stems)


def same_object(one: str | None, other: str | None) -> bool:
    """Whether two objects are the same but for case, articles and marks."""
    return one is not None and other is not None and words_of(one) == words_of(other)


def shape_of(value: str) -> str:
    """What kind of thing a value is: email, clock, weekday, date, money, number, name or word."""
    bare = value.strip(" .,!;:\"'")
    for shape, pattern in _SHAPES:
        if pattern.fullmatch(bare):
            return shape
    return "name" if bare[:1].isupper() else "word"


def part_of_shape(text: str, shape: str) -> str | None:
    """The first part of a text that has one of the shapes that a pattern tells."""
    for name, pattern in _SHAPES:
        if name == shape:
            match = re.search(rf"(?<!\w)(?:{pattern.pattern})(?!\w)", text, re.IGNORECASE)
            return match.group() if match else None
    return None
