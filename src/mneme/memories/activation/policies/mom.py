"""MOM: compute the wide layers a few tokens at a time, and leave nothing out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.activation.kv import Held
from mneme.memories.activation.policies.choice import check, rising
from mneme.memories.activation.policies.policy import About

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class MOM:
    """The feed-forward layers see mini-sequences; attention sees all.

    Those layers widen each token to several times the hidden size, which is what peaks in a long
    prefill; they treat each token by itself, so parts give the same. (The logits, which the paper
    splits too, an engine computes of the last token alone.) The paper also moves keys and values
    to host memory layer by layer; that is left to the tiers.

    Attributes:
        mini_tokens: Most tokens that such a layer sees at once.
    """

    about: ClassVar[About] = About(
        name="mom",
        paper="MOM, arXiv:2504.12526",
        stage="build",
        frees_bytes=False,
        exact=True,
    )
    mini_tokens: int = 256

    def thin(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Held:
        check(engine, self.about.name, tokens, keep)
        if keep != 1:
            raise InvalidInputError(
                f"mom leaves nothing out: keep must be 1, not {keep}; "
                "to leave tokens out in bounded memory, use blockwise"
            )
        session = engine.session(past, position=position, record=True)
        with mini_sequences(engine, self.mini_tokens):
            session.feed(tokens)
        kv = session.recorded()
        return Held(kv, rising(kv, position, len(tokens)).to(torch.int32).contiguous())


@contextmanager
def mini_sequences(engine: Engine, tokens: int) -> Iterator[None]:
    """While it is open, feed-forward layers see at most so many tokens at once.

    Raises:
        UnsuitedModelError: The model's layers have no part named `mlp`.
    """
    wide = [module for name, module in engine.model.named_modules() if name.endswith(".mlp")]
    if not wide:
        name = type(engine.model).__name__
        raise UnsuitedModelError(f"mom finds no feed-forward layers named mlp in {name}")
    with engine.observed(_nothing):  # nobody else computes meanwhile
        for module in wide:
            module.forward = _in_parts(module.forward, tokens)
        try:
            yield
        finally:
            for module in wide:
                del module.forward  # the class's own shows again


def _in_parts(forward: Callable[[Tensor], Tensor], tokens: int) -> Callable[[Tensor], Tensor]:
    def split(hidden: Tensor) -> Tensor:
        return torch.cat([forward(part) for part in torch.split(hidden, tokens, dim=1)], dim=1)

    return split


def _nothing(layer: int, queries: Any, keys: Any, values: Any) -> None:  # noqa: ANN401
    """Watch for the lock alone."""
