"""Adapters that were made elsewhere: what of them fits a model, and what is refused and why.

Nothing vouches for them: which base they were trained on is what their makers say, and what they
know is written nowhere. What is taken is brought to the plain form that is served here, with a
configuration of our own: no field of theirs is read again later.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from torch.nn.functional import pad

from mneme.core.errors import ImportRefusedError, InvalidInputError
from mneme.memories.parametric import cartridge, lora
from mneme.memories.parametric.adapter import Adapter, base_of
from mneme.memories.parametric.bundle import Bundle, rows, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.folder import Foreign
    from mneme.memories.parametric.lora import Factors

_PREFIXES: Final = ("PREFIX_TUNING", "CARTRIDGE")
_MORE: Final = (  # fields of peft's LoraConfig by which it is more than low-rank changes
    "use_dora", "lora_bias", "modules_to_save", "layer_replication", "alora_invocation_tokens",
    "target_parameters", "trainable_token_indices", "use_qalora", "use_bdlora", "arrow_config",
    "kasa_config", "monteclora_config", "velora_config",
)  # fmt: skip
_STARTS: Final = (True, False, None, "gaussian", "eva", "orthogonal")  # that leave the base alone
_NAME: Final = re.compile(r"\^?\w+(\.\w+)*", re.ASCII)  # a layer; any other pattern could be slow
_LONGEST_NAME: Final = 300


def foreign_adapter(engine: Engine, source: Foreign | Bundle) -> Adapter:
    """An adapter of somebody else as one of this engine's base.

    Taken are LoRA, with ranks and alphas of single layers and rsLoRA (arXiv 2312.03732), and
    prefixes of keys and values. That it fits in its shapes does not say that it was trained on
    this base: `origin` notes that nobody checked it.

    Args:
        engine: Whose model it shall be used on.
        source: What `folder.read_folder` read; of an own export all is checked as it is here.

    Raises:
        ImportRefusedError: It is of a kind that is not served here; names it (DoRA, biases, whole
            modules, starts that change the base, ...).
        InvalidInputError: It does not fit the model; names the layer and both shapes.
        UnsuitedModelError: The model takes no such adapter at all.
    """
    if isinstance(source, Bundle):
        return unpack(source.files, rows(source), base=base_of(engine.fields)).adapter
    kind = source.config.get("peft_type")
    if kind == "LORA":
        return _lora(engine, source.config, source.tensors)
    if kind in _PREFIXES:
        return _prefix(engine, source.config, source.tensors)
    raise ImportRefusedError(
        f"its peft_type is {str(kind)[:40]!r}; only LORA, {' and '.join(_PREFIXES)} are taken"
    )


def origin(source: Foreign | Bundle) -> dict[str, Any]:
    """What is to be noted beside it: whether its base was checked, and which one it claims."""
    if isinstance(source, Bundle):
        return {"verified_base": True}
    said = source.config.get("base_model_name_or_path")
    claimed = said[:_LONGEST_NAME] if isinstance(said, str) else None
    return {"verified_base": False, "claimed_base": claimed}


def _lora(engine: Engine, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Adapter:
    _check_plain(config)
    shapes = lora.targets(engine.model)
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        path, side = lora.split_name(name)
        if path not in shapes:
            raise InvalidInputError(f"the model has no layer {path!r} that an adapter may change")
        pairs.setdefault(path, {})[side] = tensor
    parts = {path: _part(path, sides, config) for path, sides in pairs.items()}
    if not parts:
        raise InvalidInputError("the adapter has no tensors")
    rank, alpha = max(len(part.a) for part in parts.values()), _one_alpha(parts)
    made: dict[str, Tensor] = {}
    for path, part in parts.items():
        made |= zip(lora.weight_names(path), _uniform(part, rank, alpha), strict=True)
    chosen = {path: shapes[path] for path in parts}
    adapter = Adapter(
        carrier=lora.NAME,
        base=base_of(engine.fields),
        config=lora.lora_config(engine.model, chosen, rank=rank, alpha=alpha),
        tensors=made,
    )
    lora.factors(adapter, shapes)  # refuses what does not fit
    return adapter


def _prefix(engine: Engine, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Adapter:
    """A prefix; also one that was trained through a projection: peft keeps what came of it."""
    if config.get("num_transformer_submodules", 1) not in {1, None}:
        raise ImportRefusedError("it is a prefix of an encoder and a decoder; that is not served")
    flat = tensors.get(cartridge.TENSOR)
    if flat is None or len(tensors) != 1 or flat.ndim != 2:
        raise InvalidInputError(f"a prefix has one tensor, {cartridge.TENSOR} [tokens, numbers]")
    cartridge.check_suited(engine)
    session = engine.session(record=True)
    session.feed([0])
    shape = cartridge.prefix_shape(session.recorded())
    said = config.get("num_layers"), config.get("token_dim")
    wanted = shape.layers, shape.heads * shape.size
    if said != wanted or flat.shape[1] != shape.width:
        raise InvalidInputError(
            f"a prefix of {said[0]} layers of {said[1]} numbers, in {flat.shape[1]} for each token;"
            f" the model has {wanted[0]} layers of {wanted[1]}, and wants {shape.width}"
        )
    adapter = Adapter(
        carrier=cartridge.NAME,
        base=base_of(engine.fields),
        config=cartridge.cartridge_config(shape, len(flat)),
        tensors={cartridge.TENSOR: flat},
    )
    cartridge.CartridgeCarrier().apply(engine, adapter).close()  # refuses one that is too long
    return adapter


def _check_plain(config: Mapping[str, Any]) -> None:
    """Refuse by name what low-rank changes of layers alone do not say."""
    asked = [name for name in _MORE if config.get(name)]
    if config.get("bias", "none") != "none":
        asked.append("bias")
    if asked:
        raise ImportRefusedError(f"it wants {', '.join(asked)}, which is not served")
    start = config.get("init_lora_weights", True)
    if start not in _STARTS:
        raise ImportRefusedError(
            f"it was started by {str(start)[:40]!r}, which changes the base's weights; save it "
            "converted to plain LoRA (peft: path_initial_model_for_weight_conversion)"
        )


def _part(path: str, sides: Mapping[str, Tensor], config: Mapping[str, Any]) -> Factors:
    """The factors of a layer with what they are multiplied by, as peft reads the configuration."""
    if set(sides) != {"A", "B"}:
        raise InvalidInputError(f"of {path!r} the adapter has only lora_{'/'.join(sides)}")
    a, b = sides["A"], sides["B"]
    rank = _of_layer(config, "rank_pattern", path, config.get("r"))
    alpha = _of_layer(config, "alpha_pattern", path, config.get("lora_alpha"))
    if a.ndim != 2 or b.ndim != 2 or type(rank) is not int or len(a) != rank or rank < 1:
        raise InvalidInputError(f"{path!r} has A {list(a.shape)}, and its config says rank {rank}")
    if (
        isinstance(alpha, bool)
        or not isinstance(alpha, (int, float))
        or not math.isfinite(alpha)
        or not alpha
    ):
        raise InvalidInputError(f"{path!r} needs a number lora_alpha other than 0, not {alpha!r}")
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return lora.Factors(a.float(), b.float(), scale)


def _of_layer(config: Mapping[str, Any], field: str, path: str, default: object) -> object:
    """What a configuration says of one layer: the first pattern that fits the end of its path."""
    patterns = config.get(field) or {}
    if not isinstance(patterns, dict):
        raise InvalidInputError(f"{field} of adapter_config is no object")
    for pattern, value in patterns.items():
        if len(pattern) > _LONGEST_NAME or not _NAME.fullmatch(pattern):
            raise ImportRefusedError(
                f"{field} has {pattern[:40]!r}; only names of layers are taken, not expressions"
            )
        if re.fullmatch(rf"(.*\.)?({pattern})", path):
            return value
    return default


def _one_alpha(parts: Mapping[str, Factors]) -> float:
    """What suits all layers; where none does, the rank: the scales go into the matrices then."""
    ranks = {len(part.a) for part in parts.values()}
    scales = {part.scale for part in parts.values()}
    highest = max(ranks)
    return scales.pop() * highest if len(ranks) == len(scales) == 1 else float(highest)


def _uniform(part: Factors, rank: int, alpha: float) -> tuple[Tensor, Tensor]:
    """The same change in matrices of a rank that is not smaller, for one scale."""
    missing = rank - len(part.a)
    scale = part.scale * rank / alpha
    b = part.b if math.isclose(scale, 1.0, rel_tol=1e-12) else part.b * scale
    return pad(part.a, (0, 0, 0, missing)), pad(b, (0, missing)).contiguous()
