"""Every codec gives back the shapes, and numbers as near as it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.engine import KV, Layer
from mneme.core.errors import InvalidInputError

torch = pytest.importorskip("torch")

from mneme.memories.activation import forms  # noqa: E402 (torch first)
from mneme.memories.activation.codecs import CODECS, codec_of, is_cuttable, is_exact  # noqa: E402
from mneme.memories.activation.kv import join, same, tokens_in  # noqa: E402

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
SIZES = [(64, 64), (32, 32), (80, 48), (5, 3), (1, 1)]
LOSSY = [name for name, codec in CODECS.items() if not codec.exact]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More threads only wait for each other: the tensors are tiny, and the machine is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def numbers(kind: str, shape: tuple[int, ...], seed: int) -> Any:  # noqa: ANN401 (a tensor)
    """float32 numbers of a kind that codecs may stumble over."""
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if kind == "zeros":
        return tensor * 0
    if kind == "constant channels":
        tensor[..., ::2] = tensor[:, :1, ::2] * 50
    if kind == "outliers":
        tensor[:, seed % shape[1], seed % shape[2]] = (-1) ** seed * 60_000.0
    if kind == "far from 0":
        tensor += 1000
    if kind == "tiny":
        tensor *= 1e-30
    if kind == "huge":
        tensor = tensor.clamp(-3, 3) * 3e35
    return tensor


@st.composite
def kvs(draw: st.DrawFn) -> KV:
    kind = draw(
        st.sampled_from(
            ["normal", "zeros", "constant channels", "outliers", "far from 0", "tiny", "huge"]
        )
    )
    dtype = draw(st.sampled_from(DTYPES))
    tokens = draw(st.sampled_from([1, 2, 3, 16, 63, 64, 65, 100, 130]))
    heads = draw(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=3))
    sizes, seed = draw(st.sampled_from(SIZES)), draw(st.integers(0, 99))
    most = torch.finfo(dtype).max
    wide = [
        [
            numbers(kind, (n, tokens + 2, size), seed + at).clamp(-most, most).to(dtype)
            for size in sizes
        ]
        for at, n in enumerate(heads)
    ]
    if draw(st.booleans()):  # views that are not contiguous
        return tuple(Layer(keys[:, 1:-1], values[:, 1:-1]) for keys, values in wide)
    return tuple(Layer(keys[:, :-2].clone(), values[:, :-2].clone()) for keys, values in wide)


def back(name: str, kv: KV) -> KV:
    codec = CODECS[name]
    return codec.decode(codec.encode(kv), dtype=kv[0].keys.dtype, device="cpu")


@pytest.mark.parametrize("name", CODECS)
@settings(deadline=None)
@given(kv=kvs())
def test_what_comes_back_has_the_shape_and_is_finite(name: str, kv: KV) -> None:
    before = join([kv])
    found = back(name, kv)
    assert len(found) == len(kv)
    for layer, there in zip(kv, found, strict=True):
        for half, again in zip(layer, there, strict=True):
            assert again.shape == half.shape
            assert again.dtype == half.dtype
            assert again.is_contiguous()
            assert bool(torch.isfinite(again).all())
    assert same(kv, before)


@settings(deadline=None)
@given(kv=kvs())
def test_raw_is_equal_bit_by_bit(kv: KV) -> None:
    assert same(back("raw", kv), kv)


def test_raw_keeps_what_is_no_number() -> None:
    kv = (Layer(torch.tensor([[[float("nan"), float("-inf"), -0.0]]]), torch.zeros(1, 1, 3)),)
    assert same(back("raw", kv), kv)


def within(half: Any, again: Any, allowed: Any) -> None:  # noqa: ANN401 (tensors)
    """Off by no more than is allowed, and by what the dtype itself rounds off."""
    wide = half.double()
    rounding = (wide.abs() + allowed) * (torch.finfo(half.dtype).eps + 1e-6) + torch.finfo(
        half.dtype
    ).tiny
    assert bool(((again.double() - wide).abs() <= allowed + rounding).all())


def runs(half: Any, name: str) -> tuple[Any, Any, Any]:  # noqa: ANN401 (tensors)
    """Range, least and largest number of the group of each number."""
    flat = half.double().reshape(half.shape[0], -1, 1) if name == "values" else half.double()
    groups = torch.split(flat, 64, 1)
    spread = [
        [
            each.expand_as(group)
            for each in (
                group.amax(1, True) - group.amin(1, True),
                group.amin(1, True).abs(),
                group.abs().amax(1, True),
            )
        ]
        for group in groups
    ]
    found = [torch.cat(each, 1).view(half.shape) for each in zip(*spread, strict=True)]
    return found[0], found[1], found[2]


@settings(deadline=None)
@given(kv=kvs())
def test_bf16_is_off_by_a_256th_at_most(kv: KV) -> None:
    for layer, there in zip(kv, back("bf16", kv), strict=True):
        for half, again in zip(layer, there, strict=True):
            within(half, again, half.double().abs() / 256)


@settings(deadline=None)
@given(kv=kvs())
def test_int8_is_off_by_half_a_step_at_most(kv: KV) -> None:
    for (keys, values), there in zip(kv, back("int8", kv), strict=True):
        wide = keys.double()
        range_ = wide.amax(1, keepdim=True) - wide.amin(1, keepdim=True)
        least = wide.amin(1, keepdim=True).abs()
        within(keys, there.keys, (range_ / 253 + least / 32_000) / 2 + 1e-38)
        within(values, there.values, values.double().abs().amax(2, keepdim=True) / 126 / 2 + 1e-38)


@settings(deadline=None)
@given(kv=kvs())
def test_int4_is_off_by_half_a_step_at_most(kv: KV) -> None:
    for layer, there in zip(kv, back("int4", kv), strict=True):
        for name, half, again in zip(layer._fields, layer, there, strict=True):
            range_, least, _ = runs(half, name)
            within(half, again, range_ / 29 + least / 3_700 + 1e-38)


@settings(deadline=None)
@given(kv=kvs())
def test_lowrank_keeps_most_of_the_squares_of_keys(kv: KV) -> None:
    for (keys, values), there in zip(kv, back("lowrank", kv), strict=True):
        wide = keys.double()
        scale = max(float(wide.abs().max()), 1e-38)  # squares of huge numbers overflow
        error = ((there.keys.double() - wide) / scale).norm()
        assert float(error) <= 0.16 * float((wide / scale).norm()) + 1e-2
        within(values, there.values, values.double().abs().amax(2, keepdim=True) / 126 / 2 + 1e-38)


@pytest.mark.parametrize("name", LOSSY)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -2e36])
def test_what_cannot_be_rounded_is_refused(name: str, number: float) -> None:
    kv = (Layer(torch.full((1, 2, 4), number), torch.zeros(1, 2, 4)),)
    with pytest.raises(InvalidInputError, match="only kept raw"):
        CODECS[name].encode(kv)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(
    "kv",
    [
        (),
        (Layer(torch.zeros(1, 0, 4), torch.zeros(1, 0, 4)),),
        (Layer(torch.zeros(1, 2, 4), torch.zeros(1, 3, 4)),),
    ],
    ids=["no layer", "no token", "other tokens"],
)
def test_what_is_no_block_is_refused(name: str, kv: KV) -> None:
    with pytest.raises(InvalidInputError):
        CODECS[name].encode(kv)


LIES: dict[str, Callable[[Any], Any]] = {
    "dtype": lambda tensor: tensor.to(torch.int16),
    "fewer layers": lambda tensor: tensor[:-1],
    "dimensions": lambda tensor: tensor.reshape(-1, 1, 1, 1, 1, 1),
    "longer": lambda tensor: torch.cat([tensor, tensor], -1),
    "shorter": lambda tensor: tensor[..., :-1],
    "more tokens": lambda tensor: (
        tensor.repeat_interleave(2, -2) if tensor.dim() > 1 else tensor[:1]
    ),
}


_VALUES = {("longer", "values.0-1"), ("shorter", "values.0-1")}
_KEYS = {("longer", "keys.0-1"), ("shorter", "keys.0-1")}
FREE = {  # the size of a head is what the tensor says
    "raw": _KEYS | _VALUES,
    "bf16": _KEYS | _VALUES,
    "int8": _VALUES,
    "lowrank": _VALUES | {("more tokens", "basis.0-1")},
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_any_tensor_is_refused(name: str, lie: str) -> None:
    coded = CODECS[name].encode(made())
    for part in coded:
        if (lie, part) in FREE.get(name, ()):
            continue
        assert_refused(name, {**coded, part: LIES[lie](coded[part])})


@pytest.mark.parametrize("name", CODECS)
def test_a_missing_or_unknown_tensor_is_refused(name: str) -> None:
    coded = CODECS[name].encode(made())
    for part in coded:
        renamed = [
            f"{part}x",
            part.replace("0-1", "1-2"),
            part.replace("0-1", "0-0"),
            f"x.{part}",
            "x",
        ]
        for other in renamed:
            moved = {other if key == part else key: tensor for key, tensor in coded.items()}
            assert_refused(name, moved)
            assert_refused(name, {**coded, other: coded[part]})
        assert_refused(name, {key: tensor for key, tensor in coded.items() if key != part})


def made() -> KV:
    return tuple(Layer(torch.randn(2, 64, 8), torch.randn(2, 64, 8)) for _ in range(2))


def assert_refused(name: str, coded: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        CODECS[name].decode(coded, dtype=torch.float32, device="cpu")


def test_raw_of_another_precision_is_refused() -> None:
    coded = CODECS["raw"].encode((Layer(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)),))
    with pytest.raises(InvalidInputError, match="float32 where"):
        CODECS["raw"].decode(coded, dtype=torch.bfloat16, device="cpu")


def test_layers_of_unequal_shape_come_back_in_order() -> None:
    sizes = [(4, 4), (4, 4), (8, 4), (4, 4), (4, 2)]
    kv = tuple(Layer(torch.randn(1, 3, a), torch.randn(1, 3, b)) for a, b in sizes)
    assert same(back("raw", kv), kv)
    assert set(CODECS["raw"].encode(kv)) == {
        f"{part}.{run}" for part in ("keys", "values") for run in ("0-1", "2-2", "3-3", "4-4")
    }


@pytest.mark.parametrize(("name", "most"), [("bf16", 1.0), ("int8", 0.54), ("int4", 0.285)])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_block_takes_as_few_bytes_as_is_said(name: str, most: float, size: int) -> None:
    kv = tuple(Layer(torch.randn(2, 64, size), torch.randn(2, 64, size)) for _ in range(2))
    taken = sum(tensor.nbytes for tensor in CODECS[name].encode(kv).values())
    assert taken <= most * 2 * 2 * 64 * 2 * size * 2 + 12


def test_every_name_of_a_codec_has_one() -> None:
    assert tuple(CODECS) == forms.CODECS
    assert [name for name in CODECS if is_exact(name)] == ["raw"]
    assert all(is_exact(name) == codec.exact for name, codec in CODECS.items())


def test_the_last_part_of_a_form_names_its_codec() -> None:
    assert codec_of("leverage-0.50+int8") is codec_of("int8") is CODECS["int8"]
    assert is_cuttable("int8")
    assert not is_cuttable("leverage-0.50+int8")
    assert not is_exact("leverage-0.50+raw")


@pytest.mark.parametrize("form", ["", "int2", "int8+leverage", "RAW"])
def test_an_unknown_codec_is_refused_with_the_known_ones(form: str) -> None:
    with pytest.raises(InvalidInputError, match="raw, bf16, int8, int4, lowrank"):
        codec_of(form)


def test_tokens_are_counted_after_any_codec() -> None:
    kv = (Layer(torch.randn(1, 5, 4), torch.randn(1, 5, 4)),)
    assert {tokens_in(back(name, kv)) for name in CODECS} == {5}


def test_layers_of_different_numbers_of_tokens_are_refused() -> None:
    short, long = (CODECS["raw"].encode(made()[:1]) for _ in range(2))
    longer = {key.replace("0-0", "1-1"): tensor[:, :, :63] for key, tensor in long.items()}
    with pytest.raises(InvalidInputError, match="different numbers of tokens"):
        CODECS["raw"].decode({**short, **longer}, dtype=torch.float32, device="cpu")


@pytest.mark.parametrize("name", CODECS)
def test_no_tensors_are_refused(name: str) -> None:
    assert_refused(name, {})


@pytest.mark.parametrize("shape", [[0, 8, 8], [64, -8, 8], [64, 8, 1 << 30], [32, 16, 8]])
def test_int4_of_another_shape_is_refused(shape: list[int]) -> None:
    coded = CODECS["int4"].encode(made())
    assert_refused("int4", {**coded, "shape.0-1": torch.tensor(shape, dtype=torch.int32)})


def test_directions_of_half_a_head_are_refused() -> None:
    coded = CODECS["lowrank"].encode(made())
    assert_refused("lowrank", {**coded, "basis.0-1": coded["basis.0-1"][:, :15]})
