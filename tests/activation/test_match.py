"""What is found of a prompt, against a search by brute force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from mneme.core.rows import BlockRow
from mneme.memories.activation.keys import (
    block_key,
    chain,
    root_key,
    run_keys,
    salt_of,
    token_bytes,
    tokens_of,
)
from mneme.memories.activation.match import ExactOnly, longest_match

FINGERPRINT, BLOCK = "f" * 64, 4
SALT = salt_of(b"secret", "alice")

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=18)


class Rows:
    """An index over rows in a list."""

    def __init__(self, rows: Iterable[BlockRow] = ()) -> None:
        self.rows = list(rows)

    def of_keys(self, keys: Iterable[bytes]) -> list[BlockRow]:
        wanted = set(keys)
        return [row for row in self.rows if row.key in wanted]

    def children(self, parent: bytes) -> list[BlockRow]:
        return [row for row in self.rows if row.parent == parent]


def row_of(parent: bytes, key: bytes, own: Sequence[int], start: int, form: str) -> BlockRow:
    return BlockRow(0, FINGERPRINT, key, parent, form, token_bytes(own), start, 1, b"", 0.0)


def rows_of(run: Sequence[int], form: str = "raw") -> list[BlockRow]:
    parent, rows = root_key(FINGERPRINT, SALT), []
    for start in range(0, len(run), BLOCK):
        own = run[start : start + BLOCK]
        key = block_key(parent, FINGERPRINT, SALT, own)
        rows.append(row_of(parent, key, own, start, form))
        parent = key
    return rows


def whole_of(run: Sequence[int], form: str) -> BlockRow:
    root = root_key(FINGERPRINT, SALT)
    return row_of(root, block_key(root, FINGERPRINT, SALT, run), run, 0, form)


def agreed(one: Sequence[int], other: Sequence[int]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def found(rows: Iterable[BlockRow], prompt: Sequence[int]) -> tuple[int, list[int]]:
    match = longest_match(Rows(rows), FINGERPRINT, SALT, prompt, block=BLOCK)
    said = [token for row in match.rows for token in tokens_of(row.tokens)]
    return match.tokens, said


@given(st.lists(tokens, max_size=6), tokens)
def test_the_longest_common_beginning_is_found(runs: list[list[int]], prompt: list[int]) -> None:
    rows = [row for run in runs for row in rows_of(run)]
    count, said = found(rows, prompt)
    assert count == max((agreed(run, prompt[:-1]) for run in runs), default=0)
    assert said[:count] == prompt[:count]
    assert count < len(prompt)


@given(tokens, tokens)
def test_what_lacks_tokens_is_used_whole_or_not_at_all(run: list[int], prompt: list[int]) -> None:
    count, _ = found([whole_of(run, "leverage-0.50+int8")], prompt)
    assert count == (len(run) if prompt[:-1][: len(run)] == run else 0)


def test_of_two_forms_the_more_faithful_is_taken() -> None:
    run = list(range(10))
    rows = [*rows_of(run, "int4"), *rows_of(run), *rows_of(run, "int8")]
    match = longest_match(Rows(rows), FINGERPRINT, SALT, [*run, 1], block=BLOCK)
    assert [row.form for row in match.rows] == ["raw"] * 3
    assert match.tokens == len(run)


def test_a_longer_thinned_run_wins_over_a_shorter_exact_one() -> None:
    run = list(range(10))
    whole = whole_of(run, "leverage-0.50+raw")
    assert longest_match(
        Rows([*rows_of(run[:6]), whole]), FINGERPRINT, SALT, [*run, 1], block=BLOCK
    ).rows == (whole,)
    assert (
        len(
            longest_match(
                Rows([*rows_of(run), whole]), FINGERPRINT, SALT, [*run, 1], block=BLOCK
            ).rows
        )
        == 3
    )


def test_only_exact_rows_are_built_upon() -> None:
    run = list(range(10))
    index = ExactOnly(Rows([*rows_of(run[:4]), *rows_of(run, "int8")]))
    assert longest_match(index, FINGERPRINT, SALT, [*run, 1], block=BLOCK).tokens == 4


def test_another_engine_or_namespace_finds_nothing() -> None:
    run = list(range(10))
    rows = Rows(rows_of(run))
    others = (("e" * 64, SALT), (FINGERPRINT, salt_of(b"secret", "bob")))
    assert longest_match(rows, FINGERPRINT, SALT, run, block=BLOCK).tokens == 9
    for fingerprint, salt in others:
        assert longest_match(rows, fingerprint, salt, run, block=BLOCK).tokens == 0


def test_a_row_whose_tokens_are_others_is_not_used() -> None:
    run = list(range(8))
    lying = [row._replace(tokens=token_bytes([9] * 4)) for row in rows_of(run)]
    assert found(lying, [*run, 1])[0] == 0


@given(tokens)
def test_keys_of_a_run_are_those_of_its_blocks(run: list[int]) -> None:
    assert run_keys(FINGERPRINT, SALT, run, block=BLOCK) == [row.key for row in rows_of(run)]
    full = len(run) // BLOCK
    assert chain(FINGERPRINT, SALT, run, block=BLOCK)[1:] == [r.key for r in rows_of(run)][:full]


def test_keys_are_the_same_in_every_process() -> None:
    salt = salt_of(bytes(range(32)), "acme/alice")
    key = block_key(root_key(FINGERPRINT, salt), FINGERPRINT, salt, [1, 2, 3])
    assert key.hex() == "fce6c9f6466c44e91944cb2a84905a7fe2df675a5ef6869797ead7506d0346e8"
