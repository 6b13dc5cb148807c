"""Questions find the shard that knows what they ask for; all others find none."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.normal import name_of, normal, template_of, words_of
from mneme.memories.parametric.phrasings import bank_of, packaged_bank
from mneme.memories.parametric.router import Route, RouterIndex
from mneme.testing.fact_world import HELD, WORDINGS, WRITTEN, WorldFact, new_facts

FACTS = (
    ("Anna", "lives in", "Bergen"),
    ("Ben Smith", "owns", "a boat"),
    ("Ben Smith", "lives in", "Graz"),
    ("user", "lives in", "Leeds"),
    ("user", "job", "nurse"),
    ("user", "bought", "a red Trek bike"),
    ("user", "bought", "a brass floor lamp"),
    ("user", "works at", "Harbour Labs"),
    ("user", "father", "Lars"),
    ("user", "address", "14 Quarry Lane"),
    ("user", "locker code", "4417"),
    ("my sister", "lives in", "Porto"),
)


def entry(subject: str, relation: str, thing: str, prompts: Sequence[str] = ()) -> Entry:
    said = f"{subject} {relation} {thing}"
    fact = Fact(
        cube_id=said, version=1, subject=subject, relation=relation, object=thing, text=said
    )
    return Entry(fact=fact, prompts=tuple(prompts), held=())


def ledger(*facts: tuple[str, str, str]) -> FactLedger:
    return FactLedger(tuple(entry(*fact) for fact in facts))


def objects(route: Route) -> list[str]:
    return [match.entry.fact.object for match in route.matches]


@pytest.fixture(scope="module")
def index() -> RouterIndex:
    made = RouterIndex(packaged_bank())
    made.put("alice/0001", ledger(*FACTS[:6]))
    made.put("alice/0002", ledger(*FACTS[6:]))
    return made


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("Where does Anna live?", "Bergen"),
        ("could you tell me where anna lives", "Bergen"),
        ("Anna lives in", "Bergen"),
        ("What's Anna's home town?", "Bergen"),
        ("Where do I live now?", "Leeds"),
        ("In which city do I live?", "Leeds"),
        ("My home town?", "Leeds"),
        ("Where does my sister live?", "Porto"),
        ("Do you know where my sister lives?", "Porto"),
        ("What do I do for a living?", "nurse"),
        ("What is my job?", "nurse"),
        ("Which bike did I buy?", "a red Trek bike"),
        ("Do you remember which bike I bought?", "a red Trek bike"),
        ("What kind of lamp did I buy?", "a brass floor lamp"),
        ("What is the name of my employer?", "Harbour Labs"),
        ("What does Ben Smith own?", "a boat"),
        ("what is my locker code", "4417"),
        ("What’s my locker code?", "4417"),
    ],
)
def test_a_question_finds_its_fact(index: RouterIndex, question: str, thing: str) -> None:
    route = index.route(question)
    assert objects(route) == [thing], route.reason
    assert route.covered


@pytest.mark.parametrize(
    "question",
    [
        "Where do you live?",  # another person
        "Where does she live?",
        "Where does Marco live?",
        "Where does Anna Miller live?",
        "Where does Ben live?",
        "Where do my parents live?",
        "Where does Anna's sister live?",
        "Where does my father live?",
        "Where do Anna and Ben Smith live?",
        "What does my sister do?",  # another relation
        "What does Anna own?",
        "Which car did I buy?",
        "What colour is my bike?",
        "When did I buy my bike?",
        "Who lives with Anna?",  # the other way round
        "Who works for me?",
        "Who is the father of Lars?",
        "What does my father do?",
        "Where did Anna live?",  # another time
        "Where did Anna live before 2020?",
        "Where did I live last year?",
        "Where will I live?",
        "Where should I live?",  # not as it is
        "Where would Anna live if she moved?",
        "Where do I not live?",
        "Where else does Anna live?",
        "Does Anna live further north than Ben Smith?",
        "Does Anna live in Bergen?",
        "Do I live in",
        "How does Anna live?",
        "Why does Anna live in Bergen?",
        "Write a poem about where Anna lives",  # to do something
        "Translate 'where do I live' into Greek",
        "Tell me about Anna.",
        "Don't tell me where I live.",
        "I live in Leeds.",  # a statement
        "I live.",
        "What should I do?",
        "What did I buy?",  # several answers
        "What is the name of my job?",  # the object is no name
        "Hello!",
        "",
        "?",
        "{s} lives in",
        "Where does {s} live?",
        "what is my locker code " * 30,
    ],
)
def test_what_asks_for_something_else_is_not_answered(index: RouterIndex, question: str) -> None:
    route = index.route(question)
    assert not route.covered
    assert not route.matches
    assert route.reason


def test_several_questions_find_a_fact_each(index: RouterIndex) -> None:
    route = index.route("Where does Anna live, and what does Ben Smith own?")
    assert [(m.shard, m.clause) for m in route.matches] == [
        ("alice/0001", "Where does Anna live"),
        ("alice/0001", "what does Ben Smith own?"),
    ]
    assert route.covered
    assert objects(index.route("Hello. Where do I live? What is my job?")) == ["Leeds", "nurse"]


@pytest.mark.parametrize(
    "question",
    [
        "Where does Anna live and what does she own?",
        "I have moved. Where does Anna live?",
        "If I moved, where does Anna live?",
        "Where does Anna live? Answer with a poem.",
        "Suppose I live in Rome. Where does Anna live?",
    ],
)
def test_one_clause_that_no_fact_answers_leaves_the_question_to_text(
    index: RouterIndex, question: str
) -> None:
    route = index.route(question)
    assert objects(route) == ["Bergen"]
    assert not route.covered


def test_a_slot_with_two_objects_is_not_routed() -> None:
    index = RouterIndex(packaged_bank())
    index.put("a/1", ledger(("Anna", "lives in", "Bergen")))
    index.put("a/2", ledger(("Anna", "lives in", "Oslo")))
    assert not index.route("Where does Anna live?").covered
    index.put("a/2", ledger(("Anna", "lives in", "Bergen")))
    assert index.route("Where does Anna live?").matches[0].shard == "a/2"


def test_the_newest_wins_where_it_is_told_to() -> None:
    index = RouterIndex(packaged_bank(), newest_wins=True)
    index.put("a/1", ledger(("Anna", "lives in", "Bergen")))
    index.put("a/2", ledger(("Anna", "lives in", "Oslo")))
    assert objects(index.route("Where does Anna live?")) == ["Oslo"]
    index.drop("a/2")
    assert objects(index.route("Where does Anna live?")) == ["Bergen"]


def test_words_that_only_the_ledger_knows_ask_for_that_entry_alone() -> None:
    index = RouterIndex(packaged_bank())
    odd = "Which vessel is moored under the name of Ben?"
    index.put("a/1", FactLedger((entry("Ben", "owns", "a boat", [odd, "Which vessel is it?"]),)))
    assert objects(index.route("which vessel is moored under the name of Ben")) == ["a boat"]
    assert not index.route("Which vessel is it?").matches  # it names nobody: anyone may ask it
    index.drop("a/1")
    assert not index.route(odd).matches


def test_a_pronoun_is_no_subject() -> None:
    index = RouterIndex(packaged_bank())
    index.put("a/1", ledger(("She", "lives in", "Bergen"), ("you", "lives in", "Oslo")))
    assert not index.route("Where does she live?").matches
    assert not index.route("Where do you live?").matches


def test_a_relation_that_the_bank_does_not_know_is_asked_for_as_its_object_wants_it() -> None:
    index = RouterIndex(packaged_bank())
    index.put("a/1", ledger(("Anna", "repainted", "the fence"), ("Ben", "repainted", "in 2019")))
    assert objects(index.route("What did Anna repaint?")) == ["the fence"]
    assert not index.route("When did Anna repaint?").covered


def test_own_phrasings_are_routed() -> None:
    told = {
        "is berthed at": {
            "statements": ["{s} is berthed at {o}"],
            "questions": ["which pier holds {s}?"],
        }
    }
    index = RouterIndex(bank_of(told))
    index.put("a/1", ledger(("the Alma", "is berthed at", "pier 4")))
    assert objects(index.route("Which pier holds the Alma?")) == ["pier 4"]
    assert not index.route("Which pier holds the Bessie?").covered


@pytest.mark.parametrize("own", [False, True])
def test_shards_come_and_go_without_a_trace(own: bool) -> None:
    index = RouterIndex(packaged_bank())
    subject = "user" if own else "Anna Berg"
    question = "Where do I live?" if own else "Where does Anna Berg live?"
    index.put("a/1", ledger((subject, "lives in", "Bergen")))
    index.put("a/1", ledger((subject, "lives in", "Oslo")))
    assert index.shards() == ("a/1",)
    assert objects(index.route(question)) == ["Oslo"]
    index.drop("a/1")
    index.drop("a/1")
    assert index.shards() == ()
    assert not index.route(question).matches
    assert vars(index._where) == vars(RouterIndex(packaged_bank())._where)


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(("a/1", "a/2", "a/3")),
            st.lists(st.integers(0, len(FACTS) - 1), max_size=4, unique=True),
        ),
        max_size=8,
    )
)
def test_an_index_is_what_was_put_and_not_dropped(
    steps: list[tuple[bool, str, list[int]]],
) -> None:
    index = RouterIndex(packaged_bank())
    there: dict[str, FactLedger] = {}
    for put, shard, numbers in steps:
        if put:
            index.put(shard, ledger(*(FACTS[at] for at in numbers)))
            there[shard] = ledger(*(FACTS[at] for at in numbers))
        else:
            index.drop(shard)
            there.pop(shard, None)
    fresh = RouterIndex(packaged_bank())
    for shard, each in there.items():
        fresh.put(shard, each)
    for question in ("Where does Anna live?", "Where do I live?", "Which bike did I buy?"):
        assert objects(index.route(question)) == objects(fresh.route(question))


def test_threads_see_a_shard_whole_or_not_at_all() -> None:
    index = RouterIndex(packaged_bank())
    stop = threading.Event()
    told = [ledger(("Anna", "lives in", "Bergen")), ledger(("Anna Berg", "lives in", "Oslo"))]

    def change() -> None:
        while not stop.is_set():
            for each in told:
                index.put("a/1", each)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        found = {tuple(objects(index.route("Where does Anna live?"))) for _ in range(3_000)}
    finally:
        stop.set()
        changing.join()
    assert found <= {("Bergen",), ()}


@given(st.text(max_size=80))
def test_any_text_is_routed_or_not_but_never_breaks(text: str) -> None:
    index = RouterIndex(packaged_bank())
    index.put("a/1", ledger(*FACTS))
    route = index.route(text)
    assert not route.covered or route.matches


@pytest.fixture(scope="module")
def told(world: list[WorldFact]) -> list[WorldFact]:
    return new_facts(world, 200)


@pytest.fixture(scope="module")
def judged(told: list[WorldFact]) -> RouterIndex:
    templates = {
        name: {
            "statements": [f"{text} {{o}}" for text in each[:3]],
            "questions": list(each[3:5]),
            "held": [each[5]],
        }
        for name, each in WORDINGS.items()
    }
    judged = RouterIndex(bank_of(templates))
    for at in range(0, len(told), 50):
        judged.put(f"a/{at}", FactLedger(tuple(entry(*fact) for fact in told[at : at + 50])))
    return judged


def test_every_wording_of_every_fact_is_routed(judged: RouterIndex, told: list[WorldFact]) -> None:
    for fact in told:
        for prompt in fact.prompts((*WRITTEN, *HELD)):
            assert objects(judged.route(prompt)) == [fact.object], prompt


def test_no_fact_of_the_base_is_routed(judged: RouterIndex, world: list[WorldFact]) -> None:
    assert not any(judged.route(p).matches for fact in world for p in fact.prompts())


def test_no_unwritten_relation_of_a_subject_is_routed(
    judged: RouterIndex, told: list[WorldFact]
) -> None:
    known = {fact[:2] for fact in told}
    others = [WorldFact(f.subject, r, "") for f in told for r in WORDINGS]
    asked = [p for each in others if each[:2] not in known for p in each.prompts()]
    assert asked
    assert not any(judged.route(prompt).matches for prompt in asked)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Could you tell me where {s} lives, please?", "where does {s} live"),
        ("In which city does {s} live?", "which city does {s} live in?"),
        ("what {s}'s job is", "What is {s}'s job?"),
        ("where {s} is from", "Where's {s} from?"),
        ("{s} lives in {o}", "{s} lives in"),
        ("what is {s}'s favourite colour", "What is {s}'s favorite color?"),
    ],
)
def test_what_is_put_differently_has_one_normal_form(one: str, other: str) -> None:
    assert template_of(one, own=False) == template_of(other, own=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("where does {s} live", "where did {s} live"),
        ("where does {s} live", "where does {s} not live"),
        ("who employs {s}", "who does {s} employ"),
        ("does {s} work", "{s} works"),
    ],
)
def test_what_asks_for_something_else_has_another_normal_form(one: str, other: str) -> None:
    assert template_of(one, own=False) != template_of(other, own=False)


@given(st.text(alphabet="abs' -ABSxyz", max_size=30))
def test_a_normal_form_is_its_own(text: str) -> None:
    once = normal(words_of(text))
    assert name_of(text) == tuple(words_of(f"x {text} x")[1:-1])
    assert normal(once) == once or any(word.endswith("s") for word in once)
