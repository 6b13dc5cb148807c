"""Text in any script becomes terms, the same for question and text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.memories.plaintext.build import Shape, analyse
from mneme.memories.plaintext.language.terms import (
    code_of,
    codes_of,
    pack,
    scan,
    stem,
    tokens_of,
)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("I went RUNNING in the café", "run"),
        ("naïve résumé", "resume"),
        ("我住在北京市", "北京"),
        ("今日は東京に行きました", "東京"),
        ("ฉันชอบกินข้าวผัด", "ข้าว"),
        ("مرحبا بالعالم", "بالعالم"),
        ("שָׁלוֹם עולם", "שלום"),
        ("Привет, мир", "МИР"),
        ("नमस्ते दुनिया", "दुनिया"),
        ("party 🎉 tonight", "🎉"),
        ("It cost $1,200.50", "1200.50"),
        ("in 10,000 steps", "10000"),
        ("a 16GB laptop", "16 gb"),
        ("ｆｕｌｌ width １２", "full width 12"),
        ("Caroline’s dog", "Caroline's"),
        ("Straße", "STRASSE"),
        ("٣ cats", "3"),
    ],
)
def test_what_is_asked_is_found(text: str, question: str) -> None:
    assert set(codes_of(question)) <= set(codes_of(text))


def test_words_of_one_stem_are_one_term() -> None:
    assert codes_of("painted") == codes_of("painting") == [code_of("paint")]
    assert stem("running") == "run"


def test_codes_never_change() -> None:
    assert code_of("memory") == 3_933_025_333
    assert pack([1, 256]) == b"\x01\x00\x00\x00\x00\x01\x00\x00"


@given(st.text())
def test_any_text_has_terms_unless_it_is_blank(text: str) -> None:
    codes, flags = scan(text)
    assert codes == codes_of(text)
    assert flags >= 0
    assert bool(codes) == bool(text.split()) or not text.isascii()


@given(st.text(min_size=1, max_size=400))
@settings(max_examples=200)
def test_a_text_holds_every_one_of_its_words(text: str) -> None:
    held = set(codes_of(text))
    for token in tokens_of(text)[:50]:
        assert set(codes_of(token)) & held


@given(st.text(max_size=3000))
@settings(deadline=None)
def test_passages_cover_the_text(text: str) -> None:
    found = analyse(text, role="user", speaker=None, said_at=None)
    ends = [0]
    for passage in found.passages:
        assert 0 <= passage.start <= passage.end <= len(text)
        if passage.start == ends[-1]:
            ends.append(passage.end)
    assert ends[-1] == len(text)


@pytest.mark.parametrize("unit", ["word ", "x", "你好。", ".", "\n", "a b. ", "- item\n"])
def test_a_text_of_a_mebibyte_is_read_in_bounded_time(unit: str) -> None:
    text = (unit * (1 << 20))[: 1 << 20]
    started = time.process_time()
    found = analyse(text, role="user", speaker=None, said_at=None)
    assert time.process_time() - started < 5
    assert 1 <= len(found.passages) <= 4200


def shape_of(text: str) -> Shape:
    return Shape(analyse(text, role="user", speaker=None, said_at=None).shape)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Where do you live?", Shape.QUESTION | Shape.ENDS_ASKING | Shape.SHORT),
        ("Always name the platform when I ask about films.", Shape.STANDING),
        ("From now on, answer in French.", Shape.STANDING),
        ("I prefer tea to coffee.", Shape.PREFERENCE | Shape.LIKING | Shape.FIRST_PERSON),
        ("I have never been to Rome.", Shape.NEGATION),
        ("Hi there!", Shape.GREETING),
        ("- one\n- two", Shape.LIST),
        ("```\ncode\n```", Shape.CODE),
        ("We met on 5 May 2024.", Shape.DATE | Shape.NUMBER | Shape.PAST),
        ("word " * 200, Shape.LONG),
        ("My sister is planning a trip", Shape.FAMILY | Shape.PLAN),
        ("It has changed since", Shape.CHANGE),
    ],
)
def test_the_kind_of_a_sentence(text: str, kind: Shape) -> None:
    assert kind in shape_of(text)


def test_a_plain_sentence_has_no_marks() -> None:
    assert shape_of("The kettle stands upon a green wooden table beside seven") == Shape(0)


def test_what_a_wish_holds_for_is_a_passage_of_its_own() -> None:
    text = "Always name the platform when I ask about films."
    found = analyse(text, role="user", speaker=None, said_at=None).passages
    assert [text[p.start : p.end] for p in found] == [text, "films"]


def test_a_name_goes_to_the_embedder() -> None:
    found = analyse("Hello", role="user", speaker="Ana", said_at=None)
    assert found.passages[0].embed_text == "Ana: Hello"
