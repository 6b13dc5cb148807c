"""A prompt in the making."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from mneme.backends.engines.local.caches import fill
from mneme.core.engine import KV, Layer
from mneme.core.errors import InvalidInputError, UnsuitedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.backends.engines.local.caches import RecordingCache
    from mneme.backends.engines.local.runner import Runner

_MASKED = {"sdpa", "eager"}  # implementations of attention that take any mask


class LocalSession:
    """A cache of its own, and the position of the next token.

    Args:
        runner: Of the engine.
        past: Keys and values of the tokens before, if any; copied.
        position: Of the next token; None: as many as `past` has tokens.
        record: Whether `recorded` is wanted.

    Raises:
        InvalidInputError: `past` is not of this model, or `position` is before its end.
        UnsuitedModelError: Tokens were left out, and the model slides.
    """

    def __init__(
        self, runner: Runner, past: KV | None, *, position: int | None, record: bool
    ) -> None:
        self._runner, self._record = runner, record
        known = _tokens(past, runner)
        self._position = known if position is None else position
        self._check_start(known)
        self._cache = runner.cache()
        if past is not None and known:
            fill(self._cache, past, runner.slots, runner.device, runner.dtype)
        self._cache.recording = record
        self._whole = True

    def _check_start(self, known: int) -> None:
        if self._position < known:
            raise InvalidInputError(
                f"position {self._position} is taken: {known} tokens come before it"
            )
        if self._position > known and self._runner.slides:
            raise UnsuitedModelError(
                f"{self._runner.model.config.model_type} has layers that see a window of the last "
                "tokens, so none may be left out before them"
            )

    @property
    def position(self) -> int:
        return self._position

    @property
    def cache(self) -> RecordingCache:
        """The cache, for what must see it as transformers does."""
        return self._cache

    def feed(self, tokens: Sequence[int]) -> torch.Tensor:
        positions = range(self._position, self._position + len(tokens))
        return self._run(tokens, positions, None)

    def feed_at(
        self, tokens: Sequence[int], positions: Sequence[int], visible: torch.Tensor
    ) -> torch.Tensor:
        self._check_mask(tokens, positions, visible)
        hidden = ~visible.to(self._runner.device)
        mask = torch.zeros(visible.shape, dtype=self._runner.dtype, device=self._runner.device)
        mask.masked_fill_(hidden, torch.finfo(mask.dtype).min)
        return self._run(tokens, positions, mask[None, None])

    def _run(
        self, tokens: Sequence[int], positions: Sequence[int], mask: torch.Tensor | None
    ) -> torch.Tensor:
        """One pass; if it breaks off, some layers have its tokens and some do not."""
        self._runner.check(tokens, positions)
        if not self._whole:
            raise InvalidInputError("an earlier pass of this session broke off; open a new session")
        self._whole = False
        logits = self._runner.run(tokens, positions, self._cache, mask)
        self._whole = True
        self._position = positions[-1] + 1
        return logits

    def _check_mask(
        self, tokens: Sequence[int], positions: Sequence[int], visible: torch.Tensor
    ) -> None:
        config = self._runner.model.config
        if self._runner.slides or config._attn_implementation not in _MASKED:
            raise UnsuitedModelError(
                f"{config.model_type} with attention {config._attn_implementation!r} takes no mask "
                "of its own for each token; use a model without sliding layers, with attention sdpa"
            )
        known = self._cache.get_seq_length()
        shape = (len(tokens), known + len(tokens))
        if len(positions) != len(tokens) or tuple(visible.shape) != shape:
            raise InvalidInputError(f"{len(tokens)} tokens need as many positions, and {shape}")
        if any(later <= earlier for earlier, later in pairwise((-1, *positions))):
            raise InvalidInputError("positions must be at least 0 and rise")
        if visible.dtype is not torch.bool or not bool(visible.any(dim=-1).all()):
            raise InvalidInputError("`visible` must be bool, with something to see for each token")

    def recorded(self) -> KV:
        if not self._record:
            raise InvalidInputError("the session does not record; open it with record=True")
        noted = self._cache.noted()
        return tuple(noted[slot] for slot in self._runner.slots) if noted else ()

    def cached(self) -> KV:
        layers: list[Any] = self._cache.layers
        if not self._cache.get_seq_length():
            return ()
        return tuple(
            Layer(layers[slot].keys[0], layers[slot].values[0]) for slot in self._runner.slots
        )


def _tokens(past: KV | None, runner: Runner) -> int:
    """How many tokens the keys and values stand for."""
    if not past:
        return 0
    if len(past) != len(runner.slots):
        raise InvalidInputError(
            f"keys and values of {len(past)} layers; the model has {len(runner.slots)}"
        )
    shapes = tuple((k.shape[0], k.shape[-1], v.shape[-1]) for k, v in past)
    if runner.shapes and shapes != runner.shapes:
        raise InvalidInputError(f"keys and values {shapes} are not the model's, {runner.shapes}")
    counts = {part.shape[-2] for layer in past for part in layer}
    if len(counts) > 1:
        raise InvalidInputError(f"layers hold different numbers of tokens: {sorted(counts)}")
    return int(counts.pop())
