"""The default embedder: a table of token vectors, distilled from all-MiniLM-L6-v2, in the package.

A text's vector is the sum of its tokens' rows, made unit length. It needs no download, no server
and no model library. `tools/distill_static_table.py` makes the table; the idea is model2vec's
(https://github.com/MinishLab/model2vec).
"""

from __future__ import annotations

import hashlib
import io
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mneme.backends.embedders.texts import check_texts
from mneme.backends.embedders.wordpiece import WordPiece
from mneme.core.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mneme.backends.embedders.texts import Vectors

TABLE = Path(__file__).parent / "static_table"
MAX_TOKENS = 1024  # a longer text is cut: a mean of more words says little
_FILES = ("rows.npy", "scales.npy", "vocabulary.txt")
_REPAIR = "the static embedder's table is damaged; install mneme again"
_MAX_CHARS = 16 * MAX_TOKENS
_CHUNK_TOKENS = 512  # rows gathered at once: what the processor's cache holds


class StaticEmbedder:
    """Embeds texts by a table of token vectors.

    Args:
        folder: Holds `table.json`, `rows.npy` (int8 [tokens, dim]), `scales.npy` (float32
            [tokens]) and `vocabulary.txt` (a token a line).

    Raises:
        StoreCorruptError: The files are not those that `table.json` describes.
    """

    def __init__(self, folder: Path = TABLE) -> None:
        facts = _facts(folder)
        tokens = _checked(folder / "vocabulary.txt", facts).decode("utf-8").split("\n")
        self._rows: NDArray[np.int8] = _array(_checked(folder / "rows.npy", facts))
        scales: Vectors = _array(_checked(folder / "scales.npy", facts))
        self._scales = scales[:, None]
        self._tokeniser = WordPiece(tokens)
        self.dim = int(self._rows.shape[1])
        self.id = f"{facts.name}:{facts.weights}:{self.dim}"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        check_texts(texts)
        rows_of, cut = self._tokeniser.rows, _MAX_CHARS
        rows = [rows_of(text if len(text) <= cut else text[:cut])[:MAX_TOKENS] for text in texts]
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for first, last in _chunks([len(row) for row in rows]):
            self._sum(rows[first:last], vectors[first:last])
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        vectors /= np.where(lengths > 0, lengths, 1)[:, None]
        return vectors

    def _sum(self, rows: list[list[int]], out: Vectors) -> None:
        """Write the sum of each text's token vectors to its row of `out`."""
        lengths = np.fromiter(map(len, rows), np.intp, len(rows))
        flat = np.fromiter(chain.from_iterable(rows), np.intp, int(lengths.sum()))
        if not flat.size:
            return
        gathered = self._rows[flat] * self._scales[flat]
        filled = np.flatnonzero(lengths)
        starts = (np.cumsum(lengths) - lengths)[filled]
        out[filled] = np.add.reduceat(gathered, starts, axis=0)


def _chunks(lengths: list[int]) -> list[tuple[int, int]]:
    """Spans of texts with about `_CHUNK_TOKENS` tokens together, in order."""
    spans, first, tokens = [], 0, 0
    for index, length in enumerate(lengths):
        tokens += length
        if tokens >= _CHUNK_TOKENS:
            spans.append((first, index + 1))
            first, tokens = index + 1, 0
    if first < len(lengths):
        spans.append((first, len(lengths)))
    return spans


class _Facts(NamedTuple):
    name: str
    sha256: dict[str, str]

    @property
    def weights(self) -> str:
        """One short hash of all files: a scale or a token that changes moves vectors too."""
        digests = "".join(self.sha256[name] for name in _FILES)
        return hashlib.sha256(digests.encode()).hexdigest()[:8]


def _facts(folder: Path) -> _Facts:
    try:
        facts = json.loads((folder / "table.json").read_text("utf-8"))
        return _Facts(facts["name"], {name: facts["sha256"][name] for name in _FILES})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreCorruptError(f"{_REPAIR} (table.json: {type(error).__name__})") from error


def _checked(path: Path, facts: _Facts) -> bytes:
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != facts.sha256[path.name]:
        raise StoreCorruptError(f"{_REPAIR} ({path.name} is not what was installed)")
    return data


def _array(data: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    return array
