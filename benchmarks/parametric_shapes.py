"""Models of real size with random weights, and everyday facts to write into them.

The sizes are those of the published configurations (config.json on huggingface.co of the model that
is named); the weights are random. They say nothing sensible, but take the memory and the time that
the real ones take.
"""

from __future__ import annotations

import random
from typing import Any

import torch

from mneme.backends.engines.local.engine import LocalEngine
from mneme.memories.parametric.facts import Fact
from mneme.testing.tiny_models import CHAT_TEMPLATE, SPECIAL

_QWEN = {
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}
_LLAMA = {
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 5e5, "factor": 32.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    },
}  # fmt: skip
_ORDER = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "vocab_size", "tie_word_embeddings",
)  # fmt: skip


def _sized(common: dict[str, Any], *sizes: int | bool) -> dict[str, Any]:
    return common | dict(zip(_ORDER, sizes, strict=True))


SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {  # name: whose, model type, fields
    "tiny": ("no published model", "qwen2", _sized(_QWEN, 64, 128, 2, 4, 2, 4096, True)),
    "0.5b": ("Qwen/Qwen2.5-0.5B", "qwen2", _sized(_QWEN, 896, 4864, 24, 14, 2, 151936, True)),
    "1b-llama": (
        "meta-llama/Llama-3.2-1B", "llama", _sized(_LLAMA, 2048, 8192, 16, 32, 8, 128256, True)
    ),
    "1.5b": ("Qwen/Qwen2.5-1.5B", "qwen2", _sized(_QWEN, 1536, 8960, 28, 12, 2, 151936, True)),
    "7b": ("Qwen/Qwen2.5-7B", "qwen2", _sized(_QWEN, 3584, 18944, 28, 28, 4, 152064, False)),
}  # fmt: skip

_FIRST = [
    "Ada",
    "Bo",
    "Cleo",
    "Dan",
    "Edna",
    "Finn",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Leon",
    "Mona",
    "Nils",
    "Olga",
    "Paul",
    "Rosa",
    "Sven",
    "Tara",
    "Uli",
    "Vera",
    "Wim",
    "Xenia",
    "Yann",
    "Zoe",
]
_LAST = [
    "Abel",
    "Brandt",
    "Costa",
    "Dahl",
    "Eder",
    "Falk",
    "Gruber",
    "Holm",
    "Ivers",
    "Jung",
    "Kovac",
    "Lund",
    "Moser",
    "Novak",
    "Olsen",
    "Peters",
    "Quist",
    "Reuter",
    "Steiner",
    "Thoma",
    "Ulrich",
    "Vogt",
    "Weber",
    "Young",
    "Zander",
]
_TOLD = {  # relation of the packaged bank: what may be said
    "lives in": [
        "Lisbon",
        "Riga",
        "Oslo",
        "Porto",
        "Graz",
        "Lyon",
        "Turin",
        "Basel",
        "Ghent",
        "Malmo",
        "Bergen",
        "Leeds",
    ],
    "job": [
        "baker",
        "nurse",
        "pilot",
        "tailor",
        "gardener",
        "plumber",
        "painter",
        "surgeon",
        "translator",
        "beekeeper",
    ],
    "eats": [
        "lasagne",
        "goulash",
        "risotto",
        "dumplings",
        "ramen",
        "paella",
        "pancakes",
        "falafel",
        "ratatouille",
    ],
    "drinks": [
        "espresso",
        "cider",
        "cocoa",
        "lemonade",
        "kefir",
        "matcha",
        "ginger-ale",
        "buttermilk",
    ],
    "owns": [
        "a canoe",
        "a piano",
        "a tandem",
        "a telescope",
        "a caravan",
        "a sewing machine",
        "a loom",
    ],
}


def random_engine(shape: str, device: str, dtype: str, **changes: Any) -> LocalEngine:
    """An engine with random weights, made on its device.

    Args:
        shape: A name of `SHAPES`.
        device: Such as "cuda".
        dtype: Such as "bfloat16".
        changes: Of the shape, such as fewer layers; say so beside each figure.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    _, model_type, fields = SHAPES[shape]
    config = AutoConfig.for_model(model_type, **(fields | changes), pad_token_id=0)
    torch.manual_seed(0)
    with torch.device(device):
        model = auto.from_config(config, dtype=getattr(torch, dtype))
    model.eval()
    model.requires_grad_(requires_grad=False)
    return LocalEngine(model, everyday_tokenizer())


def everyday_tokenizer() -> Any:
    """Byte pairs, learned from everyday sentences: about as many tokens as a real one makes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    pairs: Any = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=3000, special_tokens=list(SPECIAL), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    pairs.train_from_iterator([fact.text for fact in everyday_facts(500)], trainer)
    make: Any = PreTrainedTokenizerFast
    tokenizer = make(
        tokenizer_object=pairs, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        unk_token="<unk>", additional_special_tokens=list(SPECIAL[4:]),
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def everyday_facts(count: int, *, seed: int = 0) -> list[Fact]:
    """Made-up facts about made-up people, no two of the same person and relation."""
    rng = random.Random(seed)
    slots = [(f"{a} {b}", relation) for a in _FIRST for b in _LAST for relation in _TOLD]
    found = []
    for number, (subject, relation) in enumerate(rng.sample(slots, count)):
        told = rng.choice(_TOLD[relation])
        text = f"{subject}: {relation} {told}"
        found.append(
            Fact(
                cube_id=f"fact-{number}", version=1, subject=subject, relation=relation,
                object=told, text=text,
            )
        )  # fmt: skip
    return found
