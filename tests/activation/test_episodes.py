"""A conversation in episodes: where it is cut, what is kept, and which come back."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mneme
from mneme.core.engine import KV, Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mneme.memories.activation.episodes import (  # noqa: E402 (torch first)
    build_episode,
    choose,
    cut_episodes,
    medoid,
    place,
)
from mneme.memories.activation.kv import cut, tokens_in  # noqa: E402

HEAD = (1, 40, 41, 42, 43)
TURN = tuple(range(50, 90))
OTHER = tuple(range(90, 120))
QUESTION = (130, 131)


@pytest.fixture(scope="module", params=["llama", "phi3"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    opened: Engine = mneme.engine(tiny_model(request.param, tmp_path_factory.mktemp(request.param)))
    return opened


def unit(*numbers: float) -> list[float]:
    length = sum(number * number for number in numbers) ** 0.5
    return [number / length for number in numbers]


def test_a_pause_ends_an_episode() -> None:
    vectors = [unit(1, 0)] * 5
    assert cut_episodes(vectors, [0, 60, 120, 9000, 9060]) == [range(3), range(3, 5)]


def test_a_new_topic_begins_an_episode() -> None:
    food = [unit(1, 0.1 * n, 0) for n in range(5)]
    work = [unit(0, 0.1 * n, 1) for n in range(6)]
    assert cut_episodes(food + work) == [range(5), range(5, 11)]


def test_one_topic_is_one_episode() -> None:
    assert cut_episodes([unit(1, 0.01 * n) for n in range(8)]) == [range(8)]
    assert cut_episodes([unit(1, 0)]) == [range(1)]
    assert cut_episodes(torch.zeros(0, 3)) == []


@settings(max_examples=30, deadline=None)
@given(
    vectors=st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=20),
    pauses=st.data(),
)
def test_every_turn_is_in_one_episode(
    vectors: list[tuple[float, float]], pauses: st.DataObject
) -> None:
    steps = pauses.draw(st.lists(st.floats(0, 9999), min_size=len(vectors), max_size=len(vectors)))
    times = [sum(steps[: at + 1]) for at in range(len(steps))]
    found = cut_episodes(vectors, times)
    assert [turn for episode in found for turn in episode] == list(range(len(vectors)))
    assert all(len(episode) > 0 for episode in found)


def test_the_medoid_is_like_all_others() -> None:
    assert medoid([unit(1, 0), unit(1, 0.5), unit(0, 1)]) == 1


def test_near_episodes_come_back_in_order_of_time() -> None:
    medoids = [unit(1, 0, 0), unit(0, 1, 0), unit(1, 1, 0), unit(0, 0, 1)]
    assert choose(medoids, unit(0.4, 1, 0), 2) == [1, 2]
    assert choose(medoids, unit(0.4, 1, 0), 9) == [0, 1, 2, 3]


def test_a_short_episode_is_kept_whole_and_exactly(engine: Engine) -> None:
    head = prefilled(engine, HEAD)
    episode = build_episode(engine, head, TURN, 64)
    assert episode.held.positions is None
    kv, position = place(engine, head, [episode])
    assert position == len(HEAD + TURN)
    composed = engine.session(kv, position=position).feed(QUESTION)
    full = engine.session().feed(HEAD + TURN + QUESTION)
    assert float((composed - full).abs().max() / full.abs().max()) < 1e-5


def test_a_long_episode_is_kept_within_its_budget(engine: Engine) -> None:
    head = prefilled(engine, HEAD)
    episode = build_episode(engine, head, TURN * 4, 24)
    assert tokens_in(episode.held.kv) == 24
    assert episode.tokens == 160
    assert episode.held.positions is not None
    assert int(episode.held.positions.min()) >= len(HEAD)
    assert int(episode.held.positions.max()) < len(HEAD) + 160
    _, position = place(engine, head, [episode])
    assert position == len(HEAD) + 160


def test_a_placed_episode_stands_where_it_would_have_been_built(engine: Engine) -> None:
    """Built alone, a run gives the same keys at any place: here after the first episode."""
    first, second = (build_episode(engine, None, turn, 64) for turn in (TURN, OTHER))
    kv, position = place(engine, None, [first, second])
    assert position == len(TURN + OTHER)
    session = engine.session(position=len(TURN), record=True)
    session.feed(OTHER)
    there = session.recorded()
    for placed, built in zip(cut(kv, len(TURN), position), there, strict=True):
        assert torch.allclose(placed.keys, built.keys, atol=1e-4)
        assert torch.allclose(placed.values, built.values, atol=1e-4)


def test_a_thinned_episode_is_placed_like_a_whole_one(engine: Engine) -> None:
    episode = build_episode(engine, None, TURN * 2, 20)
    whole, _ = place(engine, None, [build_episode(engine, None, OTHER, 64), episode])
    assert episode.held.positions is not None
    own = cut(whole, len(OTHER), len(OTHER) + 20)
    full = engine.session(position=len(OTHER), record=True)
    full.feed(TURN * 2)
    for layer, (placed, built) in enumerate(zip(own, full.recorded(), strict=True)):
        at = episode.held.positions[layer].long()[..., None].expand_as(placed.keys)
        if layer == 0:  # deeper ones saw fewer tokens, block by block
            assert torch.allclose(placed.keys, built.keys.gather(1, at), atol=1e-4)


def test_bad_requests_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="one for each"):
        cut_episodes([unit(1, 0)] * 3, [1.0])
    with pytest.raises(InvalidInputError, match="budget"):
        build_episode(engine, None, TURN, 0)
    with pytest.raises(InvalidInputError, match="budget"):
        build_episode(engine, None, (), 5)
    with pytest.raises(InvalidInputError, match="neither"):
        place(engine, None, [])
    sliding = mneme.engine(tiny_model("mistral-sliding", tmp_path))
    with pytest.raises(UnsuitedModelError):
        build_episode(sliding, None, TURN, 5)


def test_the_right_episode_answers_better_than_the_newest(
    judge: Callable[[str], Path],
) -> None:
    engine = mneme.engine(judge("recall"))
    words = transformers.AutoTokenizer.from_pretrained(judge("recall"))
    rng = random.Random(4)
    topics = torch.eye(6)
    right = {"chosen": 0, "newest": 0}
    head = prefilled(engine, (1,))
    for _ in range(2):
        said = [facts_of(rng, topic) for topic in range(6)]
        texts = [words.encode(text) for text, _ in said]
        episodes = [build_episode(engine, head, text, 32) for text in texts]
        for topic, (_, facts) in enumerate(said):
            past, position = place(
                engine, head, [episodes[at] for at in choose(topics, topics[topic], 1)]
            )
            newest = place(engine, head, episodes[-1:])
            key, value = facts[0]
            for name, (kv, at) in {"chosen": (past, position), "newest": newest}.items():
                best = engine.session(kv, position=at).feed(words.encode(f"| ? {key}")).argmax()
                right[name] += words.decode([int(best)]) == value
    assert right["chosen"] >= 10  # of 12
    assert right["newest"] <= 4


def facts_of(rng: random.Random, topic: int) -> tuple[str, list[tuple[str, str]]]:
    keys = rng.sample(range(16 * topic, 16 * topic + 16), 4)
    facts = [(f"k{key:02d}", f"v{rng.randrange(96):02d}") for key in keys]
    line = [word for key, value in facts for word in (key, value, *fillers(rng))]
    return " ".join(line), facts


def fillers(rng: random.Random) -> list[str]:
    return [f"w{rng.randrange(64):02d}" for _ in range(6)]


def prefilled(engine: Engine, tokens: tuple[int, ...]) -> KV:
    session = engine.session(record=True)
    session.feed(tokens)
    return session.recorded()
