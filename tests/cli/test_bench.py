"""The verb `bench`: a table of what was found, with figures that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def haystack(number: int, answer: str, question: str) -> dict[str, Any]:
    """A LongMemEval question of which one turn of one session is the answer."""
    filler = ["The weather is grey.", "We had soup for lunch.", "The bus was late again."]
    return {
        "question_id": f"q{number}",
        "question_type": "single-session-user",
        "question": question,
        "question_date": "2026/05/10 (Sun) 10:00",
        "answer_session_ids": ["right"],
        "haystack_session_ids": ["other", "right"],
        "haystack_dates": ["2026/05/01 (Fri) 09:05", "2026/05/03 (Sun) 09:05"],
        "haystack_sessions": [
            [{"role": "user", "content": text} for text in filler],
            [
                {"role": "user", "content": answer, "has_answer": True},
                {"role": "assistant", "content": "Noted."},
                {"role": "user", "content": "  "},
            ],
        ],
    }


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "questions.json"
    entries = [
        haystack(1, "My boat is called Albatross.", "What is my boat called?"),
        haystack(2, "I keep bees behind the barn.", "Where do I keep my bees?"),
    ]
    path.write_text(json.dumps(entries))
    return str(path)


def test_all_that_can_be_found_is_found(shell: Shell, questions: str) -> None:
    report = shell.json("bench", questions)
    assert (report["corpora"], report["turns"], report["questions"]) == (2, 12, 2)
    assert report["all"]["r@5"] == report["all"]["S_all@5"] == 100
    assert list(report["by_category"]) == ["single-session-user"]
    assert report["speed"]["add_turns_per_s"] > 0
    assert shell.json("namespaces") == ["bench/1", "bench/2"]  # the store that was asked for


def test_the_table(shell: Shell, questions: str) -> None:
    out = shell.out("bench", questions, "--limit", "1", "--mode", "lexical")
    assert "single-session-user" in out
    assert "100.0" in out
    assert "6 turns in 1 namespaces, mode lexical" in out


def test_a_file_without_questions_is_refused(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text("[{}]")
    assert shell.refused(1, "bench", str(path))["error"] == "ImportRefusedError"


def test_a_file_that_is_not_there_is_wrong_usage(shell: Shell) -> None:
    assert "there is no file" in shell.refused(2, "bench", "nowhere.json")["message"]


def test_ttft_wants_a_model(shell: Shell) -> None:
    assert "--model" in shell.refused(2, "bench", "ttft")["message"]


def test_ttft_of_no_model_is_refused(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    refused = shell.refused(2, "bench", "ttft", "--model", str(tmp_path / "none"))
    assert refused["error"] == "InvalidInputError"


def test_ttft_measures_each_size_that_fits_the_window(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from mneme.testing.tiny_models import tiny_model

    model = str(tiny_model("llama", tmp_path / "model", max_position_embeddings=600))
    report = shell.json("bench", "ttft", "--model", model)
    assert [(row["memory_tokens"], row["question_tokens"]) for row in report["rows"]] == [(512, 32)]
    row = report["rows"][0]
    assert row["same_first_token"]
    assert min(row["prefill_s"], row["host_s"], row["disk_s"], row["stored_bytes"]) > 0
    out = shell.out("bench", "ttft", "--model", model)
    assert "512" in out
    assert "always the same" in out
