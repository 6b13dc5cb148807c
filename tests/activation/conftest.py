"""An engine that answers, and memories that it is attached to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.embedders import HashEmbedder
from mneme.wiring import Outside, build

Opened = Callable[..., AbstractContextManager[MemoryOS]]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads cost more than they save on models as small as these."""
    if find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def recall_engine(judge: Callable[[str], Path]) -> Engine:
    """The judge that answers `? kNN`."""
    pytest.importorskip("torch", reason="needs the extra local")
    import mneme

    return mneme.engine(judge("recall"))


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Opens the same store again and again, whole at each end."""

    @contextmanager
    def open_store(engine: Engine | None = None, **settings: Any) -> Iterator[MemoryOS]:  # noqa: ANN401
        blobs = settings.pop("blobs", None)
        clock = settings.pop("clock", None) or HandClock()
        outside = Outside(clock=clock, embedder=HashEmbedder(32), blobs=blobs)
        quiet = Settings(worker=False, embedder="none", infer=False)
        chosen = replace(quiet, **settings)
        with build(tmp_path / "store", settings=chosen, outside=outside) as memory:
            if engine is not None:
                memory.attach(engine)
            yield memory
            report = memory.verify()
            assert report.ok, report.problems

    return open_store
