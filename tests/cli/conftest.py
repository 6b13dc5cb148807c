"""Runs verbs of the command line in this process, on a store of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mneme.cli.main import app


class Shell:
    """Calls `mneme` and hands back what it printed."""

    def __init__(self, store: str) -> None:
        self.store = store

    def run(self, *words: str, stdin: str | None = None, status: int = 0) -> Any:  # noqa: ANN401
        """The result of one call on the store, whose exit status must be as given."""
        result = CliRunner().invoke(app, [*words, "--store", self.store], input=stdin)
        assert result.exit_code == status, (words, result.output, result.exception)
        return result

    def out(self, *words: str, stdin: str | None = None) -> str:
        """What a call printed."""
        return str(self.run(*words, stdin=stdin).stdout)

    def json(self, *words: str, stdin: str | None = None, status: int = 0) -> Any:  # noqa: ANN401
        """The JSON that a call printed."""
        return json.loads(self.run(*words, "--json", stdin=stdin, status=status).stdout)

    def refused(self, status: int, *words: str) -> dict[str, Any]:
        """The JSON error of a call, of which stdout says nothing."""
        result = self.run(*words, "--json", status=status)
        assert result.stdout == ""
        error: dict[str, Any] = json.loads(result.stderr)
        assert error["status"] == status
        return error

    def add(self, text: str, *words: str) -> str:
        """The id of a new cube."""
        return str(self.json("add", text, *words)[0]["id"])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(str(tmp_path / "store"))


@pytest.fixture
def stored(shell: Shell) -> Callable[[], list[str]]:
    """The texts that are listed."""
    return lambda: [cube["text"] for cube in shell.json("list")["items"]]
