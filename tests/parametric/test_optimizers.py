"""Optimizers by name: what they keep, to the byte, and what they compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError, MissingDependencyError
from mneme.memories.parametric.galore import GaLore, directions
from mneme.memories.parametric.lomo import Lomo
from mneme.memories.parametric.optimizers import (
    NAMES,
    build_optimizer,
    keeps_tensors,
    made_by,
    rate_factor,
    release,
    state_bytes,
)
from mneme.memories.parametric.quantised_adam import BLOCK, QuantisedAdamW, packed, unpacked

HERE = [
    name
    for name in NAMES
    if (name != "apollo" or find_spec("apollo_torch"))
    and (name != "adamw8bit" or not find_spec("bitsandbytes"))
]
SHAPES = [(2, 128), (256, 2), (160, 200), (200, 160), (300,), (7,)]


def weights(shapes: Sequence[tuple[int, ...]], seed: int = 0) -> list[torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=chance).requires_grad_() for shape in shapes]


def descend(
    optimizer: torch.optim.Optimizer, found: list[torch.Tensor], wanted: list[torch.Tensor]
) -> float:
    """One step towards other numbers; the loss before it."""
    pairs = zip(found, wanted, strict=True)
    loss = torch.stack([(one - other).square().mean() for one, other in pairs]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def kept(optimizer: torch.optim.Optimizer) -> Iterator[torch.Tensor]:
    for state in optimizer.state.values():
        for each in state.values():
            if isinstance(each, torch.Tensor):
                yield each


@pytest.mark.parametrize("name", HERE)
def test_state_takes_the_bytes_that_were_said(name: str) -> None:
    for shapes in ([shape] for shape in SHAPES):
        found = weights(shapes)
        optimizer = build_optimizer(name, found, rate=1e-3)
        for _ in range(2):
            descend(optimizer, found, weights(shapes, 1))
        if name == "apollo":
            continue  # its direction is within an object of its own
        assert sum(each.nbytes for each in kept(optimizer)) == state_bytes(name, shapes), shapes
    assert state_bytes(name, SHAPES) == sum(state_bytes(name, [shape]) for shape in SHAPES)


@pytest.mark.parametrize("name", HERE)
def test_each_descends(name: str) -> None:
    found, wanted = weights(SHAPES), weights(SHAPES, 1)
    optimizer = build_optimizer(name, found, rate=2e-2 * rate_factor(name))
    losses = [descend(optimizer, found, wanted) for _ in range(40)]
    assert losses[-1] < 0.9 * losses[0]


def test_eight_bits_go_where_full_precision_goes() -> None:
    shapes = [(128, 96), (64, 64)]
    full, small = weights(shapes), weights(shapes)
    wanted = weights(shapes, 1)
    exact = torch.optim.AdamW(full, 1e-2, weight_decay=0.1)
    near = QuantisedAdamW(small, 1e-2, weight_decay=0.1)
    before = [each.detach().clone() for each in full]
    for _ in range(30):
        descend(exact, full, wanted)
        descend(near, small, wanted)
    for one, other, start in zip(full, small, before, strict=True):
        moved = (one - start).norm()
        assert (one - other).norm() < 0.05 * moved, "8-bit moments went elsewhere"
    assert {each.dtype for each in kept(near) if each.ndim} == {torch.uint8, torch.float32}


def test_eight_bits_are_opened_in_parts_of_a_large_weight() -> None:
    shapes, steps = [(1030, 1030)], 3  # more than one part, and a block that is not full
    whole, parts = weights(shapes), weights(shapes)
    wanted = weights(shapes, 1)
    exact, near = torch.optim.AdamW(whole, 1e-2, weight_decay=0.0), QuantisedAdamW(parts, 1e-2)
    for _ in range(steps):
        descend(exact, whole, wanted)
        descend(near, parts, wanted)
    assert (whole[0] - parts[0]).abs().max() < 0.3 * steps * 1e-2
    assert (whole[0] - parts[0]).norm() < 0.02 * (whole[0] - weights(shapes)[0]).norm()


def test_small_weights_are_trained_exactly_as_by_adamw() -> None:
    for make in (QuantisedAdamW, GaLore):
        one, other = weights([(2, 128), (9,)]), weights([(2, 128), (9,)])
        wanted = weights([(2, 128), (9,)], 1)
        exact = torch.optim.AdamW(one, 1e-2, weight_decay=0.0)
        near = make(other, 1e-2)
        for _ in range(20):
            descend(exact, one, wanted)
            descend(near, other, wanted)
        for left, right in zip(one, other, strict=True):
            assert torch.allclose(left, right, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 700), st.booleans(), st.integers(-9, 9), st.integers(0, 99))
def test_values_in_eight_bits_are_near(count: int, signed: bool, power: int, seed: int) -> None:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed)) * 10.0**power
    values = values if signed else values.abs()
    codes, scales = packed(values, signed=signed)
    back = unpacked(codes, scales, signed=signed)
    assert codes.dtype == torch.uint8
    assert back.shape == values.shape
    largest = scales.repeat_interleave(BLOCK)[:count]
    assert bool(((back - values).abs() <= 0.02 * largest).all())
    if not signed:
        assert bool((back[values > 0] > 0).all()), "what is divided by became zero"
    again = unpacked(*packed(back, signed=signed), signed=signed)
    assert torch.allclose(again, back, rtol=0.02)


def test_zeros_stay_zeros_in_eight_bits() -> None:
    zeros = torch.zeros(3 * BLOCK + 1)
    for signed in (True, False):
        assert torch.equal(unpacked(*packed(zeros, signed=signed), signed=signed), zeros)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_galore_moves_only_in_the_largest_directions(shape: tuple[int, int]) -> None:
    found, wanted = weights([shape]), weights([shape], 1)
    optimizer = GaLore(found, 1e-2, rank=4, gap=5)
    for step in range(7):
        before = found[0].detach().clone()
        grad = 2 * (before - wanted[0]).detach() / before.numel()
        descend(optimizer, found, wanted)
        moved = found[0].detach() - before
        assert torch.linalg.matrix_rank(moved, rtol=1e-3) <= 4
        if step in {0, 5}:
            wide = grad if shape[0] < shape[1] else grad.T
            basis = directions(wide, 4)
            assert torch.allclose(basis.T @ basis, torch.eye(4), atol=1e-5)
            exact = torch.linalg.svd(wide)[0][:, :4]
            assert torch.allclose(basis @ basis.T, exact @ exact.T, atol=1e-3)
            across = moved if shape[0] < shape[1] else moved.T
            assert torch.allclose(basis @ (basis.T @ across), across, atol=1e-6)


def test_lomo_keeps_neither_gradients_nor_state() -> None:
    found, wanted = weights([(30, 20), (9,)]), weights([(30, 20), (9,)], 1)
    before = [each.detach().clone() for each in found]
    optimizer = Lomo(found, 0.5)
    loss = torch.stack([(a - b).square().sum() for a, b in zip(found, wanted, strict=True)]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(each.grad is None for each in found)
    assert not optimizer.state
    for after, start, goal in zip(found, before, wanted, strict=True):
        grad = 2 * (start - goal).detach()
        assert torch.allclose(after, start - 0.5 * grad / max(1.0, float(grad.norm())), atol=1e-6)
    optimizer.close()
    moved = [each.detach().clone() for each in found]
    (found[0].sum() + found[1].sum()).backward()  # type: ignore[no-untyped-call]
    assert all(torch.equal(a, b) for a, b in zip(found, moved, strict=True)), "hooks were left"


def test_what_has_no_gradient_stays() -> None:
    for name in HERE:
        one, other = weights([(160, 200), (160, 200)])
        before = other.detach().clone()
        optimizer = build_optimizer(name, [one, other], rate=1e-2)
        one.square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        release(optimizer)
        assert torch.equal(other, before), name


def test_apollo_is_never_brought_along() -> None:
    if find_spec("apollo_torch"):
        pytest.skip("apollo-torch is installed here")
    with pytest.raises(MissingDependencyError, match="pip install apollo-torch") as caught:
        build_optimizer("apollo", weights([(4, 4)]), rate=1e-2)
    assert "forbids commercial use" in str(caught.value)
    assert not keeps_tensors("apollo")
    assert state_bytes("apollo", [(160, 200), (7,)]) == 4 * (2 * 200 + 160 + 1) + 4 * 14


@pytest.mark.skipif(not find_spec("bitsandbytes"), reason="bitsandbytes is not installed")
def test_bitsandbytes_is_used_where_it_is() -> None:
    found, wanted = weights([(128, 96)]), weights([(128, 96)], 1)
    optimizer = build_optimizer("adamw8bit", found, rate=1e-2)
    assert "bitsandbytes" in type(optimizer).__module__
    assert made_by("adamw8bit") == "adamw8bit of bitsandbytes"
    losses = [descend(optimizer, found, wanted) for _ in range(20)]
    assert losses[-1] < losses[0]


def test_unknown_names_are_refused() -> None:
    for ask in (lambda: state_bytes("sgd", []), lambda: rate_factor("sgd")):
        with pytest.raises(InvalidInputError, match="no optimizer 'sgd'; there are adamw, ada"):
            ask()
    with pytest.raises(InvalidInputError, match="no optimizer 'sgd'"):
        build_optimizer("sgd", [], rate=1.0)
    assert made_by("adamw") == "adamw"
