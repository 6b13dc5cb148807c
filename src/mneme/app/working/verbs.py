"""The verb of working memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.app.working.context import WorkingContext
from mneme.core.strict import strict
from mneme.ingest import checks
from mneme.recall import asking

if TYPE_CHECKING:
    from mneme.app.shared import Shared


class WorkingVerbs:
    """Working memory over one namespace."""

    path: str
    _shared: Shared

    @strict
    def context(
        self,
        *,
        budget_tokens: int = 4000,
        session: str | None = None,
        tier: str = "middle",
        tools: object = None,
    ) -> WorkingContext:
        """The working memory of an agent's loop: a conversation kept within a budget.

        Args:
            budget_tokens: Ceiling of the messages of a step.
            session: Its name; one that is there already goes on. None begins a new one.
            tier: low (words, a quarter of the budget for evidence), middle (words and vectors,
                half) or high (up to three more searches for what is missing, more candidates,
                70 %).
            tools: JSON schemas of tools that may be chosen from.

        Raises:
            InvalidInputError: An argument is not acceptable, or the budget is too small for what
                the session's system messages and newest turn need.
        """
        budget = asking.budget_of(budget_tokens)
        name = checks.name_of(session, name="session") or self._shared.vault.parts.ids.make()
        work = WorkingContext(
            self._shared, self.path, session=name, budget_tokens=budget, tier=tier
        )
        if tools is not None:
            work.register_tools(tools)
        return work
