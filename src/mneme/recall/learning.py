"""Learning to retrieve: feedback changes the weights of the ranking, a little and within bounds.

A contextual bandit over what was shown (after the reranker of RMM, arXiv:2503.08026): the shown
candidates are the arms, their signals the context, use is the reward. The policy is a softmax over
margins; a step goes up the gradient of the likelihood that what helped would have been chosen. It
is greedy: nothing worse is shown in order to explore. What is learned is a linear correction of the
fitted margin, over signals standardised among the candidates of one search, so that it can neither
outgrow the ranking nor depend on one question's scale. Two guards, since feedback is wrong at
times: a mark that the ranking finds incredible counts less (`DOUBT`), and a weight is in effect
only as far as its steps agree (`PROOF`).

Weights are kept by namespace, in the store; a step reads and writes them in one transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mneme.recall import model as models
from mneme.vault.codec import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from mneme.core.store import Transaction
    from mneme.recall.context import Hit
    from mneme.recall.rank import Learned
    from mneme.vault.vault import Vault

    Floats = npt.NDArray[np.float64]

LEARNED: Final = (
    "lexical_rel", "passage_rel", "window_rel", "cover", "near_cover", "pairs", "rarest", "dense_z",
    "first_prev", "first_next", "session_best", "by_asked", "by_user", "by_assistant",
    "reply_to_asked", "recency", "days_off", "is_question", "is_number", "is_date",
    "is_first_person", "is_short", "is_preference", "words",
)  # fmt: skip
MOST_WEIGHT: Final = 0.3  # of one signal
MOST_MARGIN: Final = 1.0  # that all of them together may add or take
STEP: Final = 0.03
DOUBT: Final = 0.2  # the share of marks that may be wrong
PROOF: Final = 2.0  # standard errors by which the mean of a weight's steps must differ from 0
_SLOWER: Final = 200  # updates after which steps are half as long
_MOST_Z: Final = 2.0
_LEAST_SPREAD: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Weights:
    """What one namespace learned.

    Attributes:
        values: By signal, what a standard deviation of it adds to the margin.
        trace: By signal, the sum of its steps within bounds, of its gradients, of their squares.
        updates: How many pieces of feedback it learned from.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    trace: Mapping[str, Sequence[float]] = field(default_factory=dict)
    updates: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown for one question, and what helped.

    Attributes:
        ids: Of the cubes, best first.
        features: [shown, signals], standardised, in the order of `LEARNED`.
        margins: [shown], as the ranking had them.
        helped: [shown], whether it was used.
    """

    ids: tuple[str, ...]
    features: Floats
    margins: Floats
    helped: npt.NDArray[np.bool_]


def correction(weights: Weights, names: Sequence[str], values: npt.NDArray[Any]) -> Floats:
    """What is added to the margins of candidates; at most `MOST_MARGIN` either way.

    Args:
        weights: Of the namespace.
        names: Of the signals.
        values: [candidates, signals].
    """
    vector = np.array([weights.values.get(name, 0.0) for name in LEARNED])
    added: Floats = standardised(names, values) @ vector
    return np.clip(added, -MOST_MARGIN, MOST_MARGIN)


def standardised(names: Sequence[str], values: npt.NDArray[Any]) -> Floats:
    """The signals that are learned from, each with mean 0 and deviation 1 among the candidates.

    Returns:
        [candidates, len(LEARNED)]; 0 where a signal is missing or the same for all.
    """
    place = {name: number for number, name in enumerate(names)}
    out = np.zeros((len(values), len(LEARNED)))
    for column, name in enumerate(LEARNED):
        if name in place:
            found = values[:, place[name]].astype(np.float64)
            spread = float(found.std())
            if spread > _LEAST_SPREAD:
                out[:, column] = (found - found.mean()) / spread
    return np.clip(out, -_MOST_Z, _MOST_Z)


def stepped(weights: Weights, shown: Shown) -> Weights:
    """The weights after one piece of feedback; as they were where it tells nothing apart."""
    if shown.helped.all() or not shown.helped.any():
        return weights
    likely = np.exp(shown.margins - shown.margins.max())
    likely /= likely.sum()
    credible = (1 - DOUBT) * likely / ((1 - DOUBT) * likely + DOUBT / len(likely)) * shown.helped
    gradient = credible @ shown.features - credible.sum() * (likely @ shown.features)
    gradient /= shown.helped.sum()
    step = STEP / (1 + weights.updates / _SLOWER)
    trace = np.array([weights.trace.get(name, (0.0, 0.0, 0.0)) for name in LEARNED])
    trace[:, 0] = np.clip(trace[:, 0] + step * gradient, -MOST_WEIGHT, MOST_WEIGHT)
    trace[:, 1] += gradient
    trace[:, 2] += gradient**2
    proof = np.abs(trace[:, 1]) / np.sqrt(np.maximum(trace[:, 2], _LEAST_SPREAD))
    values = trace[:, 0] * np.maximum(0, 1 - PROOF / np.maximum(proof, _LEAST_SPREAD))
    return Weights(
        values={n: round(float(v), 6) for n, v in zip(LEARNED, values, strict=True) if v},
        trace={n: [round(float(x), 9) for x in t] for n, t in zip(LEARNED, trace, strict=True)},
        updates=weights.updates + 1,
    )


def shown_of(candidates: Sequence[Hit], rewards: Mapping[str, float]) -> Shown | None:
    """What feedback says of the candidates of a search; None where none of them was shown.

    Args:
        candidates: Hits of a search with `explain`, all that the ranking looked at closely.
        rewards: By id of what was shown, above 0 where it helped.
    """
    known = [hit for hit in candidates if hit.scores and LEARNED[0] in hit.scores]
    places = [n for n, hit in enumerate(known) if hit.cube.id in rewards]
    if not places:
        return None
    table = [[float((hit.scores or {}).get(name, 0.0)) for name in LEARNED] for hit in known]
    features = standardised(LEARNED, np.array(table))
    hybrid, lexical = models.load()
    slope = (hybrid if "dense" in (known[0].scores or {}) else lexical).scale[0]
    share = np.clip([known[n].score for n in places], 1e-9, 1 - 1e-9)
    return Shown(
        ids=tuple(known[n].cube.id for n in places),
        features=features[places],
        margins=np.log(share / (1 - share)) / slope,
        helped=np.array([rewards[known[n].cube.id] > 0 for n in places]),
    )


def read(tx: Transaction, namespace: int) -> Weights:
    """What a namespace learned so far."""
    kept = tx.ledger.meta(_name(namespace))
    if not kept:
        return Weights()
    facts = json.loads(kept)
    return Weights(facts["values"], facts["trace"], facts["updates"])


def write(tx: Transaction, namespace: int, weights: Weights) -> None:
    """Keep what a namespace learned."""
    facts = {"values": weights.values, "trace": weights.trace, "updates": weights.updates}
    tx.ledger.set_meta(_name(namespace), canonical_json(facts))


def learned(vault: Vault, path: str) -> Learned | None:
    """The correction of a namespace, as `rank` takes it; None where nothing was learned."""
    with vault.parts.store.read() as tx:
        known = tx.cubes.namespace(path)
        weights = Weights() if known is None else read(tx, known.number)
    return partial(correction, weights) if weights.values else None


def _name(namespace: int) -> str:
    return f"learned {namespace}"
