"""The judge models can do what they are taken for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mneme.testing.judges import Case, latest_case, recall_case

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BEGIN = 1


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()


def share_right(folder: Path, cases: list[Case]) -> float:
    """Share of the questions that are answered right, with the context in the prompt."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    right = [answer for case in cases for answer in answers(model, tokenizer, case)]
    return sum(right) / len(right)


def answers(model: Any, tokenizer: Any, case: Case) -> list[bool]:  # noqa: ANN401 (no types without torch)
    prompts = [f"{case.text} {question}" for question, _ in case.questions]
    rows = torch.tensor([[BEGIN, *tokenizer.encode(prompt)] for prompt in prompts])
    with torch.no_grad():
        best = model(rows, logits_to_keep=1).logits[:, -1].argmax(-1).tolist()
    said = [tokenizer.decode([token]) for token in best]
    return [word == value for word, (_, value) in zip(said, case.questions, strict=True)]


@pytest.mark.parametrize(
    ("name", "make", "facts", "least"),
    [("recall", recall_case, 24, 0.98), ("latest-wins", latest_case, 32, 0.93)],
)
def test_a_judge_answers_from_256_words(
    judge: Callable[[str], Path], name: str, make: Callable[..., Case], facts: int, least: float
) -> None:
    cases = [make(seed, words=256, facts=facts, questions=8) for seed in range(24)]
    assert share_right(judge(name), cases) >= least


def test_a_judge_knows_nothing_without_its_context(judge: Callable[[str], Path]) -> None:
    cases = [recall_case(seed, words=256, facts=24, questions=8) for seed in range(24)]
    empty = [Case("", case.questions, case.facts) for case in cases]
    assert share_right(judge("recall"), empty) <= 0.05


def test_an_unknown_judge_names_those_that_there_are(judge: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="recall"):
        judge("nobody")


def test_judges_share_words_and_the_begin_token(judge: Callable[[str], Path]) -> None:
    ours, theirs = (
        transformers.AutoTokenizer.from_pretrained(judge(name))
        for name in ("recall", "latest-wins")
    )
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.encode("k01 v07 | ?") == theirs.encode("k01 v07 | ?")
    assert ours.bos_token_id == BEGIN
