"""Answer on less than all that was loaded: policies that need the question, or the answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import Engine
    from mneme.memories.activation.memory import Feeds, Opening


SENTENCES = "sentences"  # loads only what a question looks at (memories.activation.partial)


class Narrowing(NamedTuple):
    """A policy of the stage "question" or "decode", and the share of tokens that it keeps."""

    policy: str
    keep: float


def narrowing_of(policy: object, keep: float) -> Narrowing | None:
    """A policy by its name; None keeps all.

    Raises:
        InvalidInputError: There is none of that name that chooses when a question is there.
    """
    if policy is None:
        if keep < 1:
            raise InvalidInputError("keep needs a policy, such as policy='snapkv'")
        return None
    if not isinstance(policy, str):
        raise InvalidInputError(f"policy takes a name, not {policy!r:.80}")
    if policy == SENTENCES:
        return Narrowing(policy, keep)
    from mneme.memories.activation import policies

    about = policies.policy(policy).about
    fit = [
        SENTENCES,
        *(
            each.about.name
            for each in policies.policies()
            if each.about.stage != "build" and not each.about.needs_surprise
        ),
    ]
    if about.name not in fit:
        raise InvalidInputError(
            f"policy {policy!r} cannot choose during a chat; these can: {', '.join(fit)}"
        )
    return Narrowing(policy, keep)


def first_logits(
    engine: Engine, opening: Opening, rest: Sequence[int], narrowing: Narrowing, answer: int
) -> tuple[Feeds, Any]:
    """Read the rest of a prompt on a part of what was found, and what to feed the answer to.

    Args:
        engine: The model.
        opening: What was found.
        rest: Tokens of the prompt that were not.
        narrowing: What stays.
        answer: Most tokens of the answer.

    Raises:
        UnsuitedModelError: The model's cache cannot be thinned.
    """
    from mneme.memories.activation import policies
    from mneme.memories.activation.policies.growing import Growing
    from mneme.memories.activation.policies.policy import Budget

    name, keep = narrowing
    if name != SENTENCES and policies.policy(name).about.stage == "decode":
        budget = Budget(
            prompt_tokens=max(1, math.ceil(keep * (opening.tokens + len(rest)))),
            answer_tokens=max(1, math.ceil(keep * answer)),
        )
        policy = policies.decode_policy(name)
        growing = Growing(engine, opening.held, opening.tokens, policy, budget)
        return growing, growing.prompt(rest)
    if opening.held is None or name == SENTENCES:
        session = opening.session
        return session, session.feed(rest)
    chooser = policies.question_policy(name)
    held = chooser.narrow(engine, opening.held, opening.tokens, rest, keep)
    session = engine.session(held.kv, position=opening.tokens)
    return session, session.feed(rest)
