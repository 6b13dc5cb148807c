"""The verbs of experience and sleep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

RUN = [
    {"action": {"name": "open", "arguments": {"path": "orders.csv"}}, "observation": "12 rows"},
    {"action": {"name": "count", "arguments": {"column": "total"}}, "observation": "12"},
]


def test_what_was_learned_is_advised(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(RUN))
    cubes = shell.json("learn", str(path), "--task", "Count the rows of orders.csv")
    assert "procedure" in {cube["type"] for cube in cubes}
    advice = shell.json("advise", "Count the rows of orders.csv")
    assert "open" in advice["text"]
    assert "open" in shell.out("advise", "Count the rows of orders.csv", "-b", "400")
    assert "nothing found" in shell.run("advise", "Paint the fence").stderr


def test_a_run_that_cannot_be_read_is_refused(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("[")
    assert shell.run("learn", str(path), status=2).stderr
    path.write_text('[{"action": 5}]')
    assert shell.run("learn", str(path), "--task", "x", status=2).stderr
    assert shell.run("learn", str(tmp_path / "none"), status=2).stderr


def test_a_consolidation_is_shown_before_it_is_done_and_undone(shell: Shell) -> None:
    for number in range(8):
        shell.run("add", f"We painted room {number} of the old school.", "--session", "s9")
    plan = shell.json("consolidate", "--dry-run", "--quiet-s", "0")
    assert plan["run_id"] is None
    report = shell.json("consolidate", "--quiet-s", "0")
    assert report["run_id"] is not None
    assert report["done"]
    assert shell.json("undo", report["run_id"])["turned_back"] > 0
    assert "turned_back" not in shell.run("undo", report["run_id"], status=2).stdout
