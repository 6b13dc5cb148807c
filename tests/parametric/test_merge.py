"""Merged adapters: against dense matrices, against peft, on the judge and on GPT-2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.low_rank import Change, adapter_of, changes_of
from mneme.memories.parametric.merge import HOW, compose, merge
from mneme.testing.tiny_models import tiny_model

Tensor = torch.Tensor


def _config(rank: int, alpha: float, modules: list[str], **more: object) -> dict[str, Any]:
    said = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": alpha}
    return {**said, "target_modules": modules, **more}


def _adapter(
    shapes: dict[str, tuple[int, int]], rank: int = 2, *, seed: int = 0, alpha: float | None = None,
    base: str = "b", more: dict[str, Any] | None = None,
) -> Adapter:  # fmt: skip
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer, (outputs, inputs) in shapes.items():
        name = f"base_model.model.{layer}"
        tensors[f"{name}.lora_A.weight"] = torch.randn(rank, inputs, generator=chance) * 0.2
        tensors[f"{name}.lora_B.weight"] = torch.randn(outputs, rank, generator=chance) * 0.2
    modules = sorted({layer.rsplit(".", 1)[-1] for layer in shapes})
    config = _config(rank, alpha or 2 * rank, modules, **(more or {}))
    return Adapter(carrier="lora", base=base, config=config, tensors=tensors)


def _dense(adapter: Adapter) -> dict[str, Tensor]:
    return {name: part.up @ part.down for name, part in changes_of(adapter).items()}


def _near(one: Adapter, dense: dict[str, Tensor], *, within: float = 1e-5) -> bool:
    mine = _dense(one)
    return mine.keys() == dense.keys() and all(
        torch.allclose(mine[name], dense[name], atol=within) for name in dense
    )


SHAPES = {"l.0.q": (7, 5), "l.0.up": (9, 5), "l.1.q": (7, 5)}


@given(
    ranks=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    weights=st.lists(st.floats(-2, 2), min_size=4, max_size=4),
)
@settings(deadline=None)
def test_cat_is_the_exact_sum_whatever_the_ranks(ranks: list[int], weights: list[float]) -> None:
    parts = [_adapter(SHAPES, rank, seed=at) for at, rank in enumerate(ranks)]
    merged = merge(parts, "cat", weights=weights[: len(parts)])
    dense = [_dense(part) for part in parts]
    total = {
        name: sum((w * d[name] for w, d in zip(weights, dense, strict=False)), torch.zeros(1))
        for name in dense[0]
    }
    assert _near(merged, total)
    assert merged.config["r"] == sum(ranks)


@given(rank=st.integers(1, 7), seed=st.integers(0, 99))
@settings(deadline=None)
def test_svd_is_the_nearest_of_its_rank_as_of_the_dense_sum(rank: int, seed: int) -> None:
    parts = [_adapter(SHAPES, 2, seed=seed), _adapter(SHAPES, 3, seed=seed + 1, alpha=5)]
    merged = merge(parts, "svd", rank=rank)
    one, two = (_dense(part) for part in parts)
    nearest = {}
    for name in one:
        u, s, v = torch.linalg.svd(one[name] + two[name], full_matrices=False)
        nearest[name] = u[:, :rank] @ torch.diag(s[:rank]) @ v[:rank]
    assert _near(merged, nearest)
    assert merged.config["r"] <= rank


def test_a_layer_that_only_one_of_them_changes_is_kept() -> None:
    one, two = _adapter({"l.0.q": (7, 5)}), _adapter({"l.0.up": (9, 5)}, seed=1)
    for how in ("cat", "svd"):
        assert _near(merge([one, two], how), _dense(one) | _dense(two))
    assert sorted(compose([one, two]).config["target_modules"]) == ["l.0.q", "l.0.up"]


def test_scales_by_the_root_of_the_rank_count() -> None:
    tensors = _adapter(SHAPES, 4).tensors
    config = _config(4, 8, ["q", "up"], use_rslora=True)
    rooted = Adapter(carrier="lora", base="b", config=config, tensors=tensors)
    down, up = (tensors[f"base_model.model.l.0.q.lora_{side}.weight"].double() for side in "AB")
    assert torch.allclose(_dense(compose([rooted]))["l.0.q"], up @ down * 4)


def test_large_layers_are_decomposed_by_seeded_projections() -> None:
    shapes = {"l.0.q": (1_100, 1_030)}
    parts = [_adapter(shapes, 2, seed=seed) for seed in (0, 1)]
    full = _dense(merge(parts, "ties_svd", density=1.0, rank=1_030))["l.0.q"]
    merged = merge(parts, "ties_svd", density=1.0, rank=4)
    again = merge(parts, "ties_svd", density=1.0, rank=4)
    assert all(torch.equal(merged.tensors[name], again.tensors[name]) for name in merged.tensors)
    best = float(torch.linalg.svdvals(full)[4:].square().sum().sqrt())
    found = float((full - _dense(merged)["l.0.q"]).norm())
    assert found <= 1.02 * best


def test_parts_stay_as_they_are() -> None:
    parts = [_adapter(SHAPES, seed=seed) for seed in (0, 1)]
    before = [{name: tensor.clone() for name, tensor in p.tensors.items()} for p in parts]
    for how in HOW:
        merge(parts, how)
    assert all(
        torch.equal(tensor, part.tensors[name])
        for part, kept in zip(parts, before, strict=True)
        for name, tensor in kept.items()
    )


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda a: merge([]), "nothing to merge"),
        (
            lambda a: merge([a], "linear"),  # type: ignore[arg-type]
            "svd, ties_svd, cat",
        ),
        (lambda a: merge([a, _adapter(SHAPES, base="other")]), "different bases"),
        (lambda a: merge([a], rank=0), "rank"),
        (lambda a: merge([a], "cat", rank=4), "rank"),
        (lambda a: merge([a, a], weights=[1.0]), "weights"),
        (lambda a: merge([a], "ties_svd", density=0.0), "density"),
        (lambda a: merge([Adapter(carrier="cartridge", base="b", config={}, tensors={})]), "lora"),
        (lambda a: merge([_odd(a, "base_model.model.l.0.q.lora_magnitude_vector")]), "magnitude"),
        (lambda a: merge([_asked(a)]), "alpha_pattern"),
        (lambda a: merge([_odd(a, "base_model.model.l.9.q.lora_A.weight")]), "l.9.q"),
    ],
)
def test_what_cannot_be_merged_is_refused(call: Callable[[Adapter], Adapter], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        call(_adapter(SHAPES))


def _odd(adapter: Adapter, name: str) -> Adapter:
    tensors = {**adapter.tensors, name: torch.zeros(2, 5)}
    return Adapter(carrier="lora", base="b", config=adapter.config, tensors=tensors)


def _asked(adapter: Adapter) -> Adapter:
    config = {**adapter.config, "alpha_pattern": {"q": 16}}
    return Adapter(carrier="lora", base="b", config=config, tensors=adapter.tensors)


def test_changes_come_back_from_the_adapter_that_they_make() -> None:
    changes = {
        "base_model.model.l.0.q": Change(torch.ones(2, 5).double(), torch.ones(7, 2).double())
    }
    assert _near(
        adapter_of(changes, [_adapter(SHAPES)]), {n: p.up @ p.down for n, p in changes.items()}
    )


def _model(name: str, engine: Engine, folder: Path) -> tuple[Any, dict[str, tuple[int, int]]]:
    """A fresh model, and the layers to change with their outputs and inputs."""
    from transformers import AutoModelForCausalLM

    if name == "judge":
        where, layers = str(engine.model.config._name_or_path), ["q_proj", "down_proj"]
    else:
        tiny_model("gpt2", folder)
        where, layers = str(folder), ["c_attn", "c_proj", "c_fc"]  # Conv1D
    model = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32)
    found = {n: m.weight.shape for n, m in model.named_modules() if n.endswith(tuple(layers))}
    turned = name != "judge"
    return model, {n: tuple(s[::-1] if turned else s) for n, s in found.items()}


@pytest.mark.parametrize("name", ["judge", "gpt2"])
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft asks for it
def test_the_merged_model_computes_what_that_of_peft_does(
    name: str, engine: Engine, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    from peft import PeftModel
    from safetensors.torch import save_file

    model, shapes = _model(name, engine, tmp_path / "model")
    more = {"fan_in_fan_out": name == "gpt2"}
    one = _adapter(shapes, 2, seed=1, more=more)
    parts = {"one": one, "two": _adapter(shapes, 3, seed=2, alpha=3, more=more)}
    ways: dict[str, dict[str, Any]] = {
        "cat": {}, "svd": {"rank": 4}, "ties_svd": {"rank": 4, "density": 0.5}
    }  # fmt: skip
    for how, setting in ways.items():
        parts[how] = merge([one, parts["two"]], how, weights=[1.0, 0.7], **setting)  # type: ignore[arg-type]
    for each, adapter in parts.items():
        (tmp_path / each).mkdir()
        (tmp_path / each / "adapter_config.json").write_text(json.dumps(dict(adapter.config)))
        save_file(dict(adapter.tensors), tmp_path / each / "adapter_model.safetensors")
    tuned = PeftModel.from_pretrained(model, str(tmp_path / "one"), adapter_name="one")
    for each in [each for each in parts if each != "one"]:
        tuned.load_adapter(str(tmp_path / each), adapter_name=each)
    ids = torch.tensor([[3, 5, 7, 11, 13, 17]])
    with torch.no_grad():
        for how, setting in ways.items():
            theirs = {"svd_rank": setting.get("rank"), "density": setting.get("density")}
            tuned.add_weighted_adapter(["one", "two"], [1.0, 0.7], f"peft-{how}", how, **theirs)
            tuned.set_adapter(how)
            mine = tuned(input_ids=ids).logits
            tuned.set_adapter(f"peft-{how}")
            assert (mine - tuned(input_ids=ids).logits).abs().max() <= 1e-4, how
            tuned.set_adapter("one")
            assert (mine - tuned(input_ids=ids).logits).abs().max() > 1e-2, "no change to see"
