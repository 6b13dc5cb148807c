"""A causal language model in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.backends.engines.local.capability import suited
from mneme.backends.engines.local.fingerprint import fields_of, fingerprint_of
from mneme.backends.engines.local.rendering import render
from mneme.backends.engines.local.rotation import Rotation
from mneme.backends.engines.local.session import LocalSession
from mneme.backends.engines.local.watching import Observation
from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    import torch

    from mneme.backends.engines.local.watching import Watch
    from mneme.core.engine import KV, Message


class LocalEngine:
    """An `Engine` (core/engine.py) on a transformers model.

    The model must not be changed as long as the engine is used: its fingerprint is taken once.
    After a change (an adapter, other weights) make another engine of it.

    Args:
        model: Loaded, on its device.
        tokenizer: Its tokenizer.
        chunk_tokens: Most tokens of one forward pass, which bounds the memory that a long prompt
            takes; None: no limit.

    Raises:
        UnsuitedModelError: Its keys and values cannot be kept as blocks; names it, and why.
    """

    def __init__(self, model: Any, tokenizer: Any, *, chunk_tokens: int | None = None) -> None:  # noqa: ANN401
        if chunk_tokens is not None and chunk_tokens < 1:
            raise InvalidInputError(f"chunk_tokens must be at least 1, not {chunk_tokens}")
        self._tokenizer = tokenizer
        self._runner = suited(model, chunk_tokens=chunk_tokens)
        self._fields = fields_of(model, tokenizer)
        self._fingerprint = fingerprint_of(self._fields)
        self._rotation, self._observation = Rotation(self._runner), Observation(self._runner)
        self._ends, self._special = _ends(model, tokenizer), _special(tokenizer)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def fields(self) -> Mapping[str, str]:
        return dict(self._fields)

    @property
    def model(self) -> Any:  # noqa: ANN401
        return self._runner.model

    @property
    def window(self) -> int:
        return self._runner.window

    @property
    def slides(self) -> bool:
        return self._runner.slides

    @property
    def layers(self) -> int:
        return len(self._runner.slots)

    @property
    def device(self) -> str:
        return str(self._runner.device)

    @property
    def special(self) -> tuple[str, ...]:
        return self._special

    @property
    def has_template(self) -> bool:
        return getattr(self._tokenizer, "chat_template", None) is not None

    def render(self, messages: Sequence[Message]) -> list[int]:
        return render(self._tokenizer, messages)

    @property
    def end(self) -> int | None:
        own = self._tokenizer.eos_token_id
        return int(own) if own in self._ends else min(self._ends, default=None)

    @property
    def lock(self) -> AbstractContextManager[object]:
        return self._runner.lock

    def count(self, text: str) -> int:
        return len(self.encode(text))

    def encode(self, text: str) -> list[int]:
        found = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return [int(token) for token in found]

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def ends(self, token: int) -> bool:
        return token in self._ends

    def session(
        self, past: KV | None = None, *, position: int | None = None, record: bool = False
    ) -> LocalSession:
        return LocalSession(self._runner, past, position=position, record=record)

    def rope(self, layer: int, positions: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self._rotation.angles(layer, positions)

    def observed(self, watch: Watch) -> AbstractContextManager[None]:
        return self._observation.observed(watch)


def _special(tokenizer: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Texts of special tokens, the longest first."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    texts = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401
    """Tokens that end an answer, as the model and its tokenizer say; there may be none."""
    said = [
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
        getattr(model.config.get_text_config(decoder=True), "eos_token_id", None),
        tokenizer.eos_token_id,
    ]
    each = [token for one in said for token in (one if isinstance(one, (list, tuple)) else [one])]
    return frozenset(int(token) for token in each if token is not None)
