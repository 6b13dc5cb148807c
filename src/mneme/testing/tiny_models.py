"""Small language models with random weights, as folders that an engine opens.

They say nothing sensible, but compute as the large ones of their family do: for tests of whether
keys and values that were kept are those that the model would compute. Needs the extra `local`.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = 16  # tokens that a sliding layer sees
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>")
_SIZE = 256  # words
_WORDS = """
the is was in of to and what where when who which how many does do not for from on at by
user system assistant memory question answer days refund
"""

_SHAPE = {
    "vocab_size": _SIZE,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "initializer_range": 0.15,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}
_MIXED = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": WINDOW}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-sliding": ("mistral", {"sliding_window": WINDOW}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {}),
    "gemma3": ("gemma3_text", {**_MIXED, "query_pre_attn_scalar": 8}),
    "phi3": ("phi3", {"sliding_window": None, "partial_rotary_factor": 0.75, "head_dim": None}),
    "phi3-sliding": ("phi3", {"sliding_window": WINDOW, "head_dim": None}),
    "gpt2": ("gpt2", {}),
}
"""Models whose keys and values can be kept: name, model type, what differs from the shape."""

HARD: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma3n": (
        "gemma3n_text",
        {
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "sliding_window": WINDOW,
            "num_kv_shared_layers": 2,
            "vocab_size_per_layer_input": _SIZE,
            "hidden_size_per_layer_input": 8,
            "laurel_rank": 4,
            "altup_num_inputs": 2,
            "activation_sparsity_pattern": [0.0] * 4,
            "intermediate_size": [48] * 4,
        },
    ),
    "cohere": ("cohere", {}),
    "bert": ("bert", {}),
    "mamba": ("mamba", {"state_size": 4}),
    "qwen3-next": (
        "qwen3_next",
        {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    "falcon-h1": (
        "falcon_h1",
        {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 4},
    ),
}
"""Models that share a cache, rotate in pairs, read both ways, or keep a state instead of keys."""


def tiny_model(
    family: str,
    folder: Path,
    *,
    seed: int = 0,
    template: str | None = CHAT_TEMPLATE,
    **changes: Any,  # noqa: ANN401 (fields of a configuration)
) -> Path:
    """Save a model with random weights, and its tokenizer.

    Args:
        family: A name of `FAMILIES` or `HARD`.
        folder: Made if it is not there.
        seed: Of the weights.
        template: The chat template, if any.
        changes: Fields of the configuration; None leaves a field to its default.

    Returns:
        The folder.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    silence: Any = logging.disable_progress_bar
    silence()
    auto: Any = AutoModelForCausalLM
    model_type, own = {**FAMILIES, **HARD}[family]
    config = _config(model_type, {**_SHAPE, **own, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = auto.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tiny_tokenizer(template=template).save_pretrained(folder)
    return folder


def _config(model_type: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
    from transformers import AutoConfig

    keep_none = {"sliding_window"}
    given = {name: at for name, at in fields.items() if at is not None or name in keep_none}
    return AutoConfig.for_model(model_type, **given)


def tiny_tokenizer(*, template: str | None = CHAT_TEMPLATE) -> Any:  # noqa: ANN401
    """Splits text into some words and, for what it does not know, letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = Tokenizer(models.WordPiece(_vocabulary(), unk_token="<unk>"))
    split.pre_tokenizer = pre_tokenizers.Whitespace()
    split.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    make: Any = PreTrainedTokenizerFast
    tokenizer = make(
        tokenizer_object=split,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=list(SPECIAL[4:]),
    )
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


def _vocabulary() -> dict[str, int]:
    alone = string.ascii_letters + string.digits + string.punctuation
    within = [f"##{letter}" for letter in string.ascii_letters + string.digits]
    words = [*SPECIAL, *alone, *within, *_WORDS.split()]
    words += [f"w{number:02d}" for number in range(_SIZE - len(words))]
    return {word: number for number, word in enumerate(words)}
