"""Laws that hold whatever an agent does."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mneme import Advice
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
