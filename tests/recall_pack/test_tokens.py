"""Token counters: the estimate leans upwards, the exact one is exact."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.backends.tokenizers import TokenizerCounter
from mneme.core.errors import InvalidInputError, MissingDependencyError
from mneme.core.tokens import EstimatedCounter

COUNTER = EstimatedCounter()


@given(one=st.text(), other=st.text())
def test_a_whole_costs_at_most_its_parts_and_at_least_each(one: str, other: str) -> None:
    whole = COUNTER.count(one + other)
    assert max(COUNTER.count(one), COUNTER.count(other)) <= whole
    assert whole <= COUNTER.count(one) + COUNTER.count(other) + 1  # spaces that meet are one run


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Oslo", 1),
        ("I moved", 3),
        ("2026", 4),
        ("a, b", 3),
        ("京都", 3),
        ("😀", 3),
        ("é", 2),
    ],
)
def test_the_rule(text: str, tokens: int) -> None:
    assert COUNTER.count(text) == tokens
    assert not COUNTER.exact


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"i": 0, "moved": 1, "?": 2}, "?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_truncation(2)
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    made.save(str(path))
    return path


def test_a_tokenizer_is_read_from_its_file_or_folder(tokenizer_file: Path) -> None:
    for path in (tokenizer_file, tokenizer_file.parent, str(tokenizer_file)):
        counter = TokenizerCounter(path)
        assert counter.exact
        assert counter.count("i moved to Oslo.") == 5  # not truncated


def test_a_missing_or_broken_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no tokenizer at"):
        TokenizerCounter(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(InvalidInputError, match="holds no tokenizer"):
        TokenizerCounter(broken)


def test_without_the_package_the_error_says_what_to_install(
    tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        TokenizerCounter(tokenizer_file)
