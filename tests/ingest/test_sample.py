"""The sample conversation is sound, and the answers to its questions are found in it."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest

import mneme
from mneme.ingest.importers import ImportItem, detect, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mneme.app.namespace import Namespace

SAMPLE = resources.files("mneme.cli") / "sample"
MESSAGES: list[dict[str, Any]] = [
    json.loads(line)
    for line in (SAMPLE / "conversation.jsonl").read_text(encoding="utf-8").splitlines()
]
QUESTIONS: list[dict[str, Any]] = json.loads(
    (SAMPLE / "questions.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with resources.as_file(SAMPLE / "conversation.jsonl") as path:
        yield path


@pytest.fixture(scope="module")
def nora(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    with mneme.open(tmp_path_factory.mktemp("sample") / "store") as memory:
        namespace = memory.namespace("nora")
        assert namespace.import_(file).added == len(MESSAGES)
        yield namespace


def test_every_message_is_read(file: Path) -> None:
    assert detect(file) == "jsonl"
    items = [item for item in read(file) if isinstance(item, ImportItem)]
    assert [item.content for item in items] == [message["content"] for message in MESSAGES]
    assert {item.speaker for item in items} == {"Nora", "Tomas", "Priya", None}
    assert len({item.idempotency_key for item in items}) == len(MESSAGES) >= 300


def test_it_runs_through_six_months_in_order() -> None:
    times = [message["at"] for message in MESSAGES]
    assert times == sorted(times)
    assert times[0][:7] == "2025-09"
    assert times[-1][:7] == "2026-03"
    assert len({message["session"] for message in MESSAGES}) >= 30


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked["question"])
def test_questions_name_the_turns_that_answer_them(asked: dict[str, Any]) -> None:
    known = {message["id"]: message for message in MESSAGES}
    assert asked["turns"]
    assert all(known[turn]["at"] < asked["now"] for turn in asked["turns"])
    assert known[asked["turns"][0]]["session"] == asked["session"]
    assert asked["answer"]


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked["question"])
def test_an_answer_is_among_the_first_five(nora: Namespace, asked: dict[str, Any]) -> None:
    texts = {m["content"] for m in MESSAGES if m["id"] in asked["turns"]}
    hits = nora.search(asked["question"], limit=5, now=asked["now"])
    assert texts & {hit.cube.text for hit in hits}


def test_a_second_import_adds_nothing(nora: Namespace, file: Path) -> None:
    report = nora.import_(file)
    assert (report.added, report.repeated) == (0, len(MESSAGES))
