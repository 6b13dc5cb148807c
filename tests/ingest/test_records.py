"""A JSON file of any size falls into records, and a damaged record costs only itself."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers.items import Skipped
from mneme.ingest.importers.records import MAX_DEPTH, Record, records
from mneme.ingest.importers.sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bytes:
    """A stream that gives its bytes in small steps."""

    def __init__(self, data: bytes, step: int = 2**20) -> None:
        self._data, self._step, self._at = data, step, 0

    def read(self, size: int, /) -> bytes:
        piece = self._data[self._at : self._at + min(size, self._step)]
        self._at += len(piece)
        return piece


class Repeated:
    """A stream of a head, a part many times over, and a tail, that is never in memory."""

    def __init__(self, head: bytes, part: bytes, times: int, tail: bytes) -> None:
        self._parts = self._made(head, part, times, tail)
        self._rest = b""

    @staticmethod
    def _made(head: bytes, part: bytes, times: int, tail: bytes) -> Iterator[bytes]:
        yield head
        block = part * max(1, 65_536 // len(part))
        for _ in range(times * len(part) // len(block)):
            yield block
        yield tail

    def read(self, size: int, /) -> bytes:
        while len(self._rest) < size:
            piece = next(self._parts, None)
            if piece is None:
                break
            self._rest += piece
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def cut(data: bytes, step: int = 2**20) -> list[Any]:
    source = Source("file.json", Bytes(data, step), lambda _: None)
    return [item.value if isinstance(item, Record) else item for item in records(source)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[]", []),
        (b" [ 1 , \"a,b\" , null, true ] ", [1, "a,b", None, True]),
        (b'[{"a": [1, {"b": "]}"}]}, {"c": "\\""}]', [{"a": [1, {"b": "]}"}]}, {"c": '"'}]),
        (b'{"a": 1}\n{"b": 2}{"c": 3}', [{"a": 1}, {"b": 2}, {"c": 3}]),
        (b'{"results": [{"a": 1}, {"b": 2}], "more": 3}', [{"a": 1}, {"b": 2}]),
        (b'{"count": 1, "results": [1]}', [{"count": 1, "results": [1]}]),
        (b'[{"a": 1, "a": 2}]', [{"a": 2}]),
        (b'[{"a": NaN, "b": Infinity}]', [{"a": None, "b": None}]),
        (b'[{"a": "line\nbreak"}]', [{"a": "line\nbreak"}]),
        (b'[[1], [2]]', [[1], [2]]),
        (b'["a" "b"]', [Skipped("record 1", "damaged JSON (Extra data)")]),
        (b'[{"a": 1}] and more', [{"a": 1}]),
    ],
)  # fmt: skip
def test_records_of_well_formed_and_odd_files(data: bytes, expected: list[Any]) -> None:
    assert cut(data) == expected
    assert cut(data, step=1) == expected


def test_a_damaged_record_does_not_stop_the_others() -> None:
    first, damaged, last = cut(b'[{"a": 1}, {"b": }, {"c": 3}]')
    assert (first, last) == ({"a": 1}, {"c": 3})
    assert damaged == Skipped("record 2", "damaged JSON (Expecting value)")


def test_a_number_of_too_many_digits_costs_its_record() -> None:
    found = cut(b'[{"a": ' + b"9" * 10_000 + b'}, {"a": 1e999}, {"b": 2}]')
    assert isinstance(found[0], Skipped)
    assert found[1:] == [{"a": float("inf")}, {"b": 2}]


def test_bytes_that_are_no_utf8_become_a_replacement_character() -> None:
    assert cut(b'[{"a": "caf\xe9"}]') == [{"a": "caf\ufffd"}]


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH + 2, 300_000])
@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_costs_only_its_record(depth: int, pair: tuple[bytes, bytes]) -> None:
    deep = pair[0] * depth + b"1" + pair[1] * depth
    found = cut(b'[{"a": 1}, ' + deep + b', {"b": 2}]')
    assert [found[0], found[2]] == [{"a": 1}, {"b": 2}]
    assert (found[1] == Skipped("record 2", "nested too deeply")) == (depth > MAX_DEPTH)


@pytest.mark.parametrize(
    "data",
    [b'[{"a": 1}, {"b": ', b'[{"a": 1}, {"b": "x', b'[{"a": 1}, {"b": 1}', b'[{"a": 1},',
     b'[{"a": 1}, "x', b'{"a": 1}{"b"', b'[{"a": 1}, }'],
)  # fmt: skip
def test_a_file_that_breaks_off_gives_what_was_whole(data: bytes) -> None:
    found = cut(data)
    assert found[0] == {"a": 1}
    assert isinstance(found[-1], Skipped)
    assert "the rest of the file was not read" in found[-1].why


@pytest.mark.parametrize("data", [b"", b"   \n", b"[", b'[{"a": ', b"]", b"}", b'{"a', b'["x'])
def test_a_file_without_a_whole_record_is_refused(data: bytes) -> None:
    with pytest.raises(ImportRefusedError, match=r"file\.json is not readable as JSON"):
        cut(data)


@pytest.mark.parametrize("part", [b'{"k": "v"},', b'"text",', b"x", b"\\\\", b'\\"'])
def test_a_record_above_the_limit_is_passed_over_in_bounded_memory(part: bytes) -> None:
    limit = 2**20
    is_text = part in {b"x", b"\\\\", b'\\"'}
    head, tail = (b'[{"a": "', b'"}, {"b": 2}]') if is_text else (b"[[", b'0], {"b": 2}]')
    stream = Repeated(head, part, 20 * limit // len(part), tail)
    source = Source("big.json", stream, lambda _: None)
    tracemalloc.start()
    found = list(records(source, max_record_bytes=limit))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [Skipped("record 1", "larger than 1 MiB"), Record("record 2", {"b": 2})]
    assert peak < 8 * limit


def test_a_text_above_the_limit_may_end_the_file() -> None:
    stream = Repeated(b'[{"a": 1}, {"b": "', b"x", 2**22, b"")
    source = Source("big.json", stream, lambda _: None)
    found = list(records(source, max_record_bytes=2**20))
    assert isinstance(found[1], Skipped)


def test_a_value_without_end_ends_the_reading() -> None:
    stream = Repeated(b"[1, ", b"7", 2**22, b"")
    source = Source("big.json", stream, lambda _: None)
    first, rest = records(source, max_record_bytes=2**20)
    assert first == Record("record 1", 1)
    assert isinstance(rest, Skipped)


def test_many_small_records_take_little_memory_and_linear_time() -> None:
    part = json.dumps({"mapping": {"n": {"message": "some words " * 50}}}).encode() + b","

    def seconds(times: int) -> tuple[float, int]:
        stream = Repeated(b"[", part, times, b"{}]")
        tracemalloc.start()
        start = time.perf_counter()
        count = sum(1 for _ in records(Source("f", stream, lambda _: None)))
        taken = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count > times * 0.9
        return taken, peak

    small, _ = seconds(2_000)
    large, peak = seconds(16_000)  # 10 MB
    assert large < 1 + 20 * small
    assert peak < 4 * 2**20


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values=st.lists(_VALUES, max_size=5), step=st.integers(1, 40), indent=st.booleans())
def test_an_array_gives_back_its_values(values: list[Any], step: int, indent: bool) -> None:
    data = json.dumps(values, indent=2 if indent else None).encode()
    assert cut(data, step) == values


@given(data=st.binary(max_size=60) | st.text('[]{}",:\\ 1a\n', max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    try:
        cut(data, 7)
    except ImportRefusedError as error:
        assert "file.json" in str(error)  # noqa: PT017 - either outcome is right
