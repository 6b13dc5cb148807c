"""Read "S is V": what has a name and one value, said plainly or with "remember" and "update".

In: a sentence. Out: the subject, the value, and whether the slot holds one value at a time. Plain
prose ("my sister is visiting") fills no single slot; a wrong retirement is worse than a miss.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.ingest.extract.rules_slots import shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.ingest.extract.rules_text import Sentence

# What is one at a time, by the last word of its name.
_HEADS_WORDS: Final = (
    "name surname nickname age birthday birthdate birthplace anniversary email e-mail phone "
    "number address job title employer boss manager supervisor occupation profession "
    "deadline status salary budget password pin username handle timezone nationality height "
    "weight size city hometown zip zipcode postcode landlord dentist doctor major degree "
    "language price cost rent owner version color colour flight seat limit goal target "
    "appointment diet allergy religion pronouns wifi passcode gpa favorite favourite "
    "preference length date time venue location locker code plate"
)
_HEADS: Final = frozenset(_HEADS_WORDS.split())
_FAVOURITE: Final = re.compile(r"\b(?:favou?rite|fave|preferred|current)\b", re.IGNORECASE)
_NO_KEY_WORDS: Final = (
    "question questions problem issue concern point guess understanding opinion thought "
    "thoughts idea bad apologies answer thing life heart mind hope dream plan approach worry "
    "feeling request experience code assignment essay experiences results result family day "
    "week head schedule reason fear advice friends parents eyes only main biggest next first "
    "last part intention impression assumption theory take response task case self mistake "
    "pleasure brain body partner work hair skin days weekend turn project"
)
_NO_KEY: Final = frozenset(_NO_KEY_WORDS.split())
_MY: Final = re.compile(
    r"(?:my|our)\s(?P<key>(?:[\w'’&-]+\s){0,4}?[\w'’&-]+)\s(?P<be>is|are|was changed to|changed "
    r"to|has changed to"
    r"|will be|would be|became)\s"
    r"(?:now |currently |actually |still |also |always |officially |going to be |set for |set to "
    r"|set at |scheduled for |due on |due |at |around |about )*"
    r"(?P<to>called |named )?(?=\S)",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(
    r"(?:^|[,;]\s"
    r"|\band\s)(?P<who>[A-Z][\w-]+(?:\s[A-Z][\w-]+)?)['’]s\s(?P<key>(?:[\w-]+\s){0,2}[\w-]+)"
    r"\sis\s(?:now |currently )?(?=\S)"
)
_DATED: Final = re.compile(
    r"(?:the|my|our)\s(?P<key>(?:[\w'’-]+\s){0,3}?[\w'’-]+)\s(?:is|has been|was|got"
    r"|has|leaves|starts|begins|departs|arrives|opens|ends)\s?(?:now |scheduled |set |due |moved |"
    r"rescheduled |changed |pushed |postponed |back |up )*(?P<prep>for|on|at|to|until)\s(?=\S)",
    re.IGNORECASE,
)
_NOW: Final = re.compile(
    r"(?P<lead>the |our |my )?(?P<key>[^\W\d_][^,;:?!\n]{0,200}?)\s(?P<be>is|are)\s(?:now\b"
    r"|currently\b)\s(?=\S)",
    re.IGNORECASE,
)
_CURRENT: Final = re.compile(
    r"the (?:current|latest|present|updated) (?P<value>value (?:of|for) "
    r")?(?P<key>[^\W\d_][^,;:?!\n]{0,100}?)\s(?:is|=)\s(?:now\s)?(?=\S)",
    re.IGNORECASE,
)
_RAISED: Final = re.compile(
    r"(?:^|.{1,60}\s)(?:raised|lowered|increased|decreased|changed|moved|cut|reduced"
    r"|updated)\s(?:my|our)\s(?P<key>(?:[\w'’-]+\s){0,2}?[\w'’-]+)"
    r"\s(?:from\s.{1,30}?\s)?to\s(?=\S)|(?:my"
    r"|our)\s(?P<key2>(?:[\w'’-]+\s){0,2}?[\w'’-]+)\s(?:went|goes|rose|dropped|fell|grew|has "
    r"gone)\s(?:up|down)?\s?(?:from\s.{1,30}?\s)?to\s(?=\S)",
    re.IGNORECASE,
)
_SET: Final = re.compile(
    r"(?:please\s)?(?:set|change|update|switch)\s(?:the\svalue\sof\s)?(?P<lead>the\s"
    r"|my\s)?(?P<key>(?:[^\W\d_][\w'’&-]*\s){0,4}?[^\W\d_][\w'’&-]*)"
    r"\s(?:from\s.{1,60}?\s)?to(?:\sbe)?\s(?=\S)",
    re.IGNORECASE,
)
_SET_NO_KEY: Final = re.compile(
    r"\b(?:code|text|essay|story|above|it|this|that|response|answer|script|function|poem"
    r"|paragraph|sentence|article|list|table"
    r"|title|tone|format|document|question|setting|scene|order|word|words|plan|them|everything"
    r"|all|ending|name of|chapter"
    r"|style|perspective|language|output|file|font|temperature|class|method|variable|query|page"
    r"|image|background|oven|topic|subject)\b",
    re.IGNORECASE,
)
_VERB_VALUE: Final = re.compile(
    r"(?:(?:use|handle|include|be|have|make|show|add|get|remove|reflect|allow|return|only|not"
    r"|display|support|contain|take|work|match|fit|do|see)\s\S"
    r"|\w+ing\s(?:the|an?|more|less|it|this|that|in|on|at|up|my|your)\b)",
    re.IGNORECASE,
)
_NO_VALUE: Final = re.compile(
    r"(?:to|that|how|what|why|when|whether|if|it|not|so|very|too|really|quite|pretty|just|as|like"
    r"|about|getting|going|being"
    r"|doing|having|coming|trying|looking|starting|becoming|making|a bit|a little|kind of|sort of"
    r"|all|this|these|those|there"
    r"|here|because|more|less|already|able|the same|in|on|at|with|for|from|of|out|up|off|gone"
    r"|also|always|never|finally|well|correct|right|wrong|good|great|fine|ok|okay|bad|awesome"
    r"|amazing|perfect|secure|ready"
    r"|\w{3,}ed|\w{3,}ing)\b",
    re.IGNORECASE,
)
_PROSE_KEY: Final = re.compile(
    r"\b(?:i|i['’]m|you|he|she|they|we|it|this|that|which|who|what|how|why|where|when|there|if"
    r"|think|know|said|is|are|was|has|have|because"
    r"|but|and then|so|here|these|those|everything|everyone|nothing|something|one|people|time"
    r"|life|world)\b",
    re.IGNORECASE,
)
_VALUE_END: Final = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bMrs)(?<!\bProf)[.!?](?=\s|$)|[;\n]|\s[-–—]+\s"
    r"|\s\(|,?\s+(?:but|because|so that|so i|since|though|although"
    r"|whereas|if|unless|which|and (?:i|we|my|she|he|it|they)|and i['’]m)\b"
    r"|,\s(?:and|so|or|which|who|where|while|as|can|could|do|would|what|any|how|i|my|we|it|too|he"
    r"|she|they|that['’]s|you"
    r"|please|not|by the way|right|thanks)\b",
    re.IGNORECASE,
)


ON: Final = re.compile(r"(?:on|at)\s", re.IGNORECASE)
DAY_SHAPES: Final = frozenset({"weekday", "date", "clock"})


class Naming(NamedTuple):
    """A slot that is named with its value: places of a sentence, and what is known of the slot."""

    at: int
    subject: str | None  # None: the speaker
    relation: str
    start: int
    end: int
    single: bool


def namings(sentence: Sentence, anchors: Sequence[re.Match[str]], *, alone: bool) -> list[Naming]:
    """The namings of a sentence; `alone`: whether it is all that its turn says."""
    text = sentence.text
    found = []
    for anchor in anchors:
        match = _MY.match(text, anchor.start()) if anchor["my"] else None
        naming = _my(text, match) if match else None
        found += [naming] if naming else []
    if "'s " in text or "’s " in text:
        found += [named for m in _NAMED.finditer(text) if (named := _named(text, m)) is not None]
    if not found and sentence.has((" is ", " are ", " to ", " has ", " was ", " got ")):
        tries = (_dated(text), _raised(text), _current(text), _now(text, alone), _set(text, alone))
        found = [naming for naming in tries if naming][:1]
    return found


def value_end(text: str, start: int, most: int = 300) -> int:
    """Where a value that begins at `start` ends."""
    limit = min(len(text), start + most)
    cut = _VALUE_END.search(text, start, limit)
    end = cut.start() if cut else limit
    while end > start and text[end - 1] in " ,;:.!?":
        end -= 1
    return end


def _my(text: str, match: re.Match[str]) -> Naming | None:
    key, start = match["key"], match.end()
    words = key.lower().replace("’", "'").split()
    end = value_end(text, start)
    value = text[start:end]
    if (
        not value
        or _FAVOURITE.fullmatch(key)
        or (_is_vague(words) and not _FAVOURITE.search(key))
        or _PROSE_KEY.search(key)
    ):
        return None
    relation = key + " name" if match["to"] and words[-1] != "name" else key
    single = bool(match["to"]) or words[-1] in _HEADS or _FAVOURITE.search(key) is not None
    plain = _NO_VALUE.match(value) is not None
    if (
        plain
        and (single or shape_of(value) == "word")
        and not (match["to"] or words[-1] in {"status", "preference"})
    ):
        return None
    on = ON.match(text, start)
    if on is not None and shape_of(text[on.end() : end]) in DAY_SHAPES:
        return Naming(match.start(), None, relation, on.end(), end, True)
    if single and not match["to"] and not _FAVOURITE.search(key):
        single = _suits(words[-1], value, text)
    elif not single:
        single = _THING.match(value) is not None and not set(words) & _SEVERAL
    if not single and len(value.split()) > 8:  # prose about something of mine
        return None
    return Naming(
        match.start(),
        None,
        relation,
        start,
        end,
        single and not _FAVOURITE_MANY.search(text, 0, start),
    )


def _is_vague(words: list[str]) -> bool:
    """Whether a name says too little, as in "my point is" or "my code is"."""
    return words[-1] in _NO_KEY and (len(words) == 1 or words[-1] not in _HEADS)


_NUMBER_WORDS: Final = (
    "age budget salary number phone price cost rent weight height gpa pin limit zip postcode"
)
_OF_NUMBERS: Final = frozenset(_NUMBER_WORDS.split())
_DAY_WORDS: Final = "deadline birthday birthdate anniversary appointment date time"
_OF_DAYS: Final = frozenset(_DAY_WORDS.split())
_NAME_WORDS: Final = (
    "name surname nickname boss manager supervisor dentist doctor landlord employer city hometown"
    " address nationality birthplace owner language"
)
_OF_NAMES: Final = frozenset(_NAME_WORDS.split())
_DAY: Final = re.compile(
    r"\d|(?:mon|tues|wednes|thurs|fri|satur|sun)day|\b(?:noon|midnight|tomorrow|today|jan|feb|mar"
    r"|apr|may|june?"
    r"|july?|aug|sep|oct|nov|dec)",
    re.IGNORECASE,
)
_NUMBERED: Final = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twenty|thirty|forty|fifty|hundred"
    r"|thousand)\b",
    re.IGNORECASE,
)
# "a Fiat", "PulseFit", "9 to 5": a thing with a name or a number, of which one has one at a time
_THING: Final = re.compile(r"(?:an?\s|the\s)?(?:[A-Z][\w'’&-]*|\d)")
_SEVERAL_WORDS: Final = (
    "friend colleague coworker classmate neighbor neighbour cousin brother sister sibling aunt "
    "uncle niece nephew son daughter"
    " child kid children kids friends parents grandma grandpa grandmother grandfather teacher "
    "client student professor hobby"
    " hobbies book movie film song game store class course pet dog cat idol hero inspiration "
    "other first second last next previous"
    " old former late plan plans goal calculation answer formula equation function output result "
    "score tools"
)
_SEVERAL: Final = frozenset(_SEVERAL_WORDS.split())


def _suits(head: str, value: str, text: str) -> bool:
    """Whether a value is one that fills a slot: a number for a budget, a name for a boss."""
    if head in _OF_NUMBERS:
        return _NUMBERED.search(value) is not None
    if head in _OF_DAYS:
        return _DAY.search(value) is not None
    if head in _OF_NAMES:
        return (
            value[:1].isupper()
            or not value[:1].isalpha()
            or _DAY.search(value) is not None
            or text == text.lower()
        )
    return True


_FAVOURITE_MANY: Final = re.compile(
    r"\b(?:one of|some of|among|are)\b|favou?rites\b", re.IGNORECASE
)


def _named(text: str, match: re.Match[str]) -> Naming | None:
    end = value_end(text, match.end())
    key = match["key"].lower()
    if (
        key.split()[-1] not in _HEADS
        or end <= match.end()
        or _NO_VALUE.match(text[match.end() : end])
    ):
        return None
    return Naming(match.start("who"), match["who"], match["key"], match.end(), end, True)


def _dated(text: str) -> Naming | None:
    """What stands on a day or hour stands on one: "the meeting has moved to Thursday"."""
    match = _DATED.match(text)
    if match is None or _PROSE_KEY.search(match["key"]):
        return None
    end = value_end(text, match.end())
    if shape_of(text[match.end() : end]) not in DAY_SHAPES:
        return None
    return Naming(0, match["key"], "is", match.end(), end, True)


def _raised(text: str) -> Naming | None:
    """A number of mine that somebody moved: "they raised my rent to 980"."""
    match = _RAISED.match(text)
    key = (match["key"] or match["key2"]) if match else None
    if (
        match is None
        or key is None
        or _PROSE_KEY.search(key)
        or _UNSURE.search(text, 0, match.end())
    ):
        return None
    end = value_end(text, match.end())
    if _NUMBERED.match(text, match.end(), end) is None and text[match.end()] not in "$€£":
        return None
    return Naming(0, None, key, match.end(), end, True)


_UNSURE: Final = re.compile(
    r"\b(?:if|would|could|should|might|may|want|wants|not|never|n['’]t"
    r"|plan\w*|hop\w+|will)\b",
    re.IGNORECASE,
)


def _current(text: str) -> Naming | None:
    match = _CURRENT.match(text)
    if match is None or _PROSE_KEY.search(match["key"]):
        return None
    if not match["value"] and _NO_VALUE.match(text, match.end()):
        return None
    return _generic(text, 0, match["key"], match.end())


def _now(text: str, alone: bool) -> Naming | None:
    match = _NOW.match(text)
    if (
        match is None
        or not alone
        or _PROSE_KEY.search(match["key"])
        or len(match["key"].split()) > 20
    ):
        return None
    if _NO_VALUE.match(text, match.end()) and not match["key"].lower().endswith("status"):
        return None
    return _generic(text, 0, match["key"], match.end())


def _set(text: str, alone: bool) -> Naming | None:
    match = _SET.match(text)
    if (
        match is None
        or not alone
        or _SET_NO_KEY.search(match["key"])
        or _VERB_VALUE.match(text, match.end())
    ):
        return None
    return _generic(text, 0, match["key"], match.end(), most=80)


def _generic(text: str, at: int, key: str, start: int, most: int = 300) -> Naming | None:
    end = value_end(text, start)
    if end <= start or end - start > most:
        return None
    return Naming(at, key, "is", start, end, True)
