"""Repeats: what is said twice is told once, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mneme.recall.context import Hit
from mneme.recall.repeats import drop_repeats

HitMaker = Callable[..., Hit]
LONG = " ".join(f"Every word of sentence {n} counts." for n in range(40))


def kept(*hits: Hit) -> list[str]:
    return [found.cube.text for found in drop_repeats(hits)]


@given(texts=st.lists(st.text(alphabet="ab ", max_size=12), max_size=8))
def test_no_two_that_stay_have_the_same_words_and_every_text_has_its_like(
    hit: HitMaker, texts: list[str]
) -> None:
    stays = kept(*(hit(text, rank, id=str(rank)) for rank, text in enumerate(texts, start=1)))
    assert {" ".join(text.split()) for text in texts} == {" ".join(text.split()) for text in stays}


def test_the_newest_stays_at_the_better_place(hit: HitMaker) -> None:
    (found,) = drop_repeats([hit("I like tea.", 1, day=1), hit("i like TEA", 2, day=5)])
    assert (found.cube.text, found.rank) == ("i like TEA", 1)


def test_the_better_ranked_stays_if_it_is_newer(hit: HitMaker) -> None:
    assert kept(hit("I like tea.", 1, day=5), hit("i like TEA", 2, day=1)) == ["I like tea."]


def test_near_repeats_of_long_texts_go(hit: HitMaker) -> None:
    assert kept(hit(LONG, 1, day=3), hit("Well, " + LONG, 2, day=1)) == [LONG]


def test_another_number_is_another_statement(hit: HitMaker) -> None:
    assert len(kept(hit(LONG, 1), hit(LONG.replace("39", "40"), 2))) == 2


def test_another_voice_is_another_statement(hit: HitMaker) -> None:
    assert len(kept(hit("I live in Oslo.", 1), hit("I live in Oslo.", 2, speaker="Bob"))) == 2
    silent = hit("I live in Oslo.", 2, speaker=None, role="assistant")
    assert len(kept(hit("I live in Oslo.", 1), silent)) == 2


def test_a_voice_that_is_not_known_may_be_the_same(hit: HitMaker) -> None:
    assert len(kept(hit("I live in Oslo.", 1), hit("I live in Oslo.", 2, speaker=None))) == 1


def test_texts_without_words_repeat_only_themselves(hit: HitMaker) -> None:
    assert kept(hit("🎉", 1), hit("🙏", 2), hit("🎉 ", 3, day=-1)) == ["🎉", "🙏"]


def test_two_versions_of_a_cube_are_one(hit: HitMaker) -> None:
    assert len(kept(hit("I like tea.", 1, id="x"), hit("I like coffee.", 2, id="x"))) == 1


def test_what_is_trusted_stays(hit: HitMaker) -> None:
    trusted, planted = hit("Tea is good.", 1), hit("tea is good", 2, day=9, trust="untrusted")
    assert kept(trusted, planted) == kept(planted, trusted) == ["Tea is good."]


def test_a_standing_wish_stays(hit: HitMaker) -> None:
    said = hit("Use metric units.", 1, day=9)
    wish = hit("use metric units", 2, type="instruction")
    assert kept(said, wish) == kept(wish, said) == ["use metric units"]


def test_a_short_source_stays_for_what_was_extracted_from_it(hit: HitMaker) -> None:
    source = hit("So, I moved to Oslo in March.", 2)
    fact = hit("I moved to Oslo", 1, type="fact", of=[source.cube.id])
    assert kept(fact, source) == kept(source, fact) == [source.cube.text]


def test_a_section_stays_for_its_long_document(hit: HitMaker) -> None:
    whole = hit(LONG, 1, type="document")
    section = hit(LONG[34:69], 2, type="section", of=[whole.cube.id])
    assert kept(whole, section) == kept(section, whole) == [section.cube.text]


def test_what_says_more_than_its_source_stays_beside_it(hit: HitMaker) -> None:
    source = hit("Yes, that one.", 1)
    fact = hit("Alice owns a red bicycle.", 2, of=[source.cube.id])
    assert len(kept(source, fact)) == 2
