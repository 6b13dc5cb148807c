"""The verb `demo`, on the sample and on a user's own file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mneme.cli.main import app

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def talk(tmp_path: Path) -> str:
    path = tmp_path / "talk.jsonl"
    said = ["My boat is called Albatross.", "I keep bees behind the barn."]
    path.write_text("\n".join(json.dumps({"role": "user", "content": text}) for text in said))
    return str(path)


def test_the_sample_is_asked_its_questions() -> None:
    result = CliRunner().invoke(app, ["demo", "--json"])
    assert result.exit_code == 0, result.output
    answers = json.loads(result.stdout)["answers"]
    assert len(answers) >= 5
    assert all(answer["hits"] for answer in answers)
    assert all(answer["right"] for answer in answers)


def test_the_sample_in_lines() -> None:
    result = CliRunner().invoke(app, ["demo", "--limit", "1"])
    assert result.exit_code == 0, result.output
    assert "conversation.jsonl imported" in result.stdout
    assert ", session " in result.stdout
    assert "  expected: " in result.stdout
    assert " questions show a memory that answers them" in result.stdout


def test_questions_to_a_file_of_one_s_own(shell: Shell, talk: str) -> None:
    out = shell.out("demo", talk, "--ask", "What is my boat called?", "-k", "1")
    assert out.splitlines()[-2].strip() == "My boat is called Albatross."
    answers = shell.json("demo", talk, "--ask", "Where are the bees?")["answers"]
    assert answers[0]["hits"][0]["cube"]["text"] == "I keep bees behind the barn."


def test_without_a_terminal_nobody_is_asked(shell: Shell, talk: str) -> None:
    assert "--ask" in shell.run("demo", talk).stderr


def test_written_memory_is_shown_on_the_sample() -> None:
    result = CliRunner().invoke(app, ["demo", "--written", "--json"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown["read"]["fact"] > 1
    (change,) = [each for each in shown["changed"] if "Porto" in each["is"]["text"]]
    assert "Headingley" in change["was"]["text"]
    assert change["was"]["to"] == change["is"]["from"]
    (asked,) = shown["asked"]
    assert "Headingley" in asked["on 2025-10-01"]
    assert "Porto" in asked["now"]
    assert any("metric" in each for each in shown["instructions"])
    assert "check_gaps(harbour={harbour})" in shown["experience"]["advice"]
    assert "Book the ferry" in shown["task"]["prompt"]
    assert shown["night"]["done"]
    assert shown["night"]["a profile"]
    assert shown["night"]["turned back"] > 0


def test_written_memory_in_lines() -> None:
    result = CliRunner().invoke(app, ["demo", "--written"])
    assert result.exit_code == 0, result.output
    assert "Where does Nora live?" in result.stdout
    assert "What the night's consolidation did" in result.stdout
