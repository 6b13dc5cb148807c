"""What approximate unlearning left behind, and what it broke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from mneme.memories.parametric.batch import next_logits
from mneme.memories.parametric.lora import LoraCarrier
from mneme.memories.parametric.unlearn.opened import Opened, is_right, never_learned, surprise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.training import Lesson

_TAUGHT: Final = 5  # forgotten facts that are told again
_STEPS, _RATE = 100, 3e-4  # gentle: a rough attack destroys what it looks for


class Shares(NamedTuple):
    """Of an adapter that is always on.

    forgotten: Share of the lessons to forget that are answered right; 0 to chance is wanted.
    retained: Share of the lessons to retain that are answered right.
    base_kept: Share of the probes whose likeliest next token is the base's.
    """

    forgotten: float
    retained: float
    base_kept: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Before and after; of an exact result, too, which is the yardstick.

    Attributes:
        before: Of the adapter as it was.
        after: Of the changed one.
        logp: Mean log-probability of the forgotten answers, with the changed adapter on.
        never_logp: The same of the base alone, which never learned them.
        relearned: After some of the forgotten facts are told again: the share of the others'
            lessons that are answered right. What comes back was hidden, not gone. None: too few
            facts to tell some of them and ask for others.
    """

    before: Shares
    after: Shares
    logp: float
    never_logp: float
    relearned: float | None

    label: str = "approximate"

    def __str__(self) -> str:
        back = "-" if self.relearned is None else f"{self.relearned:.2f}"
        return (
            f"{self.label}: forgotten facts answered {self.before.forgotten:.2f} -> "
            f"{self.after.forgotten:.2f} (log p {self.logp:.1f}, never learned "
            f"{self.never_logp:.1f}; {back} come back when others are told again), retained "
            f"{self.before.retained:.2f} -> {self.after.retained:.2f}, base kept "
            f"{self.before.base_kept:.2f} -> {self.after.base_kept:.2f}"
        )


def damage(
    engine: Engine,
    before: Adapter,
    after: Adapter,
    forget: Sequence[Lesson],
    retain: Sequence[Lesson],
    probes: Sequence[Sequence[int]],
) -> Damage:
    """Measure what an unlearner did.

    Args:
        engine: Of the base of both.
        before: As it was.
        after: What the unlearner made.
        forget: What it was to forget; `fact` tells the facts apart.
        retain: What it was to keep.
        probes: Prompts that ask for something else.

    Raises:
        InvalidInputError: An adapter is of another base.
    """
    opened = Opened(engine, after)
    with opened.on(), torch.no_grad():
        logp = -float(surprise(engine, forget).mean())
    return Damage(
        before=_shares(engine, before, forget, retain, probes),
        after=_shares(engine, after, forget, retain, probes),
        logp=logp,
        never_logp=-float(never_learned(engine, forget).mean()),
        relearned=_relearned(opened, forget),
    )


def _shares(
    engine: Engine,
    adapter: Adapter,
    forget: Sequence[Lesson],
    retain: Sequence[Lesson],
    probes: Sequence[Sequence[int]],
) -> Shares:
    applied = LoraCarrier().apply(engine, adapter)
    with applied.on():
        forgotten, retained = (is_right(engine, part).float().mean() for part in (forget, retain))
    now, base = next_logits(engine, probes, applied), next_logits(engine, probes)
    kept = (now.argmax(-1) == base.argmax(-1)).float().mean()
    applied.close()
    return Shares(float(forgotten), float(retained), float(kept))


def _relearned(opened: Opened, forget: Sequence[Lesson]) -> float | None:
    """Tell some again, step by step until they are known, and ask for the others."""
    facts = list(dict.fromkeys(lesson.fact for lesson in forget))
    told = [lesson for lesson in forget if lesson.fact in facts[:_TAUGHT]]
    others = [lesson for lesson in forget if lesson.fact in facts[_TAUGHT:]]
    if not others:
        return None
    optimizer = torch.optim.AdamW(opened.moving, lr=_RATE, weight_decay=0.0)
    for _ in range(_STEPS):
        with opened.on(), torch.enable_grad():
            if bool(is_right(opened.engine, told).all()):
                break
            slopes = opened.gradients(surprise(opened.engine, told).mean())
        for number, slope in zip(opened.moving, slopes, strict=True):
            number.grad = slope
        optimizer.step()
    with opened.on():
        return float(is_right(opened.engine, others).float().mean())
