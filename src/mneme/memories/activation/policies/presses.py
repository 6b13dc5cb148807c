"""Which presses of kvpress 0.5.5 are policies here, and why others are not.

Left out, by reason:

- They only mask, so that no byte is freed, and the mask hangs on the model instead of the cache:
  AdaKV, CriticalAdaKV, DMS, DuoAttention, FastKVzip, KVCompose, KVgrad, KVzip, LUKV, RestoreKV.
- They need something trained for the model, which they fetch: DuoAttention, ExpectedAttentionStats,
  FastKVzip, KVzap, QFilter, RestoreKV.
- They keep different numbers in different layers: PerLayerCompression, PyramidKV, SimLayerKV.
- They move tokens to other positions, which a stored memory must not: Finch, KeyRerotation.
- They work while an answer grows, where this package has policies of its own: CAM,
  CompressionRatioDecoding, Decoding, PrefillDecoding.
- They only join others: Composed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.memories.activation.policies.policy import About
from mneme.memories.activation.policies.pressed import Pressed

if TYPE_CHECKING:
    from collections.abc import Callable


def _press(
    name: str,
    paper: str,
    make: Callable[[Any, float, int], Any],
    *,
    grain: int = 1,
    eager: bool = False,
    **more: bool,
) -> Pressed:
    about = About(
        name=f"kvpress-{name}", paper=paper, stage="build", extra="kvpress", grain=grain, **more
    )
    return Pressed(about, make, eager)


def _window(tokens: int) -> int:
    """Last tokens that observe; 64, or less of a short text."""
    return min(64, tokens // 8)


def _snapkv(kvpress: Any, share: float, tokens: int) -> Any:  # noqa: ANN401
    return kvpress.SnapKVPress(share, window_size=_window(tokens))


CHUNK = 8  # tokens that ChunkKV keeps or drops together

PRESSES: tuple[Pressed, ...] = (
    _press("random", "none: the yardstick", lambda k, share, _: k.RandomPress(share, seed=0)),
    _press(
        "streaming-llm",
        "StreamingLLM, arXiv:2309.17453",
        lambda k, share, _: k.StreamingLLMPress(share),
    ),
    _press("knorm", "L2 norm, arXiv:2406.11430", lambda k, share, _: k.KnormPress(share)),
    _press("keydiff", "KeyDiff, arXiv:2504.15364", lambda k, share, _: k.KeyDiffPress(share)),
    _press(
        "keydiff-blocks",
        "KeyDiff in blocks, arXiv:2504.15364",
        lambda k, share, _: k.BlockPress(k.KeyDiffPress(share), block_size=64),
    ),
    _press("snapkv", "SnapKV, arXiv:2404.14469", _snapkv),
    _press("tova", "TOVA, arXiv:2401.06104", lambda k, share, _: k.TOVAPress(share)),
    _press(
        "expected-attention",
        "Expected Attention, arXiv:2510.00636",
        lambda k, share, _: k.ExpectedAttentionPress(share, n_future_positions=128),
    ),
    _press(
        "h2o",
        "H2O, arXiv:2306.14048",
        lambda k, share, _: k.ObservedAttentionPress(share),
        eager=True,
    ),
    _press(
        "lagkv",
        "LagKV, arXiv:2504.04704",
        lambda k, share, tokens: k.LagKVPress(share, lag_size=min(128, tokens // 8)),
    ),
    _press("cur", "CurDKV, arXiv:2509.15038", lambda k, share, _: k.CURPress(share)),
    _press(
        "leverage",
        "Compactor's leverage, arXiv:2507.08143",
        lambda k, share, _: k.LeverageScorePress(share),
    ),
    _press(
        "non-causal",
        "Compactor's attention, arXiv:2507.08143",
        lambda k, share, _: k.NonCausalAttnPress(share),
    ),
    _press("compactor", "Compactor, arXiv:2507.08143", lambda k, share, _: k.CompactorPress(share)),
    _press("capkv", "CapKV, arXiv:2604.25975", lambda k, share, _: k.CapPress(share)),
    _press(
        "critical-knorm",
        "CriticalKV on key norms, arXiv:2502.03805",
        lambda k, share, _: k.CriticalKVPress(k.KnormPress(share)),
    ),
    _press(
        "chunkkv",
        "ChunkKV on SnapKV, arXiv:2502.00299",
        lambda k, share, n: k.ChunkKVPress(_snapkv(k, share, n), chunk_length=CHUNK),
        grain=2 * CHUNK,
    ),
    _press(
        "chunkkv-entropy",
        "ChunkKV on SnapKV, gated by entropy, arXiv:2502.00299",
        lambda k, share, n: k.EntropyGatedChunkKVPress(_snapkv(k, share, n)),
    ),
    _press(
        "chunked-knorm",
        "FINCH's chunks on key norms, arXiv:2408.00167",
        lambda k, share, _: k.ChunkPress(k.KnormPress(share), chunk_length=64),
        grain=16,
    ),
    _press(
        "merging-keydiff",
        "Token merging on KeyDiff, arXiv:2210.09461",
        lambda k, share, _: k.MergingPress(k.KeyDiffPress(share)),
        merges=True,
    ),
    _press(
        "think",
        "ThinK, arXiv:2407.21018",
        lambda k, share, tokens: k.ThinKPress(share, window_size=_window(tokens)),
        frees_bytes=False,
    ),
)
