"""By which angles a model rotates its keys."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import torch

from mneme.backends.engines.local.session import LocalSession
from mneme.core.errors import InvalidInputError, UnsuitedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.backends.engines.local.runner import Runner
    from mneme.core.engine import KV

_NEAR = {torch.float32: 1e-4, torch.float64: 1e-4}  # of the largest key
_NEAR_HALF = 3e-2
_OTHER = (AttributeError, TypeError, RuntimeError, KeyError)
_FAR = 37  # the position at which the proof compares


class Rotation:
    """Cosines and sines of a model's own rotary module, once it is shown that they are right.

    The proof: a single token sees only itself, so that in each layer its key at one position must
    be its key at another, rotated. Factors by which a module scales both (YaRN, arXiv:2309.00071)
    are left out, because they are in the keys already.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._proven = False

    def angles(self, layer: int, positions: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines, float32 [positions, rotated size].

        Raises:
            InvalidInputError: No such layer, or a position beyond the window.
            UnsuitedModelError: The model's positions are not rotations by halves.
        """
        if not 0 <= layer < len(self._runner.slots):
            raise InvalidInputError(
                f"there is no layer {layer}; there are {len(self._runner.slots)}"
            )
        if any(not 0 <= position < self._runner.window for position in positions):
            raise InvalidInputError(f"positions must be from 0 to {self._runner.window - 1}")
        if not self._proven:
            self._prove()
            self._proven = True
        return self._angles(layer, positions)

    def _angles(self, layer: int, positions: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        model = self._runner.model
        rotary = getattr(model.get_decoder(), "rotary_emb", None)
        if rotary is None:
            raise self._unsuited()
        text = model.config.get_text_config(decoder=True)
        where = torch.tensor([list(positions)], device=self._runner.device, dtype=torch.long)
        like = torch.zeros(1, device=self._runner.device, dtype=torch.float32)
        arguments = [like, where]
        kinds = getattr(text, "layer_types", None)
        if kinds and "layer_type" in signature(rotary.forward).parameters:
            arguments.append(kinds[self._runner.slots[layer]])
        try:
            with self._runner.lock, torch.no_grad():
                both = rotary(*arguments)
        except _OTHER as error:  # some models call theirs in a way of their own
            raise self._unsuited() from error
        if not isinstance(both, tuple) or len(both) != 2 or both[0].dim() != 3:
            raise self._unsuited()
        cos, sin = (part[0].float() for part in both)
        scale = torch.sqrt(cos[:1, :1] ** 2 + sin[:1, :1] ** 2)
        return cos / scale, sin / scale

    def _prove(self) -> None:
        far = min(_FAR, self._runner.window - 1)
        here, there = (self._keys(at) for at in (0, far))
        near = _NEAR.get(self._runner.dtype, _NEAR_HALF)
        for number, (first, second) in enumerate(zip(here, there, strict=True)):
            cos, sin = self._angles(number, [far])
            moved = _rotate(first.keys.float(), cos, sin)
            differ = (moved - second.keys.float()).abs().max()
            if not bool(differ <= near * second.keys.abs().max()):
                raise self._unsuited()

    def _keys(self, position: int) -> KV:
        session = LocalSession(self._runner, None, position=0, record=True)
        self._runner.run([self._runner.plain], [position], session.cache)
        return session.recorded()

    def _unsuited(self) -> UnsuitedModelError:
        kind = self._runner.model.config.model_type
        return UnsuitedModelError(
            f"{kind} does not rotate its keys by halves at fixed frequencies, "
            "so they cannot be moved to other positions"
        )


def _rotate(keys: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate the first `rotated size` of each key, half against half."""
    size = cos.shape[-1]
    turned, rest = keys[..., :size], keys[..., size:]
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat((-second, first), dim=-1) * sin
    return torch.cat((turned, rest), dim=-1)
