"""English forms of words, as far as phrasings need them: "bought" to "did buy", "lives" to "live".

Tables and rules for regular and common irregular verbs. Pure functions.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_IRREGULAR: Final = (
    "be was|been, become became, begin began|begun, bet bet, bite bit|bitten, blow blew|blown, "
    "break broke|broken, bring brought, build built, burn burnt, buy bought, catch caught, "
    "choose chose|chosen, come came, cost cost, cut cut, deal dealt, dig dug, do did|done, draw "
    "drew|drawn, dream dreamt, drink drank|drunk, drive drove|driven, eat ate|eaten, fall "
    "fell|fallen, feed fed, feel felt, fight fought, find found, fly flew|flown, forget "
    "forgot|forgotten, freeze froze|frozen, get got|gotten, give gave|given, go went|gone, grow "
    "grew|grown, hang hung, have had, hear heard, hide hid|hidden, hit hit, hold held, hurt "
    "hurt, keep kept, know knew|known, lay laid, lead led, learn learnt, leave left, lend lent, "
    "let let, lose lost, make made, mean meant, meet met, pay paid, put put, quit quit, read "
    "read, ride rode|ridden, ring rang|rung, rise rose|risen, run ran, say said, see saw|seen, "
    "sell sold, send sent, set set, shake shook|shaken, shoot shot, show showed|shown, shut "
    "shut, sing sang|sung, sit sat, sleep slept, speak spoke|spoken, spend spent, stand stood, "
    "steal stole|stolen, swear swore|sworn, swim swam|swum, take took|taken, teach taught, tell "
    "told, think thought, throw threw|thrown, understand understood, wake woke|woken, wear "
    "wore|worn, win won, write wrote|written"
)
_REGULAR: Final = (
    "accept add admire adopt advise agree aim answer appreciate argue arrive ask attend avoid "
    "bake bank believe belong book borrow breed brew call care carry celebrate change charge "
    "chair check clean climb coach collect commute complain complete consult contact cook count "
    "create cycle damage dance date decide deliver depend deploy design despise detest develop "
    "direct discover dislike dye earn edit employ enjoy enter exercise expect explain fear "
    "finish fix follow found gain garden graduate guide handle happen hate head help hike hire "
    "hope host hunt import inherit install intend invent invest invite join jog juggle keep "
    "knit land last like listen live loathe look love lift maintain manage marry mention mentor "
    "miss move name need negotiate nurse observe open operate order organise organize own paint "
    "park pass perform phone photograph pick plan plant play practice practise prefer "
    "prepare prescribe promise publish pursue raise reach receive recommend record relocate "
    "remember rent repair replace report represent research reside rest retire return review "
    "root row sail save schedule search serve sew share shop sign ski skip smoke specialise "
    "specialize start stay stop store study subscribe suffer supervise support surf switch talk "
    "tend test thank train translate travel treat trust try turn tutor use visit volunteer vote "
    "wait walk want wash waste watch weigh wish wonder work worry owe"
)
_VERBS: Final = frozenset(
    [*_REGULAR.split(), *(entry.split()[0] for entry in _IRREGULAR.split(", "))]
)
_PAST: Final = {
    past: entry.split()[0]
    for entry in _IRREGULAR.split(", ")
    for past in entry.split()[1].split("|")
    if past != entry.split()[0]
}
# Bare, these are rather names of things: "plan", "phone".
_NOUNS_TOO_WORDS: Final = (
    "answer bank book boss burn call care change charge chair check coach cook cost count cut "
    "date deal design dislike dream drink drive fear fight garden guide head help hope host "
    "import land last lead look love lift mentor name need nurse order park pass phone photograph "
    "pick plan plant play practice promise raise record rent repair report research rest return "
    "review ring root row schedule search share shop show sign start stay stop store study "
    "support switch talk test train travel treat trust turn tutor visit volunteer vote wait walk "
    "wash waste watch wish wonder work worry hate set like"
)
_NOUNS_TOO: Final = frozenset(_NOUNS_TOO_WORDS.split())
_BE: Final = {"is": "is", "are": "is", "am": "is", "was": "was", "were": "was"}
_OF_ME: Final = {
    "is": "am", "has": "have", "does": "do", "goes": "go", "was": "was", "were": "was",
    "doesn't": "don't", "isn't": "am not", "hasn't": "haven't",
}  # fmt: skip
_VOWEL_SOUND: Final = re.compile(
    r"(?:[aeio]|u(?!ni|se|su|ti|kr|k\b)|(?:hour|honest|honou?r|heir)|(?:[aefhilmnorsx]\b)|8|11\b|18\b)",
    re.IGNORECASE,
)
_ARTICLE: Final = re.compile(r"(?:an?|the|my|our|his|her|their|its|some)\s", re.IGNORECASE)
_ADVERB: Final = (
    "always|also|often|usually|mostly|currently|now|still|really|once|just|never|regularly"
    "|sometimes"
)


class Verb(NamedTuple):
    """A verb as it stands in a text.

    base: "buy".
    tense: "present", "past", or for forms of "be" the form that follows one person: "is", "was".
    """

    base: str
    tense: str


def verb_of(word: str, *, alone: bool = False) -> Verb | None:
    """How a word is a verb; None if it is none that is known.

    Args:
        word: In lower case.
        alone: Whether no word follows it; then a word that also names a thing is no verb.
    """
    if word in _BE:
        return Verb("be", _BE[word])
    if word in _PAST:
        return Verb(_PAST[word], "past")
    if word in _VERBS:
        return None if alone and word in _NOUNS_TOO else Verb(word, "present")
    if word.endswith("ed") and len(word) > 4:
        return Verb(_base_of_past(word), "past")
    base = _base_of_third(word)
    return Verb(base, "present") if base in _VERBS else None


def _base_of_past(word: str) -> str:
    stem = word[:-2]
    tries = [word[:-1], stem, f"{stem[:-1]}y" if stem.endswith("i") else "", stem[:-1]]
    known = next((each for each in tries if each in _VERBS), None)
    if known:
        return known
    if stem.endswith("i"):
        return f"{stem[:-1]}y"
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz":
        return stem[:-1]
    return (
        f"{stem}e"
        if re.search(r"(?:[cvuz]|[^s]s|[^aeo]at|[aeiou][gk]|dg|[bpdtkg]l)$", stem)
        else stem
    )


def _base_of_third(word: str) -> str:
    if word == "has":
        return "have"
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if re.search(r"(?:ss|sh|ch|x|zz|o)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") else ""


def third(base: str) -> str:
    """The form that follows a name: "buy" to "buys"."""
    if base in {"have", "be"}:
        return {"have": "has", "be": "is"}[base]
    if re.search(r"(?:ss|sh|ch|x|z|o)$", base):
        return f"{base}es"
    return f"{base[:-1]}ies" if re.search(r"[^aeiou]y$", base) else f"{base}s"


def first_of(word: str) -> str:
    """The form of a verb that follows "I": "lives" to "live"; past forms stay."""
    if word in _OF_ME:
        return _OF_ME[word]
    base = _base_of_third(word)
    return base if base and word not in _PAST else word


def article_of(thing: str) -> str:
    """The indefinite article before a thing, with its space; none where it has an article."""
    if not thing or _ARTICLE.match(thing):
        return ""
    letters = re.match(r"[A-Z]{2,}", thing)  # "an MRI scan", "a UFO"
    spelled = letters is not None and thing[0] in "AEFHILMNORSX"
    vowel = spelled if letters else _VOWEL_SOUND.match(thing) is not None
    return "an " if vowel else "a "


_ASKED: Final = re.compile(r"\b(does|did|do|has|have|is|are|was|were|can|will|would) \{s\}(?!['’])")
_OWNED: Final = re.compile(r"\bthe ((?:[\w{}-]+ ){0,4}?[\w{}-]+) of \{s\}")
_ONE_OF: Final = re.compile(r"\b(an? (?:[\w-]+ )?)of \{s\}")
_TO_ME: Final = re.compile(
    r"\b(about|for|to|with|of|by|from|at|near|on|calls?|reach(?:es)?|gives?|gave|frightens"
    r"|interests?|leads|describe) \{s\}"
)
_SUBJECT: Final = re.compile(rf"\{{s\}} (?P<adverb>(?:(?:{_ADVERB}) )*)(?P<verb>[a-z'’]+)")


def own_form(template: str) -> str:
    """A template about `{s}` as its subject says it of themselves.

    >>> own_form("where does {s} live?"), own_form("{s}'s boss is {o}"), own_form("{s} is from {o}")
    ('where do I live?', 'my boss is {o}', 'I am from {o}')
    """
    found = re.sub(r"\{s\}['’]s?(?=\s)", "my", template)
    found = re.sub(r"\bquestion ?: ([\w ]+?) of \{s\}", r"question: my \1", found)
    found = _OWNED.sub(r"my \1", found)
    found = _ONE_OF.sub(r"\1of mine", found)
    found = _ASKED.sub(lambda match: f"{_OF_ME.get(match[1], match[1])} I", found)
    found = _TO_ME.sub(r"\1 me", found)
    found = _SUBJECT.sub(
        lambda match: f"I {match['adverb']}{first_of(match['verb'])}", found, count=1
    )
    found = found.replace("{s}", "I")
    return re.sub(r"\btheir\b", "my", found)


_HEAD_END: Final = re.compile(
    r"[,;(]|\s(?:for|from|in|at|on|with|of|that|which|who|named|called|by|to|near|last|this|next"
    r"|since|and|or|yesterday|today|recently|lately|about|around|after|before|while|when|as|an?|the"
    r"|my|our|his|her|their|into|over|through|without|because|so|because|-|–)\s|\s(?:yesterday|today)$",
    re.IGNORECASE,
)
_LONGEST_NOUN = 4  # words
_COUNT: Final = re.compile(
    r"^(?:\d{1,4}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|no)\s+(?=[a-z])"
)


def head_of(thing: str) -> str | None:
    """The noun that says of which kind a thing is: "bike" of "a red Trek bike from Bergen".

    None where no such noun is told from the rest: names, and things of a single word.
    """
    bare = _COUNT.sub("", _ARTICLE.sub("", thing.strip(), count=1), count=1)
    words = _HEAD_END.split(bare, maxsplit=1)[0].split()
    more = len(words) > 1 or len(bare.split()) > len(words) or is_counted(thing)
    led = _ARTICLE.match(thing.strip()) is not None or is_counted(thing)
    acts = any(word in _VERBS and word not in _NOUNS_TOO for word in words)
    if not more or not led or acts or not 0 < len(words) <= _LONGEST_NOUN:
        return None
    return words[-1] if re.fullmatch(r"[a-z][a-z-]+", words[-1]) else None


def is_counted(thing: str) -> bool:
    """Whether a thing is a number of its kind: "two cats"."""
    return _COUNT.match(thing.strip()) is not None
