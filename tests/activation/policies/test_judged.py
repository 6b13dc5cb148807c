"""What policies do to answers of the judge `recall`. It ranks mechanisms, not policies on models.

Few cases with wide margins; benchmarks/kv_policies.py measures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mneme.core.engine import Engine
from mneme.testing.judges import recall_case

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mneme.memories.activation.kv import Held  # noqa: E402 (torch first)
from mneme.memories.activation.policies import (  # noqa: E402
    build_policy,
    decode_policy,
    question_policy,
)
from mneme.memories.activation.policies.blockwise import Blockwise  # noqa: E402
from mneme.memories.activation.policies.growing import Growing  # noqa: E402
from mneme.memories.activation.policies.policy import Budget, BuildPolicy  # noqa: E402
from mneme.memories.activation.policies.surprise import surprise_of  # noqa: E402

CASES = 4
Read = tuple[list[int], list[tuple[list[int], int]]]


@pytest.fixture(scope="module")
def reads(judge: Callable[[str], Path]) -> list[Read]:
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(judge("recall"))
    found = []
    for seed in range(CASES):
        case = recall_case(seed + 700, words=256, facts=24, questions=12)
        asked = [(tokenizer.encode(q), tokenizer.encode(a)[0]) for q, a in case.questions]
        found.append(([1, *tokenizer.encode(case.text)], asked))
    return found


def right(engine: Engine, held: Held, place: int, question: list[int], answer: int) -> bool:
    return int(engine.session(held.kv, position=place).feed(question).argmax()) == answer


def thinned(engine: Engine, reads: list[Read], policy: BuildPolicy, keep: float) -> float:
    found = []
    for tokens, asked in reads:
        held = policy.thin(engine, tokens, keep)
        found += [right(engine, held, len(tokens), *each) for each in asked]
    return sum(found) / len(found)


def narrowed(engine: Engine, reads: list[Read], name: str, keep: float) -> float:
    policy, found = question_policy(name), []
    for tokens, asked in reads:
        session = engine.session(record=True)
        session.feed(tokens)
        held = Held(session.recorded())
        surprise = surprise_of(engine, tokens) if policy.about.needs_surprise else None
        for question, answer in asked:
            part = policy.narrow(engine, held, len(tokens), question, keep, surprise=surprise)
            found.append(right(engine, part, len(tokens), question, answer))
    return sum(found) / len(found)


def test_leverage_at_half_knows_most_of_it(recall: Engine, reads: list[Read]) -> None:
    assert thinned(recall, reads, build_policy("leverage"), 0.5) >= 0.8


def test_random_at_a_fifth_knows_little(recall: Engine, reads: list[Read]) -> None:
    assert thinned(recall, reads, build_policy("random"), 0.2) <= 0.4


@pytest.mark.parametrize("name", ["snapkv", "tova", "h2o", "sage-kv"])
def test_attention_at_a_tenth_knows_it_once_there_is_a_question(
    recall: Engine, reads: list[Read], name: str
) -> None:
    assert narrowed(recall, reads[:2], name, 0.1) >= 0.9


def test_episodes_at_a_fifth_hold_the_answer(recall: Engine, reads: list[Read]) -> None:
    assert narrowed(recall, reads[:2], "em-llm", 0.2) >= 0.7


@pytest.mark.parametrize("name", ["snapkv-unasked", "h2o-unasked"])
def test_attention_without_a_question_is_no_better_than_random(
    recall: Engine, reads: list[Read], name: str
) -> None:
    """Why a stored memory is not thinned by attention."""
    yardstick = thinned(recall, reads, build_policy("random"), 0.5)
    assert thinned(recall, reads, build_policy(name), 0.5) <= yardstick + 0.05


def test_blocks_of_leverage_know_most_of_it_in_bounded_memory(
    recall: Engine, reads: list[Read]
) -> None:
    assert thinned(recall, reads, Blockwise(block_tokens=64), 0.5) >= 0.75
    built = Blockwise(block_tokens=64).build(recall, reads[0][0], 0.5)
    assert built.peak_tokens <= round(0.5 * len(reads[0][0])) + 64


@pytest.mark.parametrize("name", ["raas", "lazy-eviction", "scope"])
def test_what_is_asked_is_known_while_the_answer_grows(
    recall: Engine, reads: list[Read], name: str
) -> None:
    """The first answer comes from all; with room for the prompt so do those that follow."""
    found = []
    for tokens, asked in reads[:2]:
        session = recall.session(record=True)
        session.feed(tokens)
        budget = Budget(prompt_tokens=300, answer_tokens=40)
        held = Held(session.recorded())
        growing = Growing(recall, held, len(tokens), decode_policy(name), budget)
        for number, (question, answer) in enumerate(asked):
            logits = growing.feed(question) if number else growing.prompt(question)
            found.append(int(logits.argmax()) == answer)
            growing.feed([answer])
    assert sum(found) / len(found) >= 0.9
