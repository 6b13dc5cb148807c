"""What differs between a failure and a success."""

from __future__ import annotations

from mneme.memories.plaintext.experience.lessons import (
    contrasted,
    lesson_from_json,
    lesson_of,
)
from mneme.memories.plaintext.experience.reading import trajectory_of
from mneme.memories.plaintext.experience.steps import Trajectory
from mneme.memories.plaintext.experience.template import template_of


def run(task: str, *actions: str, failed: int = 0) -> Trajectory:
    steps = [{"action": a, "error": n == failed} for n, a in enumerate(actions, start=1)]
    return trajectory_of(steps, task)


def test_the_last_step_with_an_error_is_blamed_else_the_last() -> None:
    assert lesson_of(run("Go", "a", "b", "c", failed=2)).number == 2
    silent = lesson_of(run("Go", "a", "b", "c"))
    assert (silent.number, silent.worked) == (3, ())
    assert [str(a) for a in lesson_of(run("Go", "a", "b", "c", failed=3)).worked] == ["a", "b"]


def test_another_choice_for_the_same_task_is_named() -> None:
    lesson = contrasted(
        lesson_of(run("Make ice", "pick(kind=plum)", "freeze", failed=1)),
        template_of(run("Make ice", "pick(kind=mint)", "freeze")),
    )
    assert (str(lesson.instead), lesson.place) == ("pick(kind=mint)", "instead of")
    assert lesson_from_json(lesson.to_json()) == lesson


def test_a_step_left_out_is_named() -> None:
    lesson = contrasted(
        lesson_of(run("Enter hall 4", "walk", "open(door=4)", failed=2)),
        template_of(run("Enter hall 7", "walk", "unlock(door=7)", "open(door=7)")),
    )
    assert (str(lesson.instead), lesson.place) == ("unlock(door=7)", "before")


def test_a_failure_that_took_all_steps_of_the_success_says_nothing_of_it() -> None:
    lesson = lesson_of(run("Go", "a", "b", failed=2))
    assert contrasted(lesson, template_of(run("Go", "a", "b"))) == lesson
