"""What a router by activations is, and the gate that it must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mneme.core.errors import GateFailedError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter

    Prompts = Sequence[Sequence[int]]  # tokens


class ActivationRouter(Protocol):
    """Says by activations whether a prompt asks for what an adapter knows.

    Attributes:
        name: As `routers.NAMES` has it.
        threshold: A prompt with a higher score is the adapter's; set by `fit`.
    """

    @property
    def name(self) -> str: ...
    @property
    def threshold(self) -> float: ...
    def fit(self, engine: Engine, adapter: Adapter, lessons: Prompts, replay: Prompts) -> None:
        """Learn what belongs to an adapter.

        Args:
            engine: Of the base, the adapter not on.
            adapter: Whose router it becomes.
            lessons: Prompts that it was written with.
            replay: Prompts that ask for something else.

        Raises:
            InvalidInputError: There are no lessons or no replay, or the adapter is of another kind.
        """
        ...

    def score(self, prompts: Prompts) -> Tensor:
        """How surely each prompt is the adapter's, float32 [prompts] on the CPU."""
        ...


class Locality(NamedTuple):
    """How a router treats prompts that are not the adapter's.

    router: Its name.
    calibration: Share of the prompts it was fitted with that it sends to the adapter all the same.
    probes: The same of prompts it never saw.
    """

    router: str
    calibration: float
    probes: float

    @property
    def passed(self) -> bool:
        """Whether none is sent to the adapter."""
        return self.calibration == 0 and self.probes == 0


def locality(router: ActivationRouter, replay: Prompts, probes: Prompts) -> Locality:
    """Measure it.

    Args:
        router: Fitted.
        replay: Those it was fitted with.
        probes: Others that are not the adapter's, at least one.

    Raises:
        InvalidInputError: There is nothing to measure with.
    """
    if not replay or not probes:
        raise InvalidInputError("a router is measured with prompts it saw and prompts it never saw")
    return Locality(router.name, _share(router, replay), _share(router, probes))


def admit(router: ActivationRouter, replay: Prompts, probes: Prompts) -> ActivationRouter:
    """The router itself, if it may be used.

    Raises:
        GateFailedError: It sends prompts to the adapter that are not the adapter's.
        InvalidInputError: There is nothing to measure with.
    """
    found = locality(router, replay, probes)
    if not found.passed:
        raise GateFailedError(
            f"the router {found.router!r} sends {found.probes:.1%} of unrelated prompts to the "
            f"adapter ({found.calibration:.1%} of those it was fitted with); route by words"
        )
    return router


def _share(router: ActivationRouter, prompts: Prompts) -> float:
    return float((router.score(prompts) > router.threshold).float().mean())
