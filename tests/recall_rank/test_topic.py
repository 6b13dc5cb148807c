"""The topic of a question is what it is about; a question that asks for no breadth stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mneme
from mneme.recall.query import Question, take_apart
from mneme.recall.topic import topic_of


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        (
            "Can you list the order in which I brought up different aspects of keeping bees?",
            "keeping bees",
        ),
        (
            "In what order did I raise rent throughout our chats? Mention ONLY and ONLY six items.",
            "rent",
        ),
        ("In what order did I mention my trips to Rome and Paris?", "my trips to Rome and Paris"),
        (
            "How did our discussions about the greenhouse progress in order (list 4 items)?",
            "the greenhouse",
        ),
        ("Summarize my knee therapy over the past few months.", "my knee therapy"),
        (
            "Could you give me a clear, full summary of how my novel has evolved so far?",
            "how my novel",
        ),
        ("Give me an overview of my diet", "my diet"),
        ("I'd like a recap of the harvest.", "the harvest"),
        ("Write a short synopsis of my trip", "my trip"),
        ("Sum up my garden plans.", "my garden plans"),
    ],
)
def test_only_the_topic_is_looked_for(question: str, topic: str) -> None:
    assert topic_of(question) == topic
    assert take_apart(Question(question)).terms == take_apart(Question(topic)).terms


@pytest.mark.parametrize(
    "question",
    [
        "What is the order of the three trips that I took?",
        "Which did I buy first, the lamp or the chair?",
        "Did I write a summary for my application?",
        "Tell me which overview I liked.",
        "Which came first, the summary or the talk?",
        "Can you walk me through the proof?",
        "How did my sister develop the film?",
        "Can you recap?",
        "",
    ],
)
def test_any_other_question_stays_as_it_is(question: str) -> None:
    assert topic_of(question) == question


@given(st.text(max_size=300))
def test_a_topic_says_something_where_the_question_does(question: str) -> None:
    topic = topic_of(question)
    assert len(topic) <= len(question)
    assert topic == question or any(sign.isalnum() or sign == "_" for sign in topic)


FRAMES = "give me a the summary of how did my chats develop , in order which i brought up"


@given(st.lists(st.sampled_from(FRAMES.split()), max_size=60))
def test_a_question_of_frames_alone_has_a_topic(words: list[str]) -> None:
    question = " ".join(words)
    assert bool(topic_of(question)) == bool(question)


def test_a_long_text_is_no_such_question() -> None:
    text = "Please summarize the harvest. " * 40
    assert topic_of(text) == text
    assert topic_of(text[:900]) != text[:900]


def test_a_search_looks_for_the_topic_by_vector_too(tmp_path: Path) -> None:
    with mneme.open(tmp_path / "memory") as memory:
        space = memory.namespace("ana")
        space.add_many([f"The {what} is new" for what in ("violin", "boat", "oven", "summary")])

        def found(question: str) -> list[tuple[str, float]]:
            hits = space.search(question, mode="dense")
            return [(hit.cube.text, hit.score) for hit in hits]

        assert found("Please give me a summary of the violin") == found("the violin")
        assert found("Please give me a summary of the violin")[0][0] == "The violin is new"
