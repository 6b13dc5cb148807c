"""Turns to be read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mneme.core.statement import Reading, Utterance
from mneme.ingest.extract.rules import read

AT = 1_767_268_800_000_000  # Thursday, 1 January 2026, noon UTC

Hear = Callable[..., Reading]


def utterance(text: str, role: str = "user", speaker: str | None = None) -> Utterance:
    return Utterance(id="u", text=text, role=role, speaker=speaker, at=AT)


@pytest.fixture
def hear() -> Hear:
    """Reads the last of some turns, after the others."""

    def last(*turns: str, role: str = "user", speaker: str | None = None) -> Reading:
        *before, text = turns
        earlier = [utterance(turn, speaker=speaker) for turn in before]
        return read(utterance(text, role, speaker), earlier)

    return last
