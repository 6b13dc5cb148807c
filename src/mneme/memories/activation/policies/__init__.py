"""Policies: which tokens of a memory are kept, by the name of the paper that says so.

One list says what there is. Policies of kvpress (names that begin with "kvpress-") need the extra
of that name, and `policies` leaves them out without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mneme.core.errors import InvalidInputError, MissingDependencyError
from mneme.memories.activation.policies.blockwise import Blockwise
from mneme.memories.activation.policies.corm import CORM
from mneme.memories.activation.policies.d2o import D2O
from mneme.memories.activation.policies.em_llm import EMLLM
from mneme.memories.activation.policies.h2o import H2O
from mneme.memories.activation.policies.infinipot import InfiniPot
from mneme.memories.activation.policies.kvmerger import KVMerger
from mneme.memories.activation.policies.lazy_eviction import LazyEviction
from mneme.memories.activation.policies.leverage import Leverage
from mneme.memories.activation.policies.mom import MOM
from mneme.memories.activation.policies.policy import BuildPolicy, DecodePolicy, QuestionPolicy
from mneme.memories.activation.policies.pressed import has_kvpress
from mneme.memories.activation.policies.presses import PRESSES
from mneme.memories.activation.policies.raas import RaaS
from mneme.memories.activation.policies.random_choice import Random
from mneme.memories.activation.policies.sage_kv import SageKV
from mneme.memories.activation.policies.scissorhands import Scissorhands
from mneme.memories.activation.policies.scope import SCOPE
from mneme.memories.activation.policies.sirllm import SirLLM
from mneme.memories.activation.policies.snapkv import SnapKV
from mneme.memories.activation.policies.tova import Tova
from mneme.memories.activation.policies.unasked import UNASKED
from mneme.memories.activation.policies.window import Window

if TYPE_CHECKING:
    from mneme.memories.activation.policies.policy import Policy, Stage

OWN: tuple[Policy, ...] = (
    Leverage(),
    Random(),
    Blockwise(),
    InfiniPot(),
    SirLLM(),
    KVMerger(),
    D2O(),
    MOM(),
    *UNASKED,
    SnapKV(),
    Tova(),
    H2O(),
    SageKV(),
    EMLLM(),
    Window(),
    Scissorhands(),
    CORM(),
    LazyEviction(),
    RaaS(),
    SCOPE(),
)
"""Those that need nothing but torch."""


def policies(stage: Stage | None = None) -> tuple[Policy, ...]:
    """All that can be used here, or those of a stage."""
    here: tuple[Policy, ...] = OWN + PRESSES if has_kvpress() else OWN
    return tuple(each for each in here if stage in {None, each.about.stage})


def policy(name: str, stage: Stage | None = None) -> Policy:
    """The policy of a name.

    Args:
        name: Such as "leverage".
        stage: At which it must be able to choose; None: any.

    Raises:
        InvalidInputError: There is none of that name, or it chooses at another stage.
        MissingDependencyError: It is one of kvpress, which is not installed.
    """
    known = {each.about.name: each for each in (*OWN, *PRESSES)}
    if name not in known:
        names = ", ".join(each.about.name for each in policies(stage))
        raise InvalidInputError(f"there is no policy {name!r}; known: {names}")
    found = known[name]
    if stage not in {None, found.about.stage}:
        fit = ", ".join(each.about.name for each in policies(stage))
        raise InvalidInputError(
            f"policy {name!r} chooses at the stage {found.about.stage!r}, not {stage!r}; "
            f"for that there are: {fit}"
        )
    if found.about.extra and not has_kvpress():
        raise MissingDependencyError("kvpress", found.about.extra, f"policy {name!r}")
    return found


def build_policy(name: str) -> BuildPolicy:
    """The policy of a name, for when a memory is stored; raises as `policy` does."""
    return cast("BuildPolicy", policy(name, "build"))


def question_policy(name: str) -> QuestionPolicy:
    """The policy of a name, for when a question is there; raises as `policy` does."""
    return cast("QuestionPolicy", policy(name, "question"))


def decode_policy(name: str) -> DecodePolicy:
    """The policy of a name, for while an answer grows; raises as `policy` does."""
    return cast("DecodePolicy", policy(name, "decode"))
