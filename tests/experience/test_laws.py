"""Laws that hold whatever an agent does."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mneme import Advice
from mneme.memories.plaintext.experience.reading import MOST_STEPS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.wiring import Outside, build

ACTIONS = ("open", "shut", "go to desk 1", "go to desk 2", "pay(to=Ann)", "pay(to=Bo)", "look[x]")
STEPS = st.lists(
    st.fixed_dictionaries(
        {"action": st.sampled_from(ACTIONS)},
        optional={"observation": st.sampled_from(["ok", "Error: no", "Ann"])},
    ),
    min_size=1,
    max_size=6,
)
TASKS = st.sampled_from(["Tidy desk 1", "Tidy desk 2", "Pay Ann", "Pay Bo", "Scold Bo"])
RUNS = st.lists(st.tuples(TASKS, STEPS, st.booleans()), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(RUNS)
def test_each_run_is_kept_and_counted_once(runs: list[tuple[str, list[Any], bool]]) -> None:
    outside = Outside(clock=HandClock())
    with (
        tempfile.TemporaryDirectory() as folder,
        build(folder, settings=Settings(worker=False, embedder="none"), outside=outside) as memory,
    ):
        agent = memory.namespace("agent")
        for task, steps, good in runs:
            written = agent.learn(steps, task=task, outcome="success" if good else "failure")
            assert all(f"Action: {step['action']}" in written[0].text for step in steps)
        cubes = agent.list(types=["procedure", "lesson"], limit=1000).items
        levels: dict[str, list[Any]] = {"steps": [], "script": [], "lesson": []}
        for cube in cubes:
            levels[cube.metadata["level"]].append(cube)
            assert cube.trust == "untrusted" or all(
                source.trust == "trusted" for source in agent.sources(cube.id)
            )
        assert sum(c.metadata["seen"] for c in levels["steps"]) == sum(good for *_, good in runs)
        assert sum(c.metadata["seen"] for c in levels["lesson"]) == sum(
            not good for *_, good in runs
        )
        for level in ("steps", "script"):
            families = [c.metadata["family"] for c in levels[level]]
            assert len(set(families)) == len(families)
        advice = agent.advise(runs[-1][0])
        assert isinstance(advice, Advice)
        assert advice.hits or not cubes
        assert memory.verify().ok


def test_huge_runs_are_learned() -> None:
    """Compared word by word with each other, these would take hours."""
    words = [f"w{number % 997}" for number in range(60_000)]
    long = [{"action": "write " + " ".join(words[i:])} for i in range(2)]
    many = [{"action": f"tool_{n % 7}(a={n})"} for n in range(MOST_STEPS)]
    task = " ".join(words[:4000])
    with (
        tempfile.TemporaryDirectory() as folder,
        build(folder, settings=Settings(worker=False, embedder="none")) as memory,
    ):
        agent = memory.namespace("agent")
        for step in long:
            agent.learn([step], task=task)
        agent.learn(many, task="Count")
        agent.learn(list(reversed(many)), task="Count")
        agent.learn(list(reversed(many)), task="Count", outcome="failure")
        assert agent.advise(task[:2000]).hits
        (steps,) = (
            c
            for c in agent.list(types=["procedure"]).items
            if c.metadata["level"] == "steps" and c.metadata["task"].startswith("w0")
        )
        assert steps.metadata["seen"] == 2
