"""A fixed number of low-rank changes on one model at once, each row of a batch with its own.

For each layer two stacked tensors hold all slots; an adapter is copied into them in place, so that
the memory that serving takes is known before the first request, as in S-LoRA (arXiv 2311.03285). A
row's numbers never meet the tensors of another row's slot, and a row without slot is not touched at
all: whatever lies in a slot, nobody else's answer depends on it.

In: adapters, and for each row of a batch its slot or None.
Out: the model's own forward pass with the changes added to the outputs of its layers.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch.nn import functional

from mneme.core.errors import InvalidInputError, UnsuitedModelError
from mneme.memories.parametric.adapter import base_of
from mneme.memories.parametric.bundle import check_base
from mneme.memories.parametric.fitted import Fitted, fitted
from mneme.memories.parametric.lora import LinearShape, linears, targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.fitted import Part

# Different slots in one batch up to which a product for each of them beats gathering the matrices
# of each row: measured on one core of a CPU with layers of 128 to 4,864. On an accelerator each
# product is a few launches more; not measured there.
_GROUPED: Final = {"cpu": 8}


class _Stack(NamedTuple):
    """All slots of one layer.

    down: [slots, rank, inputs].
    up: [slots, outputs, rank].
    """

    down: Tensor
    up: Tensor

    def at(self, slot: int, rank: int) -> tuple[Tensor, Tensor]:
        """Views of a slot's matrices, of as many components as are used."""
        down, up = self.down.select(0, slot), self.up.select(0, slot)
        if rank < down.shape[0]:
            down, up = down.narrow(0, 0, rank), up.narrow(1, 0, rank)
        return down, up


class _Held(NamedTuple):
    """What is in a slot: its name, its rank, and the layers that it changes."""

    tag: str | None
    rank: int
    paths: frozenset[str]


class _Plan(NamedTuple):
    """Which rows of a batch run with which slot.

    size: Rows of the batch; 0: any number.
    rank: The largest of the adapters in these slots.
    paths: The layers that they change.
    slot: That of all rows, if it is one.
    groups: Else, if they are few, each slot and its rows, long, on the device.
    rows: Else the rows that have a slot, and `slots` theirs, long [rows], on the device.
    """

    size: int
    rank: int
    paths: frozenset[str]
    slot: int | None = None
    groups: tuple[tuple[int, Tensor], ...] = ()
    rows: Tensor | None = None
    slots: Tensor | None = None


_EMPTY: Final = _Held(None, 0, frozenset())


class Slots:
    """A fixed number of slots on an engine's model.

    Several threads may use it: whatever reads or changes a slot holds the engine's lock.

    Args:
        engine: Whose model.
        rank: The largest rank of an adapter that fits, until `widen`.
        count: How many adapters one batch can have.
        most_rank: How far slots may be widened: memory is slots x rank.
        layers: Which layers can be changed; None: all of `lora.targets`.

    Raises:
        InvalidInputError: Rank or count is below 1.
        UnsuitedModelError: The model has no layers that an adapter can change.
    """

    def __init__(
        self,
        engine: Engine,
        rank: int = 8,
        *,
        count: int = 16,
        most_rank: int = 64,
        layers: Mapping[str, LinearShape] | None = None,
    ) -> None:
        if rank < 1 or count < 1:
            raise InvalidInputError(
                f"rank and count of slots must be at least 1, not {rank, count}"
            )
        self._engine = engine
        self._shapes = dict(targets(engine.model) if layers is None else layers)
        self._layers = linears(engine.model)
        self._base = base_of(engine.fields)
        self._dtype: torch.dtype = engine.model.dtype
        self._most_rank = max(rank, most_rank)
        self._rank, self._held = rank, [_EMPTY] * count
        self._layouts: dict[tuple[Part, ...], tuple[Part, ...]] = {}  # shared
        self._stacks = {path: self._stack(path, rank) for path in self._shapes}
        self._plan: _Plan | None = None
        self._is_hooked: set[str] = set()

    @property
    def count(self) -> int:
        return len(self._held)

    @property
    def rank(self) -> int:
        return self._rank

    @property
    def bytes(self) -> int:
        """Of the tensors of all slots, on the device, used or not."""
        return sum(half.nbytes for stack in self._stacks.values() for half in stack)

    @property
    def tags(self) -> tuple[str | None, ...]:
        """What was put into each slot, by the name it was given; None: nothing, or unnamed."""
        return tuple(held.tag for held in self._held)

    def fit(self, adapter: Adapter) -> Fitted:
        """Check an adapter against the model and make it ready to be put. Needs no lock.

        Raises:
            InvalidInputError: It is of another base or carrier, its tensors do not fit these
                layers, or hold numbers that the model's type does not have.
        """
        check_base(adapter.base, self._base)
        made = fitted(adapter, self._shapes, self._dtype)
        return Fitted(made.numbers, self._layouts.setdefault(made.parts, made.parts))

    def put(self, slot: int, adapter: Adapter | Fitted, *, tag: str | None = None) -> None:
        """Copy an adapter into a slot; what was there is gone.

        Raises:
            InvalidInputError: There is no such slot, the adapter does not fit, or its rank is
                larger than that of the slots; the slot is as it was.
        """
        ready = adapter if isinstance(adapter, Fitted) else self.fit(adapter)
        self._check_slot(slot)
        with self._engine.lock:
            if ready.rank > self._rank:
                raise InvalidInputError(
                    f"an adapter of rank {ready.rank} does not fit into slots of rank "
                    f"{self._rank}; widen them first"
                )
            self._fill(slot, ready)
            self._held[slot] = _Held(tag, ready.rank, frozenset(part.path for part in ready.parts))

    def clear(self, slot: int) -> None:
        """Overwrite a slot with zeros."""
        self._check_slot(slot)
        with self._engine.lock:
            self._fill(slot, None)

    def widen(self, rank: int) -> None:
        """Let adapters of a larger rank fit; what is in the slots stays.

        Raises:
            InvalidInputError: It is more than `most_rank`.
        """
        if rank > self._most_rank:
            raise InvalidInputError(
                f"an adapter of rank {rank} is above the limit of {self._most_rank} for slots; "
                "write it with a smaller rank"
            )
        with self._engine.lock, torch.no_grad():
            if rank <= self._rank:
                return
            for path, old in self._stacks.items():
                new = self._stack(path, rank)
                new.down[:, : self._rank] = old.down
                new.up[:, :, : self._rank] = old.up
                old.down.zero_()
                old.up.zero_()
                self._stacks[path] = new
            self._rank = rank

    @contextmanager
    def on(self, rows: Sequence[int | None]) -> Iterator[None]:
        """While it is open, row i of a batch runs with slot rows[i], or as the base.

        It holds the engine's lock. Opened within itself, the inner one counts.

        Raises:
            InvalidInputError: There is no such slot. Within it, a batch has another number of
                rows than `rows`.
            UnsuitedModelError: Within it: a layer mixes the rows, so that none can have its own.
        """
        for slot in rows:
            if slot is not None:
                self._check_slot(slot)
        with self._engine.lock, self._hooked(self._planned(rows)):
            yield

    @contextmanager
    def every(self, slot: int) -> Iterator[None]:
        """While it is open, all rows of batches of any size run with one slot."""
        self._check_slot(slot)
        with self._engine.lock:
            held = self._held[slot]
            with self._hooked(_Plan(0, held.rank, held.paths, slot)):
                yield

    @contextmanager
    def _hooked(self, plan: _Plan | None) -> Iterator[None]:
        """Follow a plan; the caller holds the lock. Without a hook a layer is the base's."""
        outer, self._plan = self._plan, plan
        hooks, paths = [], set() if plan is None else set(plan.paths) - self._is_hooked
        try:
            self._is_hooked |= paths
            for path in paths:
                hook = _Hook(self, path)
                hooks.append(self._layers[path].register_forward_hook(hook))
            yield
        finally:
            for each in hooks:
                each.remove()
            self._is_hooked -= paths
            self._plan = outer

    def _planned(self, rows: Sequence[int | None]) -> _Plan | None:
        used = sorted({slot for slot in rows if slot is not None})
        if not used:
            return None
        rank = max(self._held[slot].rank for slot in used)
        paths = frozenset().union(*(self._held[slot].paths for slot in used))
        if len(used) == 1 and None not in rows:
            return _Plan(len(rows), rank, paths, slot=used[0])
        device = self._engine.device
        if len(used) <= _GROUPED.get(torch.device(device).type, 1):
            groups = [
                (slot, torch.tensor([at for at, own in enumerate(rows) if own == slot]).to(device))
                for slot in used
            ]
            return _Plan(len(rows), rank, paths, groups=tuple(groups))
        pairs = torch.tensor([[at, own] for at, own in enumerate(rows) if own is not None])
        at, own = pairs.to(device).unbind(1)
        return _Plan(len(rows), rank, paths, rows=at, slots=own)

    def changed(self, path: str, x: Tensor, output: Tensor) -> Tensor:
        """What a layer puts out, with the changes of the plan that is followed.

        Args:
            path: Of the layer.
            x: [rows, ..., inputs], what went in.
            output: [rows, ..., outputs], what the base's layer put out; may be written to.
        """
        plan, stack = self._plan, self._stacks[path]
        if plan is None or path not in plan.paths:
            return output
        _check_rows(plan, path, x)
        if plan.slot is not None:
            return output + _product(x, *stack.at(plan.slot, plan.rank))
        if torch.is_grad_enabled():
            output = output.clone()
        for slot, rows in plan.groups:
            own = rows.to(x.device)
            output.index_add_(0, own, _product(x.index_select(0, own), *stack.at(slot, plan.rank)))
        if plan.rows is not None and plan.slots is not None:
            rows, slots = plan.rows.to(x.device), plan.slots.to(x.device)
            of_rows = x.index_select(0, rows).reshape(len(rows), -1, x.shape[-1])
            down, up = (half.index_select(0, slots).transpose(1, 2) for half in stack)
            change = torch.bmm(torch.bmm(of_rows, down), up)
            output.index_add_(0, rows, change.view(len(rows), *output.shape[1:]))
        return output

    def _fill(self, slot: int, ready: Fitted | None) -> None:
        """Copy matrices into a slot, zeros elsewhere; it has no name until the caller gives one."""
        self._held[slot] = _EMPTY
        parts = {part.path: part for part in ready.parts} if ready is not None else {}
        placed: dict[torch.device, Tensor] = {}
        with torch.no_grad():
            for path, stack in self._stacks.items():
                down, up, rank = stack.down[slot], stack.up[slot], 0
                if ready is not None and path in parts:
                    device = down.device
                    if device not in placed:
                        placed[device] = ready.numbers.to(device)
                    rank = parts[path].rank
                    a, b = parts[path].halves(placed[device], self._shapes[path])
                    down[:rank].copy_(a)
                    up[:, :rank].copy_(b)
                if rank < self._rank:
                    down[rank:].zero_()
                    up[:, rank:].zero_()

    def _stack(self, path: str, rank: int) -> _Stack:
        device = next(self._layers[path].parameters()).device
        shape, count = self._shapes[path], self.count
        return _Stack(
            torch.zeros(count, rank, shape.inputs, device=device, dtype=self._dtype),
            torch.zeros(count, shape.outputs, rank, device=device, dtype=self._dtype),
        )

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < self.count:
            raise InvalidInputError(f"there are slots 0 to {self.count - 1}, and no slot {slot}")


class _Hook:
    def __init__(self, slots: Slots, path: str) -> None:
        self._slots, self._path = slots, path

    def __call__(self, _layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return self._slots.changed(self._path, given[0], output)


def _product(x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return functional.linear(functional.linear(x, down), up)


def _check_rows(plan: _Plan, path: str, x: Tensor) -> None:
    """Raise if what goes into a layer does not have the rows of the plan first."""
    if not plan.size or x.shape[0] == plan.size:
        return
    if x.ndim > 2:
        raise InvalidInputError(
            f"slots were named for {plan.size} rows, and the batch has {x.shape[0]}"
        )
    if plan.slot is None:
        raise UnsuitedModelError(
            f"the layer {path!r} sees the tokens of all rows as one, so that rows cannot have "
            "different adapters; run one batch for each adapter"
        )
