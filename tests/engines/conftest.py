"""One small model of each family, made once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from mneme import engine as open_engine
from mneme.core.engine import Engine
from mneme.testing.tiny_models import tiny_model

TOKENS = 100


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads cost more than they save on models as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small model, by its family."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tiny_model(family, tmp_path_factory.mktemp(family), seed=7)
        return made[family]

    return folder


@pytest.fixture(scope="session")
def engine_of(folder_of: Callable[[str], Path]) -> Callable[[str], Engine]:
    """The engine of a small model, by its family."""
    made: dict[str, Engine] = {}

    def engine(family: str) -> Engine:
        if family not in made:
            made[family] = open_engine(folder_of(family))
        return made[family]

    return engine


@pytest.fixture(scope="session")
def prompt() -> list[int]:
    """Tokens that are no special ones."""
    rng = random.Random(5)
    return [rng.randrange(10, 250) for _ in range(TOKENS)]
