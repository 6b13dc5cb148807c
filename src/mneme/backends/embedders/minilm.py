"""MiniLM, or any sentence model like it, through onnxruntime: extra `minilm`.

In: a folder with `tokenizer.json` and `model.onnx` or `model_int8.onnx`, as
`tools/export_minilm_onnx.py` makes it. The model's first output is [texts, tokens, dim]; a text's
vector is the mean over its tokens.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from mneme.backends.embedders.onnx_errors import onnx_failures
from mneme.backends.embedders.texts import embed_filled
from mneme.core.errors import BackendUnavailableError, InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    from mneme.backends.embedders.texts import Vectors

MAX_TOKENS = 256
_MAX_CHARS = 16 * MAX_TOKENS


class OnnxEmbedder:
    """Embeds by an ONNX model on the CPU.

    One text a run: a batch needs padding, which costs on a CPU what it saves, and in an int8
    model the scale of the activations, and so each vector, would depend on a text's neighbours.

    Args:
        folder: Holds the tokenizer and the model.
        int8: Take `model_int8.onnx` instead of `model.onnx`.
        threads: For one text; 0 lets onnxruntime choose.

    Raises:
        MissingDependencyError: onnxruntime or tokenizers is not installed.
        InvalidInputError: A file is not in the folder.
        BackendUnavailableError: A file is damaged.
    """

    def __init__(self, folder: Path, *, int8: bool = False, threads: int = 0) -> None:
        for package in ("onnxruntime", "tokenizers"):
            try:
                import_module(package)
            except ImportError as error:
                raise MissingDependencyError(package, "minilm", "this embedder") from error
        model = folder / ("model_int8.onnx" if int8 else "model.onnx")
        for path in (model, folder / "tokenizer.json"):
            if not path.is_file():
                raise InvalidInputError(f"there is no {path.name} in {folder}")
        self._tokenizer = _tokenizer(folder / "tokenizer.json")
        self._session, self.dim = _session(model, threads)
        self._inputs = {given.name for given in self._session.get_inputs()}
        weights = hashlib.sha256(model.read_bytes()).hexdigest()[:8]
        self.id = f"onnx-{folder.resolve().name}{'-int8' if int8 else ''}:{weights}:{self.dim}"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        return embed_filled(texts, self._embed_each, dim=self.dim, max_chars=_MAX_CHARS)

    def _embed_each(self, texts: list[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._mean_output(self._tokenizer.encode(text).ids)
        return vectors

    def _mean_output(self, ids: list[int]) -> NDArray[np.float32]:
        tokens = np.array([ids], np.int64)
        feed = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        try:
            outputs = self._session.run(None, {n: a for n, a in feed.items() if n in self._inputs})
        except onnx_failures() as error:
            raise BackendUnavailableError("the ONNX model failed on a text") from error
        mean: NDArray[np.float32] = outputs[0][0].mean(axis=0)
        return mean


def _tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text("utf-8"))
    except Exception as error:  # the package raises bare Exception for a bad file
        raise BackendUnavailableError(f"{path} is not a tokenizer") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
    return tokenizer


def _session(path: Path, threads: int) -> tuple[InferenceSession, int]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        dim = int(session.get_outputs()[0].shape[-1])
    except onnx_failures() as error:
        raise BackendUnavailableError(f"{path} is not an ONNX sentence model") from error
    return session, dim
