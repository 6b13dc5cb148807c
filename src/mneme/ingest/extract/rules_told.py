"""Read what was introduced as something to remember: "remember that S is V", "update: S is now V".

In: a sentence and where its clause begins. Out: its name and value; all up to "is" is the name.
"""

from __future__ import annotations

import re
from typing import Final

from mneme.ingest.extract.rules_named import DAY_SHAPES, ON, Naming
from mneme.ingest.extract.rules_slots import shape_of
from mneme.ingest.extract.rules_text import FILL

_COPULA: Final = re.compile(
    r"\s(?:is now|is still|is currently|are now|is|are|remains|remain|stays|became|has changed to"
    r"|changed to|was changed to|should be"
    r"|=)\s|\s*(?:->|→|:)\s",
    re.IGNORECASE,
)


def told(text: str, at: int) -> Naming | None:
    """A clause that was introduced as something to remember or update: all up to "is" is its name.

    Args:
        text: The sentence.
        at: Where the clause begins.
    """
    copula = _COPULA.search(text, at + 1)
    if copula is None:
        return None
    key = text[at : copula.start()]
    end = _sentence_end(text, copula.end())
    if (
        end <= copula.end()
        or not key.strip(FILL + " ")
        or len(key) > 300
        or _TOLD_NO_KEY.search(key)
    ):
        return None
    sure = copula.group().strip().lower() not in {"is", "are"}  # "is now", "remains", ":"
    if not sure and _TOLD_NO_VALUE.match(text, copula.end()):
        return None
    start = copula.end()
    on = ON.match(text, start)
    if on is not None and shape_of(text[on.end() : end]) in DAY_SHAPES:
        start = on.end()
    return Naming(at, key.strip(), "is", start, end, True)


_TOLD_NO_VALUE: Final = re.compile(
    r"(?:very|so|really|too|not|important|ok|okay|fine|good|great|bad|hard|easy|better|worth"
    r"|always|never|going|being|getting|just|key to|the key|about|what|how|why|when|because)\b",
    re.IGNORECASE,
)


_TOLD_NO_KEY: Final = re.compile(
    r"^(?:i|you|he|she|they|we|it|this|that|there|here|what|to|if|when|how|where|who|why|these"
    r"|those|not|all)\b"
    r"|,|\b(?:i|you|he|she|they|we|which|because|was|were|will|would|should|must|had)\b",
    re.IGNORECASE,
)


def is_prose_key(key: str) -> bool:
    """Whether what stands where a name should is a clause of prose."""
    return _TOLD_NO_KEY.search(key) is not None


def _sentence_end(text: str, start: int) -> int:
    end = len(text)
    while end > start and text[end - 1] in " .!。！":
        end -= 1
    return end
