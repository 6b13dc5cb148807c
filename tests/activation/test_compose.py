"""Parts that were computed apart make one prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import mneme
from mneme.core.engine import KV, Engine, Layer
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.judges import latest_case
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mneme.memories.activation.compose import (  # noqa: E402 (torch first)
    Part,
    compose,
    prefill_apart,
)
from mneme.memories.activation.mend import FirstTokens, Mend, MostDeviating  # noqa: E402

HEAD = (1, 40, 41, 42, 43)
TEXTS = ((50, 51, 52, 53, 54, 55), (60, 61, 62, 63), (70, 71, 72, 73, 74, 75, 76))
GAP = (80, 81)
WHOLE = HEAD + sum(TEXTS, ())
QUESTION = (90, 91, 92)


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3", "phi3"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    opened: Engine = mneme.engine(tiny_model(request.param, tmp_path_factory.mktemp(request.param)))
    return opened


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    opened: Engine = mneme.engine(tiny_model("llama", tmp_path_factory.mktemp("llama")))
    return opened


def plain(engine: Engine, tokens: Sequence[int], start: int = 0) -> KV:
    """Keys and values of the tokens from `start` on, as one run computes them."""
    session = engine.session()
    session.feed(tokens)
    return tuple(Layer(k[:, start:].clone(), v[:, start:].clone()) for k, v in session.cached())


def off(one: KV, other: KV) -> float:
    return max(
        float((a - b).abs().max() / b.abs().max())
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def moved_parts(engine: Engine) -> list[Part]:
    head = plain(engine, HEAD)
    return [prefill_apart(engine, text, behind=head) for text in TEXTS]


@pytest.mark.parametrize("mend", [FirstTokens(100), MostDeviating(1.0)], ids=["first", "deviating"])
def test_computing_all_again_is_the_plain_run(engine: Engine, mend: Mend) -> None:
    made = compose(engine, HEAD, plain(engine, HEAD), moved_parts(engine), mend=mend)
    assert off(made.kv, plain(engine, WHOLE)) < 1e-5
    assert made.exact
    assert (made.moved_tokens, made.recomputed_tokens) == (0, 17)
    assert made.position == len(WHOLE)


def test_an_answer_goes_on_from_a_composed_prompt(engine: Engine) -> None:
    made = compose(engine, HEAD, plain(engine, HEAD), moved_parts(engine), mend=FirstTokens(100))
    composed = engine.session(made.kv, position=made.position).feed(QUESTION)
    full = engine.session().feed(WHOLE + QUESTION)
    assert float((composed - full).abs().max() / full.abs().max()) < 1e-5


def test_what_follows_its_head_is_exact_as_stored(engine: Engine) -> None:
    first = Part(
        tokens=TEXTS[0],
        kv=plain(engine, HEAD + TEXTS[0], len(HEAD)),
        start=len(HEAD),
        behind=HEAD,
    )
    second = Part(
        tokens=TEXTS[1],
        kv=plain(engine, HEAD + TEXTS[0] + TEXTS[1], len(HEAD + TEXTS[0])),
        start=len(HEAD + TEXTS[0]),
        behind=HEAD + TEXTS[0],
    )
    made = compose(engine, HEAD, plain(engine, HEAD), [first, second])
    assert made.exact
    assert (made.moved_tokens, made.recomputed_tokens) == (0, 0)
    stored = torch.cat([first.kv[1].keys, second.kv[1].keys], dim=1)  # type: ignore[index]
    assert torch.equal(made.kv[1].keys[:, len(HEAD) :], stored)


def test_the_same_part_elsewhere_is_an_approximation(engine: Engine) -> None:
    first = Part(
        tokens=TEXTS[0], kv=plain(engine, HEAD + TEXTS[0], len(HEAD)), start=len(HEAD), behind=HEAD
    )
    other = prefill_apart(engine, TEXTS[1], behind=plain(engine, HEAD))
    made = compose(engine, HEAD, plain(engine, HEAD), [other, first])
    assert not made.exact
    assert made.moved_tokens == len(TEXTS[0]) + len(TEXTS[1])
    true = plain(engine, HEAD + TEXTS[1] + TEXTS[0])
    assert off(made.kv[:1], true[:1]) < 1e-4  # layer 0 has seen no other token
    assert off(made.kv, true) > 1e-4


def test_text_between_parts_is_computed(engine: Engine) -> None:
    parts = moved_parts(engine)
    made = compose(engine, HEAD, plain(engine, HEAD), [parts[0], Part(tokens=GAP), parts[1]])
    assert made.recomputed_tokens == len(GAP)
    assert made.position == len(HEAD + TEXTS[0] + GAP + TEXTS[1])
    gap = slice(len(HEAD + TEXTS[0]), len(HEAD + TEXTS[0] + GAP))
    session = engine.session(compose(engine, HEAD, plain(engine, HEAD), parts[:1]).kv)
    session.feed(GAP)
    assert torch.allclose(made.kv[1].keys[:, gap], session.cached()[1].keys[:, gap], atol=1e-5)


def test_text_alone_behind_a_head_is_exact(engine: Engine) -> None:
    made = compose(engine, HEAD, plain(engine, HEAD), [Part(tokens=TEXTS[0])])
    assert made.exact
    assert off(made.kv, plain(engine, HEAD + TEXTS[0])) < 1e-5


def test_nothing_known_is_a_plain_run(llama: Engine) -> None:
    made = compose(llama, (), None, [Part(tokens=HEAD), Part(tokens=TEXTS[0])])
    assert made.exact
    assert off(made.kv, plain(llama, HEAD + TEXTS[0])) < 1e-5


def test_only_first_tokens_are_computed_again(llama: Engine) -> None:
    bare = compose(llama, HEAD, plain(llama, HEAD), moved_parts(llama))
    made = compose(llama, HEAD, plain(llama, HEAD), moved_parts(llama), mend=FirstTokens(2))
    assert (made.moved_tokens, made.recomputed_tokens) == (11, 6)
    changed = (made.kv[1].keys != bare.kv[1].keys).any(dim=2).any(dim=0).nonzero().flatten()
    assert set(changed.tolist()) <= {5, 6, 11, 12, 15, 16}
    assert len(changed) >= 4


def test_the_most_deviating_tokens_are_chosen_by_the_prompt(llama: Engine) -> None:
    parts = moved_parts(llama)
    bare = compose(llama, HEAD, plain(llama, HEAD), parts)
    made = compose(llama, HEAD, plain(llama, HEAD), parts, mend=MostDeviating(0.3))
    assert made.recomputed_tokens == 6
    true = plain(llama, WHOLE)
    loss = (bare.kv[1].keys - true[1].keys).square().sum(dim=(0, 2))
    left = (made.kv[1].keys - true[1].keys).square().sum(dim=(0, 2))
    worst = set(loss.topk(6).indices.tolist())
    changed = (made.kv[1].keys != bare.kv[1].keys).any(dim=2).any(dim=0).nonzero().flatten()
    assert set(changed.tolist()) == worst
    assert float(left.sum()) < float(loss.sum())


@pytest.mark.parametrize(
    ("how", "most"),
    [({"dtype": "bfloat16"}, 0.02), ({"chunk_tokens": 4}, 1e-5)],
    ids=["half", "cut"],
)
def test_half_precision_and_passes_in_pieces_are_no_different(
    tmp_path: Path, how: dict[str, Any], most: float
) -> None:
    engine = mneme.engine(tiny_model("qwen2", tmp_path), **how)
    head = plain(engine, HEAD)
    made = compose(engine, HEAD, head, moved_parts(engine), mend=MostDeviating(1.0))
    true = plain(engine, WHOLE)
    assert made.kv[1].keys.dtype is true[1].keys.dtype
    assert off(made.kv, true) < most


def test_parts_are_not_changed(llama: Engine) -> None:
    parts, head = moved_parts(llama), plain(llama, HEAD)
    before = [layer.keys.clone() for part in parts for layer in part.kv or ()]
    compose(llama, HEAD, head, parts, mend=MostDeviating(0.5))
    after = [layer.keys for part in parts for layer in part.kv or ()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_model_that_slides_is_refused(tmp_path: Path) -> None:
    sliding = mneme.engine(tiny_model("mistral-sliding", tmp_path))
    with pytest.raises(UnsuitedModelError):
        prefill_apart(sliding, TEXTS[0])
    kv = plain(sliding, TEXTS[0])
    with pytest.raises(UnsuitedModelError):
        compose(sliding, TEXTS[0], kv, [Part(tokens=TEXTS[0], kv=kv, start=0)])


def test_misfits_are_refused(llama: Engine) -> None:
    head = plain(llama, HEAD)
    with pytest.raises(InvalidInputError, match="at least one part"):
        compose(llama, HEAD, head, [])
    with pytest.raises(InvalidInputError, match="do not fit"):
        compose(llama, HEAD, head, [Part(tokens=TEXTS[0], kv=head)])
    with pytest.raises(InvalidInputError, match="layers"):
        compose(llama, HEAD, head[:1], [Part(tokens=TEXTS[0])])
    with pytest.raises(InvalidInputError, match="head"):
        compose(llama, HEAD, None, [Part(tokens=TEXTS[0])])
    with pytest.raises(InvalidInputError):
        FirstTokens(0)
    with pytest.raises(InvalidInputError):
        MostDeviating(0)


def test_the_judge_sees_a_part_that_was_not_moved(judge: Callable[[str], Path]) -> None:
    engine = mneme.engine(judge("latest-wins"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(judge("latest-wins"))
    right = {"full": 0, "moved": 0, "stale": 0}
    for seed in range(6):
        case = latest_case(seed, words=256, facts=24, questions=8)
        tokens = tokenizer.encode(case.text)
        head = plain(engine, [1])
        parts = [prefill_apart(engine, tokens[at : at + 64]) for at in range(0, 256, 64)]
        made = compose(engine, [1], head, parts)
        stale = tuple(
            Layer(torch.cat([x.keys for x in same], 1), torch.cat([x.values for x in same], 1))
            for same in zip(head, *[plain(engine, part.tokens) for part in parts], strict=True)
        )
        caches = {"full": plain(engine, [1, *tokens]), "moved": made.kv, "stale": stale}
        for words, value in case.questions:
            for name, kv in caches.items():
                best = engine.session(kv, position=257).feed(tokenizer.encode(words)).argmax()
                right[name] += tokenizer.decode([int(best)]) == value
    assert right["full"] >= 44  # of 48
    assert right["moved"] >= right["full"] - 4
    assert right["stale"] <= right["full"] - 10
