"""Directions of keys that were found once serve for all texts of an engine."""

from __future__ import annotations

from typing import Any

import pytest

from mneme.core.engine import KV, Layer
from mneme.core.errors import BlockDamagedError, InvalidInputError

torch = pytest.importorskip("torch")

from mneme.memories.activation import codecs  # noqa: E402 (torch first)
from mneme.memories.activation.block_file import checksum, pack, unpack  # noqa: E402
from mneme.memories.activation.codecs import Basis, calibrate, codec_of, keep_basis  # noqa: E402
from mneme.memories.activation.codecs.low_rank import LowRank  # noqa: E402
from mneme.memories.activation.kv import Held  # noqa: E402

HEADS, SIZE, RANK = 2, 16, 5


def texts(count: int, *, seed: int = 0, layers: int = 3) -> list[KV]:
    """Keys that lie in five directions, the same for all, and a thousandth elsewhere."""
    torch.manual_seed(seed)
    ways = [torch.randn(RANK, HEADS * SIZE) for _ in range(layers)]
    return [
        tuple(Layer(keys_along(way), torch.randn(HEADS, 64, 8)) for way in ways)
        for _ in range(count)
    ]


def keys_along(way: Any) -> Any:  # noqa: ANN401 (tensors)
    wide = torch.randn(64, RANK) @ way + torch.randn(64, HEADS * SIZE) / 1000
    return wide.unflatten(1, (HEADS, SIZE)).transpose(0, 1)


def error(one: KV, other: KV) -> float:
    """Norm of the difference of the keys by the norm of the keys, of the worst layer."""
    return max(
        float((a.keys - b.keys).norm() / a.keys.norm()) for a, b in zip(one, other, strict=True)
    )


def through(codec: codecs.Codec, kv: KV) -> KV:
    return codec.decode(codec.encode(kv), dtype=torch.float32, device="cpu")


def test_a_basis_of_samples_keeps_the_keys_of_another_text() -> None:
    *samples, unseen = texts(5)
    basis = calibrate(samples)
    assert {layer.shape for layer in basis.layers} == {(HEADS * SIZE, RANK)}
    assert error(unseen, through(LowRank(basis), unseen)) < 0.02


def test_a_basis_of_other_texts_loses_them() -> None:
    """The loss has no bound, as the codec says; so calibrate on what will be kept."""
    basis = calibrate(texts(4))
    stranger = texts(1, seed=1)[0]
    assert error(stranger, through(LowRank(basis), stranger)) > 0.5


def test_directions_are_orthonormal_and_keep_the_energy() -> None:
    samples = texts(3)
    for energy in (0.5, 0.9, 0.999):
        basis = calibrate(samples, energy=energy)
        for number, layer in enumerate(basis.layers):
            assert torch.allclose(layer.mT @ layer, torch.eye(layer.shape[1]), atol=1e-5)
            wide = torch.cat([kv[number].keys.transpose(0, 1).flatten(1) for kv in samples])
            assert float((wide @ layer).square().sum()) >= (energy - 1e-4) * float(
                wide.square().sum()
            )


def test_a_rank_may_be_given_instead() -> None:
    assert {layer.shape[1] for layer in calibrate(texts(2), rank=3).layers} == {3}


def test_a_block_without_its_basis_is_smaller_by_it() -> None:
    kv = texts(1)[0]
    form = keep_basis(calibrate(texts(4)))
    own = LowRank().encode(kv)["basis.0-2"].nbytes
    assert len(pack(Held(kv), "lowrank")) - len(pack(Held(kv), form)) > own


def test_a_form_names_its_basis() -> None:
    *samples, unseen = texts(5)
    basis = calibrate(samples)
    form = keep_basis(basis)
    assert form == f"lowrank@{basis.name}"
    file = pack(Held(unseen), form)
    held = unpack(
        file, checksum=checksum(file), form=form, tokens=64, dtype=torch.float32, device="cpu"
    )
    assert error(unseen, held.kv) < 0.02
    assert codec_of(f"leverage-0.50+{form}") is codec_of(form)


def test_a_basis_that_is_not_at_hand_is_named() -> None:
    with pytest.raises(InvalidInputError, match="keep_basis"):
        codec_of("lowrank@0123456789abcdef")


def test_a_basis_keeps_its_name_as_bytes() -> None:
    basis = calibrate(texts(2))
    again = Basis.from_bytes(basis.to_bytes())
    assert again.name == basis.name
    assert all(torch.equal(a, b) for a, b in zip(basis.layers, again.layers, strict=True))
    assert basis.name != calibrate(texts(2, seed=1)).name


@pytest.mark.parametrize("data", [b"", b"no basis", b"\x02" + bytes(7) + b"{}x"])
def test_other_bytes_are_no_basis(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="no basis"):
        Basis.from_bytes(data)


def test_a_basis_of_another_model_is_refused() -> None:
    kv = texts(1)[0]
    for samples in (texts(2, layers=2), [tuple(Layer(k[:, :, :8], v) for k, v in kv)]):
        with pytest.raises(InvalidInputError, match="calibrate one"):
            LowRank(calibrate(samples)).encode(kv)


def test_a_file_of_another_basis_is_damaged() -> None:
    samples = texts(2)
    small, large = keep_basis(calibrate(samples, rank=2)), keep_basis(calibrate(samples, rank=4))
    file = pack(Held(samples[0]), small)
    lying = file.replace(small.encode(), large.encode())
    with pytest.raises(BlockDamagedError, match="does not fit"):
        unpack(
            lying,
            checksum=checksum(lying),
            form=large,
            tokens=64,
            dtype=torch.float32,
            device="cpu",
        )


@pytest.mark.parametrize("bad", [{"energy": 0.0}, {"energy": 1.5}, {"rank": 0}])
def test_calibration_out_of_range_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="energy in"):
        calibrate(texts(1), **bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="needs samples"):
        calibrate([])
