"""The verbs of tasks and tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import pytest


class Shell(Protocol):
    def run(self, *words: str, stdin: str | None = None, status: int = 0) -> Any: ...  # noqa: ANN401
    def out(self, *words: str, stdin: str | None = None) -> str: ...
    def json(self, *words: str, stdin: str | None = None, status: int = 0) -> Any: ...  # noqa: ANN401
    def refused(self, status: int, *words: str) -> dict[str, Any]: ...
    def add(self, text: str, *words: str) -> str: ...


def test_a_task_is_made_worked_on_and_shown(shell: Shell) -> None:
    task = shell.json("task", "Plan the trip", "--input", "people=2")["id"]
    assert shell.json("step", task, "add", "--title", "Fix the dates")["number"] == 1
    shell.json("step", task, "add", "--title", "Travel", "--after", "1")
    shell.json("step", task, "add", "2", "--title", "Pay", "--input", "card=visa")
    shell.json("step", task, "start", "1")
    done = shell.json("step", task, "finish", "1", "--output", "from=2026-05-01")
    assert (done["status"], done["outputs"]) == ("done", {"from": "2026-05-01"})
    shell.json("step", task, "block", "3", "--why", "no card")
    shown = shell.out("task", "--id", task)
    assert "[x] 1. Fix the dates (done); from = 2026-05-01" in shown
    assert "    [-] 3. Pay (blocked); why: no card" in shown
    whole = shell.json("task", "--id", task)
    assert [step["status"] for step in whole["steps"]] == ["done", "open", "blocked"]
    assert whole["goal"]["inputs"] == {"people": 2}
    assert "Task: Plan the trip" in shell.out("task", "--id", task, "--prompt", "200")
    assert shell.json("task", "--id", task, "--prompt", "0")["prompt"] == ""
    tree = shell.out("step", task, "revise", "2", "--title", "Go there")
    assert "2. Go there" in tree


@pytest.mark.parametrize(
    "words",
    [("sleep", "1"), ("start", "1", "--why", "x"), ("fail", "1"), ("add",),
     ("finish", "1", "--title", "x"), ("finish", "2"), ("start", "9"),
     ("revise", "1", "--after", "2")],
)  # fmt: skip
def test_a_wrong_step_is_refused(shell: Shell, words: tuple[str, ...]) -> None:
    task = shell.json("task", "Plan")["id"]
    shell.json("step", task, "add", "--title", "One")
    shell.json("step", task, "add", "--title", "Two", "--after", "1")
    before = shell.out("task", "--id", task)
    shell.refused(2, "step", task, *words)
    assert shell.out("task", "--id", task) == before


def test_a_task_that_is_not_there_is_refused(shell: Shell) -> None:
    shell.refused(1, "task", "--id", "nobody")
    shell.refused(2, "task")


def test_a_table_is_filled_shown_and_asked(shell: Shell, tmp_path: Path) -> None:
    rows = [{"what": "tea", "amount": 3}, {"what": "bread", "amount": 4.5}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    columns = ("--column", "what:text", "--column", "amount:real")
    made = shell.json("table", "expenses", *columns, "--insert", str(file))
    assert [row["cells"]["what"] for row in made["rows"]] == ["tea", "bread"]
    tool = shell.add("Receipt: cake", "--role", "tool")
    shell.run("table", "expenses", "--insert", "-", "--source", tool, stdin='{"what": "cake"}\n')
    shown = shell.out("table", "expenses").splitlines()
    assert shown[1:] == ["what\tamount", "tea\t3.0", "bread\t4.5", "cake\t"]
    found = shell.json("query", "SELECT what FROM expenses WHERE amount > ?", "--param", "4")
    assert (found["rows"], found["tables"], found["untrusted"]) == ([["bread"]], ["expenses"], True)
    result = shell.run("query", "SELECT amount, x'0f' AS b FROM expenses", "--limit", "1")
    assert result.stdout.splitlines() == ["amount\tb", "3.0\t0f"]
    assert "more rows" in result.stderr
    assert "no instructions" in result.stderr


@pytest.mark.parametrize(
    "words",
    [("query", "DELETE FROM t"), ("query", "SELECT * FROM sqlite_schema"), ("query", "SELEC 1"),
     ("table", "t", "--column", "a"), ("table", "t", "--column", "a:blob"), ("table", "nope"),
     ("table", "t", "--insert", "/nowhere/at/all"), ("query", "SELECT 1", "--timeout-s", "0")],
)  # fmt: skip
def test_what_cannot_be_is_refused(shell: Shell, words: tuple[str, ...]) -> None:
    shell.json("table", "t", "--column", "a:text")
    shell.refused(2, *words)
