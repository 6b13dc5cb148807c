"""Writes exports and reads them back, split into what came and what did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from mneme.ingest.importers import ImportItem, Skipped, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Imported(NamedTuple):
    """What a reader made of an export."""

    items: list[ImportItem]
    skipped: list[Skipped]

    @property
    def contents(self) -> list[str]:
        return [item.content for item in self.items]

    @property
    def reasons(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for skip in self.skipped:
            counts[skip.why] = counts.get(skip.why, 0) + skip.count
        return counts


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Imported]:
    """Give it a JSON value, a text or bytes, and a file name: it reads the file in that format."""

    def of(data: Any, name: str = "export.json", **given: Any) -> Imported:  # noqa: ANN401
        path = tmp_path / name
        text = data if isinstance(data, str | bytes) else json.dumps(data)
        path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
        found = list(read(path, **given))
        keys = [item.idempotency_key for item in found if isinstance(item, ImportItem)]
        assert len(keys) == len(set(keys)), "two items of one file share a key"
        assert found == list(read(path, **given)), "a second reading differs"
        return Imported(
            [item for item in found if isinstance(item, ImportItem)],
            [item for item in found if isinstance(item, Skipped)],
        )

    return of
