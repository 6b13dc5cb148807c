"""Whatever decides about keys and values is in the fingerprint, and nothing else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import mneme
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.fingerprint import fields_of, fingerprint_of
from mneme.backends.engines.local.loading import load
from mneme.core.engine import Engine
from mneme.testing.tiny_models import CHAT_TEMPLATE, tiny_model

FIELDS = {
    "architecture", "rope", "weights", "tokenizer", "chat_template", "adapter",
    "dtype", "attention", "device", "library", "layout",
}  # fmt: skip


def differing(one: Engine, other: Engine) -> set[str]:
    assert one.fields.keys() == other.fields.keys()
    assert (one.fingerprint == other.fingerprint) == (one.fields == other.fields)
    return {name for name, at in one.fields.items() if other.fields[name] != at}


@pytest.fixture
def folder(tmp_path: Path, folder_of: Callable[[str], Path]) -> Path:
    return shutil.copytree(folder_of("llama"), tmp_path / "copy")


@pytest.fixture
def plain(engine_of: Callable[[str], Engine]) -> Engine:
    return engine_of("llama")


def edit(path: Path, **changes: object) -> None:
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps(said | changes), encoding="utf-8")


def test_it_is_a_hash_of_named_fields(plain: Engine) -> None:
    assert set(plain.fields) == FIELDS
    assert len(plain.fingerprint) == 64
    assert plain.fingerprint == fingerprint_of(plain.fields)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_any_field_changes_it(field: str, plain: Engine) -> None:
    changed = {**plain.fields, field: plain.fields[field] + "x"}
    assert fingerprint_of(changed) != plain.fingerprint


def test_a_copy_elsewhere_is_the_same_model(folder: Path, plain: Engine) -> None:
    assert differing(mneme.engine(folder), plain) == set()


def test_what_does_not_touch_keys_is_left_out(folder: Path, plain: Engine) -> None:
    edit(folder / "config.json", use_cache=False, transformers_version="5.0.0", eos_token_id=7)
    edit(folder / "generation_config.json", temperature=0.3, do_sample=True)
    assert differing(mneme.engine(folder), plain) == set()


def test_architecture(folder: Path, plain: Engine) -> None:
    edit(folder / "config.json", rms_norm_eps=1e-5)
    assert differing(mneme.engine(folder), plain) == {"architecture"}


def test_rope(folder: Path, plain: Engine) -> None:
    edit(folder / "config.json", rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert differing(mneme.engine(folder), plain) == {"rope"}


def test_weights(tmp_path: Path, plain: Engine) -> None:
    other = mneme.engine(tiny_model("llama", tmp_path, seed=8))
    assert differing(other, plain) == {"weights"}


def test_one_bit_of_one_weight(folder: Path, plain: Engine) -> None:
    model, tokenizer = load(folder)
    last = model.model.layers[1].mlp.down_proj.weight
    bits = last.view(torch.int32)
    bits[0, 0] ^= 1
    assert differing(LocalEngine(model, tokenizer), plain) == {"weights"}


def test_tokenizer(folder: Path, plain: Engine) -> None:
    said = json.loads((folder / "tokenizer.json").read_bytes())
    said["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    assert differing(mneme.engine(folder), plain) == {"tokenizer"}


def test_chat_template(folder: Path, plain: Engine) -> None:
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE + " ", encoding="utf-8")
    assert differing(mneme.engine(folder), plain) == {"chat_template"}


def test_adapter(folder: Path, plain: Engine) -> None:
    peft = pytest.importorskip("peft")
    model, tokenizer = load(folder)
    lora = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=True)
    model.add_adapter(lora, adapter_name="first")
    first = LocalEngine(model, tokenizer)
    assert differing(first, plain) == {"adapter", "weights"}
    scaled = fields_of(model, tokenizer)
    model.model.layers[0].self_attn.q_proj.set_scale("first", 0.5)
    assert fields_of(model, tokenizer)["adapter"] != scaled["adapter"]
    model.disable_adapters()
    assert fields_of(model, tokenizer)["adapter"] == "none"


def test_dtype(folder: Path, plain: Engine) -> None:
    other = mneme.engine(folder, dtype="float64")
    assert "dtype" in differing(other, plain)
    assert differing(other, plain) <= {"dtype", "weights"}


def test_attention(folder: Path, plain: Engine) -> None:
    assert differing(mneme.engine(folder, attention="eager"), plain) == {"attention"}


def test_device(plain: Engine) -> None:
    assert plain.fields["device"] == "cpu"  # of the type alone: cuda:1 continues what cuda:0 began
