"""Versions as files: the same bytes for the same adapter, and no use of what is not whole."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import ImportRefusedError, InvalidInputError, StoreCorruptError
from mneme.core.rows import AdapterFile
from mneme.memories.parametric import tensor_file
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.bundle import (
    ABOUT,
    CONFIG,
    LEDGER,
    PARTS,
    WEIGHTS,
    Bundle,
    digest_of,
    in_form,
    pack,
    rows,
    unpack,
)
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.folder import CHECKSUMS, Foreign, read_folder, write_folder
from mneme.memories.parametric.forms import FORMS
from mneme.memories.parametric.lora import LoraCarrier, lora_config, targets, weight_names
from mneme.testing.tiny_models import tiny_model

BASE, OTHER = "b" * 64, "c" * 64


def small_adapter(seed: int = 0, *, base: str = BASE) -> Adapter:
    chance = torch.Generator().manual_seed(seed)
    down, up = weight_names("model.layers.0.mlp.up_proj")
    tensors = {
        down: torch.randn((2, 9), generator=chance),
        up: torch.randn((5, 2), generator=chance),
    }
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["up_proj"]}
    return Adapter(carrier="lora", base=base, config=config, tensors=tensors)


def small_ledger(count: int = 2) -> FactLedger:
    return FactLedger(
        tuple(
            Entry(
                fact=Fact(
                    cube_id=f"id{at}",
                    version=1,
                    subject="user",
                    relation="lives in",
                    object="Ghent",
                    text="Ich wohne in Ghent — seit März.",
                ),
                prompts=("where do i live ?",),
                held=("my town ?",),
            )
            for at in range(count)
        )
    )


def small_bundle(form: str = "bf16", *, seed: int = 0) -> Bundle:
    about = {"owner": "alice", "shard": "alice/0003", "seed": 7}
    return pack(small_adapter(seed), small_ledger(), {"passed": True}, about, form)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return mneme.engine(tiny_model("llama", tmp_path_factory.mktemp("m")))


@pytest.mark.parametrize("form", FORMS)
def test_what_was_packed_is_unpacked(form: str) -> None:
    bundle = small_bundle(form)
    found = unpack(bundle.files, rows(bundle), base=BASE)
    assert found.ledger == small_ledger()
    assert found.gate == {"passed": True}
    assert found.about["owner"] == "alice"
    assert (found.about["form"], found.about["carrier"]) == (form, "lora")
    assert (found.adapter.base, found.adapter.config) == (BASE, small_adapter().config)
    for name, tensor in small_adapter().tensors.items():
        assert (found.adapter.tensors[name] - tensor).abs().max() <= tensor.abs().max() / 12
    again = pack(found.adapter, found.ledger, found.gate, found.about, form)
    assert form in {"int8", "int4"} or again.digest == bundle.digest


def test_equal_input_gives_equal_bytes_and_any_other_input_another_digest() -> None:
    def made(**changes: Any) -> str:  # noqa: ANN401 (arguments of pack)
        given: dict[str, Any] = {
            "adapter": small_adapter(), "ledger": small_ledger(), "gate": {"a": 1, "b": 2},
            "about": {"x": 1, "y": 2}, "form": "fp32",
        }  # fmt: skip
        return pack(**{**given, **changes}).digest

    assert made() == made(gate={"b": 2, "a": 1}, about={"y": 2, "x": 1})
    turned = dict(reversed(list(small_adapter().tensors.items())))
    assert made() == made(adapter=dataclasses.replace(small_adapter(), tensors=turned))
    others = [
        made(adapter=small_adapter(1)),
        made(adapter=small_adapter(base=OTHER)),
        made(ledger=small_ledger(1)),
        made(gate={"a": 1}),
        made(about={"x": 2, "y": 2}),
        made(form="bf16"),
    ]
    assert len({made(), *others}) == 1 + len(others)
    assert all(len(digest) == 64 and int(digest, 16) for digest in others)


def test_rows_name_every_file() -> None:
    bundle = small_bundle()
    assert {row.part for row in rows(bundle)} == set(PARTS)
    for row in rows(bundle):
        assert (row.digest, row.size) == (bundle.digest, len(bundle.files[row.part]))
        assert row.name == f"{bundle.digest}-{row.part}"


@settings(max_examples=200, deadline=None)
@given(part=st.sampled_from(PARTS), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_found_and_its_file_is_named(
    part: str, where: float, bit: int
) -> None:
    bundle = small_bundle()
    data = bytearray(bundle.files[part])
    data[int(where * len(data))] ^= 1 << bit
    with pytest.raises(StoreCorruptError, match=part.replace(".", r"\.")):
        unpack({**bundle.files, part: bytes(data)}, rows(bundle), base=BASE)


@pytest.mark.parametrize("part", PARTS)
def test_a_file_that_is_missing_longer_or_shorter_is_found(part: str) -> None:
    bundle = small_bundle()
    data = bundle.files[part]
    for files in (
        {name: held for name, held in bundle.files.items() if name != part},
        {**bundle.files, part: data[:-1]},
        {**bundle.files, part: data + b"\n"},
        {**bundle.files, part: b""},
    ):
        with pytest.raises(StoreCorruptError, match=part.replace(".", r"\.")):
            unpack(files, rows(bundle), base=BASE)


def test_files_of_two_versions_are_not_mixed() -> None:
    one, other = small_bundle(), small_bundle(seed=1)
    mixed = [row for row in rows(one) if row.part != WEIGHTS]
    mixed += [row for row in rows(other) if row.part == WEIGHTS]
    files = {**one.files, WEIGHTS: other.files[WEIGHTS]}
    with pytest.raises(StoreCorruptError, match="do not belong"):
        unpack(files, mixed, base=BASE)
    renamed = [row._replace(digest=one.digest) for row in mixed]
    with pytest.raises(StoreCorruptError, match="do not belong"):
        unpack(files, renamed, base=BASE)
    for few in (rows(one)[:-1], [*rows(one), rows(one)[0]], []):
        with pytest.raises(StoreCorruptError, match="rows"):
            unpack(one.files, few, base=BASE)


def test_another_base_is_refused_and_both_are_named() -> None:
    bundle = small_bundle()
    with pytest.raises(InvalidInputError, match=f"{BASE[:16]}.*{OTHER[:16]}"):
        unpack(bundle.files, rows(bundle), base=OTHER)
    assert unpack(bundle.files, rows(bundle), base=None).adapter.base == BASE


def with_part(bundle: Bundle, part: str, data: bytes) -> tuple[Bundle, list[AdapterFile]]:
    """A version whose checksums are right, though a part is not what `pack` writes."""
    forged = Bundle({**bundle.files, part: data})
    return forged, rows(forged)


LIES = {
    "no JSON": (ABOUT, b"{"),
    "a list": (ABOUT, b"[]"),
    "deep": (ABOUT, b"[" * 100_000),
    "no form": (ABOUT, b'{"layout": 1, "base": "b", "carrier": "lora"}'),
    "a newer layout": (ABOUT, b'{"layout": 2, "base": "b", "carrier": "lora", "form": "fp32"}'),
    "an unknown form": (ABOUT, b'{"layout": 1, "base": "b", "carrier": "l", "form": "x"}'),
    "another form": (ABOUT, b'{"layout": 1, "base": "b", "carrier": "", "form": "int8"}'),
    "not a number": (CONFIG, b'{"lora_alpha": NaN}'),
    "a ledger of numbers": (LEDGER, b"1\n2\n"),
    "a deep ledger": (LEDGER, b"[" * 100_000),
    "other bytes": (LEDGER, b"\xff\xfe"),
    "no tensors": (WEIGHTS, b"\x80\x04pickle"),
    "numbers that are none": (
        WEIGHTS, tensor_file.write({"a": torch.tensor([float("nan")])}, {}),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("part", "data"), LIES.values(), ids=LIES.keys())
def test_files_that_lie_under_right_checksums_are_refused(part: str, data: bytes) -> None:
    forged, known = with_part(small_bundle("fp32"), part, data)
    with pytest.raises(StoreCorruptError):
        unpack(forged.files, known, base=None)


def test_what_cannot_be_packed_is_refused() -> None:
    adapter, ledger = small_adapter(), small_ledger()
    with pytest.raises(InvalidInputError, match="base"):
        pack(adapter, ledger, {}, {"base": OTHER}, "fp32")
    with pytest.raises(InvalidInputError, match=r"gate\.json"):
        pack(adapter, ledger, {"value": float("nan")}, {}, "fp32")
    with pytest.raises(InvalidInputError, match="int7"):
        pack(adapter, ledger, {}, {}, "int7")
    with pytest.raises(InvalidInputError, match="without tensors"):
        pack(dataclasses.replace(adapter, tensors={}), ledger, {}, {}, "fp32")
    endless = {"a": torch.full((2, 2), float("inf"))}
    with pytest.raises(InvalidInputError, match="'a'"):
        pack(dataclasses.replace(adapter, tensors=endless), ledger, {}, {}, "bf16")


def test_parts_may_be_views_of_mapped_files() -> None:
    bundle = small_bundle()
    views = {part: memoryview(bytearray(data)) for part, data in bundle.files.items()}
    assert unpack(views, rows(bundle), base=BASE).ledger == small_ledger()


def test_names_and_checksums_cannot_be_shifted_against_each_other() -> None:
    sums = [bytes([at]) * 32 for at in range(2)]
    assert digest_of({"a": sums[0], "ab": sums[1]}) != digest_of({"a": sums[1], "ab": sums[0]})


# -- folders


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's
@pytest.mark.parametrize("form", FORMS)
def test_a_folder_is_what_peft_opens(llama: Engine, tmp_path: Path, form: str) -> None:
    peft = pytest.importorskip("peft")
    shapes = targets(llama.model, ["q_proj", "down_proj"])
    chance = torch.Generator().manual_seed(0)
    tensors = {}
    for path, shape in shapes.items():
        for name, size in zip(
            weight_names(path), ((2, shape.inputs), (shape.outputs, 2)), strict=True
        ):
            tensors[name] = torch.randn(size, generator=chance) * 0.2
    config = lora_config(llama.model, shapes, rank=2, alpha=4.0)
    base = base_of(llama.fields)
    adapter = Adapter(carrier="lora", base=base, config=config, tensors=tensors)
    bundle = pack(adapter, small_ledger(), {}, {}, form)
    folder = write_folder(bundle.files, rows(bundle), tmp_path / "out")
    kept = unpack(bundle.files, rows(bundle), base=base).adapter
    prompts = [[5, 6, 7], [9, 8]]
    ours = next_logits(llama, prompts, LoraCarrier().apply(llama, kept))
    fresh = mneme.engine(tiny_model("llama", tmp_path / "fresh"))
    theirs = peft.PeftModel.from_pretrained(fresh.model, folder)
    assert theirs.active_adapter == "default"
    assert (next_logits(fresh, prompts) - ours).abs().max() < 1e-4
    assert (next_logits(llama, prompts) - ours).abs().max() > 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_comes_back_as_the_version_that_it_was(tmp_path: Path, form: str) -> None:
    bundle = small_bundle(form)
    folder = write_folder(bundle.files, rows(bundle), tmp_path / "out")
    found = read_folder(folder)
    assert isinstance(found, Bundle)
    if form in {"fp32", "bf16"}:
        assert found.digest == bundle.digest
    else:
        assert found.digest == in_form(bundle, "fp32").digest
    assert unpack(found.files, rows(found), base=BASE).ledger == small_ledger()
    assert write_folder(bundle.files, rows(bundle), folder) == folder  # the same again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    one, other = small_bundle(), small_bundle(seed=1)
    (tmp_path / "empty").mkdir()
    folder = write_folder(one.files, rows(one), tmp_path / "empty")
    with pytest.raises(InvalidInputError, match="not empty"):
        write_folder(other.files, rows(other), folder)
    (tmp_path / "note").mkdir()
    (tmp_path / "note" / "mine.txt").write_text("keep")
    with pytest.raises(InvalidInputError, match="not empty"):
        write_folder(one.files, rows(one), tmp_path / "note")
    (tmp_path / "file").write_text("keep")
    with pytest.raises(InvalidInputError, match="not empty"):
        write_folder(one.files, rows(one), tmp_path / "file")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_folder(one.files, rows(one), tmp_path / "file" / "out")
    assert read_folder(folder) == one


@pytest.mark.parametrize("part", [*PARTS, CHECKSUMS])
def test_a_damaged_folder_is_refused(tmp_path: Path, part: str) -> None:
    bundle = small_bundle()
    folder = write_folder(bundle.files, rows(bundle), tmp_path / "out")
    data = (folder / part).read_bytes()
    middle = len(data) // 2
    (folder / part).write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    with pytest.raises(ImportRefusedError):
        read_folder(folder)
    (folder / part).unlink()
    if part != CHECKSUMS:
        with pytest.raises(ImportRefusedError):
            read_folder(folder)
    else:
        assert isinstance(read_folder(folder), Foreign)  # nothing says what it knows


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft's
def test_a_folder_that_peft_wrote_is_foreign(llama: Engine, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    own = mneme.engine(tiny_model("llama", tmp_path / "model"))
    config = peft.LoraConfig(r=3, target_modules=["v_proj"], init_lora_weights=False)
    wrapped = peft.get_peft_model(own.model, config)
    wrapped.save_pretrained(tmp_path / "theirs")
    found = read_folder(tmp_path / "theirs")
    assert isinstance(found, Foreign)
    prompts = [[5, 6, 7], [9, 8]]
    adapter = found.adapter(base_of(llama.fields))
    ours = next_logits(llama, prompts, LoraCarrier().apply(llama, adapter))
    assert (next_logits(own, prompts) - ours).abs().max() < 1e-5
    with pytest.raises(InvalidInputError):
        LoraCarrier().apply(llama, found.adapter(OTHER))


def test_a_pickled_adapter_is_never_opened(tmp_path: Path) -> None:
    bomb = b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
    for name in ("adapter_model.bin", "adapter_model.pt"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / CONFIG).write_text('{"peft_type": "LORA"}')
        (folder / name).write_bytes(bomb)
        with pytest.raises(ImportRefusedError, match="pickle"):
            read_folder(folder)
        (folder / WEIGHTS).write_bytes(bomb)  # under the other's name
        with pytest.raises(ImportRefusedError, match="cannot be used"):
            read_folder(folder)
    assert not (tmp_path / "ran").exists()


def test_folders_that_are_none_or_too_large_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    with pytest.raises(ImportRefusedError, match="no folder"):
        read_folder(folder)
    folder.mkdir()
    with pytest.raises(ImportRefusedError, match="has no"):
        read_folder(folder)
    (folder / WEIGHTS).write_bytes(tensor_file.write(small_adapter().tensors, {}))
    with pytest.raises(ImportRefusedError, match="cannot be read"):
        read_folder(folder)
    (folder / CONFIG).write_text("[1]")
    with pytest.raises(ImportRefusedError, match="JSON"):
        read_folder(folder)
    (folder / CONFIG).write_text(json.dumps(small_adapter().config))
    assert isinstance(read_folder(folder), Foreign)
    with pytest.raises(ImportRefusedError, match="limit"):
        read_folder(folder, most_bytes=100)
    with (folder / CONFIG).open("r+b") as file:
        file.truncate(1 << 40)  # a hole, not read
    with pytest.raises(ImportRefusedError, match="limit"):
        read_folder(folder)
    (folder / CONFIG).unlink()
    (folder / CONFIG).symlink_to("/dev/zero")
    with pytest.raises(ImportRefusedError, match="no file"):
        read_folder(folder)
    (folder / CONFIG).unlink()
    os.mkfifo(folder / CONFIG)
    with pytest.raises(ImportRefusedError, match="no file"):
        read_folder(folder)


def test_other_kinds_of_adapters_are_refused() -> None:
    with pytest.raises(ImportRefusedError, match="IA3"):
        Foreign({"peft_type": "IA3"}, {}).adapter(BASE)
