"""The sets that the ranking is fitted on: as rows of the index, in folds, and with fields hidden.

The sets are loaded by `retrieval_bench.py` beside the repository (see its README for licences);
nothing of them is kept here. One question is always in one fold, whatever the set or the variant.

Variants: "plain" as it is; "even" breaks LongMemEval's histories so that the sessions of evidence
cannot be told from the others by their size or by their neighbours (in the rebuilt histories they
hold one to three turns of one role); "hide-X" takes a field away from every turn; "some" takes one
to four fields away, drawn by a fixed seed for each conversation.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mneme.backends.embedders.static import StaticEmbedder
from mneme.core.clock import to_us
from mneme.core.protocols import IndexRow, PassageRow
from mneme.memories.plaintext.build import analyse
from mneme.recall.topic import topic_of
from mneme.vault.index.namespace import NamespaceIndex

SETS = ("locomo", "lme_hay_s", "lme_hay_m", "beam100k", "beam500k")
FIELDS = ("role", "speaker", "time", "session")
FOLDS = 5
ROLES = frozenset({"user", "assistant", "system", "tool"})
SHARED = Path(os.environ.get("SHARED", Path(__file__).resolve().parents[2] / "shared"))

Turn = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One question of one corpus.

    Attributes:
        set_name: Of the set.
        corpus: Of the conversation, history or chat.
        question: As the loader gives it.
        fold: 0 to `FOLDS` - 1.
    """

    set_name: str
    corpus: str
    question: dict[str, Any]
    fold: int

    @property
    def key(self) -> tuple[str, str]:
        """Set and question."""
        return self.set_name, self.question["id"]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Turns in order of time, and the questions about them."""

    set_name: str
    name: str
    turns: list[Turn]
    cases: list[Case]


def load_sets(names: tuple[str, ...] = SETS) -> list[Corpus]:
    """All corpora of some sets, with their folds."""
    sys.path.insert(0, str(SHARED / "bench"))
    bench = importlib.import_module("retrieval_bench")
    loaded = {name: bench.load(name) for name in names}
    folds = _folds(loaded)
    return [
        Corpus(
            name, corpus.id, corpus.items,
            [Case(name, corpus.id, q, folds[name, q["id"]]) for q in corpus.questions],
        )
        for name, corpora in loaded.items()
        for corpus in corpora
    ]  # fmt: skip


def _folds(loaded: dict[str, list[Any]]) -> dict[tuple[str, str], int]:
    """By conversation (LoCoMo), by chat (BEAM), by question (LongMemEval, both sets together)."""
    folds: dict[tuple[str, str], int] = {}
    for name, corpora in loaded.items():
        if name.startswith("lme"):
            folds |= {(name, q): fold for q, fold in _question_folds(corpora).items()}
        else:
            shift = 2 if name == "beam500k" else 0
            for place, corpus in enumerate(corpora):
                folds |= {(name, q["id"]): (place + shift) % FOLDS for q in corpus.questions}
    return folds


def _question_folds(corpora: list[Any]) -> dict[str, int]:
    """Questions that share a session of evidence share a fold; the groups are dealt out by hash."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    questions = [q for corpus in corpora for q in corpus.questions]
    for q in questions:
        for session in q["sessions"]:
            parent[root("session " + session)] = root("question " + q["id"])
    roots = {q["id"]: root("question " + q["id"]) for q in questions}
    dealt = sorted(set(roots.values()), key=lambda r: hashlib.md5(r.encode()).hexdigest())
    place = {name: number % FOLDS for number, name in enumerate(dealt)}
    return {question: place[name] for question, name in roots.items()}


def variant(corpus: Corpus, kind: str) -> list[Turn]:
    """The turns of a corpus in one variant, see the module's text."""
    if kind == "plain":
        return corpus.turns
    if kind.startswith("hide-"):
        return _hide(corpus.turns, {kind.removeprefix("hide-")})
    turns = _even(corpus) if corpus.set_name.startswith("lme") else corpus.turns
    return turns if kind == "even" else _hide(turns, _some_fields(corpus))


def _some_fields(corpus: Corpus) -> set[str]:
    draw = random.Random(corpus.set_name + corpus.name)
    while True:
        chosen = {field for field in FIELDS if draw.random() < 0.35}
        if chosen:
            return chosen


def _hide(turns: list[Turn], fields: set[str]) -> list[Turn]:
    hidden = []
    for turn in turns:
        kept = dict(turn)
        is_role = turn["speaker"] in ROLES
        if ("role" in fields and is_role) or ("speaker" in fields and not is_role):
            kept["speaker"] = "user"
        if "time" in fields:
            kept["timestamp"] = ""
        if "session" in fields:
            kept["session"] = "default"
        hidden.append(kept)
    return hidden


def _even(corpus: Corpus) -> list[Turn]:
    """Break every session into runs of one to three turns of one role."""
    draw = random.Random(corpus.name)
    by_session: dict[str, list[Turn]] = defaultdict(list)
    for turn in corpus.turns:
        by_session[turn["session"]].append(turn)
    renamed: dict[str, str] = {}
    for session, turns in by_session.items():
        short = session.startswith(("answer_", "other_"))
        for role in ("user", "assistant"):
            own = [turn["id"] for turn in turns if turn["speaker"] == role]
            first = run = 0
            while first < len(own):
                size = len(own) if short else draw.choice((1, 1, 2, 2, 3))
                renamed |= dict.fromkeys(own[first : first + size], f"{session}/{role}{run}")
                first, run = first + size, run + 1
    turns = [dict(turn, session=renamed[turn["id"]]) for turn in corpus.turns]
    begins: dict[str, int] = {}
    for place, turn in enumerate(turns):
        begins.setdefault(turn["session"], place)
    return sorted(turns, key=lambda turn: begins[turn["session"]])


class Indexer:
    """Makes indexes of turns; what was read off a text is kept for the next variant."""

    def __init__(self) -> None:
        self.embedder = StaticEmbedder()
        self._read: dict[tuple[str, str | None, str], Any] = {}

    def index(self, turns: list[Turn]) -> NamespaceIndex:
        """The index of a conversation, as the vault would build it."""
        index = NamespaceIndex()
        index.apply(self._rows(turns))
        index.prepare()
        return index

    def vector(self, text: str) -> np.ndarray:
        """Of a question."""
        return self.embedder.embed([topic_of(text)], query=True)[0]

    def _rows(self, turns: list[Turn]) -> Iterator[IndexRow]:
        for number, turn in enumerate(turns):
            is_role = turn["speaker"] in ROLES
            role, speaker = (turn["speaker"], None) if is_role else ("user", turn["speaker"])
            said_at = moment(turn["timestamp"])
            analysis, passages = self._analysed(turn, role, speaker, said_at)
            yield IndexRow(
                key=number + 1, live=True, state="activated", type="turn",
                session=turn["session"], role=role, speaker=speaker, origin=role, trust="trusted",
                event_at=None if said_at is None else to_us(said_at), recorded_at=number,
                valid_from=None, valid_to=None, expires_at=None, shape=analysis.shape,
                mentions=analysis.mentions, passages=passages,
            )  # fmt: skip

    def _analysed(
        self, turn: Turn, role: str, speaker: str | None, said_at: datetime | None
    ) -> tuple[Any, tuple[PassageRow, ...]]:
        key = (turn["text"], speaker, turn["timestamp"])
        if key not in self._read:
            analysis = analyse(turn["text"], role=role, speaker=speaker, said_at=said_at)
            vectors = self.embedder.embed([p.embed_text for p in analysis.passages])
            rows = zip(analysis.passages, vectors.astype(np.float16), strict=True)
            self._read[key] = (analysis, tuple(PassageRow(p.terms, v.tobytes()) for p, v in rows))
        return self._read[key]


def moment(stamp: str | None) -> datetime | None:
    """A set's time stamp as an aware moment."""
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC) if stamp else None
