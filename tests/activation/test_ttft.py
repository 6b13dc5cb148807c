"""What the measurement of time to the first token says about itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from mneme.backends.blobs.folder import FolderBlobs
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.loading import load
from mneme.core.errors import InvalidInputError
from mneme.memories.activation.ttft import DISK, HOST, PREFILL, Row, Seconds, measure_ttft
from mneme.testing.tiny_models import tiny_model


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    folder = tiny_model("llama", tmp_path_factory.mktemp("model"), max_position_embeddings=512)
    return LocalEngine(*load(folder))


def test_each_size_is_measured_each_way_and_nothing_is_left(
    engine: LocalEngine, tmp_path: Path
) -> None:
    blobs, told = FolderBlobs(tmp_path), []
    rows = measure_ttft(
        engine,
        blobs,
        sizes=((100, 4), (200, 8), (9999, 8)),
        repeats=3,
        note=lambda done, total: told.append((done, total)),
    )
    assert [(row.memory_tokens, row.question_tokens) for row in rows] == [(100, 4), (200, 8)]
    assert told == [(done, 6) for done in range(1, 7)]
    assert all(row.same_tokens for row in rows)
    assert all(len(row.seconds[way]) == 3 for row in rows for way in (PREFILL, HOST, DISK))
    layers, heads, size, both, width = 2, 2, 8, 2, 4
    assert rows[0].stored_bytes > 100 * layers * heads * size * both * width
    assert not list(blobs.names())


def test_medians_and_shares_are_what_they_say() -> None:
    def each(*walls: float) -> list[Seconds]:
        return [Seconds(wall * 2, wall) for wall in walls]

    row = Row(
        memory_tokens=1,
        question_tokens=1,
        stored_bytes=1,
        same_tokens=True,
        seconds={
            "prefill": each(9, 10, 99),
            "host": each(1, 2, 7),
            "disk": each(3, 3, 3),
            "build": each(8),
            "store": each(2),
        },
    )
    assert row.median(PREFILL) == (20, 10)
    assert row.saved(HOST) == pytest.approx((0.8, 0.8))
    assert row.disk_over_host() == pytest.approx((0.5, 0.5))
    assert row.storing() == pytest.approx((0.25, 0.25))
    assert row.break_even() == pytest.approx((10 / 7, 10 / 7))
    row.seconds["disk"] = each(11)
    assert row.break_even() == (None, None)


def test_a_window_that_is_too_small_is_told(engine: LocalEngine, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="takes 512 tokens"):
        measure_ttft(engine, FolderBlobs(tmp_path), sizes=((2048, 32),))
    with pytest.raises(InvalidInputError, match="repeats"):
        measure_ttft(engine, FolderBlobs(tmp_path), sizes=((100, 4),), repeats=0)
