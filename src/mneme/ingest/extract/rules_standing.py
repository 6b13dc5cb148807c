"""Read wishes that always hold, ways of doing things, and notes under a label.

"Always answer in metric units.", "To deploy, first tag, then push.", "Procedure to remember: ..."
In: a sentence. Out: the type of statement that it is, and where its words begin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from mneme.core.statement import StatementType

_DOING: Final = (
    "answer|use|reply|respond|include|give(?! up)|write|keep|make|ask|tell|show|format|call|refer"
    "|address|provide|mention|cite|list|add"
    "|put|start|end|begin|check|explain|remind|suggest|recommend|translate|convert|speak|avoid"
    "|highlight|name|say|treat|assume|consider"
    "|quote|do|send|store|share|save|reveal|repeat|retain|echo|output|print|return|specify|focus"
    "|present|summari[sz]e|limit|round"
    "|sort|prefer|run|test|commit|push|deploy|verify|confirm|order|book|schedule|state|provide"
    "|wrap|sign|expose|log|offer|offer me|leave|document|compare|break|greet"
)
_STANDING: Final = re.compile(
    rf"(?:please,? |also,? |and |ok(?:ay)?,? |so,? |remember(?: to|:|,)? )*(?:"
    rf"(?:always|never)\s(?:{_DOING})\b(?!\s(?:never|goodbye|die))"
    rf"|(?:from now on|going forward|from here on|henceforth|in (?:the )?future|for future "
    rf"reference)\b,?\s(?=.{{6,}})"
    rf"|(?:when(?:ever)?|every time|each time|any ?time|if)\si\s(?:ask|request|mention|inquire"
    rf"|talk)\b.{{3,200}}"
    rf"|(?:remember|make sure|be sure)\s(?:to\s)?always\s(?:{_DOING})"
    rf"|remember to (?:{_DOING})\b"
    rf"|(?:always|never) (?:be|have)\s\w)",
    re.IGNORECASE,
)
_LEAD_IN: Final = re.compile(
    r"(?:that reminds me|one (?:more|other|last) thing|another thing|by the way|oh|and|anyway"
    r"|before i forget|while (?:we|i)['’]?(?:re| are|m| am) at it)\s?[:,]\s+",
    re.IGNORECASE,
)
_FUTURE: Final = re.compile(
    r"(?:in (?:the )?future|for future reference|going forward|from now on|henceforth|from here "
    r"on)",
    re.IGNORECASE,
)
_COMMAND: Final = re.compile(
    rf",?\s*(?:please\s|always\s|never\s|only\s|do not\s|don['’]?t\s|i(?:['’]d| would)? (?:want"
    rf"|like|prefer|need)\s?(?:you\s|it if you\s)?|you (?:should|must|can)\s)*(?:{_DOING}|want"
    rf"|like)\b",
    re.IGNORECASE,
)
_WHEN_I: Final = re.compile(
    r"(?:when(?:ever)?|every time|each time|any ?time|if)\si\s", re.IGNORECASE
)
_SCOPED_COMMAND: Final = re.compile(
    rf",\s*(?:please\s|always\s|never\s|only\s|do not\s|don['’]?t\s|you (?:should|must)\s|make "
    rf"sure (?:to|you)\s|i(?:['’]d| would)? (?:want|like|prefer)\s(?:you\s)?)*(?:{_DOING}|want"
    rf"|like)\b",
    re.IGNORECASE,
)
_I_WANT: Final = re.compile(
    rf"(?:please,? |also,? )*i(?:['’]d| would)?\s(?:always|never)\s(?:want|like"
    rf"|prefer)\syou\sto\b|you\s(?:should|must)\s(?:always|never)\s(?:{_DOING})\b"
    r"|i (?:always )?(?:want|prefer|like) (?:my|your) (?:answers|replies|responses|summaries"
    r"|reports|explanations)\b"
    r"|(?:please,? |also,? |and )*(?:keep|make) your (?:answers|replies|responses|messages"
    r"|explanations)\b",
    re.IGNORECASE,
)
_PROCEDURE: Final = re.compile(
    r"(?:to|when(?:ever)? (?:i|we|you)|before (?:i|we|you))\s[^,;:]{3,100}[,:]\s*(?:(?:i|we|you"
    r"|always|must|should|need to|have to)\s){0,3}(?:first|start by|begin by|begin with|start "
    r"with)\b.{3,400}?\bthen\b"
    r"|(?:the|our|my) (?:way|steps|procedure|process|workflow|routine) (?:i|we|to"
    r"|for)\b.{3,120}?\b(?:is|are)\b.{3,400}?\bthen\b",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(
    r"(?P<label>(?:[A-Z][\w-]*|FYI|TODO)(?:[ -](?:[\w.'’/-]+)){0,14}?(?:,\s(?:please )?remember "
    r"this \w+)?)\s?[:：]\s+(?=\S)"
)
_KINDS: Final[tuple[tuple[re.Pattern[str], StatementType], ...]] = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), kind)  # type: ignore[misc]
    for words, kind in (
        (
            (
                r"polic(?:y|ies)|rules?|constraints?|guidelines?|requirements?|restrictions?"
                r"|boundary"
                r"|access note|instructions?|convention"
            ),
            "instruction",
        ),
        (r"procedures?|workflow|how[- ]to|runbook|checklist", "procedure"),
        (r"preferences?", "preference"),
        (r"outcomes?|results?|incident|event|milestone|decision", "event"),
        (
            (
                r"notes?|memo|facts?|reminder|feedback|lessons?|reflections?|observations?"
                r"|findings?|takeaways?|confirmation|follow-up|context|background|insight|learning"
                r"|status update"
            ),
            "fact",
        ),
    )
)
# A label of a document or an exercise is no label of a memory.
_NO_LABEL: Final = re.compile(
    r"\b(?:question|example|write|summari[sz]e|rewrite|translate|explain|create|prompt|input"
    r"|output|here|following|below|is|are|i|you|he|she|they|we|it|said|says|instructions|results"
    r"|rules|guidelines|requirements|constraints|steps|chapter|section|give|make|can|the|these|ps"
    r"|act)\b"
    r"|\d[.)]?$",
    re.IGNORECASE,
)


class Label(NamedTuple):
    """A label: what type of statement follows it, its words, and where what follows begins."""

    type: StatementType
    words: str
    end: int


def standing_type(text: str) -> StatementType | None:
    """Whether a sentence is a wish that always holds, or a way of doing something."""
    lead = _LEAD_IN.match(text)  # "That reminds me: always answer in metric."
    return _standing_type(text) or (_standing_type(text[lead.end() :]) if lead else None)


def _standing_type(text: str) -> StatementType | None:
    match = _STANDING.match(text)
    if match is not None:
        if _WHEN_I.search(match.group()) and not _scoped(text):
            return None
        if _FUTURE.search(match.group()) and not _COMMAND.match(text, match.end()):
            return None
        return "instruction"
    if _SCOPE_BEHIND.match(text) or _I_WANT.match(text):
        return "instruction"
    return "procedure" if _PROCEDURE.match(text) else None


_SCOPE_BEHIND: Final = re.compile(
    rf"(?:please,? |also,? )*(?:always |only |never |don['’]t |do not |make sure (?:to|you) "
    rf")?(?:{_DOING})\s.{{3,200}}?\s(?:when(?:ever)?|every time|each time|any ?time|if) i (?:ask"
    rf"|request|mention|inquire|talk)\b",
    re.IGNORECASE,
)


def _scoped(text: str) -> bool:
    """Whether a command follows: "whenever I ask about X, do Y"."""
    return _SCOPED_COMMAND.search(text) is not None


def label_of(text: str, *, first: bool) -> Label | None:
    """The label that a sentence begins with, if it labels a memory.

    Args:
        text: The sentence.
        first: Whether the turn begins with it; labels further on belong to documents.
    """
    match = _LABEL.match(text) if first else None
    if match is None or len(match["label"]) > 120:
        return None
    words = match["label"]
    head = re.split(r"\b(?:for|from|on|about|of)\b", words, maxsplit=1)[0].strip() or words
    if _NO_LABEL.search(head) and "remember" not in words.lower():
        return None
    for pattern, kind in _KINDS:
        if pattern.search(head if "remember" not in words.lower() else words):
            return Label(kind, words, match.end())
    return None
