"""The verbs with a model: chat, promote, demote, prove."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

pytest.importorskip("transformers", reason="needs the extra local")


class Shell(Protocol):
    def run(self, *words: str, stdin: str | None = None, status: int = 0) -> Any: ...  # noqa: ANN401
    def out(self, *words: str, stdin: str | None = None) -> str: ...
    def json(self, *words: str, stdin: str | None = None, status: int = 0) -> Any: ...  # noqa: ANN401
    def refused(self, status: int, *words: str) -> dict[str, Any]: ...
    def add(self, text: str, *words: str) -> str: ...


@pytest.fixture
def model(judge: Callable[[str], Path]) -> list[str]:
    return ["--model", str(judge("recall"))]


TEXT = "w01 k01 v03 w05 w07 k09 v44 w01 w02 w03"


def test_a_document_is_promoted_asked_and_demoted(shell: Shell, model: list[str]) -> None:
    book = shell.add(TEXT, "--type", "document")
    (cube,) = shell.json("promote", book, *model, "--codec", "int8")
    assert (cube["tokens"], cube["form"]) == (11, "int8")
    asked = ("chat", "| ? k09", *model, "--max-new-tokens", "1", "--no-remember")
    reply = shell.json(*asked)
    assert reply["text"] == "v44"
    assert reply["timings"]["tokens_by_tier"] == {"disk": 11}
    assert reply["plan"][0]["carrier"] == "activation"
    assert shell.out(*asked).startswith("v44")
    assert "11 tokens as int8" in shell.out("list", "--kind", "activation")
    assert shell.json("demote", book, "--dry-run")["demoted"] == [cube["id"]]
    assert "11 tokens" in shell.out("demote", book)
    assert shell.json(*asked)["timings"]["hit_tokens"] == 0
    assert shell.refused(2, "demote", book)["error"] == "InvalidInputError"


def test_a_conversation_goes_on_line_by_line(shell: Shell, model: list[str]) -> None:
    shell.add(TEXT, "--type", "document")
    lines = "| ? k01\n\n| ? k09\n"
    words = ("chat", *model, "--max-new-tokens", "1")
    said = shell.run(*words, "--json", stdin=lines).stdout
    replies = [json.loads(part + "}") for part in said.split("\n}\n") if part.strip()]
    assert replies[0]["text"] == "v03"
    assert len({reply["session"] for reply in replies}) == 1
    assert len(shell.json("list", "--session", replies[0]["session"])["items"]) == 4


def test_a_proof_says_what_was_measured(shell: Shell, model: list[str]) -> None:
    assert set(shell.json("prove", *model)) >= {"passed", "composed", "planted"}
    assert "same next token" in shell.out("prove", *model)


def test_what_is_missing_is_said(shell: Shell, tmp_path: Path) -> None:
    book = shell.add(TEXT)
    shell.run("chat", "hello", status=2)
    assert "folder" in shell.refused(2, "chat", "hello", "--model", str(tmp_path / "no"))["message"]
    assert shell.refused(2, "promote", book, "--model", str(tmp_path))["status"] == 2
