"""What comes back from a file answers as what was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mneme
from mneme.core.engine import KV, Engine
from mneme.testing.judges import Case, latest_case, recall_case

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mneme.memories.activation.block_file import checksum, pack, unpack  # noqa: E402 (torch first)
from mneme.memories.activation.kv import Held, cut, join, tokens_in  # noqa: E402

BLOCK, CASES, QUESTIONS = 64, 4, 12
Right = dict[str, float]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More threads only wait for each other: the models are tiny, and the machine is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def through_files(kv: KV, form: str) -> KV:
    parts = []
    for start in range(0, tokens_in(kv), BLOCK):
        part = cut(kv, start, min(start + BLOCK, tokens_in(kv)))
        file = pack(Held(part), form)
        held = unpack(
            memoryview(file),
            checksum=checksum(file),
            form=form,
            tokens=tokens_in(part),
            dtype=torch.float32,
            device="cpu",
        )
        parts.append(held.kv)
    return join(parts)


def prompt(engine: Engine, text: str) -> list[int]:
    return engine.render([{"role": "user", "content": text}])


def asked(engine: Engine, make: Callable[..., Case], facts: int, forms: list[str]) -> Right:
    """Share of the questions that are answered right, by form."""
    right: dict[str, list[bool]] = {form: [] for form in forms}
    for seed in range(CASES):
        case = make(seed, words=256, facts=facts, questions=QUESTIONS)
        context = prompt(engine, case.text)
        session = engine.session()
        session.feed(context)
        for form in forms:
            known = through_files(session.cached(), form)
            for question, answer in case.questions:
                tokens = prompt(engine, f"{case.text} {question}")[len(context) :]
                best = int(engine.session(known).feed(tokens).argmax())
                right[form].append(engine.decode([best]).strip() == answer)
    return {form: sum(each) / len(each) for form, each in right.items()}


def test_every_codec_keeps_what_can_be_recalled(judge: Callable[[str], Path]) -> None:
    engine = mneme.engine(judge("recall"))
    right = asked(engine, recall_case, 24, ["raw", "bf16", "int8", "int4", "lowrank"])
    assert right["raw"] == right["bf16"] == right["int8"] >= 0.98
    assert right["int4"] >= 0.97
    assert right["lowrank"] >= 0.95


def test_eight_and_four_bits_keep_the_order_of_what_was_said(
    judge: Callable[[str], Path],
) -> None:
    engine = mneme.engine(judge("latest-wins"))
    right = asked(engine, latest_case, 32, ["raw", "int8", "int4"])
    assert right["int8"] >= right["raw"] - 0.03
    assert right["int4"] >= right["raw"] - 0.06
