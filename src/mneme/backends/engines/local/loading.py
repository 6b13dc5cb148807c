"""From a folder to a model and its tokenizer.

Only safetensors are read: a pickled checkpoint can run code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from mneme.backends.engines.local.words import word_tokenizer
from mneme.core.errors import InvalidInputError, UnsuitedModelError

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_SPLITTERS = ("tokenizer.json", "tokenizer.model", "vocab.*", "*.tiktoken", "tekken.json", "*.spm")
_WORDS = "words.json"  # a vocabulary of whole words, in the order of their numbers
_WHOLE = {"PreTrainedTokenizerFast", "TokenizersBackend"}  # tokenizer.json says it all
_WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)
_HERE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def load(
    path: str | Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    attention: str | None = None,
) -> tuple[Any, Any]:
    """A causal language model and its tokenizer.

    Args:
        path: Of a folder with config.json, *.safetensors and a tokenizer.
        device: None: "cuda" where there is one, else "cpu".
        dtype: Such as "float32" or "bfloat16"; None: as the weights were saved.
        attention: Such as "sdpa" or "eager"; None: what the model prefers.

    Raises:
        InvalidInputError: Nothing that loads is there, or an argument is unknown.
        UnsuitedModelError: It is no causal language model.
    """
    folder = _folder(path)
    silence: Any = logging.disable_progress_bar
    silence()
    place = _device(device)
    config = _config(folder)
    tokenizer = _tokenizer(folder)
    chosen: dict[str, Any] = {"dtype": _dtype(dtype), "device_map": {"": place}}
    if attention is not None:
        chosen["attn_implementation"] = attention
    model = _model(folder, config, chosen)
    model.eval()
    model.requires_grad_(requires_grad=False)
    return model, tokenizer


def _folder(path: str | Path) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise InvalidInputError(
            f"there is no folder {folder}; models are not fetched by name: download it first, "
            "such as with `hf download NAME --local-dir FOLDER`, and give the folder"
        )
    if not (folder / "config.json").is_file():
        raise InvalidInputError(f"{folder} has no config.json, so it is no model")
    if not any(folder.glob("*.safetensors")):
        pickles = [each.name for kind in _PICKLES for each in sorted(folder.glob(kind))]
        if pickles:
            raise InvalidInputError(
                f"{folder / pickles[0]} is a pickle, which can run code when it is read; "
                "load and save it where you trust it with save_pretrained, which writes safetensors"
            )
        raise InvalidInputError(f"{folder} has no *.safetensors, so it has no weights")
    return folder


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidInputError(f"device {name!r} cannot be used here: {error}") from error
    return device


def _dtype(name: str | None) -> torch.dtype | str:
    if name is None:
        return "auto"
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise InvalidInputError(f"dtype {name!r} is unknown; use float32, bfloat16 or float16")
    return dtype


def _config(folder: Path) -> Any:  # noqa: ANN401
    auto: Any = AutoConfig
    try:
        config = auto.from_pretrained(folder, **_HERE)
    except _WRONG as error:
        raise InvalidInputError(f"{folder / 'config.json'} cannot be used: {error}") from error
    if config.is_encoder_decoder:
        raise UnsuitedModelError(
            f"{config.model_type} is an encoder with a decoder; give a decoder-only model"
        )
    if type(config) not in AutoModelForCausalLM._model_mapping:
        raise UnsuitedModelError(f"{config.model_type} is no causal language model")
    return config


def _tokenizer(folder: Path) -> Any:  # noqa: ANN401
    if not any(match for kind in _SPLITTERS for match in folder.glob(kind)):
        if (folder / _WORDS).is_file():
            return word_tokenizer(folder / _WORDS)
        raise InvalidInputError(f"{folder} has no tokenizer.json, so it has no tokenizer")
    said = folder / "tokenizer_config.json"
    auto: Any = AutoTokenizer
    try:
        name = json.loads(said.read_bytes()).get("tokenizer_class") if said.is_file() else None
        if name in _WHOLE and (folder / "tokenizer.json").is_file():
            auto = PreTrainedTokenizerFast  # else the model type may decide on another class
        return auto.from_pretrained(folder, **_HERE)
    except _WRONG as error:
        raise InvalidInputError(f"{folder} has no tokenizer that loads: {error}") from error


def _model(folder: Path, config: Any, chosen: dict[str, Any]) -> Any:  # noqa: ANN401
    auto: Any = AutoModelForCausalLM
    try:
        model, info = auto.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            **_HERE,
            **chosen,
        )
    except (SafetensorError, *_WRONG) as error:
        raise InvalidInputError(f"{folder} holds no model that loads: {error}") from error
    if lacking := sorted(info["missing_keys"]):
        raise InvalidInputError(
            f"{folder} lacks weights of {type(model).__name__}, such as {lacking[0]!r}; "
            "it is no whole causal language model"
        )
    return model
