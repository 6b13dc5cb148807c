"""Whether composing may be used for a model: measured on that model, or not at all.

In: an engine, prompts of several parts, and the way of composing. Out: a `Proof` that says how far
answers from composed keys and values are from those of a full prefill.

A proof that could not fail proves nothing. So the same prompts are also run with parts left at the
positions at which they were computed, which is wrong: unless that gives clearly other answers, the
prompts tell nothing of this model, and the proof does not pass.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import torch

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.compose import compose, prefill_apart
from mneme.memories.activation.kv import join
from mneme.memories.activation.positions import rotate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import KV, Engine, Session
    from mneme.memories.activation.mend import Mend

LEAST_AGREEMENT: Final = 0.95  # share of the tokens that a full prefill would choose
MOST_DIVERGENCE: Final = 0.05  # nats, the mean over tokens
MOST_ERROR: Final = 1.0  # of the greatest logit
MOST_PLANTED: Final = 0.85  # agreement of what is wrong on purpose, or the prompts tell nothing
LEAST_TOKENS: Final = 20  # compared, so that one that differs is within the agreement
PART_TOKENS: Final = (16, 64, 32, 48)  # of the parts of a prompt, turn by turn
HEAD_TOKENS: Final = 16
QUESTION_TOKENS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Tokens of a prompt to measure by: a head, at least two parts, and a question."""

    head: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...]
    question: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.head or not self.question or not all(self.parts):
            raise InvalidInputError("head, parts and question need at least one token each")
        if len(self.parts) < 2:
            raise InvalidInputError("two parts are needed: the first one does not move")

    @property
    def tokens(self) -> list[int]:
        """All of them."""
        return [*self.head, *(token for part in self.parts for token in part), *self.question]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far answers are from those of a full prefill.

    Attributes:
        agreement: Share of tokens where both would choose the same one next.
        divergence: Kullback-Leibler divergence in nats, from the full prefill's, the mean.
        error: Greatest difference of a logit, of the greatest logit.
    """

    agreement: float
    divergence: float
    error: float

    @property
    def small(self) -> bool:
        """Whether it is within what is allowed."""
        return (
            self.agreement >= LEAST_AGREEMENT
            and self.divergence <= MOST_DIVERGENCE
            and self.error <= MOST_ERROR
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was measured for one engine and one way of composing.

    Attributes:
        fingerprint: Of the engine.
        mend: Name of what was computed again; "none".
        behind_head: Whether parts were computed behind the head of the prompt, or on their own.
        tokens: How many were compared.
        composed: Of composed keys and values.
        planted: Of the same parts, left at wrong positions on purpose.
    """

    fingerprint: str
    mend: str
    behind_head: bool
    tokens: int
    composed: Distance
    planted: Distance

    @property
    def passed(self) -> bool:
        """Whether composing may be used."""
        return self.tokens >= LEAST_TOKENS and self.composed.small and self.tells

    @property
    def tells(self) -> bool:
        """Whether the prompts can tell right from wrong: what is wrong on purpose must fail."""
        return self.planted.agreement <= MOST_PLANTED and not self.planted.small

    def covers(self, engine: Engine, mend: Mend | None, *, behind_head: bool) -> bool:
        """Whether it passed for exactly this engine and way of composing."""
        asked = (engine.fingerprint, _name(mend), behind_head)
        return self.passed and asked == (self.fingerprint, self.mend, self.behind_head)

    def to_json(self) -> str:
        """One line, to keep."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Proof:
        """What `to_json` wrote.

        Raises:
            InvalidInputError: It is something else; prove again.
        """
        try:
            fields = json.loads(text)
            composed = Distance(**fields.pop("composed"))
            planted = Distance(**fields.pop("planted"))
            return cls(**fields, composed=composed, planted=planted)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInputError("this is no proof of composing; prove again") from error


def prove(
    engine: Engine,
    prompts: Sequence[Prompt] | None = None,
    *,
    mend: Mend | None = None,
    behind_head: bool = True,
    answer_tokens: int = 8,
) -> Proof:
    """Measure composing against full prefills.

    Both go on with the tokens that the full prefill would choose, so that each is compared on the
    same text.

    Args:
        engine: To be proven.
        prompts: With questions such as it will be used for, or cut from such texts (`prompts_of`).
            None: `random_prompts`, for models that continue what they saw before in a prompt;
            others answer those much the same at any position, and then nothing is proven.
        mend: Which moved tokens are computed again; None: none.
        behind_head: Whether parts are computed behind the head, or on their own.
        answer_tokens: To compare, of each prompt.

    Raises:
        UnsuitedModelError: The model's keys cannot be moved.
    """
    if prompts is None:
        prompts = random_prompts(engine)
    if not prompts or answer_tokens < 1:
        raise InvalidInputError("there is nothing to measure by; give prompts and answer_tokens")
    composed: list[tuple[float, float, float]] = []
    planted: list[tuple[float, float, float]] = []
    for prompt in prompts:
        right, wrong = _caches(engine, prompt, mend, behind_head=behind_head)
        sessions = [engine.session(kv) for kv in (right, wrong)]
        for full, others in _steps(engine, prompt, sessions, answer_tokens):
            composed.append(_differences(full, others[0]))
            planted.append(_differences(full, others[1]))
    return Proof(
        fingerprint=engine.fingerprint,
        mend=_name(mend),
        behind_head=behind_head,
        tokens=len(composed),
        composed=_distance(composed),
        planted=_distance(planted),
    )


def random_prompts(engine: Engine, *, samples: int = 8, seed: int = 0) -> list[Prompt]:
    """Prompts of random tokens of the vocabulary."""
    words = int(engine.model.get_input_embeddings().num_embeddings)
    rng = random.Random(seed)
    runs = [[rng.randrange(words) for _ in range(sum(PART_TOKENS))] for _ in range(samples)]
    return prompts_of(runs, samples=samples, seed=seed)


def prompts_of(
    runs: Sequence[Sequence[int]],
    *,
    samples: int = 8,
    seed: int = 0,
    head: Sequence[int] | None = None,
) -> list[Prompt]:
    """Prompts cut from tokens of texts, at random places.

    The question repeats some tokens of a part: a model that reads its prompt goes on as that does.

    Args:
        runs: Tokens of texts such as will be composed.
        samples: How many prompts.
        seed: Of the choice.
        head: What all prompts begin with; None: the beginning of a run.

    Raises:
        InvalidInputError: The runs are too short.
    """
    usable = [list(run) for run in runs if len(run) >= max(PART_TOKENS)]
    if not usable:
        raise InvalidInputError(f"no text has {max(PART_TOKENS)} tokens; give longer ones")
    rng = random.Random(seed)
    return [_prompt(rng, usable, head, PART_TOKENS[: 3 + number % 2]) for number in range(samples)]


def _prompt(
    rng: random.Random, runs: list[list[int]], head: Sequence[int] | None, sizes: Sequence[int]
) -> Prompt:
    parts = tuple(_cut(rng, runs, size) for size in sizes)
    repeated = rng.choice([part for part in parts if len(part) > 2 * QUESTION_TOKENS])
    start = rng.randrange(len(repeated) - 2 * QUESTION_TOKENS + 1)
    return Prompt(
        head=tuple(rng.choice(runs)[:HEAD_TOKENS] if head is None else head),
        parts=parts,
        question=repeated[start : start + QUESTION_TOKENS],
    )


def _cut(rng: random.Random, runs: list[list[int]], tokens: int) -> tuple[int, ...]:
    run = rng.choice(runs)
    start = rng.randrange(len(run) - tokens + 1)
    return tuple(run[start : start + tokens])


def _caches(
    engine: Engine, prompt: Prompt, mend: Mend | None, *, behind_head: bool
) -> tuple[KV, KV]:
    """Composed, and with the parts left where they were computed."""
    session = engine.session(record=True)
    session.feed(prompt.head)
    head = session.recorded()
    behind, start = (head, len(prompt.head)) if behind_head else (None, 0)
    parts = [prefill_apart(engine, part, behind=behind) for part in prompt.parts]
    stale = [rotate(part.kv, engine, start) for part in parts if part.kv is not None]
    return compose(engine, prompt.head, head, parts, mend=mend).kv, join([head, *stale])


def _steps(
    engine: Engine, prompt: Prompt, sessions: Sequence[Session], steps: int
) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
    """Logits after the question and after each token of the full prefill's answer."""
    full = engine.session()
    said = [(full.feed(prompt.tokens), [session.feed(prompt.question) for session in sessions])]
    for _ in range(steps - 1):
        token = [int(said[-1][0].argmax())]
        said.append((full.feed(token), [session.feed(token) for session in sessions]))
    return said


def _differences(full: torch.Tensor, other: torch.Tensor) -> tuple[float, float, float]:
    wanted, got = full.log_softmax(-1), other.log_softmax(-1)
    return (
        float(full.argmax() == other.argmax()),
        float((wanted.exp() * (wanted - got)).sum()),
        float((full - other).abs().max() / full.abs().max()),
    )


def _distance(each: Sequence[tuple[float, float, float]]) -> Distance:
    agreements, divergences, errors = zip(*each, strict=True)
    return Distance(
        agreement=sum(agreements) / len(each),
        divergence=sum(divergences) / len(each),
        error=max(errors),
    )


def _name(mend: Mend | None) -> str:
    return "none" if mend is None else mend.name
