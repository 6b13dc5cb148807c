"""What a question about a whole history is about, without the words that only ask for breadth.

"Can you walk me through the order in which I brought up different aspects of my thesis throughout
our conversations, in order? Mention only five items." is about "my thesis". The other words say
which answer is wanted; looked for, they find whatever else speaks of orders and conversations.
In: a question. Out: its topic. Pure functions; English only, any other question stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

_GIVE: Final = (
    r"(?:give|provide|write|make|create|prepare|list|name|show|tell|describe|outline|walk|take)"
)
_SAID: Final = (
    r"(?:(?:brought|bring) up|mention(?:ed)?|raised?|talk(?:ed)? (?:about|of)"
    r"|sp(?:oke|eak) (?:about|of)|discuss(?:ed)?|introduced?|shared?|asked? about|covered?"
    r"|went (?:over|through)|(?:told|tell) you(?: about)?)"
)
_WE: Final = r"(?:i|we)(?:['\u2019]ve| have| had)?(?: (?:been|first|also|already|recently))*"
_TALKS: Final = r"(?:conversations?|chats?|discussions?|talks?|sessions?|messages|exchanges)"
_GROW: Final = (
    r"(?:progress(?:ed)?|develop(?:ed)?|evolved?|shift(?:ed)?|change[ds]?|unfold(?:ed)?|gr[eo]wn?)"
)
_ORDER: Final = r"(?:(?:chronological )?order|sequence)"
_SUMMARY: Final = r"(?:summary|overview|recap|synopsis|rundown|gist)"
_ASPECT: Final = (
    r"(?:aspects?|ways?|topics?|subjects?|themes?|concepts?|ideas?|phases?|stages?|details"
    r"|considerations|strategies|concerns|points|parts?|things|items|issues|matters|updates"
    r"|changes|features|developments?|steps)"
)
_RAISED: Final = (
    rf"(?:in |the )*{_ORDER} (?:in which|that|of how|how) {_WE} {_SAID}\b"
    rf"|in (?:what|which) {_ORDER} (?:did|have|had) (?:i|we) (?:first )?{_SAID}\b"
    rf"|in {_ORDER},? how {_WE} {_SAID}\b"
)
_GREW: Final = rf"how (?:did|have|has) (?:my|our) (?:focus|thinking|{_TALKS})\b"

RAISED: Final = rf"\b(?:{_RAISED}|{_GREW}.{{0,200}}?\b{_GROW}\b)"
"""Asks in what order something was brought up, or how talk of it developed."""

_SUM_UP: Final = r"(?:summari[sz]e|recap|sum up)\b"
_A_SUMMARY: Final = rf"(?:(?:an? |the )(?:[a-z]+(?:,| and)? ){{0,4}}{_SUMMARY}|{_SUMMARY} of)\b"
SUMMARY: Final = (
    r"(?:^|[.?!] |\byou (?:please |to )?|\bplease |\bi(?:'d| would)? (?:want|need|like) )"
    rf"(?:{_SUM_UP}|(?:{_GIVE} )?(?:me |us )?{_A_SUMMARY})"
)
"""Asks for a summary."""

_BROAD: Final = re.compile(f"{RAISED}|{SUMMARY}", re.IGNORECASE)
_HOW_MANY: Final = (
    r"\((?:please )?(?:mention|list|name|give|include|use) [^)]*\)"
    rf"|\b(?:please )?(?:mention|include|use|{_GIVE})\b(?: me)?(?:,? (?:and )?only)*"
    r"(?: \w+){0,2} (?:items?|points?|bullets?|things|topics)\b(?: in (?:order|total|all))?"
)
_WANTED: Final = (
    rf"\b(?:can|could|would|will) you (?:please )?(?:{_GIVE}(?: me| us)?(?: through)?\b)?"
    r"|\bi(?:'d| would)? (?:want|need|like) (?:you to )?"
    rf"(?:{_GIVE}(?: me| us)?(?: through)?\b)?"
    rf"|^(?:please )?{_GIVE} (?:(?:me|us)\b|(?={_A_SUMMARY}))"
)
_FORM: Final = (
    rf"\b(?:{_RAISED})|\bhow {_WE} {_SAID}\b|\bin (?:chronological )?order\b"
    rf"|\b{_A_SUMMARY}(?: (?:of|that|on|about|for)\b)?|\b(?:please )?{_SUM_UP}"
)
_TIME: Final = (
    r"\b(?:throughout|across|during|in|from|over|based on) (?:all )?(?:of )?"
    rf"(?:our|my|these|those|the)(?: \w+)? {_TALKS}\b"
    r"|\bover (?:time|the (?:past|last)(?: \w+)? (?:days|weeks|months|years))\b|\bso far\b"
)
_RESPECTS: Final = (
    r"\b(?:all )?(?:the )?(?:different|various|several|main|key) "
    rf"{_ASPECT}(?: and {_ASPECT})?(?: (?:of|to|about|for|in|that|relat(?:ed|ing) to))?\b"
    r"|\brelat(?:ed|ing) to\b"
)
_COURSE: Final = (
    rf"\b{_GREW}(?: (?:about|on|of|around))?|\b(?:has|have|had) {_GROW}\b|\bevolved\b"
    rf"|\b{_GROW}(?: and {_GROW})?(?=[\s,?.]*$)|\b{_WE} {_SAID}\b"
)
_FRAMES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (_HOW_MANY, _WANTED, _FORM, _TIME, _RESPECTS, _COURSE)
)
_LONGEST: Final = 1000  # characters; a longer text is no such question
_BLANK: Final = re.compile(r"\s+")
_WORD: Final = re.compile(r"\w")


def topic_of(text: str) -> str:
    """The topic of a question for a summary or an order; any other question as it is."""
    if len(text) > _LONGEST or not _BROAD.search(text):
        return text
    topic = text
    for frame in _FRAMES:
        topic = frame.sub(" ", topic)
    topic = _BLANK.sub(" ", topic).strip(" ,.?")
    return topic if _WORD.search(topic) else text
