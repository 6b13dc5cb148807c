"""The table that ships: the contract, what is near what, and damage."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mneme.backends.embedders.checked import CheckedEmbedder
from mneme.backends.embedders.static import MAX_TOKENS, TABLE, StaticEmbedder
from mneme.core.errors import StoreCorruptError
from mneme.testing.embedder_contract import EmbedderContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mneme.core.protocols import Embedder


class TestStatic(EmbedderContract):
    exactness = 0.0

    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder() -> Callable[[], Embedder]:
        return StaticEmbedder


class TestCheckedStatic(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder() -> Callable[[], Embedder]:
        return lambda: CheckedEmbedder(StaticEmbedder())


@pytest.fixture(scope="module")
def static() -> StaticEmbedder:
    return StaticEmbedder()


@pytest.mark.parametrize(
    ("question", "near", "far"),
    [
        ("Where does she work?", "Her new job is at a hospital.", "The soup needs more salt."),
        ("pets", "Our puppy chewed the sofa.", "The invoice is due on Monday."),
        ("When is the wedding?", "They will marry in June.", "The server was restarted twice."),
    ],
)
def test_what_means_the_same_is_nearer(
    static: StaticEmbedder, question: str, near: str, far: str
) -> None:
    asked, good, bad = static.embed([question, near, far])
    assert asked @ good > asked @ bad + 0.1


def test_a_text_without_a_known_token_is_zero(static: StaticEmbedder) -> None:
    assert not static.embed(["ᚠᚢᚦ", "\x00\u200b", "x" * 101]).any()


def test_zero_rows_among_others_stay_in_place(static: StaticEmbedder) -> None:
    texts = ["", "hello", "", "", "world", ""] * 300
    filled = static.embed(texts).any(axis=1)
    assert filled.tolist() == [bool(text) for text in texts]


def test_a_long_text_is_its_first_tokens(static: StaticEmbedder) -> None:
    start = "cat " * MAX_TOKENS
    assert (static.embed([start]) == static.embed([start + "dog " * 9])).all()


def test_the_files_are_those_that_the_facts_name(static: StaticEmbedder) -> None:
    facts = json.loads((TABLE / "table.json").read_text("utf-8"))
    for name, digest in facts["sha256"].items():
        assert hashlib.sha256((TABLE / name).read_bytes()).hexdigest() == digest
    assert static.id.startswith("static-minilm:")
    assert facts["source_sha256"] in (TABLE / "README.md").read_text("utf-8")
    assert "Apache License" in (TABLE / "LICENSE-all-MiniLM-L6-v2.txt").read_text("utf-8")


@pytest.mark.parametrize("name", ["rows.npy", "scales.npy", "vocabulary.txt"])
def test_a_flipped_byte_is_found(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(TABLE, tmp_path / "table")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(StoreCorruptError, match=name):
        StaticEmbedder(folder)


@pytest.mark.parametrize("name", ["rows.npy", "scales.npy", "vocabulary.txt"])
def test_another_table_has_another_id(tmp_path: Path, static: StaticEmbedder, name: str) -> None:
    folder = shutil.copytree(TABLE, tmp_path / "table")
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    facts = json.loads((folder / "table.json").read_text("utf-8"))
    facts["sha256"][name] = hashlib.sha256(data).hexdigest()
    (folder / "table.json").write_text(json.dumps(facts))
    other = StaticEmbedder(folder)
    assert other.id != static.id
    assert (other.dim, other.id.split(":")[0]) == (static.dim, "static-minilm")


@pytest.mark.parametrize("facts", [None, "", "[]", "{}", '{"name": "x", "sha256": {}}'])
def test_a_table_without_its_facts_is_refused(tmp_path: Path, facts: str | None) -> None:
    folder = shutil.copytree(TABLE, tmp_path / "table")
    if facts is None:
        (folder / "table.json").unlink()
    else:
        (folder / "table.json").write_text(facts)
    with pytest.raises(StoreCorruptError):
        StaticEmbedder(folder)


def test_it_is_fast_enough_for_bulk_writing(static: StaticEmbedder) -> None:
    texts = [f"turn {n}: we talked for a while about plan {n % 97}" for n in range(2000)]
    static.embed(texts)
    fastest = min(_timed(static, texts) for _ in range(3))
    assert fastest < 2000 * 200e-6  # seen: 15 us a text; slack for busy machines


def _timed(static: StaticEmbedder, texts: list[str]) -> float:
    started = time.perf_counter()
    assert np.isfinite(static.embed(texts)).all()
    return time.perf_counter() - started
