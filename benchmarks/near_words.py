"""Make `src/mneme/recall/near_words.npz`: the nearest words of each word, by stems.

    python benchmarks/near_words.py

Reads the vocabulary of the static embedding in the package; the same table gives the same file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mneme.backends.embedders.static import TABLE, StaticEmbedder
from mneme.memories.plaintext.language.terms import code_of, stem
from mneme.memories.plaintext.language.words import STOPWORDS
from mneme.recall.matches import NEAR_WORDS

NEAREST = 10
LEAST_LIKENESS = 0.4
LEAST_LETTERS = 3


def stems() -> dict[str, list[str]]:
    """Whole words of the vocabulary by their stem."""
    found: dict[str, list[str]] = {}
    for word in (TABLE / "vocabulary.txt").read_text("utf-8").split("\n"):
        if (
            word.isascii()
            and word.isalpha()
            and len(word) >= LEAST_LETTERS
            and word not in STOPWORDS
        ):
            found.setdefault(stem(word), []).append(word)
    return found


def vectors(by_stem: dict[str, list[str]]) -> np.ndarray:
    """A unit vector for each stem, the common part of all taken away."""
    embedder = StaticEmbedder()
    rows = np.stack([embedder.embed(words).mean(axis=0) for words in by_stem.values()])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows.mean(axis=0)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def nearest(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and likenesses of the nearest rows of each row, nearest first."""
    near = np.empty((len(rows), NEAREST), np.uint16)
    likeness = np.empty((len(rows), NEAREST), np.float32)
    for first in range(0, len(rows), 1000):
        cosines = rows[first : first + 1000] @ rows.T
        cosines[np.arange(len(cosines)), np.arange(first, first + len(cosines))] = -1
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST]
        near[first : first + 1000] = order
        likeness[first : first + 1000] = np.take_along_axis(cosines, order, axis=1)
    return near, likeness


def main(path: Path = NEAR_WORDS) -> None:
    by_stem = stems()
    codes = np.array([code_of(name) for name in by_stem], np.uint32)
    order = np.argsort(codes, kind="stable")
    near, likeness = nearest(vectors(by_stem)[order])
    likeness[likeness < LEAST_LIKENESS] = 0
    steps = np.rint(likeness * 255).astype(np.uint8)
    near[steps == 0] = 0
    np.savez_compressed(path, codes=codes[order], near=near, likeness=steps)
    print(f"{len(codes)} stems, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
