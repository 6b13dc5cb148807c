"""A namespace that has been quiet is consolidated by itself, once, and not before."""

from __future__ import annotations

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.clocks import HandClock


def summaries(alice: Namespace) -> int:
    return len(alice.list(types=["summary"]).items)


def test_sessions_are_summed_up_when_nobody_has_spoken_for_a_while(
    memory: MemoryOS, alice: Namespace, clock: HandClock
) -> None:
    for number in range(25):
        alice.add(f"We painted room {number} of the old school green.", session=f"s{number // 5}")
    memory.drain()
    assert summaries(alice) == 0
    clock.move_s(500)
    alice.add("And the stairs of the old school are next.", session="s4")
    memory.drain()
    clock.move_s(200)  # session s4 is not quiet yet
    memory.drain()
    clock.move_s(1200)
    memory.drain()
    made = summaries(alice)
    assert made >= 5
    assert memory.stats().jobs == {}
    clock.move_s(3600)
    memory.drain()
    assert summaries(alice) == made


def test_a_few_turns_are_left_alone(memory: MemoryOS, alice: Namespace, clock: HandClock) -> None:
    for number in range(5):
        alice.add(f"We painted room {number} of the old school green.", session="s")
    memory.drain()
    clock.move_s(3600)
    memory.drain()
    assert summaries(alice) == 0
    assert memory.stats().jobs == {}
