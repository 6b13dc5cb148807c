"""How an adapter is written: the settings, the course of lessons, and the run of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How facts are written into weights.

    Attributes:
        writer: "lora", or another of `writers.NAMES`.
        rank: Of the two matrices of each layer; for a cartridge, its length in tokens.
        form: How the adapter is kept: "fp32", "bf16", "int8" or "int4".
        facts_per_shard: Most facts of one adapter.
        steps: Most steps of the optimizer.
        batch: Lessons of one step.
        learning_rate: Its peak; None: what suits the writer and the optimizer.
        optimizer: "adamw", or another of `optimizers.NAMES`.
        replay: Weight of staying with the base on prompts that ask for something else (KL).
        distill: Weight of agreeing with what the base answers when it reads the texts in its
            prompt (context distillation, arXiv 2209.15189); 0: lessons alone. For models that can
            read; a model that cannot has nothing to teach.
        after_turns: Share of the lessons that come after another exchange of a conversation.
        recompute: Gradient checkpointing: less memory, more time.
        seed: Of all chance.
    """

    writer: str = "lora"
    rank: int = 2
    form: str = "bf16"
    facts_per_shard: int = 50
    steps: int = 120
    batch: int = 64
    learning_rate: float | None = None
    optimizer: str = "adamw"
    replay: float = 1.0
    distill: float = 0.0
    after_turns: float = 0.0
    recompute: bool = False
    seed: int = 0


class Lesson(NamedTuple):
    """A prompt and what is to follow, as tokens.

    prompt: As the model sees it, ready for an answer.
    answer: The object's tokens, and the token that ends an answer if the model has one.
    fact: Number of the entry in the ledger that it teaches.
    reading: The same prompt with the text of the fact before it, for distillation; empty: none.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    fact: int
    reading: tuple[int, ...] = ()


class Course(NamedTuple):
    """What a writer trains on.

    lessons: To be learned.
    replay: Prompts whose answers must stay those of the base.
    """

    lessons: tuple[Lesson, ...]
    replay: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What surrounds a run of training.

    Attributes:
        progress: Told step, steps and loss after each step; may raise to interrupt the run.
        save: Keeps a checkpoint (safetensors bytes), aside, while the run goes on; None: nowhere.
        saved: The newest checkpoint of an interrupted run of the same course and settings.
        save_every_s: Seconds between checkpoints.
    """

    progress: Callable[[int, int, float], None] | None = None
    save: Callable[[bytes], None] | None = None
    saved: bytes | None = None
    save_every_s: float = 30.0


class Written(NamedTuple):
    """An adapter fresh from its writer.

    figures: Such as steps, loss, cpu_s, resumed_at.
    """

    adapter: Adapter
    figures: Mapping[str, float]


class Writer(Protocol):
    """Writes lessons into an adapter for one engine's model, which it leaves as it is."""

    @property
    def name(self) -> str: ...
    def write(self, engine: Engine, course: Course, training: Training, run: Run) -> Written:
        """Train.

        Raises:
            InvalidInputError: A setting is out of range, or the course is empty.
            UnsuitedModelError: The model has no layers that this writer can adapt.
        """
        ...


UNWATCHED = Run()
