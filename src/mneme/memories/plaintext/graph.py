"""Names and what they link: which texts speak of the same people and things.

In: texts with the names in them. Out: the names that recur, and weighted links between texts or
notes. Pure functions; the cost grows with the number of names, not with its square, since a name
that is nearly everywhere links nothing.
"""

from __future__ import annotations

from collections import defaultdict
from math import log
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

MOST_LINKS: Final = 6  # of one note
_LEAST_LIKE: Final = 0.45  # cosine from which two notes are linked though they share no name
_EVERYWHERE: Final = 0.5  # a name in this share of texts tells nothing apart
_WIDEST: Final = 64  # texts that one name may link


class Node(NamedTuple):
    """What can be linked: its names, and its vector (of length 1) where there is one."""

    names: frozenset[str]
    vector: npt.NDArray[np.float32] | None


def recurring(
    names: Sequence[Sequence[str]], sure: frozenset[str], least: int
) -> dict[str, list[int]]:
    """The names that come in several texts, each with the texts that hold it.

    Args:
        names: For each text its names.
        sure: Names that are known to be such: speakers, and words with a capital within sentences.
        least: Texts that a name must come in.
    """
    held: dict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(names):
        for name in dict.fromkeys(each):
            if name in sure:
                held[name].append(number)
    return {name: texts for name, texts in held.items() if len(texts) >= least}


def links(nodes: Sequence[Node]) -> list[dict[int, float]]:
    """For each node the nodes that it is linked with, and how strongly (0 to 1), symmetric.

    Two nodes are linked by the names that they share, rare ones counting more, and by likeness
    (A-MEM, arXiv:2502.12110); each keeps its strongest `MOST_LINKS`, and a link stays if either
    end keeps it.
    """
    weights = _shared(nodes)
    for (a, b), likeness in _likeness(nodes).items():
        weights[a, b] = max(weights.get((a, b), 0.0), likeness)
    by_node: list[list[tuple[float, int]]] = [[] for _ in nodes]
    for (a, b), weight in weights.items():
        by_node[a].append((-weight, b))
        by_node[b].append((-weight, a))
    kept: list[dict[int, float]] = [{} for _ in nodes]
    for a, found in enumerate(by_node):
        for weight, b in sorted(found)[:MOST_LINKS]:
            kept[a][b] = kept[b][a] = -weight
    return kept


def _shared(nodes: Sequence[Node]) -> dict[tuple[int, int], float]:
    """Strength by names in common, relative to the names that a pair has."""
    holders: dict[str, list[int]] = defaultdict(list)
    for number, node in enumerate(nodes):
        for name in sorted(node.names):  # sums shall come out the same in every process
            holders[name].append(number)
    rarity = {name: log(1 + len(nodes) / len(h)) for name, h in holders.items()}
    sums: dict[tuple[int, int], float] = defaultdict(float)
    for name, held in holders.items():
        if 1 < len(held) <= min(_WIDEST, max(2, _EVERYWHERE * len(nodes))):
            for i, a in enumerate(held):
                for b in held[i + 1 :]:
                    sums[a, b] += rarity[name]
    size = [sum(rarity[name] for name in sorted(node.names)) for node in nodes]
    return {(a, b): total / min(size[a], size[b]) for (a, b), total in sums.items()}


def _likeness(nodes: Sequence[Node]) -> Mapping[tuple[int, int], float]:
    """Cosines of the pairs that are alike."""
    placed = [i for i, node in enumerate(nodes) if node.vector is not None]
    if len(placed) < 2:
        return {}
    rows = np.stack([node.vector for node in nodes if node.vector is not None])
    found: dict[tuple[int, int], float] = {}
    for i in range(len(rows) - 1):
        cosines = rows[i + 1 :] @ rows[i]
        for j in np.flatnonzero(cosines >= _LEAST_LIKE).tolist():
            found[placed[i], placed[i + 1 + j]] = float(cosines[j])
    return found
