"""Adapters that peft saved elsewhere: the same logits here, or a refusal that names the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import ImportRefusedError, InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import base_of
from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.bundle import pack
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.folder import Foreign, read_folder
from mneme.memories.parametric.foreign import foreign_adapter, origin
from mneme.memories.parametric.writers import build_carrier
from mneme.testing.tiny_models import tiny_model

torch = pytest.importorskip("torch", reason="parametric memory needs the extra 'local'")
peft = pytest.importorskip("peft", reason="parametric memory needs the extra 'local'")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft", "ignore::FutureWarning")
PROMPT = [1, 7, 8, 9]
LINEAR = {"gpt2": ["c_attn", "c_proj"]}
LORAS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "ranks": {"rank_pattern": {"{0}": 2}, "alpha_pattern": {"{1}": 3}},
    "one-layer": {"layers_to_transform": [1]},
}


class Saved:
    """An adapter with random numbers that peft saved for a tiny model."""

    def __init__(self, folder: Path, family: str, make: Callable[[list[str]], Any]) -> None:
        from transformers import AutoModelForCausalLM

        gone = ("num_key_value_heads", "head_dim") if family == "gpt2" else ()
        fields: dict[str, Any] = dict.fromkeys(gone)
        self.base = tiny_model(family, folder / "model", **fields)
        self.engine: Engine = mneme.engine(self.base)
        self.folder = folder / "adapter"
        config = make(LINEAR.get(family, ["q_proj", "down_proj"]))
        model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(self.base), config)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            for name, parameter in model.named_parameters():
                if "lora_" in name or "prompt" in name:
                    parameter.normal_(0, 0.2)
        model.save_pretrained(self.folder)
        ids = torch.tensor([PROMPT])
        with torch.no_grad():
            out = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids))
        self.logits = out.logits[0, -1]

    def read(self) -> Foreign:
        found = read_folder(self.folder)
        assert isinstance(found, Foreign)
        return found

    def apart(self) -> float:
        """The largest difference between what we compute with it and what peft does."""
        adapter = foreign_adapter(self.engine, self.read())
        applied = build_carrier(adapter.carrier).apply(self.engine, adapter)
        found = next_logits(self.engine, [PROMPT], applied)[0]
        assert float((found - next_logits(self.engine, [PROMPT])[0]).abs().max()) > 1e-2
        return float((found - self.logits).abs().max())


def lora_of(**more: Any) -> Callable[[list[str]], Any]:  # noqa: ANN401
    def make(layers: list[str]) -> Any:  # noqa: ANN401
        said = json.dumps(more)
        for number, layer in enumerate(layers):
            said = said.replace(f"{{{number}}}", layer)
        fields = {"r": 4, "lora_alpha": 6, "target_modules": layers, "task_type": "CAUSAL_LM"}
        return peft.LoraConfig(**{**fields, **json.loads(said)})

    return make


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return Saved(tmp_path_factory.mktemp("plain"), "llama", lora_of())


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "gpt2"])
@pytest.mark.parametrize("kind", LORAS)
def test_a_low_rank_adapter_of_peft_computes_the_same_here(
    family: str, kind: str, tmp_path: Path
) -> None:
    assert Saved(tmp_path, family, lora_of(**LORAS[kind])).apart() < 1e-4


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize("projected", [False, True])
def test_a_prefix_of_peft_computes_the_same_here(
    family: str, projected: bool, tmp_path: Path
) -> None:
    def make(_layers: list[str]) -> Any:  # noqa: ANN401
        return peft.PrefixTuningConfig(
            num_virtual_tokens=5, task_type="CAUSAL_LM", prefix_projection=projected
        )

    saved = Saved(tmp_path, family, make)
    assert saved.read().config["prefix_projection"] is projected
    assert saved.apart() < 1e-4


def test_a_prefix_that_peft_calls_a_cartridge_is_taken(tmp_path: Path) -> None:
    def make(_layers: list[str]) -> Any:  # noqa: ANN401
        return peft.CartridgeConfig(num_virtual_tokens=5, task_type="CAUSAL_LM")

    assert Saved(tmp_path, "llama", make).apart() < 1e-4


def test_it_is_of_this_base_and_nobody_checked_that(plain: Saved) -> None:
    adapter = foreign_adapter(plain.engine, plain.read())
    assert adapter.base == base_of(plain.engine.fields)
    assert origin(plain.read()) == {"verified_base": False, "claimed_base": str(plain.base)}


def test_its_configuration_is_ours(plain: Saved) -> None:
    source = plain.read()
    odd = source._replace(config={**source.config, "auto_mapping": {"x": "y"}, "revision": "z"})
    adapter = foreign_adapter(plain.engine, odd)
    assert not {"auto_mapping", "revision"} & set(adapter.config)
    assert adapter.config["base_model_name_or_path"] is None
    assert peft.LoraConfig(**adapter.config).r == 4


def test_an_own_export_is_checked_for_its_base(plain: Saved, engine: Engine) -> None:
    adapter = foreign_adapter(plain.engine, plain.read())
    bundle = pack(adapter, FactLedger(), {}, form="fp32", about={})
    again = foreign_adapter(plain.engine, bundle)
    assert again.base == adapter.base
    assert origin(bundle) == {"verified_base": True}
    with pytest.raises(InvalidInputError, match="base"):
        foreign_adapter(engine, bundle)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("use_dora", True),
        ("bias", "all"),
        ("lora_bias", True),
        ("modules_to_save", ["lm_head"]),
        ("layer_replication", [[0, 2]]),
        ("target_parameters", ["x"]),
        ("trainable_token_indices", [3]),
        ("alora_invocation_tokens", [3]),
        ("init_lora_weights", "pissa"),
        ("init_lora_weights", "olora"),
        ("peft_type", "IA3"),
        ("peft_type", None),
        ("rank_pattern", {"(a+)+": 2}),
    ],
)
def test_what_is_not_served_is_refused_by_name(plain: Saved, field: str, value: object) -> None:
    source = plain.read()
    named = str(value) if field in {"peft_type", "init_lora_weights"} else field
    with pytest.raises(ImportRefusedError, match=named):
        foreign_adapter(plain.engine, source._replace(config={**source.config, field: value}))


def test_the_magnitudes_of_dora_are_refused_without_its_word(tmp_path: Path) -> None:
    saved = Saved(tmp_path, "llama", lora_of(use_dora=True))
    source = saved.read()
    lying = source._replace(config={**source.config, "use_dora": False})
    with pytest.raises(InvalidInputError, match="lora_magnitude_vector"):
        foreign_adapter(saved.engine, lying)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("r", 8, "rank 8"),
        ("r", "4", "rank 4"),
        ("lora_alpha", None, "lora_alpha"),
        ("lora_alpha", 0, "other than 0"),
        ("lora_alpha", float("nan"), "lora_alpha"),
        ("rank_pattern", {"q_proj": 3}, "rank 3"),
        ("alpha_pattern", [1], "no object"),
    ],
)
def test_what_contradicts_its_tensors_is_refused(
    plain: Saved, field: str, value: object, says: str
) -> None:
    source = plain.read()
    with pytest.raises(InvalidInputError, match=says):
        foreign_adapter(plain.engine, source._replace(config={**source.config, field: value}))


def test_another_model_is_told_which_layer_does_not_fit(plain: Saved, engine: Engine) -> None:
    with pytest.raises(InvalidInputError, match=r"proj' wants .*128"):
        foreign_adapter(engine, plain.read())


def test_layers_that_are_not_there_or_halves_are_refused(plain: Saved) -> None:
    source = plain.read()
    one = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    head = {"base_model.model.lm_head.lora_A.weight": torch.ones(4, 32)}
    for tensors, says in [
        ({**source.tensors, **head}, "lm_head"),
        ({one: source.tensors[one]}, "only lora_A"),
        ({}, "no tensors"),
    ]:
        with pytest.raises(InvalidInputError, match=says):
            foreign_adapter(plain.engine, source._replace(tensors=tensors))


def test_prefixes_that_do_not_fit_are_refused(plain: Saved, tmp_path: Path) -> None:
    config = {"peft_type": "PREFIX_TUNING", "num_layers": 2, "token_dim": 16}
    good = Foreign(config, {"prompt_embeddings": torch.ones(3, 64)})
    assert foreign_adapter(plain.engine, good).config["num_virtual_tokens"] == 3
    for bad, says in [
        (good._replace(tensors={"prompt_embeddings": torch.ones(3, 60)}), "wants 64"),
        (good._replace(config={**config, "num_layers": 4}), "4 layers"),
        (good._replace(tensors={}), "one tensor"),
        (good._replace(tensors={"prompt_embeddings": torch.ones(5000, 64)}), "no room"),
    ]:
        with pytest.raises(InvalidInputError, match=says):
            foreign_adapter(plain.engine, bad)
    with pytest.raises(ImportRefusedError, match="encoder"):
        foreign_adapter(
            plain.engine, good._replace(config={**config, "num_transformer_submodules": 2})
        )
    sliding = mneme.engine(tiny_model("gemma3", tmp_path))
    with pytest.raises(UnsuitedModelError, match="falls out"):
        foreign_adapter(sliding, good)


def test_a_claim_that_is_no_text_is_left_out(plain: Saved) -> None:
    source = plain.read()
    odd = source._replace(config={**source.config, "base_model_name_or_path": ["x"]})
    assert origin(odd)["claimed_base"] is None
    assert replace(foreign_adapter(plain.engine, odd)).carrier == "lora"
