"""Read what somebody did on a day that the sentence names: "I ran a marathon on 3 May"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mneme.core.statement import Statement
from mneme.ingest.extract.rules_self import object_of
from mneme.ingest.extract.rules_slots import SPEAKER
from mneme.ingest.extract.rules_times import start_of, times_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.ingest.extract.rules_text import Sentence

_PAST: Final = re.compile(
    r"\s+(?:just |finally |also |recently |actually |even |already )?(?P<verb>went|ran|saw|met"
    r"|bought|got|had|made|took|gave|won|lost|sold|built|began|started|finished|flew|drove|ate"
    r"|wrote|read"
    r"|taught|found|left|came|became|broke|caught|chose|did|fell|held|hosted|led|spent|swam|sang"
    r"|threw|tried|visited|attended|adopted|signed up|[a-z]{3,}ed)\s+(?!to\s)(?=\S)",
    re.IGNORECASE,
)
# "a half marathon" in "ran a half marathon in Malmö": it tells one event from another.
_WHAT: Final = re.compile(
    r"(?:an?|the|my|our|some|two|three)\s(?:[\w'’-]+\s){1,4}?(?=(?:in|at|on|with|to|from|for|by"
    r"|near|around|last|this"
    r"|yesterday|today|earlier|and|that|which|about)\s)",
    re.IGNORECASE,
)
_NO_EVENT: Final = re.compile(
    r"(?:wanted|needed|liked|loved|hoped|planned|wondered|noticed|realized|realised|decided|tried"
    r"|used|heard|talked|mentioned|asked|expected|supposed|discussed|worried|confused|excited"
    r"|interested|tired|believed|assumed|considered|thought)",
    re.IGNORECASE,
)


def dated_event(
    sentence: Sentence, anchors: Sequence[re.Match[str]], at: int | None
) -> Statement | None:
    """What the speaker did, if the sentence says when.

    Args:
        sentence: Of the speaker's own words.
        anchors: Where the speaker speaks of himself in it.
        at: When it was said, to which "yesterday" refers; None: only full dates count.
    """
    for match in anchors:
        past = None if match["my"] or match["short"] else _PAST.match(sentence.text, match.end())
        if past is None or _NO_EVENT.fullmatch(past["verb"]):
            continue
        times = [span for span in times_in(sentence.text, at) if span.start > match.start()]
        what = _WHAT.match(sentence.text, past.end())
        place = what.end() if what else past.end()
        obj = object_of(sentence.text, place, "phrase")
        if not times or obj is None or (at is not None and start_of(times[0].first) > at):
            return None
        return Statement(
            type="event", text="", start=sentence.start, end=sentence.end,
            subject=SPEAKER, relation=sentence.text[past.start("verb") : place].strip().lower(),
            object=sentence.text[slice(*obj)], valid_from=start_of(times[0].first),
        )  # fmt: skip
    return None
