"""Lists of English words, and what a word says about the sentence that holds it."""

from __future__ import annotations

from enum import IntFlag
from typing import Final

STOPWORDS: Final = frozenset(
    [
        "a",
        "about",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "but",
        "by",
        "can",
        "could",
        "d",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "he",
        "her",
        "hers",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "ll",
        "m",
        "me",
        "my",
        "no",
        "not",
        "of",
        "on",
        "or",
        "our",
        "ours",
        "re",
        "s",
        "she",
        "should",
        "so",
        "some",
        "t",
        "than",
        "that",
        "the",
        "their",
        "theirs",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "too",
        "us",
        "ve",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "yours",
        "don't",
        "didn't",
        "doesn't",
        "isn't",
        "wasn't",
        "aren't",
        "weren't",
        "i'm",
        "i've",
        "i'd",
        "i'll",
        "it's",
        "that's",
        "what's",
        "you're",
        "you've",
        "we're",
        "we've",
        "they're",
        "he's",
        "she's",
        "there's",
        "who's",
        "let's",
        "can't",
        "couldn't",
        "won't",
    ]
)


class Word(IntFlag):
    """What single words tell about a text."""

    FIRST_PERSON = 1
    SECOND_PERSON = 2
    NEGATION = 4
    LIKING = 8
    STANDING = 16
    GREETING = 32
    PLAN = 64
    PAST = 128
    CHANGE = 256
    TIME = 512
    FAMILY = 1024


_LISTS: Final[dict[Word, str]] = {
    Word.FIRST_PERSON: "i i'm i've i'd i'll me my mine myself we we're we've our ours us",
    Word.SECOND_PERSON: "you your yours yourself you're you've you'd you'll",
    Word.NEGATION: "no not never none nothing neither nor don't didn't doesn't isn't wasn't aren't "
    "weren't can't couldn't won't wouldn't haven't hasn't hadn't shouldn't",
    Word.LIKING: "prefer prefers preferred preference preferences rather like likes liked love "
    "loves loved enjoy enjoys enjoyed hate hates hated dislike dislikes favorite favourite "
    "favorites favourites fan avoid avoids interested passion passionate obsessed",
    Word.STANDING: "always never whenever anytime remember henceforth ensure now forward future "
    "make",
    Word.GREETING: "hi hey hello thanks thank thx bye goodbye welcome congrats congratulations wow",
    Word.PLAN: "will plan plans planning going gonna hope hoping want wanna thinking aim goal "
    "schedule scheduled upcoming next tomorrow soon deadline considering",
    Word.PAST: "was were did went got had made took bought visited started finished completed "
    "attended joined met saw won lost ago yesterday last recently just finally came gave found",
    Word.CHANGE: "now currently updated changed increased decreased reduced improved adjusted "
    "moved switched extended postponed rescheduled instead anymore latest new revised",
    Word.TIME: "today tonight yesterday tomorrow ago week weeks weekend month months year years "
    "day days monday tuesday wednesday thursday friday saturday sunday january february march "
    "april may june july august september october november december morning evening",
    Word.FAMILY: "mom mother dad father sister brother wife husband son daughter kids kid "
    "partner grandma grandpa grandmother grandfather uncle aunt cousin girlfriend boyfriend "
    "friend friends family parents",
}


def _flags() -> dict[str, int]:
    flags: dict[str, int] = {}
    for flag, words in _LISTS.items():
        for word in words.split():
            flags[word] = flags.get(word, 0) | int(flag)
    return flags


FLAGS: Final = _flags()
