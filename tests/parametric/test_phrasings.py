"""The bank says and reads relations as people do, and refuses what is no bank."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError
from mneme.core.statement import Utterance
from mneme.ingest.extract.rules import read as extract
from mneme.memories.parametric.english import article_of, head_of, own_form, third, verb_of
from mneme.memories.parametric.facts import SELF
from mneme.memories.parametric.phrasings import Triple, bank_of, key_of, packaged_bank
from mneme.memories.parametric.templates import Phrasing, filled, plain, prompt_of
from mneme.testing.fact_world import HELD, WORDINGS, WORLD_PHRASINGS, WRITTEN

DATA = Path(__file__).parent / "data"
BANK = packaged_bank()
PHRASINGS = [BANK.of(relation) for relation in BANK.relations]
FAMILY = BANK.of("favourite soup")

# What people tell, in the words of this test; the rules of extraction make triples of them.
TOLD = """I live in Oslo. | I work at Northwind. | I work as a nurse. | I'm 34 years old.
I was born in Trondheim. | I was born on 3 May 1990. | My birthday is 3 May. | I'm from Gdansk.
My favourite colour is teal. | My sister Eva lives in Lyon. | My brother works at Siemens.
My dog is called Biscuit. | My wife's name is Ingrid. | I have two cats. | I have three children.
I love hiking in the mountains. | I hate coriander. | I prefer tea to coffee. | I avoid gluten.
I'm allergic to peanuts. | I drive a Volvo V60. | I own a sailing boat. | I play the cello.
I study architecture. | I speak Norwegian and Polish. | My phone number is 555 0182.
My e-mail is nora@fjord.example. | My dentist is Dr. Lind. | My boss is Marta Keller.
The deadline is on 14 June. | The launch has moved to Thursday. | Locker code: 4471
Remember that the wifi password is plum-77. | I use Obsidian for my notes. | I joined a choir.
I bought a red Trek bike last Saturday. | I ran a half marathon in Malmö on 3 May 2024.
I visited Lisbon in March 2023. | I adopted a kitten named Miso yesterday. | I'm married.
I graduated from Uppsala University. | I'm vegetarian. | I have a degree in physics.
I grew up in Tromsø. | I don't like olives. | I'm moving to Vienna in August. | I teach chemistry.
Anna's birthday is 12 July. | Tom's favourite colour is green. | My rent went up to 980 euros.
I started learning Italian. | I volunteer at the animal shelter. | My salary is 52,000 euros.
My mother is from Naples. | I was diagnosed with asthma. | I got a new job at Fabrikam.
My car's license plate is AB 123 CD. | The budget for the kitchen is now 12,000 euros.
I met Priya in Berlin on 4 June 2023. | My daughter plays the violin. | I enjoy jazz.
My gym locker is number 12. | Mia's phone number is 555 0199. | My best friend is Jonas."""
SENTENCES = [each.strip() for each in re.split(r"[|\n]", TOLD)]


def triples() -> list[tuple[str, Triple]]:
    turns = [
        Utterance(id="t", text=text, role="user", speaker=None, at=1_730_000_000_000_000)
        for text in SENTENCES
    ]
    return [
        (turn.text, Triple(said.subject, said.relation, said.object))
        for turn in turns
        for said in extract(turn).statements
        if said.subject and said.relation and said.object and not said.ends
    ]


def templates(phrasing: Phrasing, *, own: bool) -> tuple[str, ...]:
    return phrasing.said_of(own=own) + phrasing.held_of(own=own)


class TestPackagedBank:
    def test_has_relations_of_everyday_life(self) -> None:
        assert len(BANK.relations) >= 100

    @pytest.mark.parametrize("phrasing", [*PHRASINGS, FAMILY], ids=lambda each: each.relation)
    def test_holds_back_a_statement_and_a_question(self, phrasing: Phrasing) -> None:
        for own in (False, True):
            held, said = phrasing.held_of(own=own), phrasing.said_of(own=own)
            assert any("{o}" in each for each in held)
            assert any("{o}" not in each for each in held)
            assert len(said) >= 3
            assert {plain(each) for each in held}.isdisjoint(plain(each) for each in said)

    @pytest.mark.parametrize("phrasing", [*PHRASINGS, FAMILY], ids=lambda each: each.relation)
    def test_own_forms_speak_of_nobody_else(self, phrasing: Phrasing) -> None:
        for template in templates(phrasing, own=True):
            assert "{s}" not in template
            assert re.search(r"\b(?:I|my|me|mine)\b", template), template
            assert not re.search(r"\bI (?:is|has|does|lives|works|was born by)\b", template)
            if template.endswith("I?"):
                assert template.split()[-2] == "am", template  # "how old am I?"

    def test_no_name_belongs_to_two_relations(self) -> None:
        names = defaultdict(set)
        for phrasing in PHRASINGS:
            for name in (phrasing.relation, *phrasing.synonyms):
                names[key_of(name)].add(phrasing.relation)
        assert not {key: found for key, found in names.items() if len(found) > 1}

    def test_near_relations_are_of_the_bank(self) -> None:
        for phrasing in PHRASINGS:
            for near in phrasing.near:
                assert BANK.name_of(near) is not None, near

    @settings(deadline=None, max_examples=400)
    @given(
        phrasing=st.sampled_from([each for each in PHRASINGS if not each.object]),
        own=st.booleans(),
        who=st.sampled_from(["Anna", "Mr Brandt", "My sister", "F1 L2", "Eva-Lotta Ek"]),
        thing=st.sampled_from(["Brightwater", "number 12", "F7", "3 May 2020", "Zoë's Blue Room"]),
        number=st.integers(0, 20),
    )
    def test_reads_back_what_it_states(
        self, phrasing: Phrasing, own: bool, who: str, thing: str, number: int
    ) -> None:
        made = phrasing.own_statements if own else phrasing.statements
        template = made[number % len(made)]
        subject = SELF if own else who
        text = filled(template, who, thing)
        found = BANK.read(f"{text[:1].upper()}{text[1:]}.")
        assert found is not None, text
        if who == "My sister" and found.subject == SELF:
            return  # "My sister is called Eva": whom the owner has for a sister
        assert found.subject.lower() == subject.lower()
        assert found.object.removeprefix(article_of(thing)) == thing  # "owns a ..." owns a thing
        said = templates(BANK.of(found.relation), own=own)
        assert found.relation in {phrasing.relation, *phrasing.near} or template in said

    @pytest.mark.parametrize("phrasing", PHRASINGS, ids=lambda each: each.relation)
    def test_recognises_its_questions(self, phrasing: Phrasing) -> None:
        for question in phrasing.questions:
            asked = BANK.asked(question.format(s="Anna Berg").capitalize().replace("anna", "Anna"))
            assert ("anna berg", phrasing.relation) in [(w.lower(), name) for w, name in asked]


class TestNames:
    @pytest.mark.parametrize(
        "said",
        ["lives in", "live in", "Lives at", "is living in", "resides in", "based in", "City"],
    )
    def test_one_relation_goes_by_several(self, said: str) -> None:
        assert BANK.of(said).relation == BANK.name_of(said) == "lives in"

    def test_families_take_any_word(self) -> None:
        assert BANK.of("favorite ice cream").relation == "favourite ice cream"
        assert "what is my favourite ice cream?" in BANK.of("fave ice cream").own_questions

    @pytest.mark.parametrize(
        ("relation", "thing", "question"),
        [
            ("repaired", "", "what did {s} repair?"),
            ("wrote about", "", "what did {s} write about?"),
            ("misses", "", "what does {s} miss?"),
            ("borrowed from", "", "what did {s} borrow from?"),
            ("planned", "", "what did {s} plan?"),
            ("is proud of", "", "what is {s} proud of?"),
            ("was mayor of", "", "what was {s} mayor of?"),
            ("painting", "", "what is {s} painting?"),
            ("locker code", "", "what is {s}'s locker code?"),
            ("barber", "", "who is {s}'s barber?"),
            ("running shoes", "", "what are {s}'s running shoes?"),
            ("flight", "12 June", "when is {s}'s flight?"),
            ("won a chess cup", "in May 2022", "when did {s} win a chess cup?"),
            ("won a chess cup", "in Riga", "where did {s} win a chess cup?"),
            ("is", "Thursday", "when is {s}?"),
            ("is", "plum-77", "what is {s}?"),
        ],
    )
    def test_other_words_are_asked_for_in_english(
        self, relation: str, thing: str, question: str
    ) -> None:
        assert BANK.name_of(relation) is None
        made = BANK.of(relation, thing)
        assert question in made.questions
        assert made.held
        assert made.own_held

    @pytest.mark.parametrize(("text", "triple"), triples(), ids=lambda each: str(each)[:40])
    def test_triples_of_the_rules_are_asked_for(self, text: str, triple: Triple) -> None:
        phrasing = BANK.of(triple.relation, triple.object)
        own = triple.subject == SELF
        made = [
            prompt_of(each, triple.subject, triple.object) for each in phrasing.said_of(own=own)
        ]
        prompts = [each for each in made if each]
        assert len(prompts) >= 3, text
        assert sum(each.endswith("?") for each in prompts) >= 1
        for prompt in prompts:
            assert "{" not in prompt
            assert plain(triple.object) not in plain(prompt)

    def test_rules_give_triples_enough_to_judge_by(self) -> None:
        assert len(triples()) >= 60


class TestReading:
    def sentences(self, name: str) -> tuple[list[list[str]], list[str]]:
        said = json.loads((DATA / name).read_text("utf-8"))
        stated = [each for each in said["stated"] if each[1] is not None]
        unsure = [each[0] for each in said["stated"] if each[1] is None]
        return stated, [*said["nothing"], *unsure]

    @pytest.mark.parametrize("name", ["read_sentences.json", "read_sentences_2.json"])
    def test_says_what_the_text_says_and_nothing_else(self, name: str) -> None:
        stated, nothing = self.sentences(name)
        assert [each for each in stated if BANK.read(each[0]) != Triple(*each[1:])] == []
        assert [each for each in nothing if BANK.read(each)] == []

    @pytest.mark.parametrize("name", ["read_sentences_3.json", "read_sentences_4.json"])
    def test_is_seldom_wrong_about_other_words(self, name: str) -> None:
        stated, nothing = self.sentences(name)
        right = sum(BANK.read(each[0]) == Triple(*each[1:]) for each in stated)
        read = sum(BANK.read(each) is not None for each in (*nothing, *(e[0] for e in stated)))
        assert right / read >= 0.9
        assert right / len(stated) >= 0.75

    def test_keeps_the_case_of_names_alone(self) -> None:
        assert BANK.read("ANNA LIVES IN OSLO") == Triple("ANNA", "lives in", "OSLO")
        assert BANK.read("F1 L2 lives in city5") == Triple("F1 L2", "lives in", "city5")

    @pytest.mark.parametrize("text", ["", " ", "?", ".", "I", "lives in", "a" * 5_000, "\0 is \0"])
    def test_reads_nothing_of_no_sentence(self, text: str) -> None:
        assert BANK.read(text) is None
        assert BANK.asked(text) == []

    @settings(deadline=None)
    @given(st.text(max_size=80))
    def test_any_text_may_be_read(self, text: str) -> None:
        found = BANK.read(text)
        assert found is None or all(found)


class TestCues:
    def test_content_words_tell_a_relation(self) -> None:
        cues = BANK.cues("allergic to")
        assert {"allerg", "allergi"} & cues.stems
        assert not {"the", "is", "my", "tell"} & cues.stems
        assert frozenset({"where", "live"}) in BANK.cues("lives in").asks


class TestOwnBank:
    def test_own_phrasings_go_first(self) -> None:
        bank = bank_of(
            {"berth": {"statements": ["{s} lives in {o}"], "questions": ["which berth has {s}?"]}}
        )
        assert bank.read("Anna lives in Oslo") == Triple("Anna", "berth", "Oslo")
        assert bank.of("berth").own_questions == ("which berth have I?",)
        assert bank.of("allergic to") == BANK.of("allergic to")

    def test_reads_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "own.json"
        path.write_text(json.dumps({"berth": {"questions": ["which berth is {s}'s?"]}}))
        assert bank_of(path).of("berth").questions == bank_of(str(path)).of("berth").questions

    def test_holds_back_the_last_of_each_kind(self) -> None:
        said = {"statements": ["{s} has berth {o}", "{s} sleeps in {o}"],
                "questions": ["which berth has {s}?", "where does {s} sleep?"]}  # fmt: skip
        made = bank_of({"berth": said}).of("berth")
        assert made.held == ("{s} sleeps in {o}", "where does {s} sleep?")
        assert made.said_of(own=False) == ("{s} has berth {o}", "which berth has {s}?")

    def test_holds_nothing_back_of_few(self) -> None:
        made = bank_of({"berth": {"questions": ["which berth has {s}?"]}}).of("berth")
        assert made.held == ()

    def test_world_phrasings_are_the_wordings(self) -> None:
        bank = bank_of(WORLD_PHRASINGS)
        for relation, wordings in WORDINGS.items():
            phrasing = bank.of(relation)
            made = [prompt_of(each, "F1 L2", "x") for each in phrasing.said_of(own=False)]
            assert made == [wordings[number].format(s="F1 L2") for number in WRITTEN]
            held = [prompt_of(each, "F1 L2", "x") for each in phrasing.held]
            assert held == [wordings[number].format(s="F1 L2") for number in HELD]

    @pytest.mark.parametrize(
        ("said", "names"),
        [
            ({"berth": {}}, "berth"),
            ({"berth": []}, "berth"),
            ({"": {"questions": ["where is {s}?"]}}, "name"),
            ({"berth": {"questions": ["where?"]}}, "where?"),
            ({"berth": {"questions": ["is {s} in {o}?"]}}, "is {s} in {o}?"),
            ({"berth": {"statements": ["{s} sleeps"]}}, "{s} sleeps"),
            ({"berth": {"statements": ["{s} {p} {o}"]}}, "{p}"),
            ({"berth": {"statements": "no list"}}, "statements"),
            ({"berth": {"asks": ["x"]}}, "asks"),
            ({"berth": {"questions": ["q {s}"], "own": {"questions": ["q {s}"]}}}, "q {s}"),
            ({"berth": {"questions": ["q {s}"], "reads": {"{s} is {o}": "("}}}, "berth"),
            ({"berth": {"questions": ["q {s}"], "object": 3}}, "berth"),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong(self, said: dict[str, object], names: str) -> None:
        with pytest.raises(InvalidInputError, match=re.escape(names)):
            bank_of(said)

    @pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
    def test_refuses_a_file_of_something_else(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "own.json"
        path.write_bytes(content)
        with pytest.raises(InvalidInputError):
            bank_of(path)
        with pytest.raises(InvalidInputError, match="cannot be read"):
            bank_of(tmp_path / "none.json")


class TestEnglish:
    @pytest.mark.parametrize(
        ("word", "base"),
        [("bought", "buy"), ("lives", "live"), ("studied", "study"), ("planned", "plan"),
         ("moved", "move"), ("visited", "visit"), ("has", "have"), ("went", "go"),
         ("teaches", "teach"), ("plays", "play"),
         ("organised", "organise"), ("photographed", "photograph"), ("hiked", "hike"),
         ("celebrated", "celebrate"), ("wanted", "want"), ("sailed", "sail")],
    )  # fmt: skip
    def test_knows_verbs(self, word: str, base: str) -> None:
        verb = verb_of(word)
        assert verb is not None
        assert verb.base == base

    @pytest.mark.parametrize("word", ["address", "deadline", "locker", "bus"])
    def test_knows_what_is_none(self, word: str) -> None:
        assert verb_of(word, alone=True) is None

    @settings(deadline=None)
    @given(st.sampled_from(["live", "study", "teach", "go", "have", "miss", "play", "fix", "buy"]))
    def test_third_person_goes_back(self, base: str) -> None:
        verb = verb_of(third(base))
        assert verb is not None
        assert verb.base == base

    @pytest.mark.parametrize(
        ("thing", "article"),
        [("nurse", "a "), ("engineer", "an "), ("hour", "an "), ("university clerk", "a "),
         ("a nurse", ""), ("the cook", ""), ("8-seater", "an "), ("", ""), ("MRI nurse", "an ")],
    )  # fmt: skip
    def test_articles(self, thing: str, article: str) -> None:
        assert article_of(thing) == article

    @pytest.mark.parametrize(
        ("thing", "head"),
        [("a red Trek bike from Bergen", "bike"), ("two cats", "cats"),
         ("a kitten named Miso", "kitten"),
         ("a Volvo V60", None), ("Canyon Grail", None), ("a boat", None), ("jazz", None),
         ("my old camera", "camera"), ("hiking in the mountains", None)],
    )  # fmt: skip
    def test_heads(self, thing: str, head: str | None) -> None:
        assert head_of(thing) == head

    def test_first_person(self) -> None:
        assert own_form("a colleague of {s} is {o}") == "a colleague of mine is {o}"
        assert own_form("who leads {s} at work?") == "who leads me at work?"
        assert own_form("{s} usually eats {o}") == "I usually eat {o}"
