"""The same ids as the `tokenizers` package, whatever the text."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.backends.embedders.static import TABLE
from mneme.backends.embedders.wordpiece import WordPiece

tokenizers = pytest.importorskip("tokenizers", reason="WordPiece's peer is not installed")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
LOCOMO = REPOSITORY.parent / "shared/data/locomo/locomo_dev.json"
UNKNOWN = "[UNK]"
UNWRITTEN = {"Cs", "Cn", "Co"}


@pytest.fixture(scope="module")
def tokens() -> list[str]:
    return (TABLE / "vocabulary.txt").read_text("utf-8").split("\n")


@pytest.fixture(scope="module")
def ours(tokens: list[str]) -> WordPiece:
    return WordPiece(tokens)


@pytest.fixture(scope="module")
def peer(tokens: list[str]) -> Callable[[list[str]], list[list[int]]]:
    """BERT's pipeline of the package over the same vocabulary; unknown words left out."""
    vocabulary = {token: row for row, token in enumerate([*tokens, UNKNOWN])}
    pipeline = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=100)
    )
    pipeline.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    pipeline.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()

    def rows(texts: list[str]) -> list[list[int]]:
        batch = pipeline.encode_batch(texts, add_special_tokens=False)
        return [[row for row in found.ids if row < len(tokens)] for found in batch]

    return rows


def known_to_both(char: str) -> bool:
    """Whether the character is old enough to have one meaning in both Unicode tables."""
    return unicodedata.ucd_3_2_0.category(char) == unicodedata.category(char)


EXAMPLES = (
    "",
    "Hello, world! It's 10:30.",
    "unaffable UNAFFABLE Ünàffáble",
    "ΑΣ ΣΑΣ İstanbul ǅ ﬁn ẞ",
    "我喜欢咖啡 and 日本語のテキスト",
    "don’t “quote” – dash… €5 £3",
    "a\x0bb c\x1cd e\x85f g\u2028h i\u200bj k\u00a0l",
    "\x00\ufffd tab\tnew\nline\r",
    "👩‍👩‍👧 🎉x",
    "e\u0301 = é, ñ, Å, 한국어",
    "x" * 100 + " " + "x" * 101,
    "[CLS] [unused5] [MASK] ##ing # #",
    "user@example.com https://a.b/c?d=e&f=g",
    "~`^|<>+=$",
    "\x7f\x01a\x02b",
)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_give_the_rows_of_the_package(
    text: str, ours: WordPiece, peer: Callable[[list[str]], list[list[int]]]
) -> None:
    assert ours.rows(text) == peer([text])[0]


@given(
    text=st.text(
        st.characters(exclude_categories=["Cs"]).filter(known_to_both)
        | st.sampled_from("aB 1.,-'’éß中の\u0301\u200b\x85")
    )
)
def test_any_text_gives_the_rows_of_the_package(
    text: str, ours: WordPiece, peer: Callable[[list[str]], list[list[int]]]
) -> None:
    assert ours.rows(text) == peer([text])[0]


@pytest.mark.parametrize("frame", ["{}", "a{}b", "no {} ca"])
def test_each_character_gives_the_rows_of_the_package(
    frame: str, ours: WordPiece, peer: Callable[[list[str]], list[list[int]]]
) -> None:
    characters = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in UNWRITTEN]
    texts = [frame.format(char) for char in characters]
    differing = {
        c for c, t, r in zip(characters, texts, peer(texts), strict=True) if ours.rows(t) != r
    }
    assert not {char for char in differing if known_to_both(char)}
    assert len(differing) <= 520  # of 137,000: marks that Unicode added after the package's tables


def test_surrogates_are_left_out(ours: WordPiece) -> None:
    assert ours.rows("a\ud800b") == ours.rows("ab")


def test_the_cache_is_bounded_and_changes_nothing(tokens: list[str]) -> None:
    small = WordPiece(tokens, cache_entries=3)
    words = ["one", "two", "three", "four", "five", "one"]
    assert [small.rows(w) for w in words] == [WordPiece(tokens).rows(w) for w in words]
    assert small.cached <= 3


def test_turns_of_real_conversations_give_the_rows_of_the_package(
    ours: WordPiece, peer: Callable[[list[str]], list[list[int]]]
) -> None:
    if not LOCOMO.exists():
        pytest.skip(f"no LoCoMo beside the repository ({LOCOMO.name})")
    texts = list(_turns(json.loads(LOCOMO.read_text("utf-8"))))
    assert len(texts) > 2000
    assert [ours.rows(text) for text in texts] == peer(texts)


def _turns(conversations: list[dict[str, dict[str, object]]]) -> Iterator[str]:
    for conversation in conversations:
        for session in conversation["conversation"].values():
            if isinstance(session, list):
                yield from (turn["text"] for turn in session)
