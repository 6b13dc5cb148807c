"""What questions cost, and what they may cost, by kind of work."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from mneme.core.errors import BudgetSpentError, InvalidInputError
from mneme.core.rows import Spent

if TYPE_CHECKING:
    from collections.abc import Iterator


class Account(Protocol):
    """Keeps what was spent; one that outlives the process makes the budgets do so too.

    `spend` may be called from several threads at once.
    """

    def spend(self, job: str, spent: Spent) -> None: ...
    def spent(self, job: str) -> Spent: ...


class MemoryAccount:
    """An account that ends with the process."""

    def __init__(self) -> None:
        self._by_job: dict[str, Spent] = {}
        self._lock = Lock()

    def spend(self, job: str, spent: Spent) -> None:
        with self._lock:
            self._by_job[job] = added(self.spent(job), spent)

    def spent(self, job: str) -> Spent:
        return self._by_job.get(job, Spent())


def added(one: Spent, other: Spent) -> Spent:
    """Both together."""
    return Spent(*(a + b for a, b in zip(one, other, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a model costs, and what each kind of work may cost in all.

    Attributes:
        price_in: Money for a million tokens read.
        price_out: Money for a million tokens written.
        budget_tokens: Most tokens, read and written; 0: no limit.
        budget_money: Most money; 0: no limit.
    """

    price_in: float = 0.0
    price_out: float = 0.0
    budget_tokens: int = 0
    budget_money: float = 0.0

    def __post_init__(self) -> None:
        for name in ("price_in", "price_out", "budget_tokens", "budget_money"):
            if not getattr(self, name) >= 0:
                raise InvalidInputError(f"{name} must not be below 0 (0: none)")

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """In millionths of the currency, rounded up."""
        return -int(-(input_tokens * self.price_in + output_tokens * self.price_out) // 1)


class Purse:
    """Holds an account to its terms, also while several questions are on their way."""

    def __init__(self, account: Account, terms: Terms) -> None:
        self._account, self.terms = account, terms
        self._lock = Lock()
        self._tokens: Counter[str] = Counter()  # set aside for requests on their way
        self._cost: Counter[str] = Counter()

    @contextmanager
    def set_aside(self, job: str, input_tokens: int, output_tokens: int) -> Iterator[None]:
        """Room for one request, given back at the end; `pay` what it came to before that.

        Raises:
            BudgetSpentError: There is none left.
        """
        tokens = input_tokens + output_tokens
        cost = self.terms.cost(input_tokens, output_tokens)
        with self._lock:
            self._check(job, tokens, cost)
            self._tokens[job] += tokens
            self._cost[job] += cost
        try:
            yield
        finally:
            with self._lock:
                self._tokens[job] -= tokens
                self._cost[job] -= cost

    def pay(self, job: str, input_tokens: int, output_tokens: int) -> Spent:
        """Enter one request."""
        spent = Spent(1, input_tokens, output_tokens, self.terms.cost(input_tokens, output_tokens))
        self._account.spend(job, spent)
        return spent

    def _check(self, job: str, tokens: int, cost: int) -> None:
        spent = self._account.spent(job)
        tokens += spent.input_tokens + spent.output_tokens + self._tokens[job]
        if 0 < self.terms.budget_tokens < tokens:
            raise BudgetSpentError(
                f"the budget of {self.terms.budget_tokens} tokens for {job!r} has no room for "
                "another call; raise llm_budget_tokens to go on"
            )
        if 0 < self.terms.budget_money < (cost + spent.cost + self._cost[job]) / 1e6:
            raise BudgetSpentError(
                f"the budget of {self.terms.budget_money:g} for {job!r} has no room for another "
                "call; raise llm_budget_money to go on"
            )
