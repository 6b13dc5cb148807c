"""What a policy is: a way to keep only a part of a memory's keys and values.

Three stages, by what is known when a choice is made:

    build     the text alone            `thin`: when a memory is stored
    question  the text and a question   `narrow`: when a stored memory is used
    decode    the answer as it grows    `tally`: between two tokens of an answer

A choice is made for each layer and key-value head; all keep the same number, because a cache is
rectangular.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import KV, Engine
    from mneme.memories.activation.kv import Held

Stage = Literal["build", "question", "decode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a policy says of itself.

    Attributes:
        name: By which it is asked for, such as "leverage".
        paper: Title and arXiv id, or where else it comes from.
        stage: When it chooses.
        frees_bytes: Whether what it returns is smaller than what it was given.
        exact: Whether answers are those of the whole memory.
        merges: Whether what it keeps is mixed with what it leaves out.
        keeps_fewer: Whether it may keep fewer tokens than it is allowed.
        grain: Within how many tokens it meets the share that it is asked for.
        needs_surprise: Whether `narrow` wants the surprise of the tokens, kept from the build.
        extra: The extra of the package that it needs, if any.
    """

    name: str
    paper: str
    stage: Stage
    frees_bytes: bool = True
    exact: bool = False
    merges: bool = False
    keeps_fewer: bool = False
    grain: int = 1
    needs_surprise: bool = False
    extra: str | None = None

    @property
    def needs_question(self) -> bool:
        """Whether it can only choose once a question is there."""
        return self.stage == "question"


class BuildPolicy(Protocol):
    """Chooses from the text alone."""

    @property
    def about(self) -> About: ...

    def thin(
        self,
        engine: Engine,
        tokens: Sequence[int],
        keep: float,
        *,
        past: KV | None = None,
        position: int = 0,
    ) -> Held:
        """Compute tokens and keep a share of their keys and values.

        Args:
            engine: By which they are computed.
            tokens: At least one.
            keep: The share to keep, above 0, 1 at most. At least one token stays.
            past: Keys and values of what stands before them; they stay whole, and are not in the
                result.
            position: Of the first token; as many as `past` has, or more if it was thinned.

        Returns:
            What was kept of `tokens`, with true positions.

        Raises:
            InvalidInputError: `keep` or `tokens` is out of range.
            UnsuitedModelError: The model's cache cannot be thinned.
            MissingDependencyError: The package of the policy is not installed.
        """
        ...


class QuestionPolicy(Protocol):
    """Chooses by what a question looks at."""

    @property
    def about(self) -> About: ...

    def narrow(
        self,
        engine: Engine,
        held: Held,
        position: int,
        question: Sequence[int],
        keep: float,
        *,
        surprise: Tensor | None = None,
    ) -> Held:
        """Keep the share of a stored memory that a question needs.

        The question is run once against the whole memory, to see where it looks. The answer is
        then computed on what is returned, question included, at the same positions:
        `engine.session(narrowed.kv, position=position).feed(question)`.

        Args:
            engine: The engine that made the memory.
            held: The memory; never changed.
            position: Of the first token of the question.
            question: Its tokens, at least one.
            keep: The share of the memory to keep, above 0, 1 at most.
            surprise: float32 [tokens of `held`], for policies that need it (`surprise_of`).

        Raises:
            InvalidInputError: `keep` or `question` is out of range, or the surprise is missing.
            UnsuitedModelError: The model's cache cannot be thinned.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many tokens may stay in the cache while an answer grows.

    Attributes:
        prompt_tokens: Of the memory and the question.
        answer_tokens: Of the answer. A policy that makes no difference takes the sum of both.
    """

    prompt_tokens: int
    answer_tokens: int

    @property
    def total_tokens(self) -> int:
        """Of all."""
        return self.prompt_tokens + self.answer_tokens


class Tally(Protocol):
    """What a decode policy remembers of one layer. Its columns are those of the cache."""

    def see(self, weights: Tensor) -> None:
        """Take note of where new tokens looked.

        Args:
            weights: float32 [kv heads, new tokens, cached tokens], each row sums to 1; the new
                tokens are the last columns.
        """
        ...

    def choose(self, budget: Budget, prompt: int) -> Tensor:
        """What stays.

        Args:
            budget: How much.
            prompt: How many of the columns belong to the prompt; they are the first.

        Returns:
            int64 [kv heads, kept], rising.
        """
        ...

    def forget(self, chosen: Tensor) -> None:
        """Drop the columns that are not among `chosen`, as `choose` gave them."""
        ...


class DecodePolicy(Protocol):
    """Chooses again and again while an answer grows."""

    @property
    def about(self) -> About: ...

    @property
    def every(self) -> int:
        """After how many tokens it chooses again."""
        ...

    def tally(self) -> Tally:
        """An empty memory for one layer."""
        ...


Policy: TypeAlias = BuildPolicy | QuestionPolicy | DecodePolicy
