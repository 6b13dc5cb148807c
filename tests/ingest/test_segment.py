"""Documents fall into sections that lose nothing and keep their headings."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.ingest.segment import Section, sections


def texts(document: str, *, max_words: int = 300) -> list[str]:
    return [document[s.start : s.end] for s in sections(document, max_words=max_words)]


def paths(document: str) -> list[tuple[str, ...]]:
    return [s.heading_path for s in sections(document)]


@pytest.mark.parametrize("blank", ["", " ", "\n\n\n", "\r\n \t\r\n", "\x0c\u2028\u00a0"])
def test_a_blank_document_has_no_section(blank: str) -> None:
    assert sections(blank) == []


def test_one_line_is_one_section() -> None:
    assert sections("  hello there \n") == [Section(2, 13, ())]


def test_each_heading_opens_a_section_with_its_path() -> None:
    document = "intro\n\n# A\none\n\n## B\n\ntwo\n\n### C ###\nthree\n\n## D\nfour\n# E\nfive\n"
    assert paths(document) == [(), ("A",), ("A", "B"), ("A", "B", "C"), ("A", "D"), ("E",)]
    assert texts(document)[2] == "## B\n\ntwo"


def test_headings_that_follow_downwards_open_one_section() -> None:
    document = "# Guide\n\n## Setup\n\ntext\n# Other\n# Last\nend"
    assert paths(document) == [("Guide", "Setup"), ("Other",), ("Last",)]
    assert texts(document)[0] == "# Guide\n\n## Setup\n\ntext"


@pytest.mark.parametrize(
    ("line", "title"),
    [("# C#", "C#"), ("# C ##  ", "C"), ("#", ""), ("## ##", ""), ("#\tTab", "Tab"),
     ("# " + "t" * 500, "t" * 200)],
)  # fmt: skip
def test_a_title_is_what_the_heading_says(line: str, title: str) -> None:
    assert paths(line + "\n\nbody") == [(title,)]


def test_underlined_headings_count() -> None:
    document = "Title\n=====\n\nbody\n\nPart\n----\r\nmore\n"
    assert paths(document) == [("Title",), ("Title", "Part")]


@pytest.mark.parametrize(
    "document",
    [
        "#hashtag is no heading",
        "text\n\n---\n\ntext",
        "- item\n---\n",
        "two lines\nof text\n---\nmore",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "####### seven",
        "    # indented code",
    ],
)
def test_what_only_looks_like_a_heading_is_text(document: str) -> None:
    assert paths(document) == [()]


def test_front_matter_is_text_and_no_heading() -> None:
    document = "---\ntitle: x\ndate: 2024-01-01\n---\n# Real\nbody"
    assert paths(document) == [(), ("Real",)]
    assert texts(document)[0].endswith("---")
    assert paths("---\nno end of it\n\n# Real\nbody") == [(), ("Real",)]
    assert len(sections("---\n" + "a\n\n" * 300 + "---\n")) >= 1


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_fenced_code_stays_whole_and_hides_headings(fence: str) -> None:
    code = f"{fence}python\n# comment\n\n\nx = '```x'\n\n# more\n{fence}"
    document = f"# A\nbefore\n\n{code}\n\nafter\n# B\nend"
    assert paths(document) == [("A",), ("B",)]
    assert code in texts(document)[0]


def test_long_code_stays_whole_beside_short_limits() -> None:
    code = "```\n" + "word word word\n" * 200 + "```"
    found = texts(f"before\n\n{code}\n\nafter", max_words=20)
    assert found == ["before", code, "after"]


def test_very_long_code_is_cut_at_lines() -> None:
    document = "```\n" + "x = 1  # something\n" * 20_000
    found = texts(document)
    assert len(found) > 3
    assert all(len(piece) <= 65_536 and piece.startswith(("```", "x")) for piece in found)


def test_a_fence_without_end_runs_to_the_end() -> None:
    assert paths("# A\n```\n# no heading\n") == [("A",)]


def test_long_text_is_split_at_paragraphs() -> None:
    paragraph = "word " * 120
    found = texts("\n\n".join([paragraph] * 5))
    assert [len(piece.split()) for piece in found] == [240, 240, 120]


def test_a_long_paragraph_is_split_at_sentences() -> None:
    found = texts("This is one sentence of seven words. " * 100)
    assert len(found) >= 3
    assert all(piece.endswith("words.") for piece in found)


def test_a_long_list_is_split_between_items() -> None:
    found = texts("".join(f"- item {n} of a long list\n" for n in range(300)))
    assert len(found) > 4
    assert all(piece.startswith("- item") for piece in found)


def test_text_without_spaces_is_split_by_length() -> None:
    assert all(len(piece) <= 2400 for piece in texts("記憶" * 5000))
    assert all(piece.endswith("。") for piece in texts("今日は天気がいいです。" * 900))
    assert [len(piece) for piece in texts("x" * 5000)] == [2400, 2400, 200]


def test_a_long_line_without_sentences_is_split_at_words() -> None:
    found = texts("lorem ipsum " * 600)
    assert all(piece.split()[0] in {"lorem", "ipsum"} for piece in found)
    assert sum(len(piece.split()) for piece in found) == 1200


def test_windows_newlines_are_kept_inside_spans() -> None:
    document = "# A\r\n\r\none\r\ntwo\r\n\r\n# B #\r\nthree\r\n"
    assert texts(document) == ["# A\r\n\r\none\r\ntwo", "# B #\r\nthree"]
    assert paths(document) == [("A",), ("B",)]


_LINES = st.sampled_from([
    "# One", "## Two ##", "###", "text here", "- item", "1. item", "```", "~~~~", "===", "---",
    "", "  ", "\t", "a. b! c?", "long " * 60, "x" * 300, "日本語。" * 30, "|a|b|", "\u2028",
    "> quote",
])  # fmt: skip


@given(
    document=st.one_of(
        st.lists(_LINES, max_size=30).map("\n".join),
        st.lists(_LINES, max_size=10).map("\r\n".join),
        st.text(max_size=300),
    ),
    max_words=st.integers(1, 60),
)
def test_spans_are_ordered_apart_and_hold_all_that_is_not_blank(
    document: str, max_words: int
) -> None:
    found = sections(document, max_words=max_words)
    position = 0
    for section in found:
        assert position <= section.start < section.end <= len(document)
        assert not document[position : section.start].strip()
        piece = document[section.start : section.end]
        assert piece == piece.strip()
        position = section.end
    assert not document[position:].strip()


@pytest.mark.parametrize(
    "unit",
    ["word " * 40 + "\n\n", "#" * 70, "# h\n", "# " + " " * 199_990, "# x" + " #" * 99_990,
     "```\n", "- a\n", "x", "\n", " ", "> \n", "a. ", "`", "Title\n---\n"],
    ids=lambda unit: repr(unit[:12]),
)  # fmt: skip
def test_the_time_is_linear(unit: str) -> None:
    def seconds(length: int) -> float:
        document = unit * (length // len(unit))
        start = time.perf_counter()
        sections(document)
        return time.perf_counter() - start

    seconds(20_000)
    small, large = seconds(200_000), seconds(1_600_000)
    assert large < 1.0 + 32 * small


@pytest.mark.slow
def test_64_mib_take_less_than_a_minute() -> None:
    document = ("# Heading\n\n" + "Some words that make a sentence. " * 30 + "\n\n") * 68_000
    assert len(document) > 64 * 2**20
    start = time.perf_counter()
    assert len(sections(document)) >= 68_000
    assert time.perf_counter() - start < 60
