"""Read what a speaker asks of the memory itself: "forget that", "only until Friday".

In: a sentence of the speaker's own words. Out: a Request. A request is a sentence of its own, in
the imperative, so "I'll never forget that" and "don't forget to call" ask for nothing; and a wrong
one would hide what nobody meant, so every form names the memory, what was said, or this turn.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mneme.core.statement import Request
from mneme.ingest.extract.rules_times import until_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.core.statement import Wish
    from mneme.ingest.extract.rules_text import Sentence

_GATE: Final = (
    "forget", "delete", "erase", "remember", "save", "store", "record", "keep", "memori", "retain",
    "until", "unless", "only", "expired", "no longer", "applies", "is over", "apply", "clear",
    "remove", "wipe", "drop", "discard", "note", "log", "until", "till",
)  # fmt: skip
_POLITE: Final = (
    r"(?:(?:please|ok(?:ay)?|actually|oh|hey|now|and|also|well|so|no|sorry|wait|but|then|thanks"
    r"|hmm|yes|alright)\b[,!. ]{1,3})*"
)
_ASK: Final = (
    rf"{_POLITE}(?:you (?:can|may|should|must) |i(?:['’]d| would) like you to |i (?:want|need) "
    rf"you to |(?:could|can|would|will) you (?:please )?)?"
    r"(?:please |kindly |just |now |also )*"
)
_FORGET: Final = (
    r"forget(?: and (?:delete|erase|remove|discard))?|(?:delete|erase|remove|discard) and forget"
)
_REMOVE: Final = r"(?:delete|erase|remove|wipe|drop|clear|discard)"
_DONT: Final = r"(?:do not|don['’]?t|never)"
_KEEP: Final = r"(?:remember|save|store|record|keep|memori[sz]e|retain|log|note)"
_PRONOUN: Final = r"(?:that|this|it|any of (?:that|this|it)|all (?:of )?(?:that|this))"
_END: Final = (
    r"(?:\s+(?:please|anymore|now|again|ever|at all|from memory|in memory|(?:from|in) your memory"
    r"|for later))*\s*[.!]*"
)
_SAID: Final = (
    r"(?:what i (?:just )?(?:said|told you|wrote|mentioned)|my last (?:message|sentence|statement"
    r"|note)|the last (?:thing|part) i (?:said|told you|wrote)"
    r"|(?:that )?i (?:ever )?(?:just )?(?:said|told you|mentioned|wrote) (?:that|this|it"
    r"|anything))(?: just now| earlier| before)?"
)
_BARE: Final = re.compile(
    rf"{_ASK}(?:{_FORGET})\s+(?:about )?(?:{_PRONOUN}|{_SAID}){_END}", re.IGNORECASE
)
_IDIOM: Final = re.compile(r"(?:^|\W)(?:forget (?:about )?it|forget this)[.!\s]*$", re.IGNORECASE)
_POLITELY: Final = re.compile(r"\b(?:please|kindly|you to)\b", re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"{_ASK}(?:{_FORGET})\s+(?P<about>(?:about\s)?(?:everything|all|anything"
    rf"|what(?:ever)?)\s(?:that\s)?(?:i|you)\s(?:said|told|know|mentioned|remember|stored"
    rf"|wrote)\b.{{3,200}}"
    r"|(?:about\s)?(?:that\s)?i\s(?:said|told you|mentioned|live|lived|work|worked|like|liked|am"
    r"|have|had|was|moved)\b.{3,200}|(?:about\s)?my\s.{2,200})",
    re.IGNORECASE,
)
_SLOT: Final = re.compile(
    rf"{_ASK}(?:{_FORGET})\s+(?:about\s)?(?P<the>the\s|that\s"
    rf"|this\s)?(?P<about>[^\n:]{{2,300}}?)(?::\s+(?P<value>.{{1,400}}))?",
    re.IGNORECASE,
)
_STORED: Final = re.compile(
    rf"{_ASK}(?:{_REMOVE}|forget)\s+(?P<about>.{{2,200}}?)\s+from\s+(?:your\s|the\s)?(?:memory"
    rf"|memories|records|stored (?:facts|notes|memories)|long[- ]term memory)"
    rf"|{_ASK}{_REMOVE}\s+(?:(?:the|that|this|any|all|your)\s)?(?:memory|memories|stored (?:fact"
    rf"|note|memory)|saved (?:fact|note|memory))\s+(?:about|of|that"
    rf"|regarding)\s+(?P<about2>.{{2,200}})",
    re.IGNORECASE,
)
_WITHHOLD: Final = re.compile(
    rf"{_ASK}{_DONT}\s+{_KEEP}(?:,? (?:or|and|nor) (?:\w+))*\s+(?P<what>{_PRONOUN}|this "
    rf"(?:conversation|message|chat|information|info|detail|part|one|turn|value)"
    rf"|what i(?:['’]m| am)? (?:just |about to )?(?:said|say|told you|tell you|wrote))(?:,? (?:or"
    rf"|and) .{{2,40}})?(?:{_END}|\s*[:–—-]\s.+)",
    re.IGNORECASE,
)
_OFF: Final = re.compile(
    r"(?:(?:ok(?:ay)?|so|and|but|well|now)\W+)?(?:(?:this (?:is|one is|stays|part is)|it['’]s"
    r"|strictly|let['’]s keep this|keep this|please keep this|that['’]s|and this is)"
    r"\s+(?:strictly |completely |totally )?)?off the record\b(?!\s*(?:is|mean|means|was)\b)",
    re.IGNORECASE,
)
_UNTIL: Final = re.compile(
    rf"{_ASK}(?:{_KEEP}|use|know)\s+(?P<what>{_PRONOUN}"
    rf"|.{{2,160}}?)\s+(?:only\s+)?(?:just\s+)?(?:until|till|through|for)\s+.{{2,80}}"
    r"|(?:this|that|it)\s(?:is|holds|counts|applies|stays)\s(?:only\s)?(?:valid|true|relevant"
    r"|good)?\s?(?:only\s)?until\s.{2,60}"
    r"|only until\s.{2,60}|until\s.{2,40}\sonly[.!]*",
    re.IGNORECASE,
)
_ONLY: Final = re.compile(r"\b(?:only|just|valid|holds|counts|until|till)\b", re.IGNORECASE)
_ASKED: Final = re.compile(
    rf"{_ASK}(?:only\s(?:tell|mention|bring|use|show|share|recall|give|repeat"
    rf"|say)\b(?P<a>.{{0,80}}?)\s(?:if|when|once)\si\s(?:explicitly\s)?(?:ask|say|request|approve"
    rf"|want)\b.*"
    rf"|{_DONT}\s(?:tell|mention|bring up|use|show|share|recall|repeat"
    rf"|bring)\s(?P<b>.{{2,100}}?)\s(?:unless|until)\si\s(?:explicitly\s|specifically\s)?(?:ask"
    rf"|say|request|approve|tell)\b.*"
    r"|only (?:if|when) i (?:explicitly )?(?:ask|say so|say|request)\b.{0,40})",
    re.IGNORECASE,
)
_ALLOWED: Final = re.compile(
    r"(?:[A-Z][\w ]{2,24}:\s+)?(?P<about>.{2,240}?)\s(?:may|must|can|should|is "
    r"to)\s(?:only\s)?be\s(?:used|shown|shared|mentioned|recalled|repeated|disclosed|revealed"
    r"|brought up|quoted)"
    r"\s(?:only\s)?(?:after|if|when|with|once|on)\s.{0,60}?\b(?:i|my|me|user|owner|requester"
    r"|requestor|explicit|explicitly)\b.{0,80}",
    re.IGNORECASE,
)
_EXPIRED: Final = re.compile(
    r"(?:the|this|that|my)\s(?P<what>(?:\w+\s){0,4}?(?:context|note|memory|reminder|instruction"
    r"|preference|rule|constraint|information|info|request|wish|exception|arrangement))"
    r"(?:\s(?:about|on|for)\s(?P<on>.{2,120}?))?\s(?:has (?:now\s)?expired|is (?:now\s)?expired"
    r"|is over|(?:no longer|doesn['’]t) (?:applies|apply|counts|holds|hold|anymore)|is no longer "
    r"(?:valid|relevant|needed|current|true))"
    r"(?:\s*[:,]\s*(?P<about>.{2,400}))?[.!]*",
    re.IGNORECASE,
)
_NO_SLOT: Final = re.compile(
    r"\b(?:instructions?|prompts?|conversation|above|everything|anything|moment|second|minute|now"
    r"|past|rest|name|never|ever|to|how|when|what|who|where|why|thing|things|idea|plan|fact that"
    r"|rules|stress|details|world|rule|classic|stories|previous|time|times|me|us|you|him|them)\b"
    r"|[?,]",
    re.IGNORECASE,
)
_PASSING: Final = re.compile(
    r"\bfor (?:a|the|one) (?:moment|second|minute|while|bit|now|time being)\b|\bfor now\b"
    r"|\bwhen\b.*\?",
    re.IGNORECASE,
)


def wish_of(sentence: Sentence, source: str, at: int | None, *, alone: bool) -> Request | None:
    """What a sentence asks of the memory; None if nothing.

    Args:
        sentence: A sentence of the speaker's own words.
        source: The same characters as the turn has them, for the words that the request repeats.
        at: When it was said, for "until Friday".
        alone: Whether the turn holds nothing else, so that "that" is what was said before.
    """
    text = sentence.text
    if not sentence.has(_GATE):
        return None
    if sentence.asks and not re.match(
        rf"{_POLITE}(?:could|can|would|will) you please\b", text, re.IGNORECASE
    ):
        return None
    if _PASSING.search(text):
        return None
    for read in _READERS:
        request = read(text.rstrip("? "), source, alone)
        if request is not None:
            wish, about, value, previous = request
            until = until_in(text, at) if wish == "until" else None
            if wish == "until" and until is None:
                continue
            return Request(
                wish=wish, about=about, value=value, previous=previous, until=until,
                start=sentence.start, end=sentence.end,
            )  # fmt: skip
    return None


_Read = tuple["Wish", str | None, str | None, bool]


def _bare(text: str, source: str, alone: bool) -> _Read | None:
    del source
    if _BARE.fullmatch(text) is None or (_IDIOM.search(text) and not _POLITELY.search(text)):
        return None
    return "forget", None, None, alone or not re.search(r"\bthis\b", text, re.IGNORECASE)


def _withheld(text: str, source: str, alone: bool) -> _Read | None:
    del source
    match = _WITHHOLD.fullmatch(text)
    if match is not None:
        here = match["what"].lower() == "this" or match.end("what") <= text.find(": ")
        return "withhold", None, None, alone and not here
    return ("withhold", None, None, False) if _OFF.match(text) else None


def _stored(text: str, source: str, alone: bool) -> _Read | None:
    del alone
    match = _STORED.match(text)
    if match is None:
        return None
    group = "about" if match["about"] else "about2"
    about = _words(source, match, group)
    if about is None or about.lower() in {"that", "this", "it"}:
        return "forget", None, None, True
    return "forget", about, None, False


def _named(text: str, source: str, alone: bool) -> _Read | None:
    del alone
    match = _NAMED.fullmatch(text)
    if match is None or _ELSE.search(text):
        return None
    about = _words(source, match, "about") or ""
    lead = _LEAD.match(about)
    about, _, value = about[lead.end() if lead else 0 :].partition(": ")
    return "forget", about.strip(" ."), value or None, False


_LEAD: Final = re.compile(
    r"(?:about\s)?(?:(?:everything|all|anything|what(?:ever)?)\s(?:that\s)?(?:i"
    r"|you)\s(?:(?:just\s)?(?:said|told you|told|know|mentioned|remember|stored"
    r"|wrote))\s(?:you\s)?(?:about|of|on|regarding)?\s?"
    r"|(?:that\s)?i\s(?:said|told you|mentioned)\s(?:that\s)?)?",
    re.IGNORECASE,
)
_ELSE: Final = re.compile(
    r",\s|\bnot\b|\b(?:homework|keys|manners|troubles|worries|password again)\b", re.IGNORECASE
)


def _slot(text: str, source: str, alone: bool) -> _Read | None:
    match = _SLOT.fullmatch(text)
    if match is None or not (match["value"] or (match["the"] and alone)):
        return None
    name = match["about"].split(" for ", 1)[0]
    if len(name) < 3 or "," in name or (not match["value"] and _NO_SLOT.search(name)):
        return None
    return "forget", _words(source, match, "about"), _words(source, match, "value"), False


def _until(text: str, source: str, alone: bool) -> _Read | None:
    match = _UNTIL.fullmatch(text)
    if match is None or not _ONLY.search(text):
        return None
    what = _words(source, match, "what")
    if what is None or re.fullmatch(_PRONOUN, what, re.IGNORECASE):
        return "until", None, None, alone and ": " not in text
    return (
        ("until", what, None, False)
        if re.match(r"(?:that|the|my)\s", what, re.IGNORECASE)
        else None
    )


def _on_request(text: str, source: str, alone: bool) -> _Read | None:
    match = _ASKED.fullmatch(text)
    if match is not None:
        group = "a" if match["a"] else "b"
        words = (_words(source, match, group) or "").strip()
        about = re.sub(r"^(?:me|us|up)\s*(?:about\s)?|\s?\bup$", "", words).strip()
        plain = not about or re.fullmatch(_PRONOUN, about, re.IGNORECASE)
        return "on_request", None if plain else about, None, alone and bool(plain)
    match = _ALLOWED.fullmatch(text)
    return ("on_request", _words(source, match, "about"), None, False) if match else None


def _expired(text: str, source: str, alone: bool) -> _Read | None:
    del alone
    match = _EXPIRED.fullmatch(text)
    if match is None:
        return None
    for group in ("about", "on", "what"):
        if match[group]:
            return "retract", _words(source, match, group), None, False
    return None


def _words(source: str, match: re.Match[str], group: str) -> str | None:
    """A group's words as the turn has them."""
    if match[group] is None:
        return None
    return source[match.start(group) : match.end(group)].strip(" .!") or None


_READERS: Final[tuple[Callable[[str, str, bool], _Read | None], ...]] = (
    _bare, _withheld, _stored, _expired, _named, _slot, _on_request, _until,
)  # fmt: skip
