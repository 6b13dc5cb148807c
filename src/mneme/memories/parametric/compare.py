"""What changed from one version of a shard to another: its facts, its weights, its proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.low_rank import Change, changes_of, stacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.facts import Fact, FactLedger

_SHOWN = 3  # layers that the text names


class Side(NamedTuple):
    """One version of a shard.

    gate: The figures of its gate by name; empty: it has none.
    """

    ledger: FactLedger
    adapter: Adapter
    gate: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterDiff:
    """What is otherwise in the second version.

    Attributes:
        added: Facts that the second alone has.
        removed: Facts that the first alone has.
        changed: What the first says, and what the second says instead of the same subject and
            relation: another object, or the same from another cube or version of it.
        moved: By layer: the Frobenius norm of the difference of the two changes of its weights.
        size: By layer: the norm of the first version's change, to see `moved` against.
        figures: By name of a figure of a gate: the first's and the second's; None: not measured.
    """

    added: tuple[Fact, ...]
    removed: tuple[Fact, ...]
    changed: tuple[tuple[Fact, Fact], ...]
    moved: Mapping[str, float]
    size: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether facts and weights are the same; bit by bit, the latter."""
        return not (self.added or self.removed or self.changed or any(self.moved.values()))

    def __str__(self) -> str:
        lines = [f"+ {fact.subject}, {fact.relation}: {fact.object}" for fact in self.added]
        lines += [f"- {fact.subject}, {fact.relation}: {fact.object}" for fact in self.removed]
        lines += [_change(old, new) for old, new in self.changed]
        lines += [self._weights()]
        lines += [f"gate {n}: {_number(a)} -> {_number(b)}" for n, (a, b) in self.figures.items()]
        return "\n".join(lines)

    def _weights(self) -> str:
        far = sorted((layer for layer, by in self.moved.items() if by), key=self._share)
        if not far:
            return "weights: the same"
        most = ", ".join(f"{layer} {self._share(layer):.2f}" for layer in far[: -_SHOWN - 1 : -1])
        return f"weights: {len(far)} of {len(self.moved)} layers moved (by share, most: {most})"

    def _share(self, layer: str) -> float:
        return self.moved[layer] / (self.size.get(layer) or self.moved[layer] or 1.0)


def diff(first: Side, second: Side) -> AdapterDiff:
    """What is otherwise in the second.

    Raises:
        InvalidInputError: They are of different bases, or no plain LoRA.
    """
    if first.adapter.base != second.adapter.base:
        raise InvalidInputError("versions of different bases cannot be compared")
    before, facts = changes_of(first.adapter), _otherwise(first.ledger, second.ledger)
    names = dict.fromkeys([*first.gate, *second.gate])
    return AdapterDiff(
        added=tuple(new for old, new in facts if old is None and new is not None),
        removed=tuple(old for old, new in facts if new is None and old is not None),
        changed=tuple((old, new) for old, new in facts if old is not None and new is not None),
        moved=_moved(before, changes_of(second.adapter)),
        size={layer: part.norm() for layer, part in before.items()},
        figures={name: (first.gate.get(name), second.gate.get(name)) for name in names},
    )


def _otherwise(first: FactLedger, second: FactLedger) -> list[tuple[Fact | None, Fact | None]]:
    """What one of them alone says, paired where it is about the same subject and relation."""
    old, new = _facts(first), _facts(second)
    slots = dict.fromkeys((fact.subject, fact.relation) for fact in [*old, *new])
    pairs: list[tuple[Fact | None, Fact | None]] = []
    for slot in slots:
        gone = [fact for fact in old if (fact.subject, fact.relation) == slot and fact not in new]
        come = [fact for fact in new if (fact.subject, fact.relation) == slot and fact not in old]
        pairs += zip_longest(gone, come)
    return pairs


def _facts(ledger: FactLedger) -> dict[Fact, None]:
    return dict.fromkeys(entry.fact for entry in ledger.entries)


def _moved(old: Mapping[str, Change], new: Mapping[str, Change]) -> dict[str, float]:
    return {
        layer: _distance(old.get(layer), new.get(layer)) for layer in dict.fromkeys([*old, *new])
    }


def _distance(old: Change | None, new: Change | None) -> float:
    """The norm of new - old; exactly 0.0 where the matrices are the same."""
    if old is not None and new is not None and _same(old, new):
        return 0.0
    parts = [] if new is None else [new]
    if old is not None:
        parts.append(Change(old.down, -old.up))
    return stacked(parts).norm()


def _same(one: Change, other: Change) -> bool:
    return all(
        mine.shape == its.shape and torch.equal(mine, its)
        for mine, its in zip(one, other, strict=True)
    )


def _change(old: Fact, new: Fact) -> str:
    said = f"~ {new.subject}, {new.relation}: {old.object} -> {new.object}"
    if old.object != new.object:
        return said
    return f"{said} (now from {new.cube_id} v{new.version}, before {old.cube_id} v{old.version})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
