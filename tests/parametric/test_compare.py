"""What two versions of a shard differ in: facts, weights, figures of their gates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.compare import Side, diff
from mneme.memories.parametric.facts import Entry, Fact, FactLedger
from mneme.memories.parametric.low_rank import changes_of


def _fact(subject: str, object_: str, cube: str = "c1", relation: str = "city") -> Fact:
    return Fact(
        cube_id=cube, version=1, subject=subject, relation=relation, object=object_,
        text=f"{subject}: {object_}",
    )  # fmt: skip


def _ledger(*facts: Fact) -> FactLedger:
    return FactLedger(tuple(Entry(fact=fact, prompts=("p",), held=()) for fact in facts))


def _adapter(seed: int = 0, rank: int = 2, *, base: str = "b", layers: str = "qk") -> Adapter:
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in layers:
        name = f"base_model.model.l.0.{layer}"
        tensors[f"{name}.lora_A.weight"] = torch.randn(rank, 5, generator=chance)
        tensors[f"{name}.lora_B.weight"] = torch.randn(7, rank, generator=chance)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 3, "target_modules": list(layers)}
    return Adapter(carrier="lora", base=base, config=config, tensors=tensors)


def test_facts_are_added_removed_and_changed() -> None:
    old = _ledger(_fact("Ada", "Rome"), _fact("Bo", "Oslo"), _fact("Cy", "Bonn", "c2"))
    new = _ledger(_fact("Ada", "Kyiv"), _fact("Cy", "Bonn", "c3"), _fact("Di", "Graz"))
    found = diff(Side(old, _adapter(), {}), Side(new, _adapter(), {}))
    assert [fact.subject for fact in found.added] == ["Di"]
    assert [fact.subject for fact in found.removed] == ["Bo"]
    assert [(a.object, b.object) for a, b in found.changed] == [("Rome", "Kyiv"), ("Bonn", "Bonn")]
    assert not found.same
    assert str(found).splitlines() == [
        "+ Di, city: Graz",
        "- Bo, city: Oslo",
        "~ Ada, city: Rome -> Kyiv",
        "~ Cy, city: Bonn -> Bonn (now from c3 v1, before c2 v1)",
        "weights: the same",
    ]


def test_two_facts_of_one_slot_are_told_apart() -> None:
    old = _ledger(_fact("Ada", "tea", relation="likes"), _fact("Ada", "jazz", relation="likes"))
    new = _ledger(_fact("Ada", "jazz", relation="likes"))
    found = diff(Side(old, _adapter(), {}), Side(new, _adapter(), {}))
    assert [fact.object for fact in found.removed] == ["tea"]
    assert not found.added
    assert not found.changed


def test_a_version_is_the_same_as_itself_bit_by_bit() -> None:
    side = Side(_ledger(_fact("Ada", "Rome")), _adapter(), {"efficacy": 1.0})
    found = diff(side, side)
    assert found.same
    assert set(found.moved.values()) == {0.0}


def test_the_smallest_move_of_one_weight_is_seen() -> None:
    tensors = {name: tensor.clone() for name, tensor in _adapter().tensors.items()}
    tensors["base_model.model.l.0.q.lora_A.weight"][0, 0] *= 1 + 2e-7
    ledger = _ledger(_fact("Ada", "Rome"))
    moved = diff(
        Side(ledger, _adapter(), {}), Side(ledger, replace(_adapter(), tensors=tensors), {})
    )
    assert 0 < moved.moved["l.0.q"] < 1e-5
    assert moved.moved["l.0.k"] == 0.0
    assert not moved.same


@given(seed=st.integers(0, 50), ranks=st.tuples(st.integers(1, 6), st.integers(1, 6)))
@settings(deadline=None)
def test_the_norm_is_that_of_the_dense_difference(seed: int, ranks: tuple[int, int]) -> None:
    one, two = _adapter(seed, ranks[0]), _adapter(seed + 1, ranks[1])
    found = diff(Side(_ledger(), one, {}), Side(_ledger(), two, {}))
    olds, news = changes_of(one), changes_of(two)
    for layer, old in olds.items():
        dense = news[layer].up @ news[layer].down - old.up @ old.down
        assert found.moved[layer] == pytest.approx(float(dense.norm()), rel=1e-9)
        assert found.size[layer] == pytest.approx(float((old.up @ old.down).norm()), rel=1e-9)


def test_a_layer_that_one_of_them_changes_has_moved_by_all_of_it() -> None:
    one, two = _adapter(layers="q"), _adapter(layers="qk")
    for old, new in ((one, two), (two, one)):
        moved = diff(Side(_ledger(), old, {}), Side(_ledger(), new, {})).moved
        assert moved["l.0.k"] == pytest.approx(changes_of(two)["l.0.k"].norm())
        assert moved["l.0.q"] == 0.0


def test_figures_of_both_gates_stand_side_by_side() -> None:
    ledger = _ledger(_fact("Ada", "Rome"))
    first = Side(ledger, _adapter(0), {"efficacy": 0.98, "held": 0.95})
    found = diff(first, Side(ledger, _adapter(1), {"efficacy": 1.0}))
    assert found.figures == {"efficacy": (0.98, 1.0), "held": (0.95, None)}
    said = str(found).splitlines()
    assert said[0].startswith("weights: 2 of 2 layers moved (by share, most: l.0.")
    assert said[1:] == ["gate efficacy: 0.980 -> 1.000", "gate held: 0.950 -> -"]


def test_versions_of_two_bases_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="different bases"):
        diff(Side(_ledger(), _adapter(), {}), Side(_ledger(), _adapter(base="other"), {}))
