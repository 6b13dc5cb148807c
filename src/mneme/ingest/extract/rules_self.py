"""Read what people say of themselves and theirs: "I live in Oslo", "my sister's name is Eva".

In: a sentence. Out: statements about the speaker, and about those whom the speaker names as kin.
A row of `rules_table` says what each verb means; here is where a subject may stand, and how far an
object goes. Conditions, reports and questions state nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.core.statement import Statement
from mneme.ingest.extract.rules_slots import SPEAKER
from mneme.ingest.extract.rules_table import ENDED, KIN, RELATION, ROWS, Cut, Row
from mneme.ingest.extract.rules_text import FILL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.statement import StatementType
    from mneme.ingest.extract.rules_text import Sentence

_ANCHOR: Final = re.compile(
    r"(?=[imwo])(?<![\w'’])(?:(?P<i>i|we)(?P<short>['’](?:m|ve|d)|(?<=i)(?:m|ve))?(?![\w'’&/)])(?!\.\w)"
    r"|(?P<my>my"
    r"|our)(?=\s))",
    re.IGNORECASE,
)
_ADVERBS: Final = (
    r"(?:(?:really|also|just|still|currently|recently|now|usually|actually|absolutely|always"
    r"|generally"
    r"|personally|definitely|particularly|especially|mostly|totally|only|already|finally"
    r"|typically|mainly"
    r"|truly|normally|often|do|did|even|probably|both|myself|simply|kinda|officially|happily)\s+)"
)
_VERB: Final = re.compile(rf"\s*,?\s*{_ADVERBS}{{0,3}}([a-z]+(?:['’]t)?)\b\s*", re.IGNORECASE)
_MORE_ADVERBS: Final = re.compile(rf"{_ADVERBS}{{0,3}}", re.IGNORECASE)
_SHORT: Final = {"m": "am", "ve": "have", "d": "would"}
_THIRD: Final = {
    "is": "am", "has": "have", "does": "do", "doesn't": "don't", "teaches": "teach",
    "studies": "study", "loves": "love", "likes": "like", "enjoys": "enjoy", "hates": "hate",
    "prefers": "prefer",
    "lives": "live", "works": "work", "speaks": "speak", "plays": "play", "moved": "moved",
    "resides": "reside", "drives": "drive", "owns": "own", "was": "was", "turned": "turned",
    "started": "started", "joined": "joined", "quit": "quit", "got": "got",
    "graduated": "graduated",
}  # fmt: skip
_NOT: Final = {"dont": "don't", "cannot": "can't", "cant": "can't"}

# Anywhere before the subject, these make it a condition; in its clause, a report or question.
_UNREAL: Final = re.compile(
    r"\b(?:if|wish\w*|suppos\w*|imagin\w*|pretend\w*|assum\w*|unless|whether|hypothetical\w*"
    r"|would|could|should|might)\b",
    re.IGNORECASE,
)
_REPORTED: Final = re.compile(
    r"\b(?:make sure|ensure|verify|check|confirm|want|need|hop(?:e|ing)|says?|said|saying|told"
    r"|tells?|asks?|asked|thought|dream\w*|once|when(?:ever)?|until"
    r"|before|after|how|why|what"
    r"|where|which|who|whom|whose|character|narrator|every time|like|lyrics)\b",
    re.IGNORECASE,
)
_MOST_ANCHORS: Final = 16  # of a sentence; people do not speak of themselves more often
_MAY_ANCHOR: Final = ("i ", "i'", "i’", "im ", "ive ", "my ", "our ", "we ", "we'", "we’")
_BEFORE: Final = re.compile(
    r"(?:^|[,;:(–—-]\s*|\b(?:and|but|so|since|because|as|also|now|well|actually|yeah|yes|yep|no"
    r"|nope|oh|hi|hey|hello"
    r"|btw|although|while|plus|too|fact|way|currently|recently|honestly|personally|lately|today"
    r"|yesterday|cause"
    r"|cuz|think|guess|believe|sure|okay|ok|thanks|again|unfortunately|luckily|sadly|then|or"
    r"|remember"
    r"|context|reference|record|note|know|background)\s+)$",
    re.IGNORECASE,
)
_BEFORE_MINE: Final = re.compile(
    _BEFORE.pattern + r"|\b(?:that|considering|given|noticed|mean)\s$", re.IGNORECASE
)

_CLAUSE: Final = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bMrs)[.!?](?=[\s)]|$)|[;\n]|\s[-–—]+\s|—|\s\("
    r"|,?\s+(?:but|because|so that|so i|so my|so we|since|though|although|whereas|if|unless|even "
    r"though)\b"
    r"|,\s*(?:so|which|who|where|while|as|can|could|do|would|what|any|how|i|my|we|it|too|he|she"
    r"|they|that['’]s|please|especially|you|though|maybe)\b|\s+ever\s+since\b"
    r"|,?\s+(?:and|or|so)\s+(?:i|i['’]m|i['’]ve|my|we|it|it['’]s|she|he|they|there|am|was|want\w*"
    r"|need\w*|would|have|had|look\w*|try\w*|now|then|just)\b"
    r"|,\s+(?:thanks|right|lol|haha)\b",
    re.IGNORECASE,
)
_NAME_END: Final = re.compile(
    r"[,;:!?()\n]|(?<!\bSt)(?<!\bDr)\.(?=[\s)]|$)|\s(?:with|for|since|now|right|at|currently|near"
    r"|last|this|next|about|and|but|so|because|which|where"
    r"|who|when|after|before|until|till|though|while|as|if|to|from|on|during|ago|two|in|is|are"
    r"|was|has|have|just|a|an"
    r"|these|nowadays|today|already|again|permanently|again|full|part|though|too|by|back|through"
    r"|instead|anymore|any"
    r"|yesterday|tomorrow|that|my|our|or|it['’]s|not|i|i['’]m)\b|\s[-–—]",
    re.IGNORECASE,
)
_REGION: Final = re.compile(
    r",\s?[A-Z][\w.]{1,15}(?: [A-Z][\w.]{1,15})?(?=\s*(?:[.,;!?]|$|and\b|with\b|for\b))"
)
_NO_NAME: Final = re.compile(
    r"(?:an?|my|our|his|her|their|this|that|it|there|here|some|one|your|another|different"
    r"|somewhere|fear|peace|person)\b",
    re.IGNORECASE,
)
_TIME_END: Final = re.compile(
    r"\s+(?:in|on|since|from|last|this|for|about|back in|around|next|as of)\s+(?:(?:the )?(?:last"
    r"|past|early|late|mid|about|over|almost|nearly)\s+)?"
    r"(?:\d|january|february|march|april|may\b|june|july|august|september|october|november"
    r"|december|week|month|year|summer|winter"
    r"|spring|fall|autumn|monday|tuesday|wednesday|thursday|friday|saturday|sunday|two|three|four"
    r"|five|six|ten|a few|years|now).*$"
    r"|\s+(?:recently|lately|now|yesterday|today|these days|any ?more|any longer|nowadays|right "
    r"now|at the moment|so far|already)\s*$",
    re.IGNORECASE,
)
_MOST: Final = 160
_NO_OBJECT: Final = frozenset(
    ["to", "too", "it", "that", "this", "them", "both", "so", "as", "well", "lot"]
)

_FROM: Final = re.compile(
    r"[\w\s]{0,20}?\bswitched\s(?:over\s)?from\s(.{2,40}?)\sto\s", re.IGNORECASE
)
_ENDING: Final = re.compile(
    r"\b(?:anymore\b|any (?:more|longer)\s*(?:[.,;!)–—-]|$|(?:because|since|so|and|but|as|now)\b))",
    re.IGNORECASE,
)
_KIN_VERB: Final = re.compile(
    rf"(?P<who>(?:(?:older|younger|little|big|eldest|oldest|youngest|other|twin|late|best|new"
    rf"|first|second|ex-?)\s)*(?:{'|'.join(KIN)}))"
    r"(?:,?\s(?P<name>[A-Z][\w’'-]+),?)?\s(?:now\s|currently\s|also\s|just\s|recently\s"
    r"|still\s)?(?P<verb>\w+(?:['’]t)?)\s+",
)


class Found(NamedTuple):
    """A statement in the making: where its subject stands, and what was read."""

    at: int
    statement: Statement


def anchors_of(sentence: Sentence) -> list[re.Match[str]]:
    """Where the speaker speaks of himself and his own as a matter of fact."""
    if not sentence.has(_MAY_ANCHOR):
        return []
    text = sentence.text
    found: list[re.Match[str]] = []
    limit = len(text)
    for match in islice(_ANCHOR.finditer(text), _MOST_ANCHORS):
        at = match.start()
        before = _BEFORE_MINE if match["my"] else _BEFORE
        if at and (at > limit or not before.search(text, max(0, at - 24), at)):
            continue
        if at and not found:
            unreal = _UNREAL.search(text)
            limit = unreal.start() if unreal else limit
        clause = max(text.rfind(mark, 0, at) for mark in ",;") + 1 if at else 0
        if at <= limit and (clause >= at or not _REPORTED.search(text, clause, at)):
            found.append(match)
    return found


def self_statements(
    sentence: Sentence, anchors: Sequence[re.Match[str]], speaker: str | None
) -> list[Found]:
    """What the speaker says of himself and of his kin in a sentence, in order.

    The statements' spans are characters of the sentence, from its subject on; the caller widens
    them.
    """
    found = []
    for match in anchors:
        read = _of_kin(sentence, match, speaker) if match["my"] else _of_self(sentence, match)
        if read is not None:
            found.append(Found(match.start(), read))
            found += _left_behind(sentence, match, read)
    return found


def _left_behind(sentence: Sentence, match: re.Match[str], read: Statement) -> list[Found]:
    """What one switched from is used no longer: "I switched from A to B"."""
    left = _FROM.match(sentence.text, match.end()) if read.relation == "uses" else None
    if left is None:
        return []
    ended = replace(read, object=left[1], single=False, ends=True)
    return [Found(match.start(), ended)]


def _of_self(sentence: Sentence, match: re.Match[str]) -> Statement | None:
    short = (match["short"] or "").lstrip("'’").lower()
    text, place = sentence.text, match.end()
    if short:
        verb, place = _SHORT[short], _MORE_ADVERBS.match(text, _skip(text, place)).end()  # type: ignore[union-attr]
    else:
        said = _VERB.match(text, place)
        if said is None:
            return None
        verb = said[1].lower().replace("’", "'")
        place = _MORE_ADVERBS.match(text, said.end()).end()  # type: ignore[union-attr]
    return _say(sentence, match.start(), _NOT.get(verb, verb), place, SPEAKER)


def _of_kin(sentence: Sentence, match: re.Match[str], speaker: str | None) -> Statement | None:
    kin = _KIN_VERB.match(sentence.text, match.end() + 1)
    if kin is None:
        return None
    verb = _THIRD.get(kin["verb"].lower())
    owner = f"{speaker}'s " if speaker else ""
    subject = owner + kin["who"] + (f" {kin['name']}" if kin["name"] else "")
    return _say(sentence, match.start(), verb, kin.end(), subject) if verb else None


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] == " ":
        place += 1
    return place


def _say(sentence: Sentence, at: int, verb: str, place: int, subject: str) -> Statement | None:
    """The statement that a verb makes with what follows it."""
    text = sentence.text
    ended, verb, place = _ended(text, verb, place)
    for row in (ENDED if ended else ROWS).get(verb, ()):
        behind = row.behind.match(text, place)
        if behind is None:
            continue
        obj = object_of(text, behind.end(), row.cut)
        if not obj and not row.ends:
            continue
        return _statement(sentence, at, row, verb, subject, obj)
    return None


def _ended(text: str, verb: str, place: int) -> tuple[bool, str, int]:
    """Whether the verb is said to hold no longer, the verb itself and the place behind it."""
    if verb in {"no", "don't", "not", "am"}:
        no_longer = re.compile(r"(?:longer|no longer|not)\s+" if verb != "don't" else r"").match(
            text, place
        )
        if no_longer is None or (verb != "no" and "no longer" not in no_longer.group()
                                 and not _ENDING.search(text, place)):  # fmt: skip
            return False, verb, place
        if verb == "am":
            return True, "am", no_longer.end()
        inner = re.compile(r"([a-z]+)\s+", re.IGNORECASE).match(text, no_longer.end())
        if inner is not None and inner[1].lower() in ENDED:
            return True, inner[1].lower(), inner.end()
    return False, verb, place


def _statement(
    sentence: Sentence, at: int, row: Row, verb: str, subject: str, obj: tuple[int, int] | None
) -> Statement:
    words = sentence.text[obj[0] : obj[1]] if obj else ""
    relation = row.relation or RELATION.get(verb, verb)
    if verb in {"quit", "stopped"} and not row.relation and words.split(" ", 1)[0].endswith("ing"):
        relation, _, words = words.partition(" ")
    single = row.single and (
        row.cut in {"thing", "phrase", "number"} or _is_name(sentence.text, words)
    )
    if row.relation == "has" and re.search(r"\b(?:children|kids|siblings)\b", words):
        relation, single = (
            "has " + words.rsplit(" ", 1)[-1],
            bool(re.fullmatch(r"\S+ (?:children|kids|siblings)", words)),
        )
    # a profile is the speaker's own
    kind: StatementType = "fact" if row.type == "profile" and subject != SPEAKER else row.type
    return Statement(
        type=kind, text="", start=sentence.start + at, end=sentence.end, subject=subject,
        relation=relation, object=words or None, single=single and bool(words), ends=row.ends,
    )  # fmt: skip


def object_of(text: str, start: int, cut: Cut) -> tuple[int, int] | None:
    """The characters of the object that begins at `start`; None if there is none to speak of."""
    limit = min(len(text), start + _MOST)
    if cut == "number":
        digits = re.compile(r"\d{1,3}").match(text, start)
        return digits.span() if digits else None
    end = _first(_NAME_END if cut in {"place", "name"} else _CLAUSE, text, start, limit)
    if cut == "place":
        region = _REGION.match(text, end)
        end = region.end() if region else end
    words = text[start:end]
    if cut == "thing":
        words = _TIME_END.sub("", words)
    words = words.rstrip(" ,;:.!?)")
    if not words.strip(FILL + " ") and FILL not in words:
        return None
    if words.lower() in _NO_OBJECT or (cut in {"place", "name"} and _NO_NAME.match(words)):
        return None
    return start, start + len(words)


def _first(pattern: re.Pattern[str], text: str, start: int, limit: int) -> int:
    match = pattern.search(text, start, limit)
    return match.start() if match else limit


def _is_name(text: str, words: str) -> bool:
    """Whether words look like a name: capitals, or a turn without any where there are few words."""
    bare = words.removeprefix("the ").removeprefix("The ")
    if bare[:1].isupper() or (bare[:1].isalpha() and not bare[:1].islower()):
        return True
    return text == text.lower() and len(bare.split()) <= 2
