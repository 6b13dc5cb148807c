"""Policies: which tokens of a memory are kept, by the name of the paper that says so.

One list says what there is. Policies of kvpress (names that begin with "kvpress-") need the extra
of that name and are not in the list without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.policies.h2o import H2O
from mneme.memories.activation.policies.leverage import Leverage
from mneme.memories.activation.policies.policy import BuildPolicy, QuestionPolicy
from mneme.memories.activation.policies.random_choice import Random
from mneme.memories.activation.policies.sage_kv import SageKV
from mneme.memories.activation.policies.snapkv import SnapKV
from mneme.memories.activation.policies.tova import Tova

if TYPE_CHECKING:
    from mneme.memories.activation.policies.policy import Policy, Stage

OWN: tuple[Policy, ...] = (
    Leverage(),
    Random(),
    SnapKV(),
    Tova(),
    H2O(),
    SageKV(),
)
"""Those that need nothing but torch."""


def policies(stage: Stage | None = None) -> tuple[Policy, ...]:
    """All that can be used here, or those of a stage."""
    return tuple(each for each in OWN if stage in {None, each.about.stage})


def policy(name: str, stage: Stage | None = None) -> Policy:
    """The policy of a name.

    Args:
        name: Such as "leverage".
        stage: At which it must be able to choose; None: any.

    Raises:
        InvalidInputError: There is none of that name, or it chooses at another stage.
    """
    known = {each.about.name: each for each in policies()}
    if name not in known:
        raise InvalidInputError(f"there is no policy {name!r}; known: {', '.join(known)}")
    found = known[name]
    if stage not in {None, found.about.stage}:
        fit = ", ".join(each.about.name for each in policies(stage))
        raise InvalidInputError(
            f"policy {name!r} chooses at the stage {found.about.stage!r}, not {stage!r}; "
            f"for that there are: {fit}"
        )
    return found


def build_policy(name: str) -> BuildPolicy:
    """The policy of a name, for when a memory is stored; raises as `policy` does."""
    return cast("BuildPolicy", policy(name, "build"))


def question_policy(name: str) -> QuestionPolicy:
    """The policy of a name, for when a question is there; raises as `policy` does."""
    return cast("QuestionPolicy", policy(name, "question"))


def form_of(name: str, keep: float) -> str:
    """The part of a form's name that says what was left out, such as "leverage-0.50"."""
    return f"{name}-{keep:.2f}"
