"""Low-rank changes of layers (LoRA, arXiv 2106.09685): shapes, names, and hooks that add them.

In: an engine's model and the tensors of an adapter, named as peft names them.
Out: the same model, with the change added to the output of each layer while `on()` is open.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch.nn import functional

from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import base_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter

NAME: Final = "lora"
_ROOT: Final = "base_model.model."
_NAMED: Final = re.compile(r"base_model\.model\.(?P<path>.+)\.lora_(?P<side>[AB])\.weight")
_NUMBER: Final = re.compile(r"\.\d+\.")


class LinearShape(NamedTuple):
    """A linear layer.

    inputs: Size of what goes in.
    outputs: Size of what comes out.
    transposed: Its weight is [inputs, outputs] (GPT-2's Conv1D), not [outputs, inputs].
    """

    inputs: int
    outputs: int
    transposed: bool


class Factors(NamedTuple):
    """The change of one layer: `scale * x A^T B^T` for an input x.

    a: [rank, inputs].
    b: [outputs, rank].
    """

    a: Tensor
    b: Tensor
    scale: float


def delta(x: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
    """What a layer's output changes by, in the type of its input.

    Args:
        x: [..., inputs].
        a: [rank, inputs].
        b: [outputs, rank].
        scale: lora_alpha / rank.
    """
    low = functional.linear(x, a.to(x.dtype))
    return functional.linear(low, b.to(x.dtype)) * scale


def targets(model: Any, wanted: Sequence[str] | None = None) -> dict[str, LinearShape]:  # noqa: ANN401
    """The linear layers within a model's decoder blocks, by path, in the model's order.

    Args:
        model: A causal language model of transformers. Embeddings and the output layer never count.
        wanted: Ends of paths, such as "q_proj" or "mlp.down_proj"; None: all.

    Raises:
        InvalidInputError: A wanted name fits no layer; lists those there are.
        UnsuitedModelError: The model has no linear layer in numbered blocks.
    """
    found = {path: _shape(layer) for path, layer in linears(model).items()}
    if not found:
        raise UnsuitedModelError(
            f"{type(model).__name__} has no linear layers in numbered blocks, "
            "so that no low-rank change fits it; keep its facts as text"
        )
    if wanted is None:
        return found
    for name in wanted:
        if not any(_fits(path, name) for path in found):
            known = sorted({path.rsplit(".", 1)[-1] for path in found})
            raise InvalidInputError(f"no layer is called {name!r}; there are {', '.join(known)}")
    return {path: at for path, at in found.items() if any(_fits(path, each) for each in wanted)}


def linears(model: Any) -> dict[str, nn.Module]:  # noqa: ANN401
    """The layers that `targets` describes, themselves."""
    from transformers.pytorch_utils import Conv1D

    decoder = model.get_decoder()
    inside = set(map(id, decoder.modules()))
    return {
        path: layer
        for path, layer in model.named_modules()
        if isinstance(layer, (torch.nn.Linear, Conv1D))
        and id(layer) in inside
        and _NUMBER.search(path)
    }


def weight_names(path: str) -> tuple[str, str]:
    """Peft's names of A and B of the layer at a path."""
    return f"{_ROOT}{path}.lora_A.weight", f"{_ROOT}{path}.lora_B.weight"


def split_name(name: str) -> tuple[str, str]:
    """The path of a layer, and "A" or "B".

    Raises:
        InvalidInputError: It is no name of a low-rank change.
    """
    found = _NAMED.fullmatch(name)
    if found is None:
        raise InvalidInputError(f"{name!r} is no weight of a LoRA adapter as peft names them")
    return found["path"], found["side"]


def lora_config(
    model: Any,  # noqa: ANN401
    paths: Mapping[str, LinearShape],
    *,
    rank: int,
    alpha: float,
) -> dict[str, Any]:
    """The adapter_config.json with which peft loads tensors of these layers (arXiv 2106.09685)."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(shape.transposed for shape in paths.values()),
        "target_modules": _modules(model, list(paths)),
    }


def factors(adapter: Adapter, shapes: Mapping[str, LinearShape]) -> dict[str, Factors]:
    """The changes of an adapter, layer by layer, as they were kept.

    Args:
        adapter: Of "lora".
        shapes: `targets` of the model that it is for.

    Raises:
        InvalidInputError: It is of another kind, or its tensors do not fit these layers.
    """
    if adapter.carrier != NAME:
        raise InvalidInputError(f"an adapter of {adapter.carrier!r} is none of {NAME!r}")
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in adapter.tensors.items():
        path, side = split_name(name)
        sides.setdefault(path, {})[side] = tensor
    if not sides:
        raise InvalidInputError("the adapter has no tensors")
    return {path: _factors(path, at, shapes, adapter.config) for path, at in sides.items()}


class LoraCarrier:
    """The `Carrier` of low-rank changes (adapter.py)."""

    @property
    def name(self) -> str:
        return NAME

    def apply(self, engine: Engine, adapter: Adapter) -> LoraApplied:
        if adapter.base != base_of(engine.fields):
            raise InvalidInputError(
                f"the adapter was written for base {adapter.base[:12]}, and this model is "
                f"{base_of(engine.fields)[:12]}; write its facts again for this model"
            )
        return LoraApplied(engine, factors(adapter, targets(engine.model)))


class LoraApplied:
    """Changes that are ready on the device, in the model's type.

    Hooks are on the layers only while `on()` is open: off, they cost nothing. They are attributes
    of the layers, not of a thread: a backward pass that computes layers again does so elsewhere.

    Args:
        engine: Whose model.
        parts: By path.
        keep: Use the tensors as they are, for training; else they are copied.
    """

    def __init__(self, engine: Engine, parts: Mapping[str, Factors], *, keep: bool = False) -> None:
        layers = linears(engine.model)
        self._engine, self._depth = engine, 0
        self._parts: list[tuple[nn.Module, Factors]] = [
            (layers[path], each if keep else _placed(each, layers[path], engine))
            for path, each in parts.items()
        ]

    @property
    def past(self) -> None:
        return None

    @contextmanager
    def on(self) -> Iterator[None]:
        """Open within itself, it stays one change."""
        with self._engine.lock:
            hooks = []
            try:
                if not self._depth:
                    for layer, each in self._parts:
                        hooks.append(layer.register_forward_hook(_Hook(each)))
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
            finally:
                for hook in hooks:
                    hook.remove()

    def close(self) -> None:
        with self._engine.lock:
            self._parts = []


class _Hook:
    def __init__(self, part: Factors) -> None:
        self._part = part

    def __call__(self, _layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + delta(given[0], *self._part)


def _placed(part: Factors, layer: nn.Module, engine: Engine) -> Factors:
    device, dtype = next(layer.parameters()).device, engine.model.dtype
    a, b = (each.detach().to(device, dtype, copy=True) for each in part[:2])
    return Factors(a, b, part.scale)


def _shape(layer: Any) -> LinearShape:  # noqa: ANN401
    if isinstance(layer, torch.nn.Linear):
        return LinearShape(layer.in_features, layer.out_features, transposed=False)
    return LinearShape(int(layer.nx), int(layer.nf), transposed=True)


def _fits(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def _modules(model: Any, paths: Sequence[str]) -> list[str]:  # noqa: ANN401
    """Last names where these mean just these layers to peft; else whole paths."""
    short = sorted({path.rsplit(".", 1)[-1] for path in paths})
    meant = {path for path, _ in model.named_modules() if any(_fits(path, each) for each in short)}
    return short if meant == set(paths) else sorted(paths)


def _factors(
    path: str,
    sides: Mapping[str, Tensor],
    shapes: Mapping[str, LinearShape],
    config: Mapping[str, Any],
) -> Factors:
    if path not in shapes:
        raise InvalidInputError(f"the model has no layer {path!r} that an adapter may change")
    if set(sides) != {"A", "B"}:
        raise InvalidInputError(f"of {path!r} the adapter has only lora_{'/'.join(sides)}")
    a, b, shape = sides["A"], sides["B"], shapes[path]
    rank = a.shape[0] if a.ndim else 0
    if tuple(a.shape) != (rank, shape.inputs) or tuple(b.shape) != (shape.outputs, rank):
        raise InvalidInputError(
            f"{path!r} wants A [rank, {shape.inputs}] and B [{shape.outputs}, rank], "
            f"not {list(a.shape)} and {list(b.shape)}"
        )
    return Factors(a, b, _scale(config, rank))


_REFUSED: Final = (
    "use_dora", "lora_bias", "modules_to_save", "rank_pattern", "alpha_pattern", "use_qalora",
    "layer_replication", "alora_invocation_tokens", "target_parameters", "trainable_token_indices",
    "use_bdlora", "arrow_config", "kasa_config", "monteclora_config", "velora_config",
)  # fmt: skip


def _scale(config: Mapping[str, Any], rank: int) -> float:
    """By what B A x is multiplied.

    Raises:
        InvalidInputError: The configuration asks for more than low-rank changes.
    """
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none":
        raise InvalidInputError("adapter_config wants peft_type LORA and bias none")
    if asked := [name for name in _REFUSED if config.get(name)]:
        raise InvalidInputError(f"adapter_config asks for {', '.join(asked)}, which is not served")
    alpha, said = config.get("lora_alpha"), config.get("r")
    if not isinstance(alpha, (int, float)) or said != rank:
        raise InvalidInputError(
            f"adapter_config wants a number lora_alpha and r {rank}, not {alpha!r} and {said!r}"
        )
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)
