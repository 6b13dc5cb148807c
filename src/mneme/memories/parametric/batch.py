"""Many prompts at once through an engine's model, with an adapter on or off."""

from __future__ import annotations

from contextlib import nullcontext
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.parametric.adapter import Applied

_ROWS = 64  # prompts of one forward pass


def next_logits(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    applied: Applied | None = None,
    *,
    rows: int = _ROWS,
) -> Tensor:
    """The logits that follow each prompt, float32 [prompts, vocabulary], on the CPU.

    Args:
        engine: Whose model runs.
        prompts: Tokens, one or more each.
        applied: The adapter that is on for all of them; None: the base.
        rows: Prompts of one forward pass.
    """
    found = []
    for part in _parts(prompts, rows):
        with engine.lock, torch.no_grad(), applied.on() if applied else nullcontext():
            found.append(last_logits(engine, part, None if applied is None else applied.past).cpu())
    return torch.cat(found) if found else torch.empty(0)


def last_logits(engine: Engine, prompts: Sequence[Sequence[int]], past: KV | None = None) -> Tensor:
    """One forward pass over prompts of any lengths: the logits after each, float32, on the device.

    Gradients flow if they are on; the caller holds the engine's lock.
    """
    ids, mask = padded(prompts, engine.device)
    return forward(engine, ids, mask, past, keep=1)[:, -1].float()


def padded(rows: Sequence[Sequence[int]], device: str) -> tuple[Tensor, Tensor]:
    """Tokens with padding on the left, and which of them count: long [rows, longest] each."""
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows])
    lengths = torch.tensor([[len(row)] for row in rows])
    mask = (torch.arange(longest)[None] >= longest - lengths).long()
    return ids.to(device), mask.to(device)


def forward(
    engine: Engine, ids: Tensor, mask: Tensor, past: KV | None = None, *, keep: int = 0
) -> Tensor:
    """Logits [rows, tokens, vocabulary] of padded rows; positions count from the first token.

    Args:
        engine: Whose model runs.
        ids: long [rows, tokens].
        mask: long [rows, tokens]; 0 for padding.
        past: Put before every row.
        keep: How many of the last tokens have their logits computed; 0: all. What is not computed
            takes no memory, which is a lot where the vocabulary is large.
    """
    known, cache = 0, None
    if past:
        cache, known = _cache(engine, past, len(ids)), int(past[0].keys.shape[-2])
    positions = (mask.cumsum(-1) - 1).clamp_min(0) + known
    seen = torch.cat([mask.new_ones(len(ids), known), mask], dim=-1)
    out = engine.model(
        input_ids=ids, attention_mask=seen, position_ids=positions, past_key_values=cache,
        use_cache=cache is not None, return_dict=True,
        **({"logits_to_keep": keep} if _takes(engine.model, "logits_to_keep") else {}),
    )  # fmt: skip
    logits: Tensor = out.logits
    return logits[:, -keep:]


def _takes(model: Any, argument: str) -> bool:  # noqa: ANN401
    return argument in signature(model.forward).parameters


def greedy_answers(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    applied: Applied | None = None,
    *,
    max_new_tokens: int = 16,
    rows: int = _ROWS,
) -> list[list[int]]:
    """The likeliest continuation of each prompt, without the token that ends it."""
    answers: list[list[int]] = []
    for part in _parts(prompts, rows):
        texts = [list(prompt) for prompt in part]
        lengths, live = [len(text) for text in texts], set(range(len(texts)))
        for _ in range(max_new_tokens):
            order = sorted(live)
            logits = next_logits(engine, [texts[at] for at in order], applied, rows=rows)
            for at, token in zip(order, logits.argmax(-1).tolist(), strict=True):
                if engine.ends(token):
                    live.discard(at)
                else:
                    texts[at].append(token)
            if not live:
                break
        answers += [text[length:] for text, length in zip(texts, lengths, strict=True)]
    return answers


def generate(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    switched: Callable[[], AbstractContextManager[None]],
    *,
    max_new_tokens: int,
) -> list[list[int]]:
    """The likeliest continuation of each row of one batch, without the token that ends it.

    Args:
        engine: Whose model runs; each token is computed once.
        prompts: One row each.
        switched: Opened around each pass: which adapter each row has on.
        max_new_tokens: Of a row.
    """
    ids, mask = padded(prompts, engine.device)
    positions, cache = (mask.cumsum(-1) - 1).clamp_min(0), None
    answers: list[list[int]] = [[] for _ in prompts]
    live = set(range(len(prompts)))
    for _ in range(max_new_tokens):
        with switched(), torch.no_grad():
            out = engine.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
                use_cache=True, return_dict=True,
            )  # fmt: skip
        cache, ids = out.past_key_values, out.logits[:, -1:].argmax(-1)
        for row, token in enumerate(ids[:, 0].tolist()):
            if row in live and engine.ends(token):
                live.discard(row)
            elif row in live:
                answers[row].append(token)
        if not live:
            break
        mask, positions = torch.cat([mask, mask.new_ones(len(mask), 1)], -1), positions[:, -1:] + 1
    return answers


def _parts(prompts: Sequence[Sequence[int]], rows: int) -> Iterator[Sequence[Sequence[int]]]:
    for at in range(0, len(prompts), rows):
        yield prompts[at : at + rows]


def _cache(engine: Engine, past: KV, rows: int) -> Any:  # noqa: ANN401
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=engine.model.config)
    for number, layer in enumerate(past):
        keys, values = (
            part.to(engine.device, engine.model.dtype).expand(rows, *part.shape) for part in layer
        )
        cache.update(keys, values, number)
    return cache
