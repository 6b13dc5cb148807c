"""Laws of plans and of the prompts made from them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.errors import StepRefusedError
from mneme.core.tokens import EstimatedCounter
from mneme.memories.plaintext.tasks.plan import EDGES, Plan
from mneme.memories.plaintext.tasks.render import prompt, tree
from mneme.memories.plaintext.tasks.step import STATUSES, Step, read_step

words = st.text("abc def\n#é字-", min_size=1, max_size=30)


@st.composite
def plans(draw: st.DrawFn, orderly: bool = False) -> Plan:
    """Any steps at all; with `orderly`, only what the checks let in."""
    count = draw(st.integers(0, 9))
    goal = Step(number=0, id="0", version=1, title=draw(words))
    plan = Plan([goal])
    for number in range(1, count + 1):
        parent = draw(st.integers(0, number - 1))
        after = tuple(draw(st.lists(st.integers(0 if not orderly else 1, count), max_size=3)))
        if orderly:
            after = tuple(n for n in after if n in plan.stored)
            try:
                plan.check_after(number, parent, after)
            except StepRefusedError:
                after = ()
        step = Step(
            number=number, id=str(number), version=1, title=draw(words), parent=parent, after=after,
            status=draw(st.sampled_from(STATUSES)) if not orderly else "open",
            outputs=draw(st.dictionaries(words, words, max_size=2)),
            inputs=draw(st.dictionaries(words, words, max_size=2)),
            why=draw(st.none() | words), untrusted=draw(st.booleans()),
        )  # fmt: skip
        plan = Plan([*plan.stored.values(), step])
    return plan


def can_be_finished(plan: Plan) -> bool:
    """Work on whatever may be worked on until nothing may: is all done then?"""
    stored = dict(plan.stored)
    while True:
        now = Plan(stored.values())
        moved = None
        for number, step in stored.items():
            if step.status == "done":
                continue
            try:
                now.check_move(number, "finish")
            except StepRefusedError:
                continue
            moved = number
            break
        if moved is None:
            return all(step.status == "done" for step in stored.values())
        old = stored[moved]
        stored[moved] = Step(
            number=moved, id=old.id, version=1, title="x", parent=old.parent, after=old.after,
            status="done",
        )  # fmt: skip


@given(plan=plans(orderly=True), data=st.data())
@settings(deadline=None)
def test_an_order_that_is_let_in_can_be_worked_off(plan: Plan, data: st.DataObject) -> None:
    assert can_be_finished(plan)
    number = data.draw(st.sampled_from(sorted(plan.stored)))
    after = tuple(data.draw(st.lists(st.sampled_from(sorted(plan.stored)), max_size=3)))
    changed = Plan(
        [
            *(step for n, step in plan.stored.items() if n != number),
            Step(
                number=number, id="x", version=1, title="x", after=after,
                parent=plan.stored[number].parent,
            ),
        ]
    )  # fmt: skip
    try:
        plan.check_after(number, plan.stored[number].parent, after)
    except StepRefusedError:
        assert not can_be_finished(changed)
    else:
        assert can_be_finished(changed)


@given(plan=plans(), budget=st.integers(0, 300))
@settings(deadline=None)
def test_a_prompt_stays_within_its_budget_on_any_plan(plan: Plan, budget: int) -> None:
    counter = EstimatedCounter()
    text = prompt(plan, counter, budget)
    assert counter.count(text) <= budget
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert len(headings) == len(set(headings))  # no value makes a heading of its own


@given(plan=plans())
@settings(deadline=None)
def test_a_tree_shows_every_step_once(plan: Plan) -> None:
    assert len(tree(plan).splitlines()) == len(plan.stored)


@given(plan=plans(), verb=st.sampled_from(sorted(EDGES)), data=st.data())
@settings(deadline=None)
def test_what_is_ready_may_be_started_and_nothing_is_done_before_its_time(
    plan: Plan, verb: str, data: st.DataObject
) -> None:
    for number in plan.ready():
        assert plan.check_move(number, "start") == "active"
    number = data.draw(st.sampled_from(sorted(plan.stored)))
    try:
        state = plan.check_move(number, verb)
    except StepRefusedError:
        return
    if state == "done":
        assert plan.waits_for(number) == ()
        assert plan.unfinished_parts(number) == []


@given(
    title=st.text("ab c", min_size=1).filter(str.strip),
    outputs=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3),
    status=st.sampled_from(STATUSES),
    after=st.lists(st.integers(0, 99), max_size=4),
)
def test_a_step_is_read_back_as_it_was(
    title: str, outputs: dict[str, object], status: str, after: list[int]
) -> None:
    from mneme.ingest.checks import canonical

    step = Step(
        number=3, id="i", version=1, title=" ".join(title.split()), outputs=outputs, parent=0,
        status=status, after=tuple(after),  # type: ignore[arg-type]
    )  # fmt: skip
    back = read_step(
        step.text, canonical(step.metadata), id="i", version=1, parent=0, untrusted=False
    )
    assert back == step


def test_a_prompt_follows_the_active_path() -> None:
    def step(number: int, title: str, **given: object) -> Step:
        return Step(number=number, id=str(number), version=1, title=title, **given)  # type: ignore[arg-type]

    plan = Plan(
        [
            step(0, "Write the report", inputs={"pages": 10}),
            step(1, "Collect", parent=0, status="done", outputs={"files": "a.csv"}),
            step(2, "Read the files", parent=1, status="done"),
            step(3, "Analyse", parent=0, status="active", after=(1,)),
            step(4, "Clean", parent=3, status="done", outputs={"rows": 120}),
            step(5, "Fit a line", parent=3, status="active", inputs={"by": "month"}),
            step(6, "Draw it", parent=3, after=(5,)),
            step(7, "Write", parent=0, after=(3,)),
            step(8, "Chapter one", parent=7),
            step(9, "Find a cover", parent=0),
        ]
    )
    text = prompt(plan, EstimatedCounter(), 1000)
    assert text.splitlines() == [
        "Task: Write the report",
        "Given: pages = 10",
        "# Where you are",
        "- 3. Analyse (active)",
        "  -> 5. Fit a line (active)",
        "     inputs: by = month",
        "# What this step builds on",
        "- 1. Collect (done); files = a.csv",
        "# Done so far",
        "- 4. Clean (done); rows = 120",
        "# Beside it",
        "- 6. Draw it (blocked); waits for 5",
        "- 7. Write (blocked); waits for 3 [0 of its 1 parts settled]",
        "- 9. Find a cover (open)",
        "# Elsewhere in the task",
        "2 more steps, 1 of them settled",
    ]
    short = prompt(plan, EstimatedCounter(), 60)
    assert "5. Fit a line" in short
    assert "9. Find a cover" not in short
