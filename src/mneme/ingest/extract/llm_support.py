"""Whether a text says what a model read in it.

A claim is supported if its quote stands in the turn, each number, date and name of it too, its
other words (in any form) in the sentences of the quote, and both deny or neither does. What fails
is refused: a true claim that is lost costs little, since the turn stays; a false one is believed.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mneme.core.clock import from_us
from mneme.ingest.extract.llm_cues import (
    ADDED,
    CORRECTIONS,
    ENDINGS,
    FIRST_PERSON,
    HEDGES,
    NAME,
    NEUTRAL,
    NUMBER_WORDS,
    ORDERED,
    SAME_NUMBER,
    SPEAKERS,
    SPEAKERS_UNSPACED,
    THIRD_PERSON,
    TO_READERS,
    denials,
)
from mneme.ingest.extract.llm_quotes import UNSPACED_FROM, Span, clause_of, sentences_of
from mneme.memories.plaintext.language.terms import codes_of, is_stopword, look_up, tokens_of
from mneme.memories.plaintext.language.times import find_times

if TYPE_CHECKING:
    from datetime import date

    from mneme.core.statement import Utterance
    from mneme.memories.plaintext.language.times import TimeSpan

_NO_TEXT: Final = frozenset({"Cc", "Cs", "Co", "Cn"})
_SHORTEST_STEM, _SURE_STEM = 3, 5
MOST_MISSING: Final = 0.2  # of a claim's characters and pairs, where no spaces part words


def content_of(claim: str) -> list[str]:
    """The words that say something: not stop words, articles, or names of the speaker's role."""
    words = tokens_of(SPEAKERS_UNSPACED.sub(" ", claim))
    return [
        word for word in words if not (is_stopword(word) or word.lower() in ADDED or _is_role(word))
    ]


def _is_role(word: str) -> bool:
    return not SPEAKERS.isdisjoint(word.replace("\u2019", "'").lower().split("'"))


def _names(claim: str) -> list[str]:
    """The words that begin with a capital, but for those that say little."""
    names = [name for name in NAME.findall(claim) if name[0].isupper()]
    return [name for name in names if content_of(name)]


def _alike(one: str, other: str) -> bool:
    """Whether two words differ in their endings alone."""
    shorter = min(len(one), len(other))
    stem = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    sure = stem >= _SURE_STEM or not one.isascii()  # English words come with their endings cut
    return stem >= _SHORTEST_STEM and max(len(one), len(other)) - stem <= (2 if sure else 1)


class Source:
    """A turn, or a piece of one, that claims are held against; what they share is made once."""

    def __init__(self, turn: Utterance) -> None:
        self.turn, self.text = turn, turn.text
        self.day = None if turn.at is None else from_us(turn.at).astimezone(UTC).date()
        self.speaker = frozenset(codes_of(turn.speaker or ""))

    @cached_property
    def codes(self) -> frozenset[int]:
        """Of its words and its speaker's name."""
        return frozenset(codes_of(self.text)) | self.speaker

    @cached_property
    def counts(self) -> frozenset[int]:
        """The same, with number words also as digits and the other way round."""
        others = {w for token in tokens_of(self.text) for w in SAME_NUMBER.get(token, ())}
        return self.codes | {code for word in others for code in codes_of(word)}

    @cached_property
    def times(self) -> list[tuple[date, date]]:
        """The first and last day of each time that it speaks of."""
        return [(span.first, span.last) for span in find_times(self.text, self.day)]


class Evidence:
    """The quote of a claim, within its source."""

    def __init__(self, source: Source, quote: Span) -> None:
        self._source, self._quote = source, quote
        self._text = source.text

    def against(self, claim: str) -> str | None:
        """Why the turn does not support the words of a claim; None if it does."""
        if any(unicodedata.category(character) in _NO_TEXT for character in claim):
            return "has characters that no text has"
        if TO_READERS.search(claim) or TO_READERS.search(self._said):
            return "speaks to the reader"
        rest = self._without_times(claim)
        reasons = {
            "has a number that the turn has not": not self._has_numbers(rest),
            "has a name that the turn has not": not self._has_names(rest),
            "has words that the quote's sentences have not": not self._has_words(rest),
            "has its words in another order": not self._keeps_order(rest),
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def against_denial(self, claim: str) -> str | None:
        """Why claim and quote differ in what they deny; None if they agree."""
        said, claimed = denials(self._clause), denials(claim)
        agree = claimed <= said and bool(claimed) == bool(said)
        return None if agree else "denies what is said, or not"

    def _has_words(self, claim: str) -> bool:
        """Whether the quote's sentences have all words, or most pairs where no spaces part them."""
        whole = {True: 0, False: 0}
        lacking = {True: 0, False: 0}
        for word in content_of(claim):
            unspaced = ord(word[0]) >= UNSPACED_FROM
            for code in look_up(word)[0]:
                whole[unspaced] += 1
                lacking[unspaced] += not self._is_near(word, code)
        return lacking[False] == 0 and lacking[True] <= MOST_MISSING * whole[True]

    def _is_near(self, word: str, code: int) -> bool:
        """Whether the quote's sentences have a word, or another ending of it."""
        if code in self._near or code in self._source.speaker or word in NEUTRAL:
            return True
        return word.isalpha() and any(_alike(word, each) for each in self._words)

    def names_speaker(self, claim: str) -> bool:
        """Whether a claim speaks of the one who said it."""
        words = tokens_of(claim)
        if any(word in FIRST_PERSON or _is_role(word) for word in words):
            return True
        return not self._source.speaker.isdisjoint(codes_of(claim))

    @property
    def is_question(self) -> bool:
        """Whether all that is quoted only asks."""
        ends = [self._text[s.start : s.end].rstrip("\"'”’) \n\t") for s in self._sentences]
        return all(end.endswith(("?", "？")) for end in ends)

    @property
    def is_of_another(self) -> bool:
        """Whether the sentence is about somebody else than its speaker."""
        firsts = FIRST_PERSON.intersection(tokens_of(self._said))
        return not firsts and bool(THIRD_PERSON.search(self._said))

    @property
    def is_hedged(self) -> bool:
        """Whether the speaker leaves open if it is so."""
        return bool(HEDGES.search(self._said))

    @property
    def corrects(self) -> bool:
        """Whether the turn has words of a correction."""
        return bool(CORRECTIONS.search(self._said))

    @property
    def ends(self) -> bool:
        """Whether the sentence has words of an ending."""
        return bool(ENDINGS.search(self._said))

    def names_day(self, day: date) -> bool:
        """Whether the turn speaks of a time that begins or ends on a day, or was said on it."""
        return day == self._source.day or any(
            day in (first, last) for first, last in self._source.times
        )

    @cached_property
    def _sentences(self) -> list[Span]:
        return sentences_of(self._text, self._quote)

    @cached_property
    def _said(self) -> str:
        return "".join(self._text[s.start : s.end] for s in self._sentences).strip()

    @cached_property
    def _clause(self) -> str:
        return clause_of(self._text, self._quote)

    @cached_property
    def _words(self) -> list[str]:
        return tokens_of(self._said)

    @cached_property
    def _near(self) -> dict[int, int]:
        """The place of each code in the sentences; a number word counts as digits too."""
        same = {word: SAME_NUMBER.get(word, ()) for word in self._words}
        codes = [code for word in self._words for w in (word, *same[word]) for code in codes_of(w)]
        return {code: place for place, code in reversed(list(enumerate(codes)))}

    def _without_times(self, claim: str) -> str:
        """The claim without the times of which the turn speaks too."""
        kept, at = [], 0
        for span in find_times(claim, self._source.day):
            if self._is_said(span, claim[span.start : span.end]):
                kept.append(claim[at : span.start])
                at = span.end
        return " ".join([*kept, claim[at:]])

    def _is_said(self, time: TimeSpan, words: str) -> bool:
        """Whether the turn speaks of the same days, or of some in the same month or year."""
        if (time.first, time.last) in self._source.times:
            return True
        coarse = re.findall(r"\d+", words) == [str(time.first.year)]
        inside = (time.first <= f and last <= time.last for f, last in self._source.times)
        return coarse and any(inside)

    def _has_numbers(self, claim: str) -> bool:
        for token in tokens_of(claim):
            numeric = any(character.isdigit() for character in token)
            if numeric or (token in NUMBER_WORDS and not is_stopword(token)):
                whole, *parts = look_up(token)[0]
                if whole not in self._source.counts and not (
                    parts and self._source.counts.issuperset(parts)
                ):
                    return False
        return True

    def _keeps_order(self, claim: str) -> bool:
        """Whether names, or all words of a comparison, follow each other as in the sentences."""
        compares = not ORDERED.isdisjoint(self._words)
        words = content_of(claim) if compares else _names(claim)
        codes = [code for word in words for code in codes_of(word)]
        places = [self._near[code] for code in codes if code in self._near]
        return places == sorted(places)

    def _has_names(self, claim: str) -> bool:
        return all(self._source.codes.issuperset(codes_of(name)) for name in _names(claim))
