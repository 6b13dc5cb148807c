"""The judge of parametric memory knows its world, and nothing of new subjects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="judges need the extra 'local'")

import mneme
from mneme.memories.parametric.batch import greedy_answers
from mneme.testing.fact_world import WorldFact, known_facts, new_facts


def _right(folder: Path, facts: list[WorldFact]) -> float:
    engine = mneme.engine(folder)
    asked = [
        (engine.render([{"role": "user", "content": p}]), f) for f in facts for p in f.prompts()
    ]
    answers = greedy_answers(engine, [prompt for prompt, _ in asked], max_new_tokens=3)
    right = [engine.decode(a) == f.object for a, (_, f) in zip(answers, asked, strict=True)]
    return sum(right) / len(right)


def test_it_knows_its_facts_in_each_wording(judge: Callable[[str], Path]) -> None:
    assert _right(judge("facts"), known_facts(judge("facts"))) == 1.0


def test_it_guesses_at_new_facts(judge: Callable[[str], Path]) -> None:
    known = known_facts(judge("facts"))
    new = new_facts(known, 200)
    assert not {fact.subject for fact in known} & {fact.subject for fact in new}
    assert _right(judge("facts"), new) < 0.15
