"""How surprised a model was by each token: -log p of it, given what came before.

Read off the pass that computes keys and values anyway: the last hidden states are turned into
logits a few rows at a time.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from mneme.core.errors import UnsuitedModelError
from mneme.memories.activation.policies.sight import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine


def surprise_of(
    engine: Engine, tokens: Sequence[int], *, past: KV | None = None, position: int | None = None
) -> Tensor:
    """float32 [tokens], in nats; the first, which nothing predicts, gets the mean.

    Raises:
        UnsuitedModelError: The model has no layer that turns hidden states into logits.
    """
    with overhear(engine, tokens) as heard:
        engine.session(past, position=position).feed(tokens)
    return heard()


@contextmanager
def overhear(engine: Engine, tokens: Sequence[int]) -> Iterator[Callable[[], Tensor]]:
    """While it is open, `tokens` must be fed, and nothing else.

    Yields:
        Call it afterwards: the surprise of each token, as `surprise_of` gives it.
    """
    model = engine.model
    head = model.get_output_embeddings()
    if head is None or model.base_model is model:
        raise UnsuitedModelError(f"{type(model).__name__} does not show the logits of each token")
    parts: list[Tensor] = []

    def listen(_module: Any, _args: Any, output: Any) -> None:  # noqa: ANN401
        hidden = output[0][0]
        done = sum(part.shape[0] for part in parts)
        after = torch.tensor(tokens[done + 1 : done + 1 + hidden.shape[0]], device=hidden.device)
        parts.append(_surprises(model, head, hidden[: after.shape[0]], after))

    def heard() -> Tensor:
        said = torch.cat(parts)
        mean = said.mean(0, keepdim=True) if said.numel() else said.new_zeros(1)
        return torch.cat((mean, said))

    hook = model.base_model.register_forward_hook(listen)
    try:
        yield heard
    finally:
        hook.remove()


def _surprises(model: Any, head: Any, hidden: Tensor, after: Tensor) -> Tensor:  # noqa: ANN401
    """float32 [tokens]: -log p of the token after each hidden state."""
    config = model.config.get_text_config(decoder=True)
    cap = getattr(config, "final_logit_softcapping", None)
    factor = getattr(config, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
    said = [hidden.new_zeros(0, dtype=torch.float32)]
    with torch.no_grad():
        for row in range(0, len(after), ROWS):
            logits = head(hidden[row : row + ROWS]).float() * factor
            if cap:
                logits = torch.tanh(logits / cap) * cap
            log_p = logits.log_softmax(-1)
            said.append(-log_p.gather(-1, after[row : row + ROWS, None])[:, 0])
    return torch.cat(said)
