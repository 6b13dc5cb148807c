"""A language model may word a lesson, if it speaks of steps that were taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from mneme.settings import Settings
from mneme.testing.embedders import HashEmbedder
from mneme.testing.language_models import ScriptedModel
from mneme.testing.runs import failed_booking
from mneme.wiring import Outside, build


def lesson_with(folder: Path, model: ScriptedModel) -> tuple[str, str | None]:
    outside = Outside(embedder=HashEmbedder(8), model=model)
    with build(folder, settings=Settings(worker=False), outside=outside) as memory:
        task, steps = failed_booking("Oslo", "Rome", "AB7")
        cube = memory.namespace("agent").learn(steps, task=task, outcome="failure")[1]
        return cube.text, cube.provenance.model


def test_a_sound_answer_is_kept_with_the_rules_facts(tmp_path: Path) -> None:
    said = {"lesson": "Reserve\nbefore paying.", "steps": [{"number": 2, "name": "pay"}]}
    model = ScriptedModel(lambda _: said)
    text, by = lesson_with(tmp_path, model)
    assert text.endswith("Lesson: Reserve before paying.")
    assert "It failed after step 2: pay(flight=AB7)" in text
    assert by == "scripted:model"
    job, system, prompt = model.asked[0]
    assert (job, "data" in system, "2. pay(flight=AB7)" in prompt) == ("lesson", True, True)


@pytest.mark.parametrize(
    "answer",
    [
        {"lesson": "Fly higher.", "steps": [{"number": 9, "name": "pay"}]},
        {"lesson": "Fly higher.", "steps": [{"number": 2, "name": "fly"}]},
        {"lesson": "Fly higher.", "steps": []},
        {"lesson": "  ", "steps": [{"number": 2, "name": "pay"}]},
        {"lesson": "x" * 5000, "steps": [{"number": 2, "name": "pay"}]},
    ],
)
def test_an_answer_about_steps_that_were_not_taken_is_dropped(
    tmp_path: Path, answer: object
) -> None:
    text, by = lesson_with(tmp_path, ScriptedModel(lambda _: answer))
    assert "Lesson:" not in text
    assert by is None


def test_without_an_answer_the_rules_stand(tmp_path: Path) -> None:
    model = ScriptedModel()
    model.down = True
    text, by = lesson_with(tmp_path, model)
    assert "It failed after step 2" in text
    assert by is None
