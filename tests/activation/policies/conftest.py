"""Engines on small random models, and tokens for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import mneme
from mneme.core.engine import Engine
from mneme.testing.tiny_models import tiny_model

TOKENS = 60


@pytest.fixture(scope="session")
def engine_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Engine]:
    made: dict[str, Engine] = {}

    def opened(family: str) -> Engine:
        if family not in made:
            folder = tiny_model(family, tmp_path_factory.mktemp(family), seed=3)
            made[family] = mneme.engine(folder)
        return made[family]

    return opened


@pytest.fixture(scope="session", params=["llama", "qwen2", "qwen3"])
def engine(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> Engine:
    return engine_of(request.param)


@pytest.fixture(scope="session")
def llama(engine_of: Callable[[str], Engine]) -> Engine:
    return engine_of("llama")


@pytest.fixture(scope="session")
def tokens() -> list[int]:
    lots = random.Random(5)
    return [1, *(lots.randrange(6, 250) for _ in range(TOKENS - 1))]


@pytest.fixture(scope="session")
def recall(judge: Callable[[str], Path]) -> Engine:
    opened: Engine = mneme.engine(judge("recall"))
    return opened
