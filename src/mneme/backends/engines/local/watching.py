"""Let somebody see every attention of a model.

By an implementation of attention of our own, which shows and then calls the one that was there;
keys are seen as they are before heads are repeated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mneme.backends.engines.local.session import LocalSession
from mneme.core.errors import UnsuitedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mneme.backends.engines.local.runner import Runner

Watch = Callable[[int, Any, Any, Any], None]
_PREFIX = "mneme-observed-"


class _Watched(NamedTuple):
    config: Any  # of the model that is watched
    watch: Watch
    layers: dict[int, int]  # from the model's number to ours


_now: ContextVar[tuple[_Watched, ...]] = ContextVar("watched", default=())


class Observation:
    """Watches a model, once it is shown that all of its layers can be watched."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._proven = False

    @contextmanager
    def observed(self, watch: Watch) -> Iterator[None]:
        """While it is open, `watch(layer, queries, keys, values)` sees every attention.

        Layers that use the cache of another layer are not shown. Nobody else's prompt runs
        meanwhile.

        Raises:
            UnsuitedModelError: The model computes attention in a way that cannot be watched.
        """
        with self._runner.lock:
            if not self._proven:
                self._prove()
                self._proven = True
            with self._watched(watch):
                yield

    @contextmanager
    def _watched(self, watch: Watch) -> Iterator[None]:
        text = self._runner.model.config.get_text_config(decoder=True)
        present = text._attn_implementation
        layers = {slot: number for number, slot in enumerate(self._runner.slots)}
        token = _now.set((*_now.get(), _Watched(text, watch, layers)))
        text._attn_implementation = _registered(present)
        try:
            yield
        finally:
            text._attn_implementation = present
            _now.reset(token)

    def _prove(self) -> None:
        seen: set[int] = set()
        with self._watched(lambda layer, *_: seen.add(layer)):
            LocalSession(self._runner, None, position=None, record=False).feed([self._runner.plain])
        if seen != set(range(len(self._runner.slots))):
            raise UnsuitedModelError(
                f"{self._runner.model.config.model_type} computes attention in a way that "
                "cannot be watched; use a policy that needs no attention"
            )


def _registered(present: str) -> str:
    """The name of the implementation that shows what the present one is given."""
    if present.startswith(_PREFIX):
        return present
    name = _PREFIX + present
    if name not in ALL_ATTENTION_FUNCTIONS:

        def attend(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            for config, watch, layers in _now.get():
                if module.config is config and module.layer_idx in layers:
                    watch(layers[module.layer_idx], query[0], key[0], value[0])
            return _present(module, present)(module, query, key, value, *args, **kwargs)

        if present in ALL_MASK_ATTENTION_FUNCTIONS:
            AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[present])
        AttentionInterface.register(name, attend)
    return name


def _present(module: Any, name: str) -> Any:  # noqa: ANN401
    if name in ALL_ATTENTION_FUNCTIONS:
        return ALL_ATTENTION_FUNCTIONS[name]
    return vars(sys.modules[type(module).__module__])["eager_attention_forward"]
