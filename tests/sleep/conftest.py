"""A memory whose clock stands in 2026, and statements as extraction writes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.provenance import SourceSpan
from mneme.testing.clocks import HandClock
from mneme.vault.codec import canonical_json
from mneme.vault.draft import Draft

State = Callable[..., str]

SESSION = [
    "I moved to Oslo with my cat Pixel.",
    "The flat near the station costs 900 euros a month.",
    "My sister Marta works at the harbour.",
    "I asked Marta for help with the move.",
]
HERON = [
    "My project Heron is late again.",
    "Heron needs a new database by June.",
    "I told Marta that Heron is late.",
    "Heron will be shown in Bergen.",
]


@pytest.fixture
def told(alice: Namespace, clock: HandClock) -> Namespace:
    """Two sessions that are over, without extraction."""
    for name, texts in (("move", SESSION), ("work", HERON)):
        for text in texts:
            alice.add(text, session=name, infer="none")
    clock.move_s(3600)
    return alice


@pytest.fixture
def state(alice: Namespace, memory: MemoryOS) -> State:
    """Write a statement of a turn, as extraction does; its id."""

    def write(turn: str, text: str, *, type_: str = "fact", **said: object) -> str:
        row = memory.vault.reader.header("alice", turn)
        start = max(alice.get(turn).text.find(text), 0)
        span = SourceSpan(cube_id=turn, version=row.version, start=start, end=start + len(text))
        draft = Draft(
            text=text, type=type_, session=row.session, speaker=row.speaker, origin="derived",
            method="extracted", metadata=canonical_json(said), event_at=row.event_at,
            sources=(span,),
        )  # fmt: skip
        with memory.vault.parts.store.write() as tx:
            namespace = tx.cubes.touch_namespace("alice")
            return memory.vault.writer.insert(tx, "alice", namespace, [draft])[0].id

    return write
