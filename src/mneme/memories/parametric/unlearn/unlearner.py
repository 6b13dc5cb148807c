"""What an unlearner is, and what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Adapter
    from mneme.memories.parametric.training import Lesson

    Progress = Callable[[int, int, float], None]


class Unlearned(NamedTuple):
    """An adapter out of which facts were taken, more or less.

    adapter: The changed one; the given one stays as it was.
    figures: Such as steps, loss of what is forgotten and of what is kept, cpu_s.
    label: Never "exact".
    """

    adapter: Adapter
    figures: Mapping[str, float]
    label: str = "approximate"


class Unlearner(Protocol):
    """Takes facts out of the tensors of an adapter; the base and its other adapters stay.

    Attributes:
        name: One of `unlearn.NAMES`.
        exact: Always False: something of the facts may be left, and others may be harmed.
    """

    @property
    def name(self) -> str: ...
    @property
    def exact(self) -> bool: ...

    def unlearn(
        self,
        engine: Engine,
        adapter: Adapter,
        forget: Sequence[Lesson],
        retain: Sequence[Lesson],
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Unlearned:
        """Make a changed copy; the same arguments give the same tensors.

        Args:
            engine: Of the adapter's base.
            adapter: Of "lora".
            forget: Prompts with answers that are to be known no longer.
            retain: Those that are to stay known.
            seed: Of all chance.
            progress: Told step, steps and loss after each step; may raise to interrupt.

        Raises:
            InvalidInputError: Nothing to forget, nothing to retain, another base, or tensors that
                do not fit.
        """
        ...


def checked(forget: Sequence[Lesson], retain: Sequence[Lesson]) -> None:
    """Refuse what no unlearner can work with.

    Raises:
        InvalidInputError: One of them is empty, or a prompt stands in both.
    """
    if not forget or not retain:
        raise InvalidInputError(
            "an unlearner wants lessons to forget and lessons to retain; "
            "to forget all that an adapter knows, delete it"
        )
    if {lesson.prompt for lesson in forget} & {lesson.prompt for lesson in retain}:
        raise InvalidInputError("a prompt is to be forgotten and retained; leave it in one of them")
