"""What the namespaces of one store share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.app.activation.engines import Engines
    from mneme.app.parametric.models import Models
    from mneme.core.protocols import LanguageModel, TokenCounter
    from mneme.core.tabular import QueryDoor
    from mneme.ingest.reader import Limits
    from mneme.recall.search import Searcher
    from mneme.schedule.usage import Usage
    from mneme.vault.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The vault, searches over it, limits of inputs, and the way to wake background work."""

    vault: Vault
    searcher: Searcher
    usage: Usage
    limits: Limits
    wake: Callable[[], None]
    catch_up: Callable[[str, float], None]
    counter: TokenCounter
    door: QueryDoor
    engines: Engines
    models: Models
    model: LanguageModel | None = None
    learn: bool = False  # whether feedback teaches the ranking
