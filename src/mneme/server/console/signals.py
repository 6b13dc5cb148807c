"""What each signal behind a score means, in a sentence.

In: the signals of a hit (`search(explain=True)`). Out: groups of rows for a table. The names are
those of `mneme.recall.signals`; a test holds that each has a sentence here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Sentences = dict[str, str]

_WORDS: Final[Sentences] = {
    "lexical_abs": "Words in common with the question (BM25), as a share of all it could have.",
    "lexical_rel": "Words in common with the question, against the memory that has most.",
    "lexical_rank": "Its place in the order by words in common; lower is better.",
    "lexical_prev": "Words that the memory before it has in common with the question.",
    "lexical_next": "Words that the memory after it has in common with the question.",
    "passage_abs": "Words in common of its best passage of about 60 words.",
    "passage_rel": "The same, against the best passage of all.",
    "window_abs": "Words in common of it and its two neighbours together.",
    "window_rel": "Words in common of it and its neighbours, against the best.",
    "window_rank": "Its place in the order by words of the window; lower is better.",
    "cover": "Share of the question's rare words that it holds.",
    "cover_window": "Share of them that it or a neighbour holds.",
    "cover_passage": "Share of them, without names, that its best passage holds.",
    "cover_nameless": "Share of them, without names, that it holds.",
    "cover_nameless_window": "Share of them, without names, that it or a neighbour holds.",
    "cover_count": "How many words of the question it holds.",
    "rarest": "Whether it holds the rarest word of the question.",
    "rarest_near": "Whether it or a neighbour holds the rarest word.",
    "best_idf": "How rare the rarest word is that it shares with the question.",
    "pairs": "Words that stand together in the question and in the memory.",
}
_RELATED: Final[Sentences] = {
    "near_cover": "Share of the question's words that it holds, related words counted.",
    "near_passage": "The same, of its best passage.",
    "near_window": "The same, of it and its neighbours.",
    "near_prev": "The same, of the memory before it.",
    "near_next": "The same, of the memory after it.",
    "near_product": "How evenly the question's words are met, related words counted.",
    "near_missing": "The weight of the word that is missing most; lower is better.",
}
_MEANING: Final[Sentences] = {
    "dense": "Likeness of meaning: the cosine of its best passage and the question.",
    "dense_rel": "Likeness of meaning, against the most alike memory.",
    "dense_z": "The same, in standard deviations above the average memory.",
    "dense_rank": "Its place in the order by likeness; lower is better.",
    "dense_prev": "Likeness of the memory before it.",
    "dense_next": "Likeness of the memory after it.",
    "both_passage": "Its best passage by words and meaning together.",
    "like_top": "Likeness to the four best candidates.",
    "like_any": "Likeness to the nearest of the eight best candidates.",
}
_PLACE: Final[Sentences] = {
    "first": "The first score: a fitted sum of cheap signals.",
    "first_gap": "How far its first score is behind the best; 0 is the best.",
    "first_rank": "Its place by the first score; lower is better.",
    "first_prev": "The first score of the memory before it.",
    "first_next": "The first score of the memory after it.",
    "first_prev2": "The first score of the memory two before it.",
    "first_next2": "The first score of the memory two after it.",
    "session_other": "The best first score of the others in its session.",
    "session_best": "The best first score in its session.",
    "session_rank": "Its place within its session; 0 is the first.",
    "session_mass": "How much of what fits the question is in its session.",
    "follows_question": "Whether it follows a question.",
    "before_question": "Whether a question follows it.",
    "preference_rank": "Its place among preferences; 20 if it is none.",
    "scoped_rank": "Its place among wishes for a topic; 20 if it is none.",
    "standing_rank": "Its place among standing wishes; 20 if it is none.",
    "scope_answer": "Whether it is a wish for this kind of answer.",
    "scope_cover": "How well the topic of a wish fits the question's words.",
    "scope_dense": "How well the topic of a wish fits the question's meaning.",
}
_PEOPLE: Final[Sentences] = {
    "by_asked": "Whether it was said by whom the question is about.",
    "by_other": "Whether it was said by somebody else.",
    "by_user": "Whether the user said it.",
    "by_assistant": "Whether the assistant said it.",
    "reply_to_asked": "Whether it replies to whom the question is about.",
    "names_asked": "How many speakers the question names.",
    "name_in_text": "Whether it holds a name from the question.",
}
_TIME: Final[Sentences] = {
    "days_off": "Days between when it was said and the time asked about (logarithm); -1: none is.",
    "mention_off": "Days between a date that it names and the time asked about; -1: none is.",
    "recency": "Share of memories that are older than it.",
    "dates_named": "How many dates it names.",
}
_SENTENCE: Final[Sentences] = {
    "words": "How long it is (logarithm of its words).",
    "is_question": "Whether it asks something.",
    "is_number": "Whether it holds a number.",
    "is_date": "Whether it names a date.",
    "is_first_person": "Whether it speaks of its speaker.",
    "is_second_person": "Whether it speaks to somebody.",
    "is_standing": "Whether it is a wish that always holds.",
    "is_liking": "Whether it says what somebody likes.",
    "is_negation": "Whether it denies something.",
    "is_greeting": "Whether it is a greeting.",
    "is_list": "Whether it is a list.",
    "is_code": "Whether it holds code.",
    "is_short": "Whether it is short.",
    "is_long": "Whether it is long.",
    "is_plan": "Whether it tells of a plan.",
    "is_past": "Whether it tells of the past.",
    "is_change": "Whether it tells of a change.",
    "is_family": "Whether it speaks of family.",
    "is_ends_asking": "Whether it ends with a question.",
    "is_preference": "Whether it states a preference.",
    "is_scoped": "Whether it is a wish for one topic.",
}
_KINDS: Final[Sentences] = {
    "when": "when", "where": "where", "who": "who", "count": "how many", "lasting": "how long",
    "manner": "in what manner", "cause": "why", "whether": "yes or no", "likely": "what is likely",
    "advice": "advice", "order": "an order of things", "raised": "what was brought up",
    "summary": "a summary", "you_said": "what the assistant said", "ever": "whether ever",
    "latest": "the latest", "earliest": "the earliest", "several": "several things",
    "first_person": "the asker", "liking": "what somebody likes",
}  # fmt: skip
_QUESTION: Final[Sentences] = {
    f"asks_{kind}": f"Whether the question asks for {what}." for kind, what in _KINDS.items()
} | {
    "asks_terms": "How many words of content the question has.",
    "asks_date": "Whether the question names a time.",
    "asks_best_lexical": "The most words in common that any memory has.",
    "asks_best_dense": "The highest likeness that any memory has.",
    "asks_first_person": "Whether the question is about the asker.",
    "asks_cause": "Whether the question asks why.",
    "asks_when": "Whether the question asks when.",
    "asks_where": "Whether the question asks where.",
    "asks_who": "Whether the question asks who.",
    "asks_count": "Whether the question asks how many.",
    "asks_lasting": "Whether the question asks how long.",
    "asks_manner": "Whether the question asks in what manner.",
    "asks_whether": "Whether the question is answered by yes or no.",
    "asks_ever": "Whether the question asks if something ever happened.",
}
GROUPS: Final[dict[str, Sentences]] = {
    "Words": _WORDS,
    "Related words": _RELATED,
    "Meaning": _MEANING,
    "Neighbours, session and wishes": _PLACE,
    "People": _PEOPLE,
    "Time": _TIME,
    "What kind of sentence": _SENTENCE,
    "What kind of question": _QUESTION,
}
_TELLING: Final = (
    "lexical_rel", "cover", "near_cover", "pairs", "dense", "dense_rel", "window_rel",
    "session_mass", "by_asked", "recency",
)  # fmt: skip


class Signal(NamedTuple):
    """One row: its name, its value, how long its bar is (0 to 1), and what it means."""

    name: str
    value: float
    share: float
    meaning: str


def telling(scores: Mapping[str, float], tops: Mapping[str, float]) -> list[Signal]:
    """The few signals that tell a person most."""
    every = {name: text for group in GROUPS.values() for name, text in group.items()}
    return [_row(n, scores, tops, every[n]) for n in _TELLING if n in scores]


def grouped(
    scores: Mapping[str, float], tops: Mapping[str, float]
) -> list[tuple[str, list[Signal]]]:
    """All signals, by group."""
    groups = [
        (title, [_row(n, scores, tops, text) for n, text in known.items() if n in scores])
        for title, known in GROUPS.items()
    ]
    return [(title, rows) for title, rows in groups if rows]


def tops_of(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The largest size of each signal among the hits that are shown."""
    tops: dict[str, float] = {}
    for each in scores:
        for name, value in each.items():
            tops[name] = max(tops.get(name, 0.0), abs(value))
    return tops


def _row(name: str, scores: Mapping[str, float], tops: Mapping[str, float], text: str) -> Signal:
    value, top = scores[name], tops.get(name, 0.0)
    return Signal(name, value, abs(value) / top if top else 0.0, text)
