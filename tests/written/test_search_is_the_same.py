"""What is derived neither displaces nor reweighs the words of users in a search."""

from __future__ import annotations

from pathlib import Path

from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.wiring import Outside, build

SAID = [
    "I live in Bergen with my sister Ida.",
    "My cat is called Pusur and hates the rain.",
    "I moved to Oslo in March.",
    "Always answer in metric units.",
    "I love hiking in the hills above the town.",
    "My boss is now Kari, and the deadline is 5 June.",
    "boat: Heron\nharbour: Vågen",
    "boat: Albatross",
    "I ran a half marathon on Sunday and my knee hurts.",
    "The rain stopped, so we painted the fence green.",
]
ASKED = ["Where do I live?", "What is the cat called?", "Who is my boss?", "boat", "rain", "metric"]


def found(folder: Path, *, infer: bool) -> list[list[tuple[str, float]]]:
    settings = Settings(worker=False, infer=infer)
    with build(folder, settings=settings, outside=Outside(clock=HandClock())) as memory:
        alice = memory.namespace("alice")
        for number, text in enumerate(SAID):
            alice.add(text, session=f"s{number % 3}", at=f"2026-01-{number + 1:02d}")
        memory.drain()
        assert bool(_derived(memory)) is infer
        answers = [alice.search(question, limit=20) for question in ASKED]
        return [[(hit.cube.text, hit.score) for hit in hits] for hits in answers]


def _derived(memory: MemoryOS) -> int:
    return sum(count for type_, count in memory.stats().types.items() if type_ != "turn")


def test_searches_give_the_same_with_written_memory_on_and_off(tmp_path: Path) -> None:
    assert found(tmp_path / "on", infer=True) == found(tmp_path / "off", infer=False)
