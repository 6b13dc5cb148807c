"""What a request cost and what memory saved it. No tensors: any process may read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """The ledger's entry of one request. Seconds of wall time.

    Attributes:
        ttft_s: From the ready prompt to the first token of the answer; loading included.
        total_s: From the call to the end of the answer; recall included.
        prompt_tokens: Of the whole prompt; None where a server does not say it.
        hit_tokens: Of them, those whose keys and values were not computed.
        tokens_by_tier: Where keys and values came from, those of tokens that were computed again
            included: "device", "host", "disk", "remote"; "server" for a server's own cache.
        answer_tokens: Of the answer.
        load_s: To read blocks, check them and put them together.
        decode_s: To turn their form into keys and values.
        prefill_s: The rest of `ttft_s`: to look up what is known, compute what is not, keep the
            head where it was new, and verify a sampled hit.
        first_decode_s: To compute the second token of the answer; None if there was none.
        loaded_bytes: Of blocks.
        built_s: What it once took to compute what was hit.
        break_even: Uses after which computing and keeping it has paid for itself; None if it
            never does, or nothing was hit.
        verified: Whether the hit was compared with a full prefill and agreed; None: not sampled.
        stored_tokens: Tokens whose keys and values were kept after the answer.
        failed: What went wrong on the way and was done without, in words.
    """

    ttft_s: float
    total_s: float
    prompt_tokens: int | None
    hit_tokens: int = 0
    tokens_by_tier: Mapping[str, int] = field(default_factory=dict)
    answer_tokens: int = 0
    load_s: float = 0.0
    decode_s: float = 0.0
    prefill_s: float = 0.0
    first_decode_s: float | None = None
    loaded_bytes: int = 0
    built_s: float = 0.0
    break_even: float | None = None
    verified: bool | None = None
    stored_tokens: int = 0
    failed: tuple[str, ...] = ()


class Ledger:
    """Sums over the requests of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[str, float] = {}

    def enter(self, timings: Timings) -> None:
        """Add a request."""
        new: dict[str, float] = {
            "requests": 1,
            "prompt_tokens": timings.prompt_tokens or 0,
            "hit_tokens": timings.hit_tokens,
            "loaded_bytes": timings.loaded_bytes,
            "saved_s": max(0.0, timings.built_s - timings.load_s - timings.decode_s),
            "verified": int(timings.verified is True),
            "refuted": int(timings.verified is False),
        }
        new |= {f"hit_tokens_{tier}": n for tier, n in timings.tokens_by_tier.items()}
        with self._lock:
            for name, value in new.items():
                self._sums[name] = self._sums.get(name, 0) + value

    def sums(self) -> dict[str, float]:
        """The sums, by name."""
        with self._lock:
            return dict(self._sums)


def break_even(cost_s: float, saved_s: float) -> float | None:
    """Uses after which a cost has come back; None if each use saves nothing."""
    return cost_s / saved_s if saved_s > 0 else None
