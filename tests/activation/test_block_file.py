"""A damaged or lying file is found out, whatever it says; a good one comes back bit by bit."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.engine import KV, Layer
from mneme.core.errors import BlockDamagedError, InvalidInputError, StoreCorruptError

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors")

from mneme.memories.activation.block_file import checksum, pack, unpack  # noqa: E402 (torch first)
from mneme.memories.activation.codecs import CODECS  # noqa: E402
from mneme.memories.activation.kv import Held, same  # noqa: E402

THINNED = "leverage-0.50+raw"


def made(tokens: int = 3, *, layers: int = 2, heads: int = 1, dtype: Any = None) -> KV:  # noqa: ANN401
    torch.manual_seed(tokens)
    return tuple(
        Layer(torch.randn(heads, tokens, 2).to(dtype), torch.randn(heads, tokens, 2).to(dtype))
        for _ in range(layers)
    )


def read(
    data: bytes | bytearray | memoryview,
    form: str = "raw",
    tokens: int = 3,
    dtype: Any = torch.float32,  # noqa: ANN401
) -> Held:
    """A file with the right checksum."""
    return unpack(
        memoryview(data),
        checksum=checksum(memoryview(data)),
        form=form,
        tokens=tokens,
        dtype=dtype,
        device="cpu",
    )


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def file_of(header: object, numbers: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("tokens", [1, 16, 63, 64, 256])
def test_a_raw_block_comes_back_bit_by_bit(tokens: int, dtype: Any) -> None:  # noqa: ANN401
    kv = made(tokens, dtype=dtype)
    assert same(read(pack(Held(kv), "raw"), tokens=tokens, dtype=dtype).kv, kv)


@pytest.mark.parametrize("form", CODECS)
def test_a_file_is_what_its_codec_gives(form: str) -> None:
    kv = made(64)
    codec = CODECS[form]
    expected = codec.decode(codec.encode(kv), dtype=torch.float32, device="cpu")
    assert same(read(pack(Held(kv), form), form, 64).kv, expected)


def test_the_same_block_is_the_same_file() -> None:
    assert len({pack(Held(made()), form) for form in CODECS for _ in range(3)}) == len(CODECS)


@pytest.mark.parametrize("form", CODECS)
def test_the_library_reads_what_we_write(form: str) -> None:
    file = pack(Held(made(64)), form)
    coded = CODECS[form].encode(made(64))
    found = {name: view["data"] for name, view in safetensors.deserialize(file)}
    assert found.keys() == coded.keys()
    for name, tensor in coded.items():
        assert bytes(tensor.reshape(-1).view(torch.uint8).tolist()) == bytes(found[name])


def test_positions_of_what_was_kept_come_back() -> None:
    kv = made(3)
    positions = torch.tensor([[[0, 4, 9]], [[1, 2, 63]]], dtype=torch.int64)
    held = read(pack(Held(kv, positions), THINNED), THINNED, 64)
    assert same(held.kv, kv)
    assert held.positions is not None
    assert held.positions.dtype == torch.int32
    assert held.positions.tolist() == positions.tolist()


def test_a_mapped_file_is_read_and_outlives_its_view(tmp_path: Path) -> None:
    kv, path = made(16), tmp_path / "block"
    path.write_bytes(pack(Held(kv), "raw"))
    with path.open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    held = read(mapped, tokens=16)
    del mapped
    assert same(held.kv, kv)


def test_raw_numbers_are_not_copied() -> None:
    kv = made(16)
    buffer = bytearray(pack(Held(kv), "raw"))
    held = read(buffer, tokens=16)
    buffer[-4:] = b"\x00\x00\x28\x42"  # 42.0
    assert float(held.kv[-1].values[-1, -1, -1]) == 42.0


@pytest.mark.parametrize("form", CODECS)
def test_one_flipped_bit_of_any_byte_is_found(form: str) -> None:
    file = pack(Held(made()), form)
    good = checksum(file)
    for place in range(len(file)):
        bad = bytearray(file)
        bad[place] ^= 1 << place % 8
        with pytest.raises(BlockDamagedError, match="checksum"):
            unpack(
                memoryview(bad),
                checksum=good,
                form=form,
                tokens=3,
                dtype=torch.float32,
                device="cpu",
            )


@given(st.data())
def test_any_truncation_is_found_by_checksum_and_by_header(data: st.DataObject) -> None:
    file = pack(Held(made()), "raw")
    short = file[: data.draw(st.integers(0, len(file) - 1))]
    with pytest.raises(BlockDamagedError, match="checksum"):
        unpack(
            memoryview(short),
            checksum=checksum(file),
            form="raw",
            tokens=3,
            dtype=torch.float32,
            device="cpu",
        )
    with pytest.raises(BlockDamagedError):
        read(short)
    with pytest.raises(BlockDamagedError):
        read(file + b"\0" * data.draw(st.integers(1, 9)))


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_with_the_right_checksum_are_read_or_refused(data: st.DataObject) -> None:
    """And what is read, the library reads too."""
    form = data.draw(st.sampled_from(sorted(CODECS)))
    file = bytearray(pack(Held(made()), form))
    end = 8 + int.from_bytes(file[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    try:
        held = read(bytes(file), form)
    except BlockDamagedError:
        return
    safetensors.deserialize(bytes(file))
    assert [half.shape for layer in held.kv for half in layer] == [(1, 3, 2)] * 4


@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_refused(data: bytes) -> None:
    with pytest.raises(BlockDamagedError):
        read(data)


def lie(**changes: Any) -> bytes:  # noqa: ANN401 (any JSON)
    """A file whose tensor of keys says something else, or whose metadata does."""
    header, numbers = parts(pack(Held(made()), "raw"))
    for name, value in changes.items():
        place = header[
            "keys.0-1" if name in {"dtype", "shape", "data_offsets", "extra"} else "__metadata__"
        ]
        place[name] = value
    return file_of(header, numbers)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"form": "bf16"}, "form 'bf16', not 'raw'"),
        ({"form": 7}, "form"),
        ({"layout": "2"}, "layout '2', not '1'"),
        ({"tokens": "4"}, "other layers or tokens than its header says"),
        ({"layers": "1"}, "other layers or tokens than its header says"),
        ({"dtype": "F8_E4M3"}, "unknown kind"),
        ({"dtype": "I32"}, "does not fit"),
        ({"dtype": "BF16"}, "bytes of its shape"),
        ({"dtype": ["F32"]}, "not described"),
        ({"extra": 1}, "unknown kind"),
        ({"shape": [2, 1, 3]}, "bytes of its shape"),
        ({"shape": [2, 1, 2, 3]}, "does not fit"),
        ({"shape": [1, 2, 3, 2]}, "does not fit"),
        ({"shape": [-2, -1, 3, 2]}, "no counts"),
        ({"shape": [2.0, 1, 3, 2]}, "no counts"),
        ({"shape": [2, True, 3, 2]}, "no counts"),
        ({"shape": [2, 0, 3, 2], "data_offsets": [0, 0]}, "bytes of its shape"),
        ({"shape": [1] * 9}, "unknown kind"),
        ({"shape": [10**30]}, "bytes of its shape"),
        ({"shape": "2132"}, "not described"),
        ({"data_offsets": [-48, 0]}, "no counts"),
        ({"data_offsets": [48, 96]}, "overlap, or leave gaps"),
        ({"data_offsets": [8, 56]}, "overlap, or leave gaps"),
        ({"data_offsets": [1, 49]}, "bytes of its shape"),
        ({"data_offsets": [4096, 4144]}, "overlap, or leave gaps"),
        ({"data_offsets": [48, 0]}, "bytes of its shape"),
        ({"data_offsets": [0]}, "not described"),
        ({"data_offsets": None}, "not described"),
    ],
)
def test_a_lying_header_is_refused_though_its_checksum_is_right(
    changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(BlockDamagedError, match=what):
        read(lie(**changes))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"__metadata__":' * 5_000,
        b'{"__metadata__":{"form":"raw","layout":"1"}}',
        b'{"__metadata__":{"form":"raw","form":"raw"}}',
        b'{"__metadata__":[]}',
        b'{"a":' + b"9" * 6_000 + b"}",
        b'{"__metadata__":{"form":"raw"},"keys.0-0":{"dtype":"F32","shape":[1],"data_offsets":[0,NaN]}}',
    ],
)
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(BlockDamagedError):
        read(file_of(header, b""))


@pytest.mark.parametrize("length", [0, 1, 2**20 + 1, 2**31, 2**63, 2**64 - 1])
def test_any_length_of_a_header_is_refused(length: int) -> None:
    file = pack(Held(made()), "raw")
    with pytest.raises(BlockDamagedError):
        read(length.to_bytes(8, "little") + file[8:])


def test_two_tensors_of_one_name_are_refused() -> None:
    header, numbers = parts(pack(Held(made()), "raw"))
    text = json.dumps(header).replace("values.0-1", "keys.0-1").encode()
    with pytest.raises(BlockDamagedError, match="every name once"):
        read(file_of(text, numbers))


def test_a_tensor_more_is_refused() -> None:
    header, numbers = parts(pack(Held(made()), "raw"))
    header["more"] = {"dtype": "U8", "shape": [1], "data_offsets": [len(numbers), len(numbers) + 1]}
    with pytest.raises(BlockDamagedError, match="'more'"):
        read(file_of(header, numbers + b"\0"))


@pytest.mark.parametrize("tokens", [2, 4, 64])
def test_a_file_of_other_tokens_than_the_row_is_refused(tokens: int) -> None:
    with pytest.raises(BlockDamagedError, match=f"3 tokens, not {tokens}"):
        read(pack(Held(made()), "raw"), tokens=tokens)


def test_a_file_of_another_precision_is_refused() -> None:
    with pytest.raises(BlockDamagedError, match="float32 where"):
        read(pack(Held(made()), "raw"), dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "positions",
    [
        torch.zeros(2, 1, 4, dtype=torch.int32),
        torch.zeros(1, 1, 3, dtype=torch.int32),
        torch.zeros(2, 3, dtype=torch.int32),
        torch.zeros(2, 1, 3),
        -torch.ones(2, 1, 3, dtype=torch.int32),
    ],
    ids=["tokens", "layers", "dimensions", "no integers", "negative"],
)
def test_positions_that_do_not_fit_are_not_packed(positions: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError, match="positions are"):
        pack(Held(made(), positions), THINNED)


def test_a_form_that_names_no_policy_has_all_tokens() -> None:
    positions = torch.zeros(2, 1, 3, dtype=torch.int32)
    with pytest.raises(InvalidInputError, match="names no policy"):
        pack(Held(made(), positions), "raw")
    thinned = pack(Held(made(), positions), THINNED)
    lying = thinned.replace(THINNED.encode(), b"raw" + b" " * (len(THINNED) - 3)).replace(
        b'"raw              "', b'"raw"              '
    )
    with pytest.raises(BlockDamagedError, match="names no policy"):
        read(lying)


def test_lying_positions_are_refused() -> None:
    positions = torch.tensor([[[7, 8, 9]]] * 2, dtype=torch.int32)
    file = pack(Held(made(), positions), THINNED)
    lying = file.replace(b"\x08\0\0\0", b"\x08\0\0\x80")
    assert lying != file
    with pytest.raises(BlockDamagedError, match="counted from 0"):
        read(lying, THINNED, 64)
    with pytest.raises(BlockDamagedError, match="holds 3 tokens, not 2"):
        read(file, THINNED, 2)


def test_an_unknown_form_is_no_damage() -> None:
    with pytest.raises(InvalidInputError, match="unknown"):
        read(pack(Held(made()), "raw"), "int3")


def test_a_damaged_block_is_a_corrupt_store() -> None:
    with pytest.raises(StoreCorruptError, match="compute it again"):
        read(b"")
