"""Any text model of the fastembed package: extra of the same name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mneme.backends.embedders.onnx_errors import onnx_failures
from mneme.backends.embedders.texts import embed_filled
from mneme.core.errors import BackendUnavailableError, InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mneme.backends.embedders.texts import Vectors

_MAX_CHARS = 8_192


class FastembedEmbedder:
    """Embeds by a TextEmbedding of fastembed.

    Args:
        name: A model's name, as `TextEmbedding.list_supported_models()` has it.
        folder: Where the model's files are; without it fastembed looks in its cache, and
            downloads the model when it is not there.
        threads: For the model; None lets onnxruntime choose.

    Raises:
        MissingDependencyError: The package is not installed.
        InvalidInputError: There is no such folder.
        BackendUnavailableError: The model is unknown, cannot be had, or does not load.
    """

    def __init__(
        self, name: str, *, folder: Path | None = None, threads: int | None = None
    ) -> None:
        try:
            from fastembed import TextEmbedding
        except ImportError as error:
            raise MissingDependencyError("fastembed", "fastembed", "this embedder") from error
        if folder is not None and not folder.is_dir():
            raise InvalidInputError(f"there is no folder {folder}")
        place: dict[str, Any] = {} if folder is None else {"specific_model_path": str(folder)}
        try:
            self._model = TextEmbedding(name, threads=threads, **place)
            self.dim = int(self._model.embedding_size)
        except onnx_failures() as error:
            raise BackendUnavailableError(f"fastembed cannot load {name!r}") from error
        weights = "" if folder is None else _weights_hash(folder) + ":"
        self.id = f"fastembed-{name}:{weights}{self.dim}"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        ask = self._model.query_embed if query else self._model.passage_embed

        def encode(filled: list[str]) -> object:
            try:  # one at a time: in a batch, int8 models give a text other vectors
                return np.concatenate([list(ask([text])) for text in filled])
            except onnx_failures() as error:
                raise BackendUnavailableError("the fastembed model failed") from error

        return embed_filled(texts, encode, dim=self.dim, max_chars=_MAX_CHARS)


def _weights_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.onnx*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
