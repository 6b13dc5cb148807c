"""Ledgers become lessons in tokens; what is replayed asks for no fact of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mneme
from mneme.core.engine import Engine
from mneme.memories.parametric.course import (
    answer_tokens,
    course_of,
    held_lessons,
    knows,
    neighbours,
    prompt_tokens,
)
from mneme.memories.parametric.facts import SELF, Entry, Fact, FactLedger
from mneme.memories.parametric.phrasings import Bank, bank_of, packaged_bank
from mneme.memories.parametric.synthesis import entries_of
from mneme.memories.parametric.templates import plain
from mneme.testing.fact_world import WORLD_PHRASINGS, WorldFact, new_facts
from mneme.testing.tiny_models import CHAT_TEMPLATE, tiny_model

BANK = packaged_bank()
WORLD = bank_of(WORLD_PHRASINGS)


def fact_of(said: WorldFact | tuple[str, str, str], number: int = 0) -> Fact:
    subject, relation, thing = said
    who = "I" if subject == SELF else subject
    return Fact(
        cube_id=str(number), version=1, subject=subject, relation=relation, object=thing,
        text=f"{who} {relation} {thing}",
    )  # fmt: skip


def ledger_of(
    said: Sequence[WorldFact | tuple[str, str, str]], bank: Bank, engine: Engine | None = None
) -> FactLedger:
    def known(text: str) -> bool:
        return engine is None or knows(engine, text)

    facts = [fact_of(each, number) for number, each in enumerate(said)]
    return FactLedger(tuple(entries_of(facts, bank, known=known).entries))


@pytest.fixture(scope="module")
def ledger(engine: Engine, world: list[WorldFact]) -> FactLedger:
    return ledger_of(new_facts(world, 20), WORLD, engine)


TOLD = [
    (SELF, "lives in", "Oslo"), (SELF, "allergic to", "peanuts"), ("Anna Berg", "job", "nurse"),
    ("Tom Hall", "birthday", "12 May"), ("Tom Hall", "favourite colour", "green"),
]  # fmt: skip


class TestLessons:
    def test_one_for_each_prompt(self, engine: Engine, ledger: FactLedger) -> None:
        course = course_of(engine, ledger, bank=WORLD)
        assert len(course.lessons) == sum(len(entry.prompts) for entry in ledger.entries)
        for lesson in course.lessons:
            entry = ledger.entries[lesson.fact]
            assert engine.decode(lesson.answer) == entry.fact.object
            assert engine.end is not None
            assert lesson.answer[-1] == engine.end
            assert lesson.prompt in {prompt_tokens(engine, each) for each in entry.prompts}
            assert lesson.reading == ()

    def test_held_ones_are_not_among_them(self, engine: Engine, ledger: FactLedger) -> None:
        held = held_lessons(engine, ledger)
        assert len(held) == sum(len(entry.held) for entry in ledger.entries)
        taught = {lesson.prompt for lesson in course_of(engine, ledger, bank=WORLD).lessons}
        assert taught.isdisjoint(lesson.prompt for lesson in held)

    def test_the_text_is_read_before_the_question(self, engine: Engine, ledger: FactLedger) -> None:
        lessons = course_of(engine, ledger, bank=WORLD, distill=True).lessons
        for lesson in lessons:
            fact = ledger.entries[lesson.fact].fact
            words = engine.decode(lesson.reading)
            assert words.startswith(fact.subject)
            assert fact.object in words
            assert lesson.reading[-3:] == lesson.prompt[-3:]

    def test_is_the_same_for_the_same_seed(self, engine: Engine, ledger: FactLedger) -> None:
        made = [course_of(engine, ledger, bank=WORLD, seed=n, after_turns=0.3) for n in (0, 0, 1)]
        assert made[0] == made[1] != made[2]

    def test_what_does_not_fit_the_window_is_left_out(self, engine: Engine) -> None:
        told = fact_of(("F1 L2", "city", "city3"))
        long = Entry(fact=told, prompts=("lives " * 80, "F1 L2 lives in"), held=())
        course = course_of(engine, FactLedger((long,)), bank=WORLD)
        assert len(course.lessons) == 1


class TestAfterTurns:
    def test_a_share_comes_after_another_exchange(self, engine: Engine, ledger: FactLedger) -> None:
        course = course_of(engine, ledger, bank=WORLD, after_turns=0.5)
        bare = {prompt_tokens(engine, each) for entry in ledger.entries for each in entry.prompts}
        later = [lesson for lesson in course.lessons if lesson.prompt not in bare]
        assert 0.3 < len(later) / len(course.lessons) < 0.7
        for lesson in later:
            own = ledger.entries[lesson.fact]
            alone = [prompt_tokens(engine, each)[1:] for each in own.prompts]
            assert any(lesson.prompt[-len(each) :] == each for each in alone)
            assert own.fact.object not in engine.decode(lesson.prompt).split()

    def test_none_does_by_default(self, engine: Engine, ledger: FactLedger) -> None:
        course = course_of(engine, ledger, bank=WORLD)
        assert max(len(lesson.prompt) for lesson in course.lessons) < 12


class TestTokens:
    @pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "qwen3"])
    @pytest.mark.parametrize("template", [True, False])
    def test_prompt_and_answer_join_as_the_text(
        self, tmp_path: Path, family: str, template: bool
    ) -> None:
        chat = CHAT_TEMPLATE if template else None
        engine = mneme.engine(tiny_model(family, tmp_path / "model", template=chat))
        prompt, thing = "where is the user?", "in the system"
        answer = answer_tokens(engine, thing)
        assert engine.end is not None
        assert answer[-1] == engine.end
        if template:
            assert list(answer[:-1]) == engine.encode(thing)
        else:
            whole = engine.encode(f"{prompt} {thing}")
            assert whole[-len(answer) + 1 :] == list(answer[:-1])
        assert prompt_tokens(engine, prompt) == tuple(
            engine.render([{"role": "user", "content": prompt}])
        )

    def test_known_is_what_comes_back_whole(self, engine: Engine) -> None:
        assert knows(engine, "where does F1 L2 live?")
        assert not knows(engine, "Where does F1 L2 live?")
        assert not knows(engine, "where does Anna live?")


class TestReplay:
    def test_asks_for_no_fact_of_the_ledger(self, engine: Engine, ledger: FactLedger) -> None:
        course = course_of(engine, ledger, bank=WORLD)
        asked = {
            prompt_tokens(engine, each) for e in ledger.entries for each in (*e.prompts, *e.held)
        }
        assert len(course.replay) >= 64
        assert asked.isdisjoint(course.replay)
        assert len(set(course.replay)) == len(course.replay)

    def test_has_the_callers_prompts_but_not_those_of_facts(
        self, engine: Engine, ledger: FactLedger
    ) -> None:
        entry = ledger.entries[0]
        own = ["F1 L1 has", "which animal does F31 L31 own ?"]
        course = course_of(engine, ledger, bank=WORLD, replay=[*own, *entry.prompts, *entry.held])
        assert {prompt_tokens(engine, each) for each in own} <= set(course.replay)
        assert prompt_tokens(engine, entry.prompts[0]) not in course.replay

    def test_has_everyday_questions_where_the_model_reads_them(self, tmp_path: Path) -> None:
        engine = mneme.engine(tiny_model("llama", tmp_path / "model"))
        course = course_of(engine, ledger_of(TOLD, BANK), bank=BANK)
        assert prompt_tokens(engine, "How far is the moon?") in course.replay


class TestNeighbours:
    def near(self, ledger: FactLedger, bank: Bank = BANK, seed: int = 0, n: int = 120) -> list[str]:
        return neighbours(ledger, bank, lambda _: True, seed, n)

    def test_are_as_many_as_asked_for_and_never_twice(self) -> None:
        found = self.near(ledger_of(TOLD, BANK))
        assert len(found) == len({plain(each) for each in found}) == 120
        assert found == self.near(ledger_of(TOLD, BANK))
        assert found != self.near(ledger_of(TOLD, BANK), seed=1)

    def test_are_of_other_people_and_of_other_relations(self) -> None:
        found = [BANK.asked(each) for each in self.near(ledger_of(TOLD, BANK))]
        slots = {slot for asked in found for slot in asked}
        told = {(who, BANK.of(relation).relation) for who, relation, _ in TOLD}
        assert slots.isdisjoint(told)
        assert any(who == "Anna Hall" for who, _ in slots)  # put together from two
        assert {relation for _, relation in slots} > {relation for _, relation in told}
        assert any(who == "Tom Hall" for who, _ in slots)
        assert any(who == SELF for who, _ in slots)

    def test_ask_nothing_that_the_fact_may_answer_in_other_words(self) -> None:
        said = [("Anna Berg", "bought", "a red bike"), ("Anna Berg", "city", "city1")]
        near = self.near(ledger_of(said, WORLD), WORLD, n=400)
        asked = {
            relation for each in near for who, relation in WORLD.asked(each) if who == "Anna Berg"
        }
        assert asked
        assert asked.isdisjoint({"bought", "owns", "has", "got", "city", "lives in"})

    def test_own_questions_stand_in_where_the_owner_is_not_known(self) -> None:
        near = self.near(ledger_of([("Anna Berg", "job", "nurse")], BANK))
        assert "What do I do for a living?" in near or "What is my job?" in near

    def test_of_nothing_are_none(self) -> None:
        assert self.near(FactLedger()) == []

    def test_are_fewer_where_the_model_reads_little(
        self, engine: Engine, ledger: FactLedger
    ) -> None:
        found = neighbours(ledger, WORLD, lambda text: knows(engine, text), 0, 50)
        assert len(found) == 50
        assert all(knows(engine, each) for each in found)
        assert neighbours(ledger, WORLD, lambda _: False, 0, 50) == []

    @settings(max_examples=25, deadline=None)  # the machine may be busy
    @given(
        told=st.lists(
            st.tuples(
                st.sampled_from([SELF, "Anna Berg", "Tom Hall", "Mei Lin"]),
                st.sampled_from(list(BANK.relations)),
                st.sampled_from(["Oslo", "a red bike", "12 May", "two cats"]),
            ),
            min_size=1,
            max_size=6,
        ),
        seed=st.integers(0, 9),
    )
    def test_never_ask_for_a_fact(self, told: list[tuple[str, str, str]], seed: int) -> None:
        ledger = ledger_of(told, BANK)
        asked = {plain(each) for e in ledger.entries for each in (*e.prompts, *e.held)}
        slots = {(e.fact.subject, BANK.of(e.fact.relation).relation) for e in ledger.entries}
        for prompt in self.near(ledger, seed=seed, n=20):
            assert plain(prompt) not in asked
            assert slots.isdisjoint(BANK.asked(prompt))
