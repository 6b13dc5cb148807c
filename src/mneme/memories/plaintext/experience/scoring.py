"""Which experience fits a task, and how much it is worth. Pure functions.

Utility is what ReMe (arXiv:2512.10696) refines and prunes by: here the mean of a Beta posterior
over outcomes, so that one lucky run does not outweigh ten; older outcomes fade, so that what worked
before the world changed does not stay on top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from mneme.memories.plaintext.language.terms import is_stopword, stem, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mneme.memories.plaintext.experience.steps import Action

LIKE: Final = 0.6  # likeness from which two tasks are runs of the same
SAME_WAY: Final = 0.5  # share of actions from which two runs went the same way
_SOFT: Final = (
    0.25  # what a word that may vary (an argument, a number) counts when it is not shared
)
_KEPT: Final = 0.9  # what an outcome still counts after one more
_PRIOR: Final = 1.0  # successes and failures that everything starts with
_MOST_CHARS: Final = 200  # of an argument that are looked for in a task
_MOST_PLACES: Final = 2000  # arguments that are
_HALF_LIFE_US: Final = 180 * 86_400_000_000
_AGED: Final = 0.2  # the most that age takes


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of the outcomes of a piece of experience.

    Attributes:
        successes: Sum of the outcomes of runs that went this way, or were advised so.
        failures: Sum of what they fell short of success.
        uses: How many runs were told of it.
        used_at: When a run was last counted, microseconds since 1970.
        won: The successes, older ones faded.
        lost: The failures, older ones faded.
    """

    successes: float = 0.0
    failures: float = 0.0
    uses: int = 0
    used_at: int = 0
    won: float = 0.0
    lost: float = 0.0

    def counted(self, outcome: float, at: int, *, advised: bool) -> Record:
        """With the outcome, 0 to 1, of one more run."""
        return replace(
            self,
            successes=self.successes + outcome,
            failures=self.failures + 1 - outcome,
            uses=self.uses + advised,
            used_at=max(self.used_at, at),
            won=_KEPT * self.won + outcome,
            lost=_KEPT * self.lost + 1 - outcome,
        )

    def told(self) -> Record:
        """With one more run that was told of it and is counted already."""
        return replace(self, uses=self.uses + 1)

    @property
    def utility(self) -> float:
        """The share of success to expect, 0 to 1; a half where nothing is known."""
        return (self.won + _PRIOR) / (self.won + self.lost + 2 * _PRIOR)

    def recency(self, now: int) -> float:
        """1 for what was used now, less the longer ago."""
        age = max(now - self.used_at, 0)
        return 1 - _AGED + _AGED * float(0.5 ** (age / _HALF_LIFE_US))

    def to_json(self) -> dict[str, Any]:
        """As it is kept in metadata."""
        return {
            "successes": self.successes, "failures": self.failures, "uses": self.uses,
            "used_at": self.used_at, "won": self.won, "lost": self.lost,
        }  # fmt: skip


def record_from_json(value: Mapping[str, Any]) -> Record:
    """The record that `Record.to_json` wrote."""
    names = ("successes", "failures", "uses", "used_at", "won", "lost")
    return Record(*(value[name] for name in names))


@dataclass(frozen=True, slots=True)
class Gist:
    """The words of a task: those that make it what it is, and those that may vary."""

    firm: frozenset[str]
    soft: frozenset[str]

    def to_json(self) -> list[list[str]]:
        """As it is kept in metadata, so that tasks are compared without reading all of it."""
        return [sorted(self.firm), sorted(self.soft)]


def gist_from_json(value: Any) -> Gist | None:  # noqa: ANN401 (JSON data)
    """The gist that `Gist.to_json` wrote; None for anything else."""
    try:
        firm, soft = value
        return Gist(frozenset(firm), frozenset(soft))
    except (TypeError, ValueError):
        return None


def gist_of(task: Action, actions: Iterable[Action] = ()) -> Gist:
    """The gist of a task; words that are also arguments of its actions may vary."""
    words = _stems(" ".join(a.value for a in task.arguments if not a.slot))
    places = (a for act in actions for a in act.arguments if not a.slot)
    given = _stems(" ".join(a.value[:_MOST_CHARS] for a in islice(places, _MOST_PLACES)))
    soft = frozenset(w for w in words if w in given or w.isdigit())
    return Gist(words - soft, soft) if words != soft else Gist(words, frozenset())


def likeness(one: Gist, other: Gist) -> float:
    """How alike two tasks are, 0 to 1; words that may vary count little where they differ."""
    words, others = one.firm | one.soft, other.firm | other.soft
    shared = len(words & others)
    rest = sum(1 if w in one.firm else _SOFT for w in words - others)
    rest += sum(1 if w in other.firm else _SOFT for w in others - words)
    total = 2 * shared + rest
    return 2 * shared / total if total else 0.0


def same(one: Gist, other: Gist) -> bool:
    """Whether two tasks are runs of the same.

    They are alike, and not both have firm words that the other lacks ("refund the order", "cancel
    the order"): a duplicate is better than a mixture.
    """
    apart = one.firm - other.firm - other.soft, other.firm - one.firm - one.soft
    return not all(apart) and likeness(one, other) >= LIKE


def fits(known: Gist, asked: Gist) -> float:
    """How well known experience fits what is asked, 0 to 1; what it lacks counts little."""
    words, others = known.firm | known.soft, asked.firm | asked.soft
    shared = len(words & others)
    rest = sum(1 if w in known.firm else _SOFT for w in words - others)
    total = shared + rest + _SOFT * len(others - words)
    return shared / total if total else 0.0


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(token) for token in tokens_of(text) if not is_stopword(token))
