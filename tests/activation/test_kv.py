"""Keys and values are cut, joined and compared without losing a bit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.engine import KV, Layer
from mneme.core.errors import InvalidInputError

torch = pytest.importorskip("torch")

from mneme.memories.activation.kv import (  # noqa: E402 (torch first)
    cut,
    join,
    same,
    size_of,
    to,
    tokens_in,
)


def made(tokens: int, *, layers: int = 2, heads: int = 2, sizes: tuple[int, int] = (4, 6)) -> KV:
    return tuple(
        Layer(torch.randn(heads, tokens, sizes[0]), torch.randn(heads, tokens, sizes[1]))
        for _ in range(layers)
    )


@given(st.integers(1, 40), st.lists(st.integers(0, 40), max_size=5))
def test_what_is_cut_anywhere_joins_to_the_same(tokens: int, cuts: list[int]) -> None:
    kv = made(tokens)
    edges = sorted({0, tokens, *(edge for edge in cuts if edge < tokens)})
    parts = [cut(kv, start, stop) for start, stop in pairwise(edges)]
    joined = join(parts)
    assert [tokens_in(part) for part in parts] == [b - a for a, b in pairwise(edges)]
    assert same(joined, kv)
    assert all(half.is_contiguous() for layer in joined for half in layer)


def test_a_cut_is_a_view_and_a_join_is_not() -> None:
    kv = made(8)
    assert cut(kv, 2, 4)[0].keys.data_ptr() == kv[0].keys[:, 2:].data_ptr()
    joined = join([kv])
    joined[0].keys.zero_()
    assert not same(joined, kv)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 9), (5, 4)])
def test_a_range_beyond_the_tokens_is_refused(start: int, stop: int) -> None:
    with pytest.raises(InvalidInputError, match="not within 0 to 8"):
        cut(made(8), start, stop)


@pytest.mark.parametrize(
    "other",
    [
        made(3, layers=1),
        made(3, heads=1),
        made(3, sizes=(6, 4)),
        tuple(Layer(keys.double(), values) for keys, values in made(3)),
    ],
    ids=["layers", "heads", "sizes", "dtype"],
)
def test_runs_that_do_not_fit_are_not_joined(other: KV) -> None:
    with pytest.raises(InvalidInputError, match="cannot be joined"):
        join([made(3), other])


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(InvalidInputError, match="at least one"):
        join([])


def test_sizes_are_counted_in_bytes() -> None:
    assert size_of(made(5)) == 2 * 2 * 5 * (4 + 6) * 4
    assert size_of(()) == tokens_in(()) == 0


def test_bits_are_compared_and_not_numbers() -> None:
    zero, minus, nan = (
        ((Layer(torch.full((1, 1, 1), x), torch.zeros(1, 1, 1))),)
        for x in (0.0, -0.0, float("nan"))
    )
    assert same(nan, nan)
    assert not same(zero, minus)
    assert not same(zero, ())
    assert not same(zero, made(1))
    assert not same(zero, tuple(Layer(keys.double(), values) for keys, values in zero))


def test_moving_to_where_they_are_copies_nothing() -> None:
    kv = made(3)
    assert to(kv, "cpu")[1].values is kv[1].values
