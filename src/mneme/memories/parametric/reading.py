"""Statements and questions read by the templates that would make them: text to triples and back.

In: text of one sentence. Out: subject, relation, object. Nothing is guessed: a text that no
template fits word by word, or whose parts do not look like a subject and an object, is not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.parametric.facts import SELF
from mneme.memories.parametric.templates import Phrasing, Triple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LEAD: Final = re.compile(  # says nothing of its own
    r"^(?:(?:these days|nowadays|currently|now|right now|at the moment|lately|by the way|btw|fyi"
    r"|also|and|so|well|actually|oh|yes|hi|hello|hey)\b,? )+(?=\S)",
    re.IGNORECASE,
)
_ADVERBS: Final = (
    r"(?: (?:now|currently|also|still|just|really|recently|usually|always|actually|mostly|often"
    r"|finally|truly|absolutely|definitely|mainly|especially|already|only|once))*"
)
_NOT_PLAIN_WORDS: Final = (
    "i am is are not does do don't can't cannot have has my the of s favourite colour e mail"
)
_NOT_PLAIN: Final = frozenset(_NOT_PLAIN_WORDS.split())
_NO_SUBJECT: Final = re.compile(
    r"(?:he|she|it|they|we|you|i|this|that|these|those|there|here|who|what|which|when|where|why|how"
    r"|if|because|since|although|though|and|but|so|or|his|her|their|its|your|an?|every|everyone"
    r"|everybody|each|some|someone|somebody|no|nobody|one|no-one|none|nothing|any|anyone|most|many"
    r"|maybe|perhaps|probably|please|remember|yes|then|yesterday|today|tomorrow|as|while|after"
    r"|before|once|only|just|also|really|still|currently|recently|finally|not|let|dear|hi|hello|hey|well|oh)\b",
    re.IGNORECASE,
)
_IN_SUBJECT: Final = re.compile(
    r"[,;:!?\n\"“”]|[.] |\b(?:no longer|never|not|used|that|if|when|who|whom|which|whose|because"
    r"|but|says?|said|thinks?|thought|hopes?|wish(?:es)?|would|could|might|may|should|will|must|does|do"
    r"|did|is|are|was|were|has|have|had|knows?|heard|told|tells|believes?|wants?|likes?|i|you|we|they|he"
    r"|she|than|like|where|how|neither|hardly|rarely|seldom|lives|works|plays|speaks"
    r"|drives|owns|loves|bought|moved|met)\b|n['’]t\b|\b(?:and|or|sure)$",
    re.IGNORECASE,
)
_LEADS: Final = re.compile(r"(?:my|our|the|[^\W\d_a-z]|\d)")
_NO_OBJECT: Final = re.compile(
    r"(?:it|this|that|these|those|them|him|me|us|you|not|never|no longer|what|whether|if|how|when"
    r"|where|why|too|so|as|a lot|a bit|both|there|here|nothing|nobody|none|anything|everything"
    r"|something|someone|more|less|either|neither|each other|your|and|or|but|is|are|was|be|been"
    r"|going to|about to|such|up|out|off|for|of|by|into|onto|through|down|away|back|unknown)\b",
    re.IGNORECASE,
)
_CLAUSE: Final = re.compile(
    r"[;?\n]|(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bSt)(?<!\bProf)[.!] +\S"
    r"|\s(?:but|because|although|though|unless|whereas|while|if|since s?he)\s"
    r"|\s[-–—]+\s|\w- it|[.!?][\"”')] \S|\sand (?:\w+ed|met|went|had|made|took|saw|hoping)\s"
    r"|,\s?(?:it|he|she|they|we|i|this|that"
    r"|such|['’]cause)\b|\b(?:maybe|perhaps|probably|apparently|supposedly|i (?:think|guess))\b"
    r"|,\s?(?:so|which|who|where|while|and (?:i|he|she|they|we|it|my|his|her))\b"
    r"|\sand (?:i|he|she|they|we|it|my|his|her|also|then|is|was|has|works?|lives?|likes?|loves?"
    r"|owns?|plays?|speaks?|drives?|studies|wants?|moved|bought|hates?|uses?)\b",
    re.IGNORECASE,
)
# "My locker code is 4471": a name of something with a value that looks like one.
_NAMED: Final = re.compile(
    r"(?:[Mm]y|(?P<s>[^\W\d_a-z][\w-]*(?: [^\W\d_a-z][\w-]*)?)['’]s)"
    r" (?P<x>[A-Za-z][\w-]*(?: [a-z][\w-]*){0,2}) is (?:now |called )?"
    r"(?P<o>(?:[^\W_a-z]|an? [^\W\d_a-z]|\S+@\S).*)"
)
_VAGUE_WORDS: Final = (
    "advice answer approach apologies bad concern conclusion dream experience fault fear feeling "
    "favourite favorite guess guest heart hope idea impression instinct intention issue life mind "
    "mistake opinion part people plan pleasure point problem question reason request suggestion "
    "task theory thing thought time view way wish worry worst best first last next"
)
_VAGUE: Final = frozenset(_VAGUE_WORDS.split())
_MOST_WORDS, _MOST_CHARS = 6, 60  # of a subject
_MOST_OBJECT_WORDS, _MOST_OBJECT = 24, 200
_MOST_TEXT = 400
# What may be written otherwise, as `re.escape` leaves it.
_SWAPS: Final = (
    (":", "\\ ?:"), ("\\?", "\\ ?\\?"),
    ("favourite", "favou?rite"), ("colour", "colou?r"), ("e\\-mail", "e-?mail"),
    ("I\\ am", "I(?:\\ am|['’]?m)"), ("I\\ have", "I(?:\\ have|['’]ve)"),
    ("does\\ not", "does(?:\\ not|n['’]t)"), ("don't", "do(?:\\ not|n['’]t)"),
    ("do\\ not", "do(?:\\ not|n['’]t)"), ("can't", "can(?:['’]t|not|\\ not)"),
    *((f"{word}\\ is", f"{word}(?:\\ is|['’]s)") for word in ("what", "who", "where", "when")),
)  # fmt: skip
_PLACES: Final = {
    "{s}'s ": r"(?P<s>.+?)(?:['’]s|(?<=s)['’])\ ",
    "{s} is ": rf"(?P<s>.+?)(?:\ is|['’]s){_ADVERBS}\ ",
    "{s}": rf"(?P<s>.+?){_ADVERBS}",
    "{a}": r"(?:an?\ )?",
    "{o}": r"(?P<o>.+)",
    "{x}": r"(?P<x>[\w’'-]+(?:\ [\w’'-]+){0,3}?)",
}


class _Form(NamedTuple):
    """A template as a pattern; `core` is a word that a text must have to fit."""

    relation: str
    pattern: str
    core: str
    length: int
    own: bool
    thing: str
    special: bool  # said of such objects alone: read before what is said of all


class Reader:
    """Reads by the phrasings of a bank, in their order."""

    def __init__(self, phrasings: Iterable[Phrasing]) -> None:
        known = list(phrasings)
        said = [form for each in known for form in _statements(each)]
        asked = [form for each in known for form in _questions(each)]
        self._said = sorted(said, key=lambda form: (-form.length, not form.special))
        self._asked = sorted(asked, key=lambda form: -form.length)
        self._particular = {  # relations that are not said of all objects
            name: each
            for each in reversed(known)
            if each.object
            for name in (each.relation, *each.synonyms)
        }
        self._compiled: dict[str, re.Pattern[str]] = {}  # most are never needed

    def read(self, text: str) -> Triple | None:
        """The triple of a statement, by the longest template that fits."""
        said = " ".join(text.split())
        if not said or len(said) > _MOST_TEXT or said.endswith("?"):
            return None
        said = _LEAD.sub("", said.rstrip("!").removesuffix(".").rstrip())
        for form, match in self._fits(self._said, said):
            subject, thing = _subject(form, match), _bare(match["o"])
            if subject and _is_object(thing) and re.search(form.thing, thing, re.IGNORECASE):
                return Triple(subject, _relation(form, match), thing)
        return self._named(said)

    def _named(self, said: str) -> Triple | None:
        """The value of something that has a name: "Mia's locker is B 12"."""
        match = _NAMED.fullmatch(said)
        if match is None or not _is_object(match["o"]):
            return None
        words = match["x"].lower().split()
        if words[-1] in _VAGUE or words[0] in {"only", "own", "first", "last"} or "is" in words:
            return None
        name = " ".join(words)
        thing, known = _bare(match["o"]), self._particular.get(name)
        if known is not None and not re.search(known.object, thing, re.IGNORECASE):
            return None
        return Triple(match["s"] or SELF, known.relation if known else name, thing)

    def asked(self, text: str) -> list[tuple[str, str]]:
        """Subject and relation of each question that a text is, word by word."""
        said = " ".join(text.split()).rstrip(" ?:.!")
        if not said or len(said) > _MOST_TEXT:
            return []
        found = (
            (_subject(form, match), _relation(form, match))
            for form, match in self._fits(self._asked, said)
        )
        return list(dict.fromkeys((who, relation) for who, relation in found if who))

    def _fits(self, forms: list[_Form], said: str) -> Iterator[tuple[_Form, re.Match[str]]]:
        words = set(re.findall(r"[a-zà-ÿ]+", said.lower()))
        for form in forms:
            if not form.core or form.core in words:
                match = self._pattern(form).fullmatch(said)
                if match is not None:
                    yield form, match

    def _pattern(self, form: _Form) -> re.Pattern[str]:
        found = self._compiled.get(form.pattern)
        if found is None:
            found = self._compiled[form.pattern] = re.compile(form.pattern, re.IGNORECASE)
        return found


def _statements(phrasing: Phrasing) -> Iterator[_Form]:
    for own in (False, True):
        held = (each for each in phrasing.held_of(own=own) if "{o}" in each)
        made = phrasing.own_statements if own else phrasing.statements
        for template in (*made, *held):
            yield _form(phrasing.relation, template, phrasing.object, own=own)
    for template, thing in phrasing.reads:
        own = "{s}" not in template
        yield _form(phrasing.relation, template, thing, own=own)._replace(special=True)


def _questions(phrasing: Phrasing) -> Iterator[_Form]:
    for own in (False, True):
        made = phrasing.own_questions if own else phrasing.questions
        for template in (*made, *phrasing.held_of(own=own)):
            if "{o}" not in template:
                yield _form(phrasing.relation, template.rstrip(" ?:"), "", own=own)


def _form(relation: str, template: str, thing: str, *, own: bool) -> _Form:
    literal = re.sub(r"\{\w\}", " ", template)
    words = [word for word in re.findall(r"[a-zà-ÿ]+", literal.lower()) if word not in _NOT_PLAIN]
    return _Form(
        relation, _pattern(template, own=own),
        max(words, key=len, default=""), len(" ".join(literal.split())), own,
        thing, False,
    )  # fmt: skip


def _pattern(template: str, *, own: bool) -> str:
    said = re.sub(r" (?=[?:])", "", template)
    made = "".join(
        _PLACES[part] if part in _PLACES else _literal(part)
        for part in re.split(r"(\{s\}['’]s |\{s\} is |\{s\}(?= )|\{\w\})", said)
    )
    return (
        re.sub(r"^I(\(.*?\))?(?=\\ )", lambda i: f"I{i[1] or ''}{_ADVERBS}", made) if own else made
    )


def _literal(said: str) -> str:
    found = re.escape(said).replace("’", "'")
    for word, any_of in _SWAPS:
        found = found.replace(word, any_of)
    return found


def _relation(form: _Form, match: re.Match[str]) -> str:
    return (
        form.relation.replace("{x}", match["x"].lower())
        if "{x}" in form.relation
        else form.relation
    )


def _subject(form: _Form, match: re.Match[str]) -> str:
    """The subject, if it looks like one; else empty."""
    if form.own:
        return SELF
    found = match["s"].strip()
    short = 0 < len(found) <= _MOST_CHARS and len(found.split()) <= _MOST_WORDS
    if not short or _NO_SUBJECT.match(found) or _IN_SUBJECT.search(found):
        return ""
    return found if _LEADS.match(found) or " " not in found else ""


def _bare(found: str) -> str:
    """An object without what is said on the side at its end."""
    return re.sub(r",? (?:too|as well|actually|though)$", "", found.strip(" ,")).rstrip(" ,")


def _is_object(found: str) -> bool:
    short = 0 < len(found) <= _MOST_OBJECT and len(found.split()) <= _MOST_OBJECT_WORDS
    return short and not _NO_OBJECT.match(found) and not _CLAUSE.search(found)
