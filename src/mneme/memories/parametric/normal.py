"""The normal form of a question: what is left when it does not matter how it is put.

In: the words of a question, a prompt or a template of the bank. Out: tokens, in which case,
punctuation, articles, politeness, and the order of auxiliary and subject make no difference:
"Could you tell me where Anna lives?", "where does Anna live" and the template
"where does {s} live?" (Anna taken for the subject) are one. What changes what is asked for stays:
negations, times, conditions, other persons, past against present. English.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Tokens = tuple[str, ...]

SUBJECT: Final = "{s}"  # a token: whom the question is about
OWN: Final = "'s"  # a token: what follows belongs to who stands before
_OPENERS: Final = "who whom whose what which where when why how"
OPENERS: Final = frozenset(_OPENERS.split())
PRESENT: Final = frozenset({"do", "be", "have"})
PAST: Final = frozenset({"did", "was", "had"})

_ARTICLES: Final = frozenset({"a", "an", "the"})
_I: Final = {"i": (SUBJECT,), "me": (SUBJECT,), "my": (SUBJECT, OWN)}
_SAME: Final = {
    "does": "do", "is": "be", "are": "be", "am": "be", "were": "was", "has": "have",
    "whom": "who", "favourite": "favorite", "colour": "color", "called": "name", "named": "name",
}  # fmt: skip
_NOT_PLURAL: Final = ("ss", "us", "is", "'s")
_WORD: Final = re.compile(r"\{s\}|'s\b|(?<=s)'(?=\s)|[^\W_]+")
_SHORT: Final = (
    (re.compile(r"\b(where|what|who|how|when)'s\b"), r"\1 is"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"\bi've\b"), "i have"),
)
_ALSO_SAID: Final = (
    "please|so|ok|okay|hi|hello|hey|well|thanks|thank you|by the way|"
    "(?:can|could|would|will) you (?:please )?(?:tell|remind|give) me(?: of)?|"
    "(?:please )?(?:tell|remind|give) me(?: of)?|"
    "do you (?:still )?(?:know|remember|recall)|i (?:forgot|wonder)|i (?:want|would like) to know"
)
_BEFORE: Final = re.compile(rf"^(?:{_ALSO_SAID})\s+")
_AFTER: Final = re.compile(
    r"\s+(?:please|again|now|currently|right now|at the moment|these days|nowadays|thanks"
    r"|thank you|by the way)$"
)
_KIND_OF: Final = frozenset({("kind", "of"), ("sort", "of"), ("type", "of")})
_AT: Final = frozenset({"at", "in"})
_FRONTED_WORDS: Final = "in at for from with on to by of"
_FRONTED: Final = frozenset(_FRONTED_WORDS.split())


def words_of(text: str) -> list[str]:
    """Words in lower case, "'s" apart; "where's" is "where is"; frames of politeness are gone."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    for short, whole in _SHORT:
        plain = short.sub(whole, plain)
    words = _WORD.findall(f"{plain} ")
    said = " ".join(OWN if word == "'" else word for word in words)
    while (less := _AFTER.sub("", _BEFORE.sub("", said))) != said:
        said = less
    return [word for word in said.split() if word not in _ARTICLES]


def name_of(subject: str) -> Tokens:
    """The words of a subject as they stand in `words_of` a question about it."""
    return tuple(words_of(f"x {subject} x")[1:-1])


def in_first_person(words: Sequence[str]) -> list[str]:
    """I, me and my are the subject."""
    return [each for word in words for each in _I.get(word, (word,))]


@lru_cache(maxsize=65_536)
def template_of(text: str, *, own: bool) -> Tokens:
    """The normal form of a template of the bank.

    Args:
        text: With {s} for the subject; {o} and what follows it are left out.
        own: Whether "I" and "my" are its subject.
    """
    words = words_of(text.split("{o}")[0])
    return normal(in_first_person(words) if own else words)


def normal(words: Sequence[str]) -> Tokens:
    """Inflections and the order of auxiliary and subject taken away.

    Args:
        words: Of `words_of`, the subject replaced by `SUBJECT`.
    """
    found = [_base(word) for word in words]
    if len(found) > 1 and found[0] in _FRONTED and found[1] in OPENERS:
        found = [*found[1:], found[0]]  # "in which city does" is "which city does ... in"
    if tuple(found[1:3]) in _KIND_OF:
        del found[1:3]  # "what kind of car" is "what car"
    if found[:1] == ["where"] and found[-1] in _AT:
        del found[-1]  # "where does Anna study at"
    at = found.index(SUBJECT) if SUBJECT in found else 0
    if at > 1 and found[at - 1] == "do":  # at the very beginning it asks for yes or no
        del found[at - 1]
    if found and found[0] in OPENERS:
        found = _asked(found)
    return tuple(found)


def _asked(found: list[str]) -> list[str]:
    """Put "where Anna is from" as "where is Anna from"; "what Anna's job is" as "what is ..."."""
    at = found.index(SUBJECT) if SUBJECT in found else -1
    if at == 1 and "be" in found[2:]:
        be = found.index("be", 2)
        if be == 2 or (found[2] == OWN and be == len(found) - 1):
            return [found[0], "be", *found[1:be], *found[be + 1 :]]
    return found


def _base(word: str) -> str:
    """A verb without its s, a noun without the s of the plural."""
    if word in _SAME:
        return _SAME[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(_NOT_PLURAL):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "sses", "xes", "goes")):
        return word[:-2]
    return word[:-1]
