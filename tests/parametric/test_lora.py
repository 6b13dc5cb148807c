"""Low-rank changes by hooks: as peft computes them, and gone without a trace."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.batch import forward, next_logits, padded
from mneme.memories.parametric.lora import (
    LinearShape,
    LoraCarrier,
    delta,
    lora_config,
    split_name,
    targets,
    weight_names,
)
from mneme.testing.adapters import random_adapter
from mneme.testing.tiny_models import tiny_model

FAMILIES = ("llama", "qwen3", "gemma3", "gpt2", "phi3")
# Of peft 0.21.2 with the newest transformers, about a property that nobody here uses.
THEIR_WARNING = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
PROMPTS = [[5, 9, 17, 40], [7, 8], [30, 31, 32, 33, 34, 35, 36]]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Engine, Path]]:
    made = {}
    for family in FAMILIES:
        folder = tiny_model(family, tmp_path_factory.mktemp(family) / "model")
        made[family] = (mneme.engine(folder), folder)
    return made


def changed(adapter: Adapter, **fields: Any) -> Adapter:  # noqa: ANN401
    said: dict[str, Any] = {
        "carrier": adapter.carrier,
        "base": adapter.base,
        "config": adapter.config,
        "tensors": adapter.tensors,
    }
    return Adapter(**(said | fields))


def peft_logits(folder: Path, adapter: Adapter, kept: Path) -> torch.Tensor:
    """What peft makes of the same files on a fresh model, for padded rows."""
    from peft import PeftModel
    from safetensors.torch import save_file

    kept.mkdir()
    save_file(dict(adapter.tensors), kept / "adapter_model.safetensors")
    (kept / "adapter_config.json").write_text(json.dumps(dict(adapter.config)))
    fresh = mneme.engine(folder)
    model = PeftModel.from_pretrained(fresh.model, str(kept)).eval()
    ids, mask = padded(PROMPTS, "cpu")
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask, position_ids=positions)
    logits: torch.Tensor = out.logits
    return logits


def all_logits(engine: Engine) -> torch.Tensor:
    ids, mask = padded(PROMPTS, "cpu")
    with torch.no_grad():
        return forward(engine, ids, mask)


def hooks(engine: Engine) -> int:
    return sum(len(module._forward_hooks) for module in engine.model.modules())


@THEIR_WARNING
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("wanted", [None, "mlp"])
def test_logits_are_those_of_peft(
    engines: Mapping[str, tuple[Engine, Path]], family: str, wanted: str | None, tmp_path: Path
) -> None:
    engine, folder = engines[family]
    names = None
    if wanted:
        names = tuple(path for path in targets(engine.model) if "mlp" in path)
    adapter = random_adapter(engine, 0, rank=3, layers=names)
    applied = LoraCarrier().apply(engine, adapter)
    before = all_logits(engine)
    with applied.on():
        found = all_logits(engine)
    theirs = peft_logits(folder, adapter, tmp_path / "kept")
    seen = padded(PROMPTS, "cpu")[1].bool()
    assert (found - before)[seen].abs().max() > 0.1, "the adapter changes nothing"
    assert (found - theirs)[seen].abs().max() <= 1e-6 * theirs[seen].abs().max()


@pytest.mark.parametrize("family", FAMILIES)
def test_off_is_the_base_bit_for_bit(
    engines: Mapping[str, tuple[Engine, Path]], family: str
) -> None:
    engine, _ = engines[family]
    before = next_logits(engine, PROMPTS)
    applied = LoraCarrier().apply(engine, random_adapter(engine, 0, rank=3))
    assert torch.equal(next_logits(engine, PROMPTS), before)
    first = next_logits(engine, PROMPTS, applied)
    assert not torch.equal(first, before)
    assert torch.equal(next_logits(engine, PROMPTS), before)
    assert torch.equal(next_logits(engine, PROMPTS, applied), first)
    applied.close()
    assert hooks(engine) == 0
    assert torch.equal(next_logits(engine, PROMPTS, applied), before), "closed, it changes nothing"


def test_an_error_within_leaves_the_base(engine: Engine) -> None:
    prompts = [[1, 5, 6], [1, 7]]
    before = next_logits(engine, prompts)
    applied = LoraCarrier().apply(engine, random_adapter(engine, 0, rank=3))
    with pytest.raises(KeyboardInterrupt), applied.on():
        raise KeyboardInterrupt
    assert hooks(engine) == 0
    assert torch.equal(next_logits(engine, prompts), before)
    assert not torch.equal(next_logits(engine, prompts, applied), before), "it can be used again"


def test_opened_twice_it_is_one_change_and_two_add_up(engine: Engine) -> None:
    prompts = [[1, 5, 6], [1, 7]]
    one = LoraCarrier().apply(engine, random_adapter(engine, 1))
    two = LoraCarrier().apply(engine, random_adapter(engine, 2))
    alone = next_logits(engine, prompts, one)
    with one.on():
        assert torch.equal(next_logits(engine, prompts, one), alone)
        both = next_logits(engine, prompts, two)
        assert torch.equal(next_logits(engine, prompts), alone), "the first is on still"
    assert not torch.allclose(both, alone)
    assert not torch.allclose(both, next_logits(engine, prompts, two))


def test_another_thread_waits_and_gets_the_base(engine: Engine) -> None:
    prompts = [[1, 5, 6], [1, 7]]
    before = next_logits(engine, prompts)
    applied = LoraCarrier().apply(engine, random_adapter(engine, 0, rank=3))
    found: list[torch.Tensor] = []
    other = threading.Thread(target=lambda: found.append(next_logits(engine, prompts)))
    with applied.on():
        other.start()
        other.join(0.2)
        assert not found, "another thread ran while an adapter was on"
    other.join()
    assert torch.equal(found[0], before)


def test_what_is_given_may_change_afterwards(engine: Engine) -> None:
    adapter = random_adapter(engine, 0, rank=3)
    applied = LoraCarrier().apply(engine, adapter)
    before = next_logits(engine, [[1, 5]], applied)
    for tensor in adapter.tensors.values():
        tensor.zero_()
    assert torch.equal(next_logits(engine, [[1, 5]], applied), before)


@settings(max_examples=30, deadline=None)
@given(
    rank=st.integers(1, 4),
    inputs=st.integers(1, 9),
    outputs=st.integers(1, 9),
    scale=st.floats(-4, 4),
    seed=st.integers(0, 99),
)
def test_a_change_is_a_product_of_matrices(
    rank: int, inputs: int, outputs: int, scale: float, seed: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    a = torch.randn(rank, inputs, generator=chance, dtype=torch.float64)
    b = torch.randn(outputs, rank, generator=chance, dtype=torch.float64)
    x = torch.randn(2, 3, inputs, generator=chance, dtype=torch.float64)
    assert torch.allclose(delta(x, a, b, scale), x @ (scale * (b @ a)).T, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_targets_are_linear_layers_of_blocks(
    engines: Mapping[str, tuple[Engine, Path]], family: str
) -> None:
    model = engines[family][0].model
    found = targets(model)
    assert found
    for path, shape in found.items():
        layer = model.get_submodule(path)
        weight = layer.weight.T if shape.transposed else layer.weight
        assert tuple(weight.shape) == (shape.outputs, shape.inputs)
        assert "lm_head" not in path
        assert "emb" not in path
    assert any(at.transposed for at in found.values()) == (family == "gpt2")


def test_wanted_layers_are_found_by_the_ends_of_their_paths(engine: Engine) -> None:
    down = targets(engine.model, ["down_proj"])
    assert list(down) == ["model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj"]
    assert targets(engine.model, ["mlp.down_proj"]) == down
    assert len(targets(engine.model, ["model.layers.0.mlp.down_proj"])) == 1
    with pytest.raises(InvalidInputError, match=r"no layer is called 'proj'; there are .*up_proj"):
        targets(engine.model, ["down_proj", "proj"])


def test_a_model_without_blocks_is_unsuited() -> None:
    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Linear(2, 2)

        def get_decoder(self) -> torch.nn.Module:
            return self

    with pytest.raises(UnsuitedModelError, match="Flat has no linear layers"):
        targets(Flat())


def test_modules_of_the_same_name_elsewhere_are_named_by_their_paths(engine: Engine) -> None:
    one = targets(engine.model, ["model.layers.1.mlp.up_proj"])
    config = lora_config(engine.model, one, rank=1, alpha=2)
    assert config["target_modules"] == ["model.layers.1.mlp.up_proj"]
    all_of_it = lora_config(engine.model, targets(engine.model, ["up_proj"]), rank=1, alpha=2)
    assert all_of_it["target_modules"] == ["up_proj"]


def test_names_go_there_and_back() -> None:
    for side, name in zip("AB", weight_names("model.layers.3.mlp.up_proj"), strict=True):
        assert split_name(name) == ("model.layers.3.mlp.up_proj", side)
    with pytest.raises(InvalidInputError, match="no weight of a LoRA adapter"):
        split_name("base_model.model.lm_head.lora_embedding_A")


def _other_base(adapter: Adapter) -> Adapter:
    return changed(adapter, base="0" * 64)


def _other_kind(adapter: Adapter) -> Adapter:
    return changed(adapter, carrier="cartridge")


def _none(adapter: Adapter) -> Adapter:
    return changed(adapter, tensors={})


def _half(adapter: Adapter) -> Adapter:
    return changed(adapter, tensors=dict(list(adapter.tensors.items())[1:]))


def _wide(adapter: Adapter) -> Adapter:
    name, tensor = next(iter(adapter.tensors.items()))
    wide = torch.cat([tensor, tensor], dim=-1)
    return changed(adapter, tensors={**adapter.tensors, name: wide})


def _head(adapter: Adapter) -> Adapter:
    names = weight_names("lm_head")
    more = {names[0]: torch.zeros(3, 128), names[1]: torch.zeros(9, 3)}
    return changed(adapter, tensors={**adapter.tensors, **more})


def _dora(adapter: Adapter) -> Adapter:
    return changed(adapter, config={**adapter.config, "use_dora": True})


def _pattern(adapter: Adapter) -> Adapter:
    return changed(adapter, config={**adapter.config, "alpha_pattern": {"q_proj": 1}})


def _alpha(adapter: Adapter) -> Adapter:
    return changed(adapter, config={**adapter.config, "lora_alpha": "8"})


def _rank(adapter: Adapter) -> Adapter:
    return changed(adapter, config={**adapter.config, "r": 2})


def _peft_kind(adapter: Adapter) -> Adapter:
    return changed(adapter, config={**adapter.config, "peft_type": "IA3"})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_other_base, "was written for base 000000000000"),
        (_other_kind, "an adapter of 'cartridge' is none"),
        (_none, "no tensors"),
        (_half, "only lora_B"),
        (_wide, r"wants A \[rank, 128\]"),
        (_head, "no layer 'lm_head'"),
        (_dora, "asks for use_dora"),
        (_pattern, "asks for alpha_pattern"),
        (_alpha, "wants a number lora_alpha"),
        (_rank, "r 3, not 6.* and 2"),
        (_peft_kind, "wants peft_type LORA"),
    ],
)
def test_what_does_not_fit_is_refused(engine: Engine, spoil: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError, match=said):
        LoraCarrier().apply(engine, spoil(random_adapter(engine, 0, rank=3)))
    assert hooks(engine) == 0


@THEIR_WARNING
def test_rank_stabilised_scaling_is_that_of_peft(
    engines: Mapping[str, tuple[Engine, Path]], tmp_path: Path
) -> None:
    engine, folder = engines["llama"]
    adapter = random_adapter(engine, 0, rank=3)
    adapter = changed(adapter, config={**adapter.config, "use_rslora": True})
    with LoraCarrier().apply(engine, adapter).on():
        found = all_logits(engine)
    theirs = peft_logits(folder, adapter, tmp_path / "kept")
    seen = padded(PROMPTS, "cpu")[1].bool()
    assert (found - theirs)[seen].abs().max() <= 1e-6 * theirs[seen].abs().max()


def test_half_precision_computes_in_the_models_type(tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("llama", tmp_path / "model"), dtype="bfloat16")
    applied = LoraCarrier().apply(engine, random_adapter(engine, 0, rank=3))
    before = next_logits(engine, PROMPTS)
    assert not torch.equal(next_logits(engine, PROMPTS, applied), before)
    assert torch.equal(next_logits(engine, PROMPTS), before)


def test_a_shape_says_what_it_is(engine: Engine) -> None:
    found = targets(engine.model)["model.layers.0.mlp.down_proj"]
    assert found == LinearShape(inputs=256, outputs=128, transposed=False)
