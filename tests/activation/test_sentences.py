"""Of a long run, only what the question looks at is read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mneme
from mneme.core.engine import KV, Engine, Layer
from mneme.core.errors import InvalidInputError
from mneme.testing.judges import recall_case
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
transformers = pytest.importorskip("transformers")

from mneme.memories.activation.kv import cut, join, size_of, tokens_in  # noqa: E402 (torch first)
from mneme.memories.activation.sentences import (  # noqa: E402
    Digests,
    Span,
    bytes_read,
    choose,
    index,
    load,
    merged,
    queries_of,
)

RUN = tuple(range(20, 60))
SPANS = ((0, 7), (7, 12), (12, 25), (25, 40))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    opened: Engine = mneme.engine(tiny_model("llama", tmp_path_factory.mktemp("llama")))
    return opened


@pytest.fixture(scope="module")
def kv(engine: Engine) -> KV:
    session = engine.session(record=True)
    session.feed(RUN)
    recorded: KV = session.recorded()
    return recorded


def test_an_index_is_small_and_kept_as_tensors(kv: KV) -> None:
    digests = index(kv, SPANS)
    again = Digests.of_tensors(safetensors.load(safetensors.save(digests.tensors())))
    assert again.spans == SPANS
    assert all(torch.equal(a, b) for a, b in zip(again.signs, digests.signs, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(again.scales, digests.scales, strict=True))
    assert sum(part.nbytes for part in digests.signs) * 64 == size_of(kv)  # a bit for 2 floats
    with pytest.raises(InvalidInputError, match="make it anew"):
        Digests.of_tensors({"spans": torch.zeros(3)})


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 20), seed=st.integers(0, 999), at=st.integers(0, 11))
def test_a_question_for_the_key_of_a_token_finds_its_sentence(
    size: int, seed: int, at: int
) -> None:
    """Any head size, also one that fills no byte."""
    keys = torch.randn((2, 12, size), generator=torch.Generator().manual_seed(seed))
    digests = index((Layer(keys, keys),), [(n, n + 1) for n in range(12)])
    signs = (keys - keys.mean(1, keepdim=True) > 0).float() * 2 - 1
    queries = signs[:, at : at + 1] * 50
    ((first, _),) = choose(digests, [queries], 1)
    assert torch.equal(signs[:, first], signs[:, at])


def test_the_budget_is_kept_and_the_newest_come_first(engine: Engine, kv: KV) -> None:
    digests = index(kv, SPANS)
    queries = queries_of(engine, cut(kv, 25, 40), 40, (70, 71))
    assert [tuple(each.shape) for each in queries] == [(4, 2, 8)] * 2
    for budget in (1, 5, 13, 20, 40):
        chosen = choose(digests, queries, budget)
        assert sum(end - first for first, end in chosen) <= budget
        assert chosen == sorted(chosen)
    assert choose(digests, queries, 40) == list(SPANS)
    assert SPANS[-1] in choose(digests, queries, 15, newest_tokens=15)
    assert choose(digests, queries, 0) == []
    last = [each[:, -1:] for each in queries]
    assert choose(digests, queries, 13, last_tokens=1) == choose(digests, last, 13)


def test_what_is_loaded_is_what_was_stored(engine: Engine, kv: KV) -> None:
    read: list[Span] = []

    def getter(first: int, end: int) -> KV:
        read.append((first, end))
        return cut(kv, first, end)

    held = load(getter, SPANS[1:3], 100)
    assert read == [(7, 25)]
    assert held.positions is not None
    assert held.positions.tolist() == [[list(range(107, 125))] * 2] * 2
    again = load(kv, [SPANS[0], SPANS[2]], 0)
    assert tokens_in(again.kv) == 20
    assert torch.equal(again.kv[1].keys[:, 7:], kv[1].keys[:, 12:25])
    assert bytes_read(index(kv, SPANS), again) > size_of(again.kv)
    assert merged([(0, 2), (2, 5), (6, 7)]) == [(0, 5), (6, 7)]
    with pytest.raises(InvalidInputError, match="no sentence"):
        load(kv, [], 0)


def test_all_loaded_answers_as_the_whole_run(engine: Engine, kv: KV) -> None:
    held = load(kv, SPANS, 0)
    loaded = engine.session(held.kv, position=40).feed((70, 71))
    assert torch.equal(loaded, engine.session(kv).feed((70, 71)))


@pytest.mark.parametrize("spans", [[], [(0, 0)], [(0, 5), (4, 6)], [(0, 41)], [(-1, 3)]])
def test_spans_that_do_not_fit_are_refused(kv: KV, spans: list[Span]) -> None:
    with pytest.raises(InvalidInputError):
        index(kv, spans)


def test_a_quarter_answers_as_all_and_a_random_quarter_does_not(
    judge: Callable[[str], Path],
) -> None:
    engine = mneme.engine(judge("recall"))
    words = transformers.AutoTokenizer.from_pretrained(judge("recall"))
    rng = random.Random(3)
    right = {"chosen": 0, "random": 0}
    for seed in range(3):
        case = recall_case(seed, words=256, facts=24, questions=6)
        session = engine.session()
        session.feed([1, *words.encode(case.text)])
        head, run = cut(session.cached(), 0, 1), cut(session.cached(), 1, 257)
        digests = index(run, sentences(case.text.split()))
        newest = join([head, cut(run, 224, 256)])
        for asked, value in case.questions:
            question = words.encode(asked)
            queries = queries_of(engine, newest, 257, question)
            some = choose(digests, queries, 64)
            any_ = sorted(rng.sample(digests.spans, len(some)))
            for name, spans in {"chosen": some, "random": any_}.items():
                past = join([head, load(run, spans, 1).kv])
                best = engine.session(past, position=257).feed(question).argmax()
                right[name] += words.decode([int(best)]) == value
    assert right["chosen"] >= 16  # of 18
    assert right["random"] <= 10


def sentences(line: list[str]) -> list[Span]:
    """Of about eight words; none cuts a fact."""
    spans: list[Span] = []
    first = 0
    while first < len(line):
        end = min(first + 8, len(line))
        end += end < len(line) and line[end - 1][0] == "k" and line[end][0] == "v"
        spans.append((first, end))
        first = end
    return spans
