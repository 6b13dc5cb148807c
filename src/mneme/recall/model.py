"""The fitted ranking: data in the package, read without pickle and evaluated in numpy.

`benchmarks/fit_ranking.py` makes `ranking.npz`. It holds, for questions with and without a vector,
the weights of the first score, and boosted trees (LambdaMART, Burges 2010) over the signals, which
add to that score. Trees are padded to complete binary trees: the children of node i are 2i + 1
(signal at most the threshold) and 2i + 2.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

FIRST: Final = "first"  # the signal that the trees add to
PACKAGED: Final = Path(__file__).parent / "ranking.npz"


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted ranking.

    Attributes:
        first: Weights of the first score, by name of its columns.
        signals: Names of the signals that the trees read.
        features: int64 [trees, nodes], which signal a node tests.
        thresholds: float32 [trees, nodes].
        leaves: float32 [trees, nodes + 1].
        scale: Slope and offset that turn a sum of leaves into a share of hits that were right.
    """

    first: Mapping[str, float]
    signals: tuple[str, ...]
    features: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float32]
    leaves: npt.NDArray[np.float32]
    scale: tuple[float, float]
    _tests: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Lay a node's signal and threshold side by side, so that both are fetched at once."""
        both = np.empty((*self.features.shape, 2), np.int32)
        both[..., 0] = self.features
        both[..., 1] = np.ascontiguousarray(self.thresholds).view(np.int32)
        object.__setattr__(self, "_tests", both.view(np.int64).ravel())

    def share(self, margin: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Margins as numbers between 0 and 1: about the share of such hits that were right."""
        slope, offset = self.scale
        return np.asarray(1 / (1 + np.exp(-(slope * margin + offset))))

    def margin(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """The first score of each row and the sum of its leaves.

        Args:
            values: [rows, signals], in the order of `signals`.
        """
        trees, nodes = self.features.shape
        rows = np.arange(len(values))[:, None] * values.shape[1]
        roots = (np.arange(trees) * nodes)[None, :]
        flat = values.ravel()
        # Nodes are numbered through all trees. At a root there is nothing to look up.
        right = values.take(self.features[:, 0], axis=1) > self.thresholds[:, 0]
        node = right + (roots + 1)
        for _ in range(nodes.bit_length() - 1):
            test = self._tests.take(node).view(np.int32).reshape(len(values), trees, 2)
            right = flat.take(test[..., 0] + rows) > test[..., 1].view(np.float32)
            node *= 2
            node += right
            node -= roots - 1
        node += np.arange(trees)[None, :] - nodes  # a tree has one leaf more than nodes
        added = self.leaves.ravel().take(node).sum(axis=1, dtype=np.float64)
        return np.asarray(added + values[:, self.signals.index(FIRST)])


@lru_cache(maxsize=4)
def load(path: Path = PACKAGED) -> tuple[Model, Model]:
    """The models for questions with and without a vector."""
    with np.load(path, allow_pickle=False) as arrays:
        facts = json.loads(arrays["facts"].tobytes())
        return _read(arrays, facts, "hybrid"), _read(arrays, facts, "lexical")


def save(path: Path, models: Mapping[str, Model], facts: Mapping[str, Any]) -> None:
    """Write models as `load` reads them.

    Args:
        path: Of the npz file.
        models: "hybrid" and "lexical".
        facts: Where they come from, kept beside them.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    told: dict[str, Any] = dict(facts)
    for name, model in models.items():
        told[name] = {
            "first": dict(model.first), "signals": list(model.signals), "scale": list(model.scale),
        }  # fmt: skip
        arrays[f"{name}_features"] = model.features.astype(np.int16)
        arrays[f"{name}_thresholds"] = model.thresholds
        arrays[f"{name}_leaves"] = model.leaves
    arrays["facts"] = np.frombuffer(json.dumps(told, sort_keys=True).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _read(arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any], name: str) -> Model:
    told = facts[name]
    slope, offset = told["scale"]
    return Model(
        first=told["first"],
        signals=tuple(told["signals"]),
        features=arrays[f"{name}_features"].astype(np.int64),
        thresholds=arrays[f"{name}_thresholds"],
        leaves=arrays[f"{name}_leaves"],
        scale=(float(slope), float(offset)),
    )
