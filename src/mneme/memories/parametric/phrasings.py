"""A bank of phrasings: how each relation is said and asked for.

It reads triples from statements, makes the prompts that a fact is written and proven with, and
tells a router by which words a question asks for a relation. The packaged bank is
`phrasings.json`; own phrasings go before it. Relations that no bank names are phrased by their own
words (`frames`). That facts must be written in several wordings to be answered in another one
follows arXiv:2309.14316 (knowledge augmentation). No tensor library is needed.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import Stemmer

from mneme.memories.parametric.english import verb_of
from mneme.memories.parametric.frames import frame_of
from mneme.memories.parametric.phrasing_source import read_phrasings
from mneme.memories.parametric.reading import Reader
from mneme.memories.parametric.templates import Phrasing, Triple, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Bank", "Cues", "Phrasing", "Triple", "bank_of", "packaged_bank"]

_SPELLING: Final = {"favorite": "favourite", "fave": "favourite", "color": "colour"}
_DROPPED: Final = frozenset({"is", "are", "am", "my", "our", "the", "his", "her", "their"})
_FUNCTION_WORDS_WORDS: Final = (
    "a an and any are as at be been by can could did do does for from get had has have how i if "
    "in is it its me my of on one or question answer say should so tell than that the their them "
    "there these thing this to up was were what when where which who whom will with would you "
    "your know complete not kind much many herself himself"
)
_FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS_WORDS.split())
_ASKING: Final = frozenset({"what", "when", "where", "which", "who", "whom", "how", "many", "much"})
_stem = Stemmer.Stemmer("english", 0).stemWord


class Cues(NamedTuple):
    """By which a question shows for which relation it asks.

    stems: Stems of the content words of the relation's name, synonyms and templates.
    asks: For each way of asking, the stems of its content words and question words, without the
        subject: {"where", "live"}.
    """

    stems: frozenset[str]
    asks: tuple[frozenset[str], ...]


class Bank:
    """Phrasings by relation; the first that knows a name or a statement is used.

    Args:
        phrasings: In order of precedence.
    """

    def __init__(self, phrasings: Sequence[Phrasing]) -> None:
        self._phrasings = {each.relation: each for each in reversed(phrasings)}
        self._families = [each for each in phrasings if "{x}" in each.relation]
        names: dict[str, str] = {}
        for each in phrasings:
            names.setdefault(key_of(each.relation), each.relation)
        for each in phrasings:
            for synonym in each.synonyms:
                names.setdefault(key_of(synonym), each.relation)
        self._names = names
        self._reader = Reader(phrasings)
        self.relations: tuple[str, ...] = tuple(
            dict.fromkeys(each.relation for each in phrasings if "{x}" not in each.relation)
        )

    def name_of(self, relation: str) -> str | None:
        """The bank's name for a relation that is said in any way it knows; None: it knows none."""
        key = key_of(relation)
        known = self._names.get(key)
        if known is not None:
            return known
        family, word = self._family(key)
        return family.relation.replace("{x}", word) if family else None

    def of(self, relation: str, thing: str = "") -> Phrasing:
        """How a relation is said.

        Args:
            relation: A name of the bank, one of its synonyms, or any words.
            thing: The object; it tells "when" from "what" where the bank has no such relation.
        """
        known = self._names.get(key_of(relation))
        if known is not None and "{x}" not in known:
            return self._phrasings[known]
        family, word = self._family(key_of(relation))
        return family.with_word(word) if family else frame_of(relation.strip(), thing)

    def read(self, text: str) -> Triple | None:
        """What a statement says, by the longest template that fits it; None: it is not sure.

        The subject is `SELF` for "I" and "my"; subject and object keep their case.
        """
        return self._reader.read(text)

    def asked(self, text: str) -> list[tuple[str, str]]:
        """Subject and relation that a text asks for in the very words of a question of the bank."""
        return self._reader.asked(text)

    def cues(self, relation: str, thing: str = "") -> Cues:
        """By which words a question asks for a relation."""
        phrasing = self.of(relation, thing)
        names = (relation, phrasing.relation, *phrasing.synonyms)
        made = [
            template
            for own in (False, True)
            for template in (*phrasing.said_of(own=own), *phrasing.held_of(own=own))
        ]
        stems = {stem for text in (*names, *made) for stem in stems_of(text)}
        asks = dict.fromkeys(stems_of(text, asking=True) for text in made)
        return Cues(frozenset(stems), tuple(each for each in asks if each))

    def _family(self, key: str) -> tuple[Phrasing | None, str]:
        for each in self._families:
            for name in (each.relation, *each.synonyms):
                pattern = re.escape(key_of(name)).replace(r"\{x\}", r"(?P<x>.+)")
                match = re.fullmatch(pattern, key)
                if match is not None:
                    return each, match["x"]
        return None, ""


def key_of(relation: str) -> str:
    """A relation as it is looked up: "Lives in" and "live in" are one, as are spellings."""
    said = relation.lower().replace("_", " ").replace("’", "'")
    words = [_SPELLING.get(word, word) for word in re.findall(r"\{x\}|[\w'-]+", said)]
    while len(words) > 1 and words[0] in _DROPPED:
        words.pop(0)
    verb = verb_of(words[0]) if words else None
    if verb is not None and verb.tense == "present":
        words[0] = verb.base
    return " ".join(words)


def stems_of(text: str, *, asking: bool = False) -> frozenset[str]:
    """Stems of the content words of a text; with its question words, where it asks."""
    left_out = _FUNCTION_WORDS - (_ASKING if asking else frozenset())
    words = plain(re.sub(r"\{\w\}(?:['’]s)?", " ", text)).replace("'", " ").split()
    return frozenset(_stem(word) for word in words if word not in left_out and len(word) > 1)


def bank_of(source: Mapping[str, Any] | str | Path | None = None) -> Bank:
    """The packaged bank, with own phrasings before it.

    Args:
        source: Relations to their templates (`phrasing_source`), or the path of a JSON file of
            that form.

    Raises:
        InvalidInputError: It is not of that form; names the relation and what is wrong.
    """
    if source is None:
        return packaged_bank()
    return Bank([*read_phrasings(source), *_packaged()])


@lru_cache(maxsize=1)
def packaged_bank() -> Bank:
    """The bank that comes with Mneme."""
    return Bank(_packaged())


@lru_cache(maxsize=1)
def _packaged() -> tuple[Phrasing, ...]:
    text = files("mneme.memories.parametric").joinpath("phrasings.json").read_text("utf-8")
    return tuple(read_phrasings(json.loads(text)))
