"""A tokenizer of whole words, for models whose vocabulary is a list of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

_BEGIN, _END, _PAD = "<bos>", "<eos>", "<pad>"


def word_tokenizer(path: Path) -> Any:  # noqa: ANN401
    """Words and marks of punctuation are tokens; what is not in the list is read as `<pad>`.

    Args:
        path: Of a JSON list of words, with `<bos>`, `<eos>` and `<pad>` among them.

    Raises:
        InvalidInputError: It is no such list.
    """
    try:
        words = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidInputError(f"{path} is no JSON: {error}") from error
    listed = isinstance(words, list) and all(isinstance(word, str) for word in words)
    if not listed or len(set(words)) < len(words) or not {_BEGIN, _END, _PAD} <= set(words):
        raise InvalidInputError(f"{path} is no list of different words with <bos>, <eos>, <pad>")
    model = WordLevel({word: number for number, word in enumerate(words)}, unk_token=_PAD)
    inner = Tokenizer(model)
    inner.pre_tokenizer = Whitespace()
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=inner, bos_token=_BEGIN, eos_token=_END, pad_token=_PAD, unk_token=_PAD
    )
