"""Read a file of conversations with questions and the turns that answer them.

In: a LoCoMo file (a list of conversations) or a LongMemEval file (a list of questions, each with
its haystack of sessions), plain or gzipped. Out: one corpus for each conversation or haystack.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mneme.core.errors import ImportRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCOMO_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
_LOCOMO_TURN = re.compile(r"D:?(\d+):(\d+)")
_LOCOMO_SESSION = re.compile(r"session_(\d+)")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. `ref` is its name in the file, by which evidence speaks of it."""

    ref: str
    text: str
    speaker: str | None
    role: str
    session: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question, when it is asked, and the turns and sessions that answer it."""

    text: str
    category: str
    now: datetime | None
    evidence: frozenset[str]
    sessions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """One history and the questions about it."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


def read_corpora(path: Path) -> list[Corpus]:
    """The corpora of a file.

    Raises:
        ImportRefusedError: It is no JSON, or has neither of the two formats.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            data = json.load(file)
    except (ValueError, OSError) as error:
        raise ImportRefusedError(f"{path.name} cannot be read as JSON: {error}") from error
    entries = [data] if isinstance(data, dict) else data
    try:
        return list(_corpora(entries))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        message = f"{path.name} is neither in LoCoMo nor in LongMemEval format: {error!r}"
        raise ImportRefusedError(message) from error


def _corpora(entries: list[dict[str, Any]]) -> Iterator[Corpus]:
    for number, entry in enumerate(entries, start=1):
        if "conversation" in entry:
            yield _read_locomo(entry, number)
        else:
            yield _read_longmemeval(entry)


def _read_locomo(entry: dict[str, Any], number: int) -> Corpus:
    talk = entry["conversation"]
    found = (_LOCOMO_SESSION.fullmatch(key) for key in talk)
    numbers = sorted(int(match[1]) for match in found if match)
    turns = tuple(turn for n in numbers for turn in _locomo_session(talk, n))
    known = {turn.ref for turn in turns}
    asked = (_locomo_question(item, known, turns[-1].at) for item in entry["qa"])
    questions = tuple(question for question in asked if question.evidence)
    return Corpus(str(entry.get("sample_id", number)), turns, questions)


def _locomo_session(talk: dict[str, Any], number: int) -> Iterator[Turn]:
    at = _read_time(talk.get(f"session_{number}_date_time"), "%I:%M %p on %d %B, %Y")
    for item in talk[f"session_{number}"]:
        caption = item.get("blip_caption")
        text = item["text"] + (f" [shares a photo: {caption}]" if caption else "")
        yield Turn(item["dia_id"], text, item["speaker"], "user", f"D{number}", at)


def _locomo_question(item: dict[str, Any], known: set[str], now: datetime | None) -> Question:
    """A question; no evidence for the kind that has no answer."""
    category = _LOCOMO_CATEGORIES.get(item["category"])
    named = " ".join(map(str, item.get("evidence", []))) if category else ""
    evidence = {f"D{int(a)}:{int(b)}" for a, b in _LOCOMO_TURN.findall(named)} & known
    sessions = frozenset(ref.partition(":")[0] for ref in evidence)
    return Question(item["question"], category or "", now, frozenset(evidence), sessions)


def _read_longmemeval(entry: dict[str, Any]) -> Corpus:
    histories = zip(
        entry["haystack_session_ids"],
        entry["haystack_dates"],
        entry["haystack_sessions"],
        strict=True,
    )
    turns: list[Turn] = []
    evidence: set[str] = set()
    for session, date, messages in histories:
        at = _read_longmemeval_time(date)
        for place, message in enumerate(messages):
            ref = f"{session}:{place}"
            role = message["role"]
            turns.append(Turn(ref, message["content"], None, role, session, at))
            if message.get("has_answer"):
                evidence.add(ref)
    turns.sort(key=lambda turn: turn.at or datetime.max.replace(tzinfo=UTC))
    question = Question(
        entry["question"],
        entry["question_type"],
        _read_longmemeval_time(entry.get("question_date")),
        frozenset(evidence),
        frozenset(entry["answer_session_ids"]),
    )
    return Corpus(entry["question_id"], tuple(turns), (question,))


def _read_longmemeval_time(text: str | None) -> datetime | None:
    return _read_time(re.sub(r" \(\w+\)", "", text or ""), "%Y/%m/%d %H:%M")


def _read_time(text: str | None, form: str) -> datetime | None:
    """A moment in UTC; None where the file has none that can be read."""
    try:
        return datetime.strptime(text or "", form).replace(tzinfo=UTC)
    except ValueError:
        return None
