"""Composing is off until it is proven for the model, and a proof can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.judges import latest_case
from mneme.testing.tiny_models import tiny_model

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mneme.memories.activation.mend import FirstTokens  # noqa: E402 (torch first)
from mneme.memories.activation.proof import (  # noqa: E402
    Distance,
    Prompt,
    Proof,
    prompts_of,
    prove,
    random_prompts,
)

SMALL = Distance(agreement=1.0, divergence=0.001, error=0.1)
LARGE = Distance(agreement=0.5, divergence=2.0, error=1.2)
PASSED = Proof(
    fingerprint="ab", mend="first-8", behind_head=True, tokens=64, composed=SMALL, planted=LARGE
)


@pytest.fixture(scope="module")
def latest(judge: Callable[[str], Path]) -> Engine:
    opened: Engine = mneme.engine(judge("latest-wins"))
    return opened


@pytest.fixture(scope="module")
def questions(judge: Callable[[str], Path]) -> list[Prompt]:
    """Prompts that this model answers by position."""
    words = transformers.AutoTokenizer.from_pretrained(judge("latest-wins"))
    prompts = []
    for seed in range(24):
        case = latest_case(seed, words=160, facts=20, questions=1)
        tokens = words.encode(case.text)
        parts = tuple(tuple(tokens[at : at + 40]) for at in range(0, 160, 40))
        question = tuple(words.encode(case.questions[0][0]))
        prompts.append(Prompt(head=(1,), parts=parts, question=question))
    return prompts


def test_all_computed_again_passes(latest: Engine, questions: list[Prompt]) -> None:
    proof = prove(latest, questions, mend=FirstTokens(1000), answer_tokens=1)
    assert proof.passed
    assert proof.composed.agreement == 1.0
    assert proof.composed.error < 1e-4
    assert proof.covers(latest, FirstTokens(1000), behind_head=True)


def test_parts_left_at_wrong_positions_fail(latest: Engine, questions: list[Prompt]) -> None:
    proof = prove(latest, questions, mend=FirstTokens(8), answer_tokens=1)
    assert not proof.planted.small
    assert proof.tells
    assert proof.planted.agreement < proof.composed.agreement - 0.2


def test_a_random_model_does_not_pass(tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("llama", tmp_path))
    proof = prove(engine, random_prompts(engine, samples=3, seed=1), answer_tokens=7)
    assert proof.tokens == 21
    assert not proof.passed


def test_prompts_that_tell_nothing_prove_nothing() -> None:
    assert PASSED.passed
    assert not replace(PASSED, planted=SMALL).passed
    assert not replace(PASSED, planted=replace(LARGE, agreement=0.9)).passed
    assert not replace(PASSED, composed=LARGE).passed
    assert not replace(PASSED, tokens=3).passed


@pytest.mark.parametrize(
    "far",
    [
        replace(SMALL, agreement=0.94),
        replace(SMALL, divergence=0.06),
        replace(SMALL, error=1.1),
        replace(SMALL, error=float("nan")),
    ],
)
def test_each_measure_can_fail_it(far: Distance) -> None:
    assert not replace(PASSED, composed=far).passed


def test_a_proof_is_of_one_engine_and_one_way(latest: Engine) -> None:
    proof = replace(PASSED, fingerprint=latest.fingerprint)
    assert proof.covers(latest, FirstTokens(8), behind_head=True)
    assert not proof.covers(latest, FirstTokens(9), behind_head=True)
    assert not proof.covers(latest, None, behind_head=True)
    assert not proof.covers(latest, FirstTokens(8), behind_head=False)
    assert not PASSED.covers(latest, FirstTokens(8), behind_head=True)


def test_a_proof_is_kept_as_json() -> None:
    assert Proof.from_json(PASSED.to_json()) == PASSED


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"passed": true}', "null"])
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="prove again"):
        Proof.from_json(text)


def test_prompts_are_cut_from_texts() -> None:
    prompts = prompts_of([range(100), range(500, 700)], samples=5, seed=2, head=[1, 2])
    assert len(prompts) == 5
    assert all(prompt.head == (1, 2) and len(prompt.parts) >= 3 for prompt in prompts)
    assert any(contains(part, prompts[0].question) for part in prompts[0].parts)
    for part in prompts[0].parts:
        assert list(part) == list(range(part[0], part[0] + len(part)))
    assert prompts == prompts_of([range(100), range(500, 700)], samples=5, seed=2, head=[1, 2])


def test_bad_prompts_are_refused(latest: Engine, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="longer"):
        prompts_of([range(20)])
    with pytest.raises(InvalidInputError, match="two parts"):
        Prompt(head=(1,), parts=((5, 6),), question=(7,))
    with pytest.raises(InvalidInputError, match="one token"):
        Prompt(head=(), parts=((5, 6), (7,)), question=(7,))
    with pytest.raises(InvalidInputError, match="nothing"):
        prove(latest, [])
    sliding = mneme.engine(tiny_model("mistral-sliding", tmp_path))
    with pytest.raises(UnsuitedModelError):
        prove(sliding, random_prompts(sliding, samples=1))


def contains(part: tuple[int, ...], some: tuple[int, ...]) -> bool:
    starts = range(len(part) - len(some))  # something follows, to go on with
    return any(part[start : start + len(some)] == some for start in starts)
