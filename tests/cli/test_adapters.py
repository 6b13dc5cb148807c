"""The verbs on weights: promote, route, externalise, export, import, merge, compare, unlearn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

pytest.importorskip("transformers", reason="needs the extra local")

from mneme.testing.fact_world import WorldFact, known_facts, new_facts


class Shell(Protocol):
    def run(self, *words: str, stdin: str | None = None, status: int = 0) -> Any: ...  # noqa: ANN401
    def out(self, *words: str, stdin: str | None = None) -> str: ...
    def json(self, *words: str, stdin: str | None = None, status: int = 0) -> Any: ...  # noqa: ANN401
    def refused(self, status: int, *words: str) -> dict[str, Any]: ...
    def add(self, text: str, *words: str) -> str: ...


@pytest.fixture
def model(judge: Callable[[str], Path]) -> list[str]:
    return ["--model", str(judge("facts"))]


@pytest.fixture
def facts(judge: Callable[[str], Path]) -> list[WorldFact]:
    return new_facts(known_facts(judge("facts")), 6)


@pytest.fixture
def shard(shell: Shell, model: list[str], facts: list[WorldFact]) -> dict[str, Any]:
    for fact in facts:
        shell.add(fact.text, "--type", "fact")
    promoted = ("promote", "--filter", "type=fact", "--to", "parametric", *model)
    made: dict[str, Any] = shell.json(*promoted, "--training", "steps=120")[0]
    return made


def test_a_fact_is_promoted_routed_answered_and_read_back(
    shell: Shell, model: list[str], facts: list[WorldFact], shard: dict[str, Any]
) -> None:
    question = facts[0].prompts()[0]
    assert shell.json("route", question, *model)["matches"][0]["fact"] == facts[0].text
    assert shell.out("route", question, *model).startswith("by weights")
    reply = shell.json("chat", question, *model, "--no-remember", "--max-new-tokens", "3")
    assert (reply["text"], reply["plan"][0]["carrier"]) == (facts[0].object, "parametric")
    assert shell.out("externalise", shard["id"], *model).startswith("6 verified")
    assert "6 facts as bf16" in shell.out("list", "--kind", "parametric")
    assert shell.json("demote", shard["id"])["demoted"] == [shard["id"]]
    assert shell.out("route", question, *model).startswith("by text")


def test_an_adapter_is_exported_imported_and_weakened(
    shell: Shell, model: list[str], facts: list[WorldFact], shard: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "moved"
    assert shell.json("export-adapter", shard["id"], str(folder))["folder"] == str(folder)
    taken = shell.json("import-adapter", str(folder), *model, "-n", "bob")
    pairs = [{"prompt": fact.prompts()[0], "answer": fact.object} for fact in facts]
    wanted = tmp_path / "wanted.json"
    wanted.write_text(json.dumps({"forget": pairs[:1], "retain": pairs[1:]}))
    weaker = shell.json("unlearn", taken["id"], str(wanted), *model, "-n", "bob")
    assert (weaker["version"], weaker["approximate"]) == (2, True)
    chat = ("chat", facts[1].prompts()[0], *model, "--no-remember", "--max-new-tokens", "3")
    reply = shell.json(*chat, "--adapter", taken["id"], "--budget-tokens", "1", "-n", "bob")
    assert reply["plan"][0]["carrier"] == "parametric"


def test_versions_are_compared(
    shell: Shell, model: list[str], facts: list[WorldFact], shard: dict[str, Any]
) -> None:
    more = new_facts(facts, 2, seed=8)
    for fact in more:
        shell.add(fact.text, "--type", "fact")
    promoted = ("promote", "--filter", "type=fact", "--to", "parametric", *model)
    again = shell.json(*promoted, "--training", "steps=120")[0]
    assert again["id"] == shard["id"]
    versions = [each["version"] for each in shell.json("history", shard["id"]) if each["state"]]
    first, last = str(versions[1]), str(versions[-1])
    said = shell.json("compare-adapters", shard["id"], first, last, *model)
    assert len(said["added"]) == 2
    assert f"+ {more[0].subject}" in shell.out("compare-adapters", shard["id"], first, last, *model)


def test_merging_wants_two(shell: Shell, model: list[str], shard: dict[str, Any]) -> None:
    refused = shell.refused(2, "merge-adapters", shard["id"], *model)
    assert refused["error"] == "InvalidInputError"


@pytest.mark.parametrize("said", ["rank", "colour=8", "rank=many"])
def test_a_wrong_training_is_told(shell: Shell, model: list[str], said: str) -> None:
    words = ("promote", "--filter", "type=fact", "--to", "parametric", "--training", said)
    assert "training" in str(shell.refused(2, *words, *model)["message"]).lower()


def test_a_file_of_lessons_that_is_none_is_told(
    shell: Shell, model: list[str], tmp_path: Path
) -> None:
    (tmp_path / "list.json").write_text("[]")
    for name in ("missing.json", "list.json"):
        shell.refused(2, "unlearn", "x", str(tmp_path / name), *model)
