"""One forward pass at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

import torch

from mneme.backends.engines.local.caches import RecordingCache
from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A model, and what sessions must know of it.

    Attributes:
        model: The transformers model.
        slots: Of each layer that has a cache of its own, its number in the model.
        slides: Whether a layer sees a window of the last tokens alone.
        window: Most positions.
        takes: The arguments of the model's forward pass.
        shapes: Of each of these layers, once known: key-value heads, sizes of a key and a value.
        chunk_tokens: Most tokens of one forward pass, to bound memory; None: no limit.
        lock: Held during a forward pass, and as long as somebody watches.
    """

    model: Any
    slots: tuple[int, ...]
    slides: bool
    window: int
    takes: frozenset[str]
    shapes: tuple[tuple[int, int, int], ...] = ()
    chunk_tokens: int | None = None
    lock: RLock = field(default_factory=RLock)

    @property
    def device(self) -> torch.device:
        place: torch.device = self.model.device
        return place

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def known(self) -> int:
        """How many tokens there are."""
        count: int = self.model.get_input_embeddings().num_embeddings
        return count

    @property
    def plain(self) -> int:
        """A token that is likely to be no special one."""
        return self.known // 2

    def cache(self) -> RecordingCache:
        """An empty cache, as the model would make it."""
        return RecordingCache(self.model.config)

    def run(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        cache: RecordingCache,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The logits after the last token, float32 [vocabulary].

        Tokens and positions were checked.
        """
        size = len(tokens) if mask is not None else self.chunk_tokens or len(tokens)
        logits = None
        with self.lock, torch.no_grad():
            for start in range(0, len(tokens), size):
                end = start + size
                logits = self._forward(tokens[start:end], positions[start:end], cache, mask)
        assert logits is not None
        return logits

    def check(self, tokens: Sequence[int], positions: Sequence[int]) -> None:
        """Raise InvalidInputError for no tokens, unknown ones, or positions beyond the window."""
        if not tokens:
            raise InvalidInputError("there is no token to run; give at least one")
        if positions[-1] >= self.window:
            raise InvalidInputError(
                f"position {positions[-1]} is beyond the model's window of {self.window} tokens; "
                "shorten the prompt or the answer"
            )
        known = self.known
        if not all(0 <= token < known for token in tokens):
            raise InvalidInputError(f"tokens must be from 0 to {known - 1}")

    def _forward(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        cache: RecordingCache,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        last = {"logits_to_keep": 1} if "logits_to_keep" in self.takes else {}
        out = self.model(
            input_ids=self._row(tokens),
            position_ids=self._row(positions),
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            return_dict=True,
            **last,
        )
        logits: torch.Tensor = out.logits[0, -1].float()
        return logits

    def _row(self, numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(numbers)], device=self.device, dtype=torch.long)
