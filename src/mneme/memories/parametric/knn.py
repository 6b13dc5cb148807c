"""A datastore of states and the tokens that followed them, mixed into what a model says next.

Nothing is trained: a fact is a few rows. Near one of them, the next token is what the rows say, the
nearer the surer; elsewhere the model's logits are the base's, bit by bit (kNN-LM, arXiv 1911.00172;
NEST, arXiv 2405.19325; that such a memory may stay outside of the weights: Memorizing Transformers,
arXiv 2203.08913). Unlike there, the wordings of a fact share one row, with a radius of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.batch import forward, padded
from mneme.memories.parametric.landmarks import Hooked, closeness, placed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from mneme.core.engine import Engine

NAME: Final = "knn"
_MOST: Final = 0.99  # of the probability that rows may take: no other token becomes impossible


def output_layer(engine: Engine) -> nn.Module:
    """The layer from the last states to logits.

    Raises:
        UnsuitedModelError: There is none, or what the model says is not what the layer gives.
    """
    layer: nn.Module | None = engine.model.get_output_embeddings()
    if layer is None:
        raise UnsuitedModelError("the model has no layer that gives logits; use the writer 'lora'")
    given: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _layer, _given, out: given.append(out))
    try:
        with engine.lock, torch.no_grad():
            said = forward(engine, *padded([[1, 2]], engine.device))
    finally:
        handle.remove()
    if not given or not torch.equal(given[-1], said):
        raise UnsuitedModelError(
            "the model changes its logits after its last layer (it caps or scales them), where "
            "nothing can be mixed in; use the writer 'lora'"
        )
    return layer


def without(adapter: Adapter, facts: Iterable[int]) -> Adapter:
    """A datastore without the rows of some facts: what it would be had they never been said.

    Args:
        adapter: Of "knn".
        facts: Their numbers in the course that it was written from.

    Raises:
        InvalidInputError: It is of another kind.
    """
    tokens, owners = _rows(adapter)
    gone = set(facts)
    stay = [at for at, owner in enumerate(owners) if owner not in gone]
    config = dict(adapter.config)
    config.update(tokens=[tokens[at] for at in stay], facts=[owners[at] for at in stay])
    return Adapter(
        carrier=NAME,
        base=adapter.base,
        config=config,
        tensors={name: tensor[stay] for name, tensor in adapter.tensors.items()},
    )


class KnnCarrier:
    """The `Carrier` of datastores (adapter.py)."""

    @property
    def name(self) -> str:
        return NAME

    def apply(self, engine: Engine, adapter: Adapter) -> Hooked:
        if adapter.base != base_of(engine.fields):
            raise InvalidInputError(
                f"the adapter was written for base {adapter.base[:12]}, and this model is "
                f"{base_of(engine.fields)[:12]}; write its facts again for this model"
            )
        tokens, _ = _rows(adapter)
        layer: Any = output_layer(engine)
        vocabulary, size = layer.weight.shape
        keys, radii = placed(layer, adapter, size)
        if len(tokens) != len(keys) or not all(0 <= token < vocabulary for token in tokens):
            raise InvalidInputError(f"{len(keys)} rows need as many tokens of the model")
        return Hooked(engine, layer, _Mix(keys, radii, torch.tensor(tokens, device=keys.device)))


class _Mix:
    """Puts what the rows say into the logits of those positions that are near one.

    Args:
        keys: float32 [rows, size].
        radii: float32 [rows].
        tokens: long [rows].
    """

    def __init__(self, keys: Tensor, radii: Tensor, tokens: Tensor) -> None:
        self._keys, self._radii, self._tokens = keys, radii, tokens

    def __call__(self, _layer: nn.Module, given: tuple[Tensor, ...], logits: Tensor) -> Tensor:
        close = closeness(given[0], self._keys, self._radii)
        near = (close > 0).any(-1)
        if not bool(near.any()):
            return logits
        mixed = logits.clone()
        mixed[near] = self._mixed(close[near], logits[near].float()).to(logits.dtype)
        return mixed

    def _mixed(self, close: Tensor, logits: Tensor) -> Tensor:
        """Log-probabilities [positions, vocabulary]: the rows' part is as large as the nearest."""
        share = _MOST * close.amax(-1, keepdim=True)
        said = torch.zeros_like(logits)
        said.index_add_(-1, self._tokens, close / close.sum(-1, keepdim=True))
        return (share * said + (1 - share) * logits.softmax(-1)).log()


def _rows(adapter: Adapter) -> tuple[list[int], list[int]]:
    """The token and the fact of each row.

    Raises:
        InvalidInputError: It is no datastore, or its configuration does not say them.
    """
    if adapter.carrier != NAME:
        raise InvalidInputError(f"an adapter of {adapter.carrier!r} is none of {NAME!r}")
    tokens, facts = adapter.config.get("tokens"), adapter.config.get("facts")
    for said in (tokens, facts):
        if not isinstance(said, list) or not all(type(each) is int for each in said):
            raise InvalidInputError("the configuration of a datastore needs tokens and facts")
    assert tokens is not None
    assert facts is not None
    if len(tokens) != len(facts):
        raise InvalidInputError(f"{len(tokens)} tokens are of {len(facts)} facts")
    return tokens, facts
