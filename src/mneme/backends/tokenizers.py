"""Counting tokens exactly, with the tokenizer of the model that will read them.

In: the `tokenizer.json` of a Hugging Face model. Out: a TokenCounter. Needs the `tokenizers`
package.
"""

from __future__ import annotations

from pathlib import Path

from mneme.core.errors import InvalidInputError, MissingDependencyError


class TokenizerCounter:
    """Counts what a given tokenizer makes of a text, special tokens left out.

    Args:
        path: A `tokenizer.json`, or the folder that holds one.

    Raises:
        MissingDependencyError: The `tokenizers` package is not installed.
        InvalidInputError: There is no such file, or it holds no tokenizer.
    """

    exact = True

    def __init__(self, path: str | Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingDependencyError("tokenizers", "minilm", "counting tokens") from error
        file = Path(path)
        file = file / "tokenizer.json" if file.is_dir() else file
        try:
            self._tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidInputError(f"no tokenizer at {str(file)!r}: {error}") from error
        except Exception as error:  # the package raises nothing narrower
            raise InvalidInputError(f"{str(file)!r} holds no tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
