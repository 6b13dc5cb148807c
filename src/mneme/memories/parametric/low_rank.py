"""The algebra of low-rank changes: sums, sizes and nearest ones, without the matrices themselves.

A layer's change is up @ down, as large as the layer's weights; here only the two small matrices are
handled, in float64. How files name them, and what is refused, is `lora.py`'s to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.lora import NAME, LinearShape, factors, split_name, weight_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

_CHOICES: Final = ("exclude_modules", "layers_to_transform", "layers_pattern")


class Change(NamedTuple):
    """A layer's change of weights, up @ down; lora_alpha and rank are in it already.

    down: float64 [rank, inputs].
    up: float64 [outputs, rank].
    """

    down: Tensor
    up: Tensor

    def norm(self) -> float:
        """The Frobenius norm of up @ down."""
        left, right = torch.linalg.qr(self.up).R, torch.linalg.qr(self.down.T).R
        return float(torch.linalg.matrix_norm(left @ right.T))

    def cut(self, rank: int) -> Change:
        """The nearest change of a rank (Eckart and Young), by an SVD of a small matrix."""
        left, right = torch.linalg.qr(self.up), torch.linalg.qr(self.down.T)
        u, s, v = torch.linalg.svd(left.R @ right.R.T)
        return balanced(left.Q @ u[:, :rank], s[:rank], v[:rank] @ right.Q.T)

    def padded(self, rank: int) -> Change:
        """The same change in matrices of a rank that is not smaller."""
        down = self.down.new_zeros(rank, self.down.shape[1])
        up = self.up.new_zeros(self.up.shape[0], rank)
        down[: len(self.down)], up[:, : len(self.down)] = self.down, self.up
        return Change(down, up)


def balanced(u: Tensor, s: Tensor, v: Tensor) -> Change:
    """The product u diag(s) v, the roots of `s` on both sides: both are quantised equally well."""
    root = s.sqrt()
    return Change(root[:, None] * v, u * root)


def stacked(parts: Sequence[Change]) -> Change:
    """The sum of changes of one layer; ranks add."""
    return Change(torch.cat([p.down for p in parts]), torch.cat([p.up for p in parts], dim=1))


def changes_of(adapter: Adapter) -> dict[str, Change]:
    """The changes of an adapter by path of the layer.

    Raises:
        InvalidInputError: It is no plain LoRA.
    """
    sizes: dict[str, dict[str, int]] = {}
    for name, tensor in adapter.tensors.items() if adapter.carrier == NAME else ():
        path, side = split_name(name)
        sizes.setdefault(path, {})[side] = int(tensor.shape[1 if side == "A" else 0])
    shapes = {
        path: LinearShape(size.get("A", 0), size.get("B", 0), transposed=False)
        for path, size in sizes.items()
    }
    parts = factors(adapter, shapes)
    return {path: Change(a.double(), b.double() * scale) for path, (a, b, scale) in parts.items()}


def adapter_of(changes: Mapping[str, Change], like: Sequence[Adapter]) -> Adapter:
    """An adapter with these changes; all are brought to one rank, as peft expects.

    Args:
        changes: By path of the layer.
        like: Whose base and configuration it takes; layers are named one by one where theirs
            differ.
    """
    rank = max(len(part.down) for part in changes.values())
    config = dict(like[0].config) | {"r": rank, "lora_alpha": rank, "use_rslora": False}
    if len({str(_choice(each.config)) for each in like}) > 1:
        config |= {"target_modules": sorted(changes)} | dict.fromkeys(_CHOICES)
    tensors = {}
    for path, part in changes.items():
        wide = part.padded(rank)
        for name, tensor in zip(weight_names(path), wide, strict=True):
            tensors[name] = tensor.float().contiguous()
    return Adapter(carrier=NAME, base=like[0].base, config=config, tensors=tensors)


def _choice(config: Mapping[str, Any]) -> list[object]:
    chosen = config.get("target_modules")
    first = chosen if isinstance(chosen, str) else sorted(chosen or ())
    return [first, *(config.get(name) for name in _CHOICES)]
