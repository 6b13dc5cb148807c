"""Read what takes back what was said: "no, it was Bergen", "actually it's Tuesday, not Monday".

In: a sentence and the statements that came before it, newest first. Out: the statement that takes
the place of one of them, or None. What is replaced must be of the same shape (a weekday for a
weekday, a name for a name), or be named ("not Monday"); else nothing is corrected.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.ingest.extract.rules_slots import part_of_shape, same_object, shape_of, slot_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.core.statement import Statement
    from mneme.ingest.extract.rules_text import Sentence

_STRONG: Final = (
    r"no|nope|nah|sorry|oops|whoops|correction|my mistake|my bad|i misspoke|scratch that|strike "
    r"that|wrong|i was wrong"
    r"|that['’]?s (?:wrong|not right|incorrect|not correct|not true)|that (?:is|was) (?:wrong"
    r"|not right|incorrect|a mistake)|you got that wrong|typo|i take that back"
)
_WEAK: Final = r"wait|actually|well|oh|hold on|hmm|ah|um|uh|and|but|yes|yeah|so|ok|okay|i mean"
_MARK: Final = r"(?:[\s,.:;!—–-]|\.\.\.)+"
LEAD: Final = re.compile(
    rf"(?:(?:{_WEAK})\b{_MARK})*(?:{_STRONG})\b(?:{_MARK}(?:{_WEAK}|{_STRONG})\b)*{_MARK}(?=\S)",
    re.IGNORECASE,
)
_SOFT_LEAD: Final = re.compile(rf"(?:(?:{_WEAK})\b{_MARK})+", re.IGNORECASE)
_IT: Final = (
    r"(?:(?:it|that|this|he|she|they|the right one|the correct \w+)(?:['’]s| is| was|['’]re| are"
    r"| were| should be| should have been| will be)"
    r"|make (?:that|it)|should be|i meant(?: to say| to write)?|i mean)\s(?:now |actually "
    r"|really |in fact )*"
)
_VALUE: Final = r"(?P<new>(?:[^,.;:!?()\n]|[.,:](?=\d)|\.(?=\w)|,\s(?=(?-i:[A-HJ-Z]))){1,60}?)"
_NOT: Final = r"(?:,?\s(?:and\s)?(?:not|instead of|rather than)\s(?P<old>[^,.;:!?()\n]{1,60}?))"
_END: Final = (
    r"(?:,?\s(?:sorry|actually|now|instead|my mistake|my bad|though|these days))*\s*[.!)]*"
)
_NAMED: Final = re.compile(rf"(?:{_IT})?{_VALUE}{_NOT}{_END}", re.IGNORECASE)
_NOT_FIRST: Final = re.compile(
    rf"(?:it['’]?s |it was |it is )?not (?P<old>[^,.;:!?()\n]{{1,60}}?)[,;]?\s(?:but|it['’]?s|it "
    rf"was|it is|rather)?\s?{_VALUE}{_END}",
    re.IGNORECASE,
)
_PLAIN: Final = re.compile(rf"{_IT}{_VALUE}{_END}", re.IGNORECASE)
_OWN: Final = re.compile(
    rf"(?:her|his|its|their|the|my) (?P<key>[\w-]+(?: [\w-]+)?) (?:is|was|should be) "
    rf"{_VALUE}{_END}",
    re.IGNORECASE,
)
_BARE: Final = re.compile(rf"{_VALUE}{_END}", re.IGNORECASE)
_NOW: Final = re.compile(
    rf"(?:it['’]s|it is|it has changed to|it changed to|it['’]s "
    rf"become)\s(?:now\s)?{_VALUE}\snow{_END}|it(?:['’]s| "
    rf"is)\snow\s(?P<new2>[^,.;:!?()\n]{{1,60}}?){_END}",
    re.IGNORECASE,
)
_MEANT: Final = re.compile(r"i meant\b", re.IGNORECASE)
_NO_VALUE: Final = re.compile(
    r"(?:a |an )?(?:just|so|very|too|really|not|all|fine|ok|okay|good|great|nice|true|right|wrong"
    r"|correct|cool|bad|hard|easy|fun|my|your|about|because|for|that|what|how|why"
    r"|when|if|like|to|i|you|we|he|she|they|it|still|always|never|only|also|more|less|been|being"
    r"|worth|the|sad|pretty|quite|amazing|awesome|thanks|thank|need|problem|worries|way|matter"
    r"|one|idea|doubt|kidding|longer|more|sorry|possible|important)\b",
    re.IGNORECASE,
)
_TAKES_BACK: Final = re.compile(r"actually|wait|hold on", re.IGNORECASE)
_GATE: Final = ("not ", "instead of", "rather than", "now", "i meant")
_REACH: Final = 12  # statements that may be meant


def is_corrected(text: str) -> int:
    """Where what follows "no," or "correction:" begins; 0 if the sentence takes nothing back."""
    lead = LEAD.match(text)
    return lead.end() if lead else 0


def correction(sentence: Sentence, earlier: Iterable[Statement]) -> Statement | None:
    """The statement that a sentence puts in the place of an earlier one.

    Args:
        sentence: Of the speaker's own words.
        earlier: What the same speaker said before, newest first; read only if it is needed.
    """
    found = _values(sentence)
    if found is None:
        return None
    for before in islice(earlier, _REACH):
        if (
            before.object is None
            or same_object(before.object, found.new)
            or not _owns(before, found)
        ):
            continue
        obj = _put(before, found.new, found.old)
        if obj is not None:
            return replace(
                before, text=sentence.text, start=sentence.start, end=sentence.end, object=obj,
                corrects=not found.changes, hedged=False, ends=False, valid_from=None,
                valid_to=None,
            )  # fmt: skip
    return None


class _Said(NamedTuple):
    """What a correction says: the new value, the old one or the slot's name if it tells them.

    changes: Whether it is news rather than a correction.
    """

    new: str
    old: str | None
    key: str | None
    changes: bool


def _owns(before: Statement, found: _Said) -> bool:
    """Whether an earlier statement may be meant: its slot is its own, and has the name told.

    "Went" is a slot of many journeys, and "likes" of many things: to correct one would end all.
    """
    slot = slot_of(before) or ""
    if not before.single and " " not in slot:
        return False
    return found.key is None or all(word in slot.split() for word in words_of(found.key))


def _values(sentence: Sentence) -> _Said | None:
    """What a sentence puts in place of what, if it is a correction."""
    text = sentence.text
    if len(text) > 160:
        return None
    start = is_corrected(text)
    soft = _SOFT_LEAD.match(text)
    if not (start or soft or sentence.has(_GATE)):
        return None
    rest = text[start or (soft.end() if soft else 0) :]
    for pattern, needs_lead in (
        (_NOT_FIRST, False),
        (_NAMED, False),
        (_NOW, False),
        (_PLAIN, True),
        (_OWN, True),
        (_BARE, True),
    ):
        match = pattern.fullmatch(rest)
        if match is None or (needs_lead and not _led(start, soft, rest, pattern)):
            continue
        groups = match.groupdict()
        new, old = groups.get("new") or groups.get("new2") or "", groups.get("old")
        if new and not (_NO_VALUE.match(new) and old is None) and len(new.split()) <= 6:
            return _Said(
                new.strip(), old.strip() if old else None, groups.get("key"), pattern is _NOW
            )
    return None


def _led(start: int, soft: re.Match[str] | None, rest: str, pattern: re.Pattern[str]) -> bool:
    """Whether a form without a named old value is introduced as a correction."""
    if start or (pattern is _PLAIN and _MEANT.match(rest)):
        return True
    return pattern is _PLAIN and soft is not None and _TAKES_BACK.search(soft.group()) is not None


def _put(before: Statement, new: str, old: str | None) -> str | None:
    """The object of an earlier statement with the new value in it; None if it does not fit."""
    said = before.object or ""
    if old is not None:
        place = said.casefold().find(
            old.casefold().removeprefix("the ").removeprefix("on ").removeprefix("at ")
        )
        if place < 0 or len(said) != len(said.casefold()):
            return None
        bare = old.removeprefix("the ").removeprefix("on ").removeprefix("at ")
        return said[:place] + new + said[place + len(bare) :]
    shape = shape_of(new)
    if shape == "name" and not _CAPITALS.fullmatch(new):
        return None
    if shape == shape_of(said):
        fits = shape not in {"word", "name"} or (before.single and len(said.split()) <= 4)
        return new if fits or shape == "name" else None
    if shape == "name":
        return _put_name(said, new)
    part = part_of_shape(said, shape)
    return said.replace(part, new, 1) if part else None


_CAPITALS: Final = re.compile(r"[A-Z][\w'’&-]*(?:,? (?:of|de|la|the|von|[A-Z0-9][\w'’&-]*))*")
_NAME: Final = re.compile(
    r"(?<=\bin |\bat |\bto )[A-Z][\w-]+(?: [A-Z][\w-]+)*|(?<=\bfor )[A-Z][\w-]+|(?<=\bwith "
    r")[A-Z][\w-]+"
)


def _put_name(said: str, new: str) -> str | None:
    """The object with its only name replaced ("a marathon in Oslo", "Bergen")."""
    names = _NAME.findall(said)
    return (
        said.replace(names[0], new.removeprefix("in ").removeprefix("at "), 1)
        if len(names) == 1
        else None
    )
