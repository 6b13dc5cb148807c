"""Of a long stored run, load only the sentences that a question looks at.

In: keys and values of a run, and where its sentences are. Out: an index of a few bytes for each
token, by which sentences are chosen for a question before any of their keys and values are read.

SentenceKV (arXiv:2504.00970) keeps a mean of keys for each sentence, Quest (arXiv:2406.10774) and
LeoAM (arXiv:2506.20187) bounds of them. Measured on the judge models, both lose much where a single
token of a sentence matters; the signs of each token's centred keys lose little, in fewer bytes.
So the signs are kept here, one bit for each number of a key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.kv import Held, cut, join, size_of, tokens_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mneme.core.engine import KV, Engine

    Getter: TypeAlias = Callable[[int, int], KV]

Span: TypeAlias = tuple[int, int]
"""First token of a sentence and the one after its last, counted from the start of the run."""

_BYTE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What is known of a run without reading it.

    Attributes:
        spans: The sentences, rising.
        signs: Of each layer uint8 [key-value heads, tokens, bytes]: whether a number of a key is
            above its mean, eight to a byte.
        scales: Of each layer float32 [key-value heads, head size]: mean distance from that mean.
    """

    spans: tuple[Span, ...]
    signs: tuple[torch.Tensor, ...]
    scales: tuple[torch.Tensor, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.nbytes for part in (*self.signs, *self.scales)) + 8 * len(self.spans)

    def tensors(self) -> dict[str, torch.Tensor]:
        """To be kept as safetensors."""
        named = {"spans": torch.tensor(self.spans, dtype=torch.int32)}
        for number, (signs, scales) in enumerate(zip(self.signs, self.scales, strict=True)):
            named |= {f"signs.{number}": signs, f"scales.{number}": scales}
        return named

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> Digests:
        """From what `tensors` gave.

        Raises:
            InvalidInputError: They are something else.
        """
        layers = range((len(tensors) - 1) // 2)
        try:
            spans = tuple((int(first), int(end)) for first, end in tensors["spans"].tolist())
            signs = tuple(tensors[f"signs.{number}"] for number in layers)
            scales = tuple(tensors[f"scales.{number}"] for number in layers)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(
                "these tensors are no index of sentences; make it anew"
            ) from error
        return cls(spans=spans, signs=signs, scales=scales)


def index(kv: KV, spans: Sequence[Span]) -> Digests:
    """Make the index of a run.

    Args:
        kv: Of the whole run, keys rotated for where it stands.
        spans: Sentences, rising, without overlap. Tokens between them are never loaded.

    Raises:
        InvalidInputError: The spans do not fit the run.
    """
    _check(spans, tokens_in(kv))
    signs, scales = [], []
    for keys, _ in kv:
        centred = keys.float() - keys.float().mean(dim=1, keepdim=True)
        scales.append(centred.abs().mean(dim=1))
        signs.append(_packed(centred > 0))
    return Digests(spans=tuple(spans), signs=tuple(signs), scales=tuple(scales))


def queries_of(
    engine: Engine, past: KV | None, position: int, question: Sequence[int]
) -> list[torch.Tensor]:
    """What a question looks for, layer by layer.

    Args:
        engine: Which the run is of.
        past: What the question stands behind here: the head of the prompt and the newest tokens of
            the run, some dozens. Behind nothing but a begin token, queries may be far from what
            they will be.
        position: Of the question's first token in the prompt.
        question: Its tokens.

    Returns:
        Of each layer [heads, tokens, head size].

    Raises:
        UnsuitedModelError: The model cannot be watched, or slides.
    """
    seen: dict[int, list[torch.Tensor]] = {}

    def watch(layer: int, queries: torch.Tensor, keys: object, values: object) -> None:
        seen.setdefault(layer, []).append(queries.clone())

    session = engine.session(past, position=position)
    with engine.observed(watch):
        session.feed(question)
    return [torch.cat(seen[layer], dim=1) for layer in range(engine.layers)]


def choose(
    digests: Digests,
    queries: Sequence[torch.Tensor],
    budget_tokens: int,
    *,
    newest_tokens: int = 0,
    last_tokens: int | None = None,
    scaling: float | None = None,
) -> list[Span]:
    """The sentences that a question looks at most, by the attention that the index lets expect.

    Args:
        digests: Of the run.
        queries: Of the question (`queries_of`); all layers and heads count the same.
        budget_tokens: Most tokens to load.
        newest_tokens: Sentences that end in the last so many tokens of the run are taken first.
        last_tokens: Only the last so many tokens of the question count, as in SnapKV
            (arXiv:2404.14469); None: all of them, alike.
        scaling: By which the model multiplies scores; None: the usual root of the head size.

    Returns:
        Rising; of equal ones, the first. Sentences that do not fit any more are passed over.
    """
    asked = [each if last_tokens is None else each[:, -last_tokens:] for each in queries]
    expected = _expected(digests, asked, scaling)
    last = digests.spans[-1][1] - newest_tokens
    order = sorted(
        range(len(digests.spans)),
        key=lambda number: (digests.spans[number][1] <= last, -expected[number]),
    )
    chosen, left = [], budget_tokens
    for number in order:
        first, end = digests.spans[number]
        if end - first <= left:
            chosen.append((first, end))
            left -= end - first
    return sorted(chosen)


def load(source: KV | Getter, spans: Sequence[Span], start: int) -> Held:
    """Keys and values of chosen sentences, the same tokens for all heads.

    Args:
        source: Of the whole run, or what reads the tokens from one to another of it.
        spans: At least one, rising.
        start: Position of the first token of the run.

    Raises:
        InvalidInputError: There is no span, or it is beyond the run.
    """
    if not spans:
        raise InvalidInputError("no sentence was chosen; load at least one, or use no past")
    read = source if callable(source) else lambda first, end: cut(source, first, end)
    kv = join([read(first, end) for first, end in merged(spans)])
    line = torch.tensor([at + start for first, end in spans for at in range(first, end)])
    heads = kv[0].keys.shape[0]
    return Held(kv, line.to(torch.int32).expand(len(kv), heads, len(line)))


def merged(spans: Sequence[Span]) -> list[Span]:
    """Spans that touch, as one: so many reads are needed."""
    runs: list[Span] = []
    for first, end in spans:
        if runs and runs[-1][1] == first:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((first, end))
    return runs


def bytes_read(digests: Digests, held: Held) -> int:
    """Of the index and of what was loaded."""
    return digests.size + size_of(held.kv)


def _expected(
    digests: Digests, queries: Sequence[torch.Tensor], scaling: float | None
) -> list[float]:
    """Attention that each sentence can expect, summed over layers, heads and tokens."""
    total: Any = 0
    edges = torch.tensor(digests.spans)
    for signs, scales, asked in zip(digests.signs, digests.scales, queries, strict=True):
        heads, new, size = asked.shape
        groups = signs.shape[0]
        rows = asked.float().reshape(groups, heads // groups * new, size)
        factor = size**-0.5 if scaling is None else scaling
        scores = (rows * scales[:, None] * factor) @ _unpacked(signs, size).mT
        attention = scores.softmax(dim=-1).sum(dim=(0, 1))
        total = total + attention.cpu().double()
    sums = torch.cat((torch.zeros(1, dtype=torch.float64), total.cumsum(0)))
    gained: list[float] = (sums[edges[:, 1]] - sums[edges[:, 0]]).tolist()
    return gained


def _packed(above: torch.Tensor) -> torch.Tensor:
    """Booleans [..., size] as bits [..., bytes]."""
    size = above.shape[-1]
    padded = torch.nn.functional.pad(above.to(torch.uint8), (0, -size % _BYTE))
    bits = padded.reshape(*above.shape[:-1], math.ceil(size / _BYTE), _BYTE)
    places = torch.arange(_BYTE, dtype=torch.uint8, device=above.device)
    packed: torch.Tensor = (bits << places).sum(dim=-1, dtype=torch.uint8)
    return packed


def _unpacked(packed: torch.Tensor, size: int) -> torch.Tensor:
    """Bits [..., bytes] as float32 [..., size] of -1 and 1."""
    places = torch.arange(_BYTE, dtype=torch.uint8, device=packed.device)
    bits = (packed[..., None] >> places) & 1
    return bits.flatten(-2)[..., :size].float() * 2 - 1


def _check(spans: Sequence[Span], tokens: int) -> None:
    if not spans or any(first >= end for first, end in spans):
        raise InvalidInputError("there must be at least one sentence, and a token in each")
    if any(before[1] > after[0] for before, after in pairwise(spans)):
        raise InvalidInputError("sentences must rise and not overlap")
    if spans[0][0] < 0 or spans[-1][1] > tokens:
        raise InvalidInputError(f"sentences must be within the {tokens} tokens of the run")
