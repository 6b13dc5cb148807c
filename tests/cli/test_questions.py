"""Files of questions with evidence, in their two formats."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mneme.cli.questions import read_corpora
from mneme.core.errors import ImportRefusedError

LOCOMO = [
    {
        "sample_id": "talk-1",
        "conversation": {
            "speaker_a": "Ida",
            "speaker_b": "Jon",
            "session_2_date_time": "9:05 am on 3 May, 2026",
            "session_2": [
                {"speaker": "Ida", "dia_id": "D2:1", "text": "Look!", "blip_caption": "a red boat"}
            ],
            "session_1_date_time": "some day",
            "session_1": [{"speaker": "Jon", "dia_id": "D1:1", "text": "I bought a boat."}],
            "session_3_date_time": "9:05 am on 4 May, 2026",
        },
        "qa": [
            {"question": "What did Jon buy?", "category": 4, "evidence": ["D1:1; D:02:1", "D9:9"]},
            {"question": "What did Ida buy?", "category": 5, "evidence": ["D1:1"]},
            {"question": "Nothing known?", "category": 1, "evidence": []},
        ],
    }
]
LONGMEMEVAL = [
    {
        "question_id": "q1",
        "question_type": "single-session-user",
        "question": "Which boat is mine?",
        "question_date": "2026/05/10 (Sun) 10:00",
        "answer_session_ids": ["s2"],
        "haystack_session_ids": ["s2", "s1"],
        "haystack_dates": ["2026/05/03 (Sun) 09:05", "2026/05/01 (Fri) 09:05"],
        "haystack_sessions": [
            [
                {"role": "user", "content": "Mine is red.", "has_answer": True},
                {"role": "assistant", "content": "Noted."},
            ],
            [{"role": "user", "content": "Hello."}],
        ],
    }
]


def written(path: Path, data: Any) -> Path:  # noqa: ANN401
    path.write_text(json.dumps(data))
    return path


def test_locomo(tmp_path: Path) -> None:
    (corpus,) = read_corpora(written(tmp_path / "locomo.json", LOCOMO))
    may = datetime(2026, 5, 3, 9, 5, tzinfo=UTC)
    assert corpus.name == "talk-1"
    assert [(turn.ref, turn.session, turn.at) for turn in corpus.turns] == [
        ("D1:1", "D1", None),
        ("D2:1", "D2", may),
    ]
    assert corpus.turns[1].text == "Look! [shares a photo: a red boat]"
    (question,) = corpus.questions
    assert (question.category, question.now) == ("single-hop", may)
    assert question.evidence == {"D1:1", "D2:1"}
    assert question.sessions == {"D1", "D2"}


def test_longmemeval_gzipped(tmp_path: Path) -> None:
    path = tmp_path / "lme.json.gz"
    path.write_bytes(gzip.compress(json.dumps(LONGMEMEVAL).encode()))
    (corpus,) = read_corpora(path)
    assert [turn.ref for turn in corpus.turns] == ["s1:0", "s2:0", "s2:1"]
    assert [turn.role for turn in corpus.turns] == ["user", "user", "assistant"]
    (question,) = corpus.questions
    assert question.evidence == {"s2:0"}
    assert question.sessions == {"s2"}
    assert question.now == datetime(2026, 5, 10, 10, tzinfo=UTC)


@pytest.mark.parametrize("data", [[{"x": 1}], [1], {"conversation": {}, "qa": 1}, [[]]])
def test_other_files_are_refused(tmp_path: Path, data: object) -> None:
    with pytest.raises(ImportRefusedError, match="neither in LoCoMo nor"):
        read_corpora(written(tmp_path / "other.json", data))


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_bytes(b"\xff{")
    with pytest.raises(ImportRefusedError, match="cannot be read as JSON"):
        read_corpora(path)
    with pytest.raises(ImportRefusedError, match="cannot be read as JSON"):
        read_corpora(written(tmp_path / "x.json.gz", LOCOMO))


def test_a_real_locomo_file_is_read_whole() -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "locomo" / "locomo_dev.json"
    if not path.exists():
        pytest.skip(f"no LoCoMo data at {path}")
    corpora = read_corpora(path)
    assert len(corpora) == len(json.loads(path.read_text()))
    for corpus in corpora:
        assert all(turn.at for turn in corpus.turns)
        known = {turn.ref for turn in corpus.turns}
        assert len(known) == len(corpus.turns)
        assert all(question.evidence <= known for question in corpus.questions)
        assert len(corpus.questions) > 50
