"""Any model of the sentence-transformers package, from a local folder: extra of the same name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mneme.backends.embedders.texts import embed_filled
from mneme.core.errors import BackendUnavailableError, InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mneme.backends.embedders.texts import Vectors

_EXTRA = "sentence-transformers"
_MAX_CHARS = 32_768
_BATCH_TEXTS = 32


class SentenceTransformersEmbedder:
    """Embeds by a SentenceTransformer; nothing is downloaded, no code of the model's is run.

    Args:
        folder: Where the model was saved.
        device: "cpu", "cuda", ...

    Raises:
        MissingDependencyError: The package is not installed.
        InvalidInputError: There is no such folder.
        BackendUnavailableError: The folder holds no model that loads.
    """

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingDependencyError(_EXTRA, _EXTRA, "this embedder") from error
        if not folder.is_dir():
            raise InvalidInputError(f"there is no folder {folder}")
        try:
            self._model = SentenceTransformer(
                str(folder), device=device, local_files_only=True, trust_remote_code=False
            )
            self.dim = self._model.encode(["dimension"], show_progress_bar=False).shape[1]
        except (OSError, RuntimeError, TypeError, ValueError, LookupError) as error:
            raise BackendUnavailableError(f"{folder} is not a sentence model") from error
        self._prompts = {name for name, text in self._model.prompts.items() if text}
        self.id = f"{_EXTRA}-{folder.resolve().name}:{_weights_hash(folder)}:{self.dim}"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        def encode(filled: list[str]) -> object:
            try:
                answer: object = self._model.encode(
                    filled,
                    prompt_name=self._prompt_name(query),
                    batch_size=_BATCH_TEXTS,
                    show_progress_bar=False,
                )
            except RuntimeError as error:  # out of memory, device lost
                raise BackendUnavailableError("the sentence model failed") from error
            return answer

        return embed_filled(texts, encode, dim=self.dim, max_chars=_MAX_CHARS)

    def _prompt_name(self, query: bool) -> str | None:
        wanted = ("query",) if query else ("document", "passage")
        return next((name for name in wanted if name in self._prompts), None)


def _weights_hash(folder: Path) -> str:
    """Hash of all weight files, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".safetensors", ".bin", ".onnx"}:
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]
