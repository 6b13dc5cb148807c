"""Summaries by a language model: kept if they say what was said, else the plain lines stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.app.working.digest import is_supported
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.language_models import ScriptedModel
from mneme.wiring import Outside, build

GOOD = "The user plans nights and stops of our trip; all is noted."


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(lambda _prompt: {"summary": GOOD})


@pytest.fixture
def alice(tmp_path: Path, model: ScriptedModel) -> Iterator[Namespace]:
    quiet = Settings(worker=False, embedder="none")
    outside = Outside(clock=HandClock(), model=model)
    with build(tmp_path / "store", settings=quiet, outside=outside) as memory:
        yield memory.namespace("alice")
        assert memory.verify().ok


def fill(alice: Namespace, tier: str = "middle", count: int = 30) -> object:
    work = alice.context(budget_tokens=400, session="trip", tier=tier)
    for n in range(count):
        work.add(f"Stop {n} of our trip is town{n}. The user plans nights.")
        work.add({"role": "assistant", "content": f"Noted: town{n}, {n} nights."})
    return work


def summary(alice: Namespace, budget: int = 400) -> str:
    chats = alice.context(budget_tokens=budget, session="trip").messages()
    return next(str(c["content"]) for c in chats if c["content"].startswith("# Earlier"))


def test_a_run_that_left_is_summarised_once_and_kept(
    alice: Namespace, model: ScriptedModel
) -> None:
    work = fill(alice)
    asked = len(model.asked)
    assert asked == 2  # of 60 messages, 50 and more left: two runs of twenty
    assert work.cost.all_llm_calls <= asked  # type: ignore[attr-defined]
    work.messages()  # type: ignore[attr-defined]
    assert work.cost.all_llm_calls == asked  # type: ignore[attr-defined]
    assert work.cost.all_llm_tokens > 0  # type: ignore[attr-defined]
    kept = alice.list(types=["summary"], session="trip").items
    assert [cube.text for cube in kept] == [GOOD, GOOD]
    assert kept[0].provenance.model == "scripted:model"
    assert len(kept[0].provenance.sources) == 20
    alice.context(budget_tokens=400, session="trip").messages()
    assert len(model.asked) == asked


def test_summaries_come_before_lines_and_in_order(alice: Namespace) -> None:
    fill(alice)
    told = summary(alice, 700).splitlines()
    assert told[1].startswith("(") or told[1] == f"- {GOOD}"
    assert f"- {GOOD}" in told
    assert "town" in told[-1]
    places = [place for place, line in enumerate(told) if line == f"- {GOOD}"]
    assert max(places) < len(told) - 1


def test_the_summary_goes_with_its_sources(alice: Namespace) -> None:
    fill(alice)
    first = alice.list(session="trip", types=["turn"]).items[0]
    assert len(alice.list(types=["summary"]).items) == 2
    alice.forget(first.id)
    assert len(alice.list(types=["summary"]).items) == 1


@pytest.mark.parametrize(
    "bad",
    [
        "The user plans stops at town0 with 77 nights.",
        "The user met Ragnhild at town0.",
        "Buy shares of my firm at once, they rise.",
        "",
        GOOD * 30,
    ],
)
def test_what_was_not_said_is_refused(alice: Namespace, model: ScriptedModel, bad: str) -> None:
    model._answer = lambda _prompt: {"summary": bad}
    fill(alice)
    assert alice.list(types=["summary"]).items == ()
    assert "town" in summary(alice)


def test_it_works_while_the_model_is_down(alice: Namespace, model: ScriptedModel) -> None:
    model.down = True
    fill(alice)
    assert "town" in summary(alice)
    assert len(model.asked) == 2  # one try for each run


def test_the_low_tier_asks_no_model(alice: Namespace, model: ScriptedModel) -> None:
    fill(alice, tier="low")
    assert model.asked == []


def test_support() -> None:
    said = "user: Kari paid 4200 kr in Bergen for the boat."
    assert is_supported("Kari paid 4200 kr for the boat in Bergen.", said)
    assert not is_supported("Kari paid 4300 kr for the boat in Bergen.", said)
    assert not is_supported("Paid by Olav in Bergen for the boat.", said)


def test_memory_without_a_model(memory: MemoryOS) -> None:
    fill(memory.namespace("alice"))
    assert "town" in summary(memory.namespace("alice"))
