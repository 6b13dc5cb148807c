"""A question, taken apart: its terms, whom and when it asks about, and what kind it is.

In: the question's text, its vector and the moment that "last week" refers to. Out: an `Asked`,
which the signals read. Pure functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from mneme.memories.plaintext.language.terms import is_stopword, look_up, tokens_of
from mneme.memories.plaintext.language.times import find_times
from mneme.recall.topic import RAISED, SUMMARY, topic_of

if TYPE_CHECKING:
    from datetime import datetime

    import numpy.typing as npt

_MOST_TERMS: Final = 48
_EPOCH: Final = date(1970, 1, 1).toordinal()

_KINDS: Final[dict[str, str]] = {
    "when": (
        r"^(?:and |so )?(?:when|what (?:day|date|year|month|time))\b"
        r"|\bwhat (?:date|day|year|month)\b"
    ),
    "where": (
        r"^where\b|\bwhich (?:city|country|place|state|town)\b|\bwhat (?:city|country|place)\b"
    ),
    "who": r"\bwho(?:m|se)?\b",
    "count": r"\bhow (?:many|much|often)\b|\btotal\b|\bnumber of\b",
    "lasting": (
        r"\bhow long\b"
        r"|\b(?:days|weeks|months|years) (?:passed|ago|between|had|have|did|before|after"
        r"|since|were|are)\b|\bbetween\b"
    ),
    "manner": r"\bhow (?:do|did|does|can|should|would|could|have|has|was|were|am|is|are)\b",
    "cause": r"\bwhy\b",
    "whether": r"^(?:is|are|was|were|do|does|did|have|has|had|can|could|would|will|am)\b",
    "likely": (
        r"\b(?:would|might|could) \w+ (?:be|likely|enjoy|like|have|want|consider|prefer)\b"
        r"|\blikely\b"
    ),
    "advice": (
        r"\b(?:suggest\w*|recommend\w*|advice|tips?|ideas?|should i|can you help"
        r"|could you help|help me|what are some|how can i|how should i|how do i"
        r"|what would you)\b"
    ),
    "order": (
        r"\border\b|\bsequence\b|\btimeline\b|\bchronolog\w*|\bfirst\b.*\b(?:or|then)\b"
        r"|\bwalk me through\b"
    ),
    "raised": RAISED,
    "summary": SUMMARY,
    "you_said": (
        r"\b(?:did|had|have) you\b"
        r"|\byou (?:said|told|suggested|recommended|mentioned|gave|provided|explained|listed"
        r"|wrote)\b|\bremind me\b"
        r"|\bour (?:previous|last|earlier|past) (?:chat|conversation|discussion)\b"
        r"|\bwe (?:talked|discussed|spoke|chatted)\b"
    ),
    "ever": r"\bever\b",
    "latest": (
        r"\b(?:current(?:ly)?|latest|now|recent(?:ly)?|most recent|nowadays|these days|so far"
        r"|last)\b"
    ),
    "earliest": (
        r"\b(?:first|initial(?:ly)?|original(?:ly)?|earliest|previous(?:ly)?|before|used to)\b"
    ),
    "several": (
        r"\b(?:both|all|list|different|various|types?|kinds?|what are|which|across|activities"
        r"|things|names)\b"
    ),
    "first_person": r"\b(?:i|i'm|i've|my|me|mine|we|our)\b",
    "liking": r"\b(?:favou?rite|like|love|enjoy|prefer\w*|hobb\w+|interest\w*)\b",
}
KINDS: Final = tuple(_KINDS)
_KIND_TESTS: Final = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _KINDS.values())
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        text: The question as it was put.
        vector: float32 [dim], of `topic_of(text)`, from the embedder of the index's vectors; None
            when there is none.
        now: The moment that "last week" refers to; None leaves such words unresolved.
    """

    text: str
    vector: npt.NDArray[Any] | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question taken apart.

    Attributes:
        terms: Codes of its terms, each once, in reading order.
        content: For each term, whether it is no stopword.
        words: Its words, lower-cased and without endings such as 's.
        capitalised: Words that began with a capital inside the question.
        kinds: For each of `KINDS`, whether the question is of that kind.
        days: First and last day of each time that it names, as days since 1970.
    """

    terms: tuple[int, ...]
    content: tuple[bool, ...]
    pairs: tuple[tuple[int, int], ...]
    words: frozenset[str]
    capitalised: frozenset[str] = field(default_factory=frozenset)
    kinds: tuple[bool, ...] = ()
    days: tuple[tuple[int, int], ...] = ()

    def is_kind(self, name: str) -> bool:
        """Whether the question is of a kind."""
        return self.kinds[KINDS.index(name)]


def take_apart(question: Question) -> Asked:
    """Find a question's kind, and the terms, words and times of its topic."""
    topic = topic_of(question.text)
    tokens = tokens_of(topic)[: 4 * _MOST_TERMS]
    weighted: dict[int, bool] = {}
    reading: list[int] = []
    for token in tokens:
        codes = look_up(token)[0]
        content = not is_stopword(token)
        for code in codes:
            weighted[code] = weighted.get(code, False) or content
        if content:
            reading += codes
    terms = list(weighted)
    if len(terms) > _MOST_TERMS:
        terms = [term for term in terms if weighted[term]][:_MOST_TERMS]
    pairs = tuple(dict.fromkeys(pairwise(reading)))
    return Asked(
        terms=tuple(terms),
        content=tuple(weighted[term] for term in terms),
        pairs=pairs,
        words=frozenset(token.partition("'")[0] for token in tokens),
        capitalised=_capitalised(topic),
        kinds=tuple(bool(test.search(question.text)) for test in _KIND_TESTS),
        days=_days(topic, question.now),
    )


def _capitalised(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(text) if word[0].isupper())


def _days(topic: str, now: datetime | None) -> tuple[tuple[int, int], ...]:
    spans = find_times(topic, None if now is None else now.date())
    return tuple((s.first.toordinal() - _EPOCH, s.last.toordinal() - _EPOCH) for s in spans)
