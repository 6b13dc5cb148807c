"""Forms: what comes back is what went in, as far as the form promises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric import tensor_file
from mneme.memories.parametric.forms import FORMS, GROUP, decode, encode

shapes = st.lists(st.integers(1, 7), min_size=1, max_size=3) | st.tuples(
    st.integers(1, 200), st.integers(1, 4)
).map(list)


def numbers(shape: list[int], *, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    sizes=st.lists(shapes, min_size=1, max_size=4),
    exponent=st.integers(-30, 30),
    seed=st.integers(0, 9),
)
def test_each_number_is_off_by_no_more_than_its_form_allows(
    form: str, sizes: list[list[int]], exponent: int, seed: int
) -> None:
    tensors = {
        f"layer.{at}": numbers(size, scale=10.0**exponent, seed=seed + at)
        for at, size in enumerate(sizes)
    }
    data = tensor_file.write(*encode(tensors, form))
    back = decode(*tensor_file.read(data), form)
    share = {"fp32": 0.0, "bf16": 1 / 256, "int8": 0.51 / 126, "int4": 0.51 / 6.9}[form]
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].shape == tensor.shape
        assert back[name].dtype == torch.float32
        most = float(tensor.abs().max())
        assert float((back[name] - tensor).abs().max()) <= share * most


@pytest.mark.parametrize("form", FORMS)
def test_the_same_tensors_are_the_same_bytes_in_whatever_order_they_come(form: str) -> None:
    tensors = {name: numbers([3, 70], seed=ord(name)) for name in "cab"}
    turned = dict(reversed(tensors.items()))
    data = tensor_file.write(*encode(tensors, form))
    assert data == tensor_file.write(*encode(turned, form))
    said = tensor_file.read(data)
    assert data == tensor_file.write(*said)


def test_the_library_reads_what_is_written_here_and_the_other_way_round() -> None:
    tensors = {"a.weight": numbers([2, 5]), "b": numbers([7]).bfloat16(), "c": torch.arange(3)}
    data = tensor_file.write(tensors, {"format": "pt"})
    for found in (load(data), tensor_file.read(save(tensors, {"format": "pt"})).tensors):
        assert set(found) == set(tensors)
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_a_component_of_a_low_rank_has_steps_of_its_own_on_both_sides() -> None:
    """One large and one small component: neither spoils the other."""
    scales = torch.tensor([100.0, 0.01])
    tensors = {"A": numbers([2, 64]) * scales[:, None], "B": numbers([64, 2]) * scales}
    back = decode(*encode(tensors, "int8"), "int8")
    for name, dim in (("A", 1), ("B", 0)):
        off = (back[name] - tensors[name]).abs().amax(dim) / tensors[name].abs().amax(dim)
        assert float(off.max()) < 0.005


def test_smaller_forms_take_fewer_bytes() -> None:
    tensors = {f"layers.{at}.lora_A.weight": numbers([2, 256], seed=at) for at in range(20)}
    sizes = [len(tensor_file.write(*encode(tensors, form))) for form in FORMS]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < sizes[0] / 5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e37])
def test_numbers_that_are_none_are_refused(form: str, bad: float) -> None:
    tensor = numbers([3, 3])
    tensor[1, 1] = bad
    with pytest.raises(InvalidInputError, match="within"):
        encode({"layer": tensor}, form)


def test_numbers_that_are_none_are_refused_when_they_are_read() -> None:
    bad = {"layer": torch.tensor([1.0, float("nan")])}
    with pytest.raises(InvalidInputError, match="'layer'"):
        decode(bad, {}, "fp32")
    coded, said = encode({"layer": numbers([2, 4])}, "int8")
    coded["steps"][0] = float("inf")
    with pytest.raises(InvalidInputError, match="'layer'"):
        decode(coded, said, "int8")


def test_an_unknown_form_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInputError, match="fp32, bf16, int8, int4"):
        encode({"layer": numbers([2])}, "int2")


@pytest.mark.parametrize("form", ["int8", "int4"])
@pytest.mark.parametrize(
    "lie",
    [
        {},
        {"layer": [2, GROUP + 1]},
        {"layer": [1 << 30, 1 << 30]},
        {"layer": [2, -1]},
        {"layer": [2, True]},
        {"layer": []},
        {"layer": "2"},
        {"../layer": [2, GROUP]},
        {"layer": [2, GROUP], "other": [1]},
    ],
)
def test_shapes_that_lie_are_refused(form: str, lie: dict[str, object]) -> None:
    coded, said = encode({"layer": numbers([2, GROUP])}, form)
    with pytest.raises(InvalidInputError):
        decode(coded, said | {"shapes": json.dumps(lie)}, form)


@pytest.mark.parametrize("form", ["int8", "int4"])
def test_one_form_is_not_read_as_another(form: str) -> None:
    tensors = {"layer": numbers([2, GROUP])}
    for other in FORMS:
        if other != form:
            with pytest.raises(InvalidInputError):
                decode(*encode(tensors, form), other)
            with pytest.raises(InvalidInputError):
                decode(*encode(tensors, other), form)


def file_of(header: object, numbers: bytes = b"\0" * 16) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def tensor_at(start: int, stop: int, *, dtype: str = "F32", shape: object = None) -> object:
    return {"dtype": dtype, "shape": shape or [(stop - start) // 4], "data_offsets": [start, stop]}


HOSTILE = {
    "nothing": b"",
    "a short file": b"\1\0\0",
    "a header as long as the world": (1 << 63).to_bytes(8, "little") + b"{}",
    "a header longer than the file": (100).to_bytes(8, "little") + b"{}",
    "no JSON": file_of(b"{'a'}"),
    "JSON without end": file_of(b"[" * 100_000),
    "a list": file_of([1]),
    "a name twice": file_of(b'{"a": {}, "a": {}}'),
    "overlapping": file_of({"a": tensor_at(0, 16), "b": tensor_at(0, 16)}),
    "half overlapping": file_of({"a": tensor_at(0, 12), "b": tensor_at(8, 16)}),
    "a gap": file_of({"a": tensor_at(0, 4), "b": tensor_at(8, 16)}),
    "bytes left": file_of({"a": tensor_at(0, 12)}),
    "beyond the end": file_of({"a": tensor_at(0, 32)}),
    "backwards": file_of({"a": tensor_at(16, 0, shape=[4])}),
    "below 0": file_of({"a": tensor_at(-16, 0, shape=[4])}),
    "fewer bytes than its shape": file_of({"a": tensor_at(0, 16, shape=[1 << 40, 1 << 40])}),
    "a shape below 0": file_of({"a": tensor_at(0, 16, shape=[-2, -2])}),
    "a shape of truths": file_of({"a": tensor_at(0, 4, shape=[True])}, b"\0" * 4),
    "a shape of halves": file_of({"a": tensor_at(0, 16, shape=[4.0])}),
    "an empty tensor": file_of({"a": tensor_at(0, 0, shape=[0])}, b""),
    "many dimensions": file_of({"a": tensor_at(0, 16, shape=[4] + [1] * 9)}),
    "an unknown type": file_of({"a": tensor_at(0, 16, dtype="F8_E4M3", shape=[16])}),
    "another type than its bytes": file_of({"a": tensor_at(0, 16, dtype="F64", shape=[4])}),
    "no type": file_of({"a": {"shape": [4], "data_offsets": [0, 16]}}),
    "more than a tensor has": file_of({"a": {**tensor_at(0, 16), "x": 1}}),  # type: ignore[dict-item]
    "a path out": file_of({"../../a": tensor_at(0, 16)}),
    "dots": file_of({"a..b": tensor_at(0, 16)}),
    "an absolute path": file_of({"/etc/passwd": tensor_at(0, 16)}),
    "an empty name": file_of({"": tensor_at(0, 16)}),
    "a long name": file_of({"a" * 500: tensor_at(0, 16)}),
    "a zero within a name": file_of({"a\0b": tensor_at(0, 16)}),
    "metadata that are numbers": file_of({"__metadata__": {"a": 1}, "a": tensor_at(0, 16)}),
    "a number of a million digits": file_of(b'{"a": ' + b"1" * 1_000_000 + b"}"),
    "a pickle": b"\x80\x04\x95" + b"\0" * 30,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        tensor_file.read(data)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_of_a_file_does_more_than_be_refused_or_change_numbers(
    data: st.DataObject,
) -> None:
    whole = bytearray(tensor_file.write(*encode({"a": numbers([2, 9]), "b": numbers([3])}, "int4")))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    try:
        found = decode(*tensor_file.read(bytes(whole)), "int4")
    except InvalidInputError:
        return
    assert all(bool(tensor.isfinite().all()) for tensor in found.values())


def test_what_was_read_is_a_copy(tmp_path: Path) -> None:
    data = bytearray(tensor_file.write({"a": torch.ones(4)}, {}))
    found = tensor_file.read(memoryview(data)).tensors["a"]
    data[-16:] = bytes(16)
    assert torch.equal(found, torch.ones(4))
