"""What decides about keys and values, in words that are the same in every process."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch
import transformers
import xxhash

if TYPE_CHECKING:
    from collections.abc import Mapping

_LAYOUT = "1"  # of what sessions record
_ROPE = ("rope_parameters", "rope_scaling", "rope_theta", "rope_local_base_freq")
_IRRELEVANT = {
    *_ROPE,
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "auto_map",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dtype",
    "eos_token_id",
    "id2label",
    "initializer_range",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "return_dict",
    "torch_dtype",
    "transformers_version",
    "use_cache",
}


def fields_of(model: Any, tokenizer: Any) -> dict[str, str]:  # noqa: ANN401
    """What decides about the keys and values of a prompt, by name."""
    config = _plain(model.config.to_dict())
    return {
        "architecture": _hash({"class": type(model).__name__, "config": _without_rope(config)}),
        "rope": _hash(_rope(config)),
        "weights": _weights(model),
        "tokenizer": _tokenizer(tokenizer),
        "chat_template": _template(tokenizer),
        "adapter": _adapter(model),
        "dtype": str(model.dtype).removeprefix("torch."),
        "attention": str(model.config.get_text_config(decoder=True)._attn_implementation),
        "device": model.device.type,
        # Kernels differ in their last bits from version to version.
        "library": f"transformers {transformers.__version__}, torch {torch.__version__}",
        "layout": _LAYOUT,
    }


def fingerprint_of(fields: Mapping[str, str]) -> str:
    """SHA-256 in hex over the fields."""
    return _hash(dict(fields))


def _hash(said: Any) -> str:  # noqa: ANN401
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(said: Any) -> Any:  # noqa: ANN401
    """As JSON has it; nothing whose text is another one in another process."""
    if isinstance(said, dict):
        return {str(name): _plain(at) for name, at in said.items()}
    if isinstance(said, (list, tuple)):
        return [_plain(each) for each in said]
    if isinstance(said, (set, frozenset)):
        return sorted(map(str, said))
    if said is None or isinstance(said, (bool, int, float, str)):
        return said
    if isinstance(said, (torch.dtype, torch.device)):
        return str(said)
    return _plain(vars(said)) if hasattr(said, "__dict__") else type(said).__name__


def _without_rope(said: Any) -> Any:  # noqa: ANN401
    if isinstance(said, dict):
        return {name: _without_rope(at) for name, at in said.items() if name not in _IRRELEVANT}
    return [_without_rope(each) for each in said] if isinstance(said, list) else said


def _rope(config: dict[str, Any]) -> list[Any]:
    """What is said of rotations, in the configuration and in those within it."""
    here = [[name, config[name]] for name in _ROPE if name in config]
    within = [[name, _rope(at)] for name, at in sorted(config.items()) if isinstance(at, dict)]
    return here + [each for each in within if each[1] and each[0] not in _ROPE]


def _weights(model: Any) -> str:  # noqa: ANN401
    """XXH3-128 over every tensor as it is in memory, so that a merged adapter counts."""
    digest = xxhash.xxh3_128()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        bytes_of = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(memoryview(bytes_of.numpy()))
    return digest.hexdigest()


def _tokenizer(tokenizer: Any) -> str:  # noqa: ANN401
    backend = getattr(tokenizer, "backend_tokenizer", None)
    special = {name: str(at) for name, at in tokenizer.special_tokens_map.items()}
    return _hash(
        {
            "class": type(tokenizer).__name__,
            "backend": tokenizer.get_vocab() if backend is None else json.loads(backend.to_str()),
            "special": special,
        }
    )


def _template(tokenizer: Any) -> str:  # noqa: ANN401
    template = getattr(tokenizer, "chat_template", None)
    return "none" if template is None else _hash(template)


def _adapter(model: Any) -> str:  # noqa: ANN401
    """Names and configurations of the adapters that are at work."""
    known = getattr(model, "peft_config", None)
    if not known:
        return "none"
    at_work = [
        [name, sorted(layer.active_adapters), _plain(getattr(layer, "scaling", {}))]
        for name, layer in sorted(model.named_modules())
        if hasattr(layer, "active_adapters") and getattr(layer, "disable_adapters", None) is False
    ]
    configs = {name: _plain(config.to_dict()) for name, config in known.items()}
    return _hash([configs, at_work]) if at_work else "none"
