"""Caches: what the model itself would make, filled with known keys and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from mneme.core.engine import Layer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import KV


class RecordingCache(DynamicCache):
    """Notes what each layer is given, before a sliding layer forgets it."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__(config=config)
        self._noted: dict[int, list[Layer]] = {}
        self.recording = False

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,  # noqa: ANN401 (differs between versions)
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.recording:
            # Contiguous: a view of a fused projection would keep all of it in memory.
            noted = Layer(key_states[0].contiguous(), value_states[0].contiguous())
            self._noted.setdefault(layer_idx, []).append(noted)
        return super().update(key_states, value_states, layer_idx, *args, **kwargs)

    def noted(self) -> dict[int, Layer]:
        """What was noted, by layer of the model."""
        for index, parts in self._noted.items():
            if len(parts) > 1:
                keys, values = zip(*parts, strict=True)
                self._noted[index] = [Layer(torch.cat(keys, dim=-2), torch.cat(values, dim=-2))]
        return {index: parts[0] for index, parts in self._noted.items()}


def fill(
    cache: DynamicCache, past: KV, slots: Sequence[int], device: torch.device, dtype: torch.dtype
) -> None:
    """Put known keys and values in, in copies, as if the model had computed them just now."""
    for slot, layer in zip(slots, past, strict=True):
        keys, values = (each.to(device=device, dtype=dtype)[None] for each in layer)
        cache.update(keys, values, slot)  # concatenates, so it copies
