"""What a folder must hold, and what is said where it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import mneme
from mneme.core.errors import InvalidInputError, MissingDependencyError, UnsuitedModelError
from mneme.testing.tiny_models import tiny_model


@pytest.fixture
def folder(tmp_path: Path, folder_of: Callable[[str], Path]) -> Path:
    return shutil.copytree(folder_of("llama"), tmp_path / "copy")


def edit(path: Path, **changes: object) -> None:
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps(said | changes), encoding="utf-8")


def test_a_name_is_not_fetched() -> None:
    with pytest.raises(InvalidInputError, match="not fetched by name"):
        mneme.engine("Qwen/Qwen2-0.5B")


def test_nothing_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *what, **_: asked.append(what))
    monkeypatch.setattr("socket.socket.connect", lambda *what: asked.append(what))
    assert mneme.engine(folder).layers == 2
    assert asked == []


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no config\.json"):
        mneme.engine(tmp_path)


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InvalidInputError, match="has no weights"):
        mneme.engine(folder)


def test_a_pickle_is_not_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(InvalidInputError, match=r"pytorch_model\.bin is a pickle"):
        mneme.engine(folder)


def test_a_pickle_beside_safetensors_is_left_alone(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    assert mneme.engine(folder).layers == 2


def test_a_folder_without_a_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(InvalidInputError, match="tokenizer"):
        mneme.engine(folder)


@pytest.mark.parametrize("said", ["", "{", "[]", '{"model_type": "nothing-known"}', "{}"])
def test_a_broken_config(said: str, folder: Path) -> None:
    (folder / "config.json").write_text(said, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"config\.json"):
        mneme.engine(folder)


@pytest.mark.parametrize("size", [0, 7, 2000])
def test_a_broken_file_of_weights(size: int, folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(InvalidInputError, match="no model that loads"):
        mneme.engine(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    edit(folder / "config.json", intermediate_size=64)
    with pytest.raises(InvalidInputError):
        mneme.engine(folder)


def test_weights_that_are_not_there(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(InvalidInputError, match="lacks weights"):
        mneme.engine(folder)


def test_code_of_a_model_is_not_run(folder: Path) -> None:
    trap = folder / "modeling_trap.py"
    trap.write_text("open('sprung', 'w').close()\n", encoding="utf-8")
    edit(
        folder / "config.json",
        model_type="trap",
        auto_map={"AutoConfig": "modeling_trap.C", "AutoModelForCausalLM": "modeling_trap.M"},
    )
    with pytest.raises(InvalidInputError):
        mneme.engine(folder)
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("kind", "why"), [("t5", "an encoder with a decoder"), ("vit", "no causal language model")]
)
def test_another_kind_of_model(kind: str, why: str, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": kind}), encoding="utf-8")
    with pytest.raises(UnsuitedModelError, match=why):
        mneme.engine(folder)


def test_a_model_that_reads_both_ways(tmp_path: Path) -> None:
    folder = tiny_model("bert", tmp_path)
    with pytest.raises((UnsuitedModelError, InvalidInputError)):
        mneme.engine(folder)


@pytest.mark.parametrize(
    "wrong", [{"device": "moon"}, {"dtype": "float31"}, {"dtype": "int8"}, {"attention": "none"}]
)
def test_unknown_choices(wrong: dict[str, str], folder: Path) -> None:
    with pytest.raises(InvalidInputError):
        mneme.engine(folder, **wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="'cuda' cannot be used here"):
        mneme.engine(folder, device="cuda")


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mneme.wiring.find_spec", lambda name: None if name == "xxhash" else name)
    with pytest.raises(MissingDependencyError, match=r"'xxhash'.*mneme\[local\]"):
        mneme.engine(folder)


def test_a_large_model_in_several_files(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    whole = mneme.engine(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert mneme.engine(folder).fingerprint == whole.fingerprint


def test_weights_are_frozen(folder: Path) -> None:
    model = mneme.engine(folder).model
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())
