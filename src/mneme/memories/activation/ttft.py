"""How much of the time to the first token memory saves, on the machine and model at hand.

In: an engine and a place for blobs that is empty. Out: for each length of memory, the time from the
ready prompt to its first token with a full prefill, with keys and values from host memory, and from
the place for blobs, read anew each time. The three take turns, so that what else the machine does
falls on all of them. Goes the way that a chat goes: rows, match, tiers, checksums, a fresh cache.
"""

from __future__ import annotations

import gc
import random
import statistics
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.kv import cut
from mneme.memories.activation.ledger import break_even
from mneme.memories.activation.memory import ActivationMemory
from mneme.memories.activation.tiers import Tiers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mneme.core.engine import Engine
    from mneme.core.rows import BlockRow
    from mneme.core.store import BlobStore

SIZES = ((512, 32), (2048, 32), (4096, 32), (2048, 256))  # tokens of memory and of the question
PREFILL, HOST, DISK, BUILD, STORE = "prefill", "host", "disk", "build", "store"
_SALT = b"ttft" * 8
_ROOM = 1 << 40  # bytes


class Seconds(NamedTuple):
    """Of all threads of the process, and of the clock on the wall."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured for one length of memory and of the question.

    Attributes:
        memory_tokens: Of the part that is kept.
        question_tokens: Of the part that is always computed.
        stored_bytes: Of the files of the part that is kept.
        same_tokens: Whether all three ways gave the same first token, each time.
        seconds: By what was done, in each repeat.
    """

    memory_tokens: int
    question_tokens: int
    stored_bytes: int
    same_tokens: bool
    seconds: dict[str, list[Seconds]] = field(default_factory=dict)

    def median(self, what: str) -> Seconds:
        """The middle of the repeats, each clock by itself."""
        each = self.seconds[what]
        return Seconds(*(statistics.median(clock) for clock in zip(*each, strict=True)))

    def saved(self, what: str = HOST) -> Seconds:
        """Share of the time of a full prefill that is saved."""
        ours, full = self.median(what), self.median(PREFILL)
        return Seconds(1 - ours.cpu / full.cpu, 1 - ours.wall / full.wall)

    def storing(self) -> Seconds:
        """Time to keep what was computed, as a share of the time to compute it."""
        store, build = self.median(STORE), self.median(BUILD)
        return Seconds(store.cpu / build.cpu, store.wall / build.wall)

    def disk_over_host(self) -> Seconds:
        """How much longer it takes from the place for blobs, as a share."""
        disk, host = self.median(DISK), self.median(HOST)
        return Seconds(disk.cpu / host.cpu - 1, disk.wall / host.wall - 1)

    def break_even(self) -> tuple[float | None, float | None]:
        """Uses after which computing and keeping has come back, by each clock; None: never."""
        build, store = self.median(BUILD), self.median(STORE)
        full, disk = self.median(PREFILL), self.median(DISK)
        return (
            break_even(build.cpu + store.cpu, full.cpu - disk.cpu),
            break_even(build.wall + store.wall, full.wall - disk.wall),
        )


def measure_ttft(
    engine: Engine,
    blobs: BlobStore,
    *,
    sizes: Sequence[tuple[int, int]] = SIZES,
    repeats: int = 5,
    note: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Row]:
    """Measure each size.

    Args:
        engine: At rest; nobody else should use it meanwhile.
        blobs: Gets the files of blocks, and is emptied of them again.
        sizes: Tokens of memory and of the question. Those beyond the model's window are left out.
        repeats: At least 1.
        note: Told how many repeats are done, and of how many.

    Raises:
        InvalidInputError: No size fits the window, or there are no repeats.
    """
    fitting = [size for size in sizes if sum(size) < engine.window]
    if not fitting:
        raise InvalidInputError(
            f"the model takes {engine.window} tokens: too few to measure {min(sizes)}; "
            "give smaller sizes"
        )
    if repeats < 1:
        raise InvalidInputError(f"repeats must be at least 1, not {repeats}")
    total = len(fitting) * repeats
    engine.session().feed(_tokens(engine, 16, "warm"))
    rows: list[Row] = []
    for size in fitting:
        before = len(rows) * repeats
        told = partial(_told, note, before, total)
        rows.append(_Measuring(engine, blobs, size, told).run(repeats))
    return rows


def _told(note: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    note(before + done, total)


class _Rows:
    """Rows of blocks by key and by parent."""

    def __init__(self, rows: Iterable[BlockRow]) -> None:
        self._rows = list(rows)

    def of_keys(self, keys: Iterable[bytes]) -> list[BlockRow]:
        wanted = set(keys)
        return [row for row in self._rows if row.key in wanted]

    def children(self, parent: bytes) -> list[BlockRow]:
        return [row for row in self._rows if row.parent == parent]


class _Measuring:
    """One size, repeat by repeat."""

    def __init__(
        self,
        engine: Engine,
        blobs: BlobStore,
        size: tuple[int, int],
        note: Callable[[int], None],
    ) -> None:
        self._engine, self._blobs, self._note = engine, blobs, note
        self._memory_tokens, self._question_tokens = size
        self._memory = _tokens(engine, self._memory_tokens, f"memory {size}")
        self._rows: list[BlockRow] = []
        self._near = ActivationMemory(engine, self._tiers(_ROOM))
        self._far = ActivationMemory(engine, self._tiers(0))
        self._seconds: dict[str, list[Seconds]] = {}

    def run(self, repeats: int) -> Row:
        """All repeats."""
        same = True
        try:
            for repeat in range(repeats):
                if repeat < max(2, repeats // 2):  # the longest part, and the least noisy
                    self._build()
                same &= self._asked(repeat)
                self._note(repeat + 1)
        finally:
            self._blobs.drop([row.name for row in self._rows])
        return Row(
            memory_tokens=self._memory_tokens,
            question_tokens=self._question_tokens,
            stored_bytes=sum(row.size for row in self._rows),
            same_tokens=same,
            seconds=self._seconds,
        )

    def _build(self) -> None:
        """Compute and keep."""
        self._blobs.drop([row.name for row in self._rows])
        session = self._engine.session(record=True)
        self._timed(BUILD, lambda: session.feed(self._memory).argmax().item())

        def store() -> list[BlockRow]:
            kv = cut(session.recorded(), 0, self._memory_tokens)
            made = self._near.blocks(_SALT, self._memory, kv, form="raw", cost_s=0.0, known={})
            self._far.tiers.keep(made.files, made.rows)
            return made.rows

        self._rows = self._timed(STORE, store)
        self._near.open(
            self._near.match(_Rows(self._rows), _SALT, [*self._memory, 0])
        )  # now in host memory

    def _asked(self, repeat: int) -> bool:
        """One question, three ways, beginning with another one each time."""
        question = _tokens(self._engine, self._question_tokens, f"question {repeat}")
        prompt = [*self._memory, *question]
        ways: list[tuple[str, Callable[[], int]]] = [
            (PREFILL, lambda: int(self._engine.session().feed(prompt).argmax().item())),
            (HOST, lambda: self._answered(self._near, prompt, HOST)),
            (DISK, lambda: self._answered(self._far, prompt, self._blobs.name)),
        ]
        turn = repeat % len(ways)
        first = {self._timed(name, way) for name, way in ways[turn:] + ways[:turn]}
        return len(first) == 1

    def _answered(self, memory: ActivationMemory, prompt: list[int], tier: str) -> int:
        opening = memory.open(memory.match(_Rows(self._rows), _SALT, prompt))
        if dict(opening.by_tier) != {tier: self._memory_tokens}:
            raise InvalidInputError(
                f"{self._memory_tokens} tokens should come from {tier}, but came so: "
                f"{dict(opening.by_tier)}; {'; '.join(opening.failed) or 'is the disk full?'}"
            )
        return int(opening.session.feed(prompt[opening.tokens :]).argmax().item())

    def _timed(self, what: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 (its result)
        with _uncollected():
            cpu, wall = process_time(), perf_counter()
            result = work()
            taken = Seconds(process_time() - cpu, perf_counter() - wall)
        self._seconds.setdefault(what, []).append(taken)
        return result

    def _tiers(self, host_bytes: int) -> Tiers:
        engine = self._engine
        return Tiers(
            [self._blobs],
            device=engine.device,
            dtype=engine.model.dtype,
            host_bytes=host_bytes,
            device_bytes=0,
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector of garbage away, which would fall on some repeats alone."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _tokens(engine: Engine, count: int, seed: str) -> list[int]:
    """Any tokens but the first few, which are often special ones: what they say costs nothing."""
    known = int(engine.model.get_input_embeddings().num_embeddings)
    rng = random.Random(seed)
    return [rng.randrange(min(1000, known // 2), known) for _ in range(count)]
