"""Mneme: a memory operating system for language models and agents.

with mneme.open("./memory") as memory:
alice = memory.namespace("alice")
alice.add("I moved to Oslo in March.", session="s1", at="2026-03-20")
print(alice.recall("Where do I live?", budget_tokens=800).text)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mneme.core.cube import MemCube
from mneme.core.errors import (
    BackendUnavailableError,
    BlockDamagedError,
    BudgetSpentError,
    CubeNotFoundError,
    ForbiddenError,
    FrozenCubeError,
    GateFailedError,
    IdempotencyConflictError,
    ImportRefusedError,
    InvalidInputError,
    LifecycleError,
    MissingDependencyError,
    MnemeError,
    QueryRefusedError,
    StepRefusedError,
    StoreCorruptError,
    StoreFullError,
    UnfitAnswerError,
    UnknownArgumentError,
    UnsuitedModelError,
    VersionConflictError,
)

if TYPE_CHECKING:
    from mneme.aio import AsyncMemoryOS, AsyncNamespace
    from mneme.aio import open_async as aopen
    from mneme.app.activation.reply import PlanItem, Reply
    from mneme.app.memory import MemoryOS
    from mneme.app.namespace import Namespace
    from mneme.app.tables import Table
    from mneme.app.tasks import Task
    from mneme.app.working.context import WorkingContext
    from mneme.core.report import ImportReport
    from mneme.core.tabular import QueryResult
    from mneme.ingest.bulk import AddReport
    from mneme.memories.activation.ledger import Timings
    from mneme.memories.parametric.training import Training
    from mneme.memories.plaintext.tasks.step import Step
    from mneme.recall.advice import Advice
    from mneme.recall.context import Citation, Context, Hit
    from mneme.settings import Settings
    from mneme.transform.report import ConsolidationReport, Undone
    from mneme.vault.audit import AuditEntry
    from mneme.vault.erase import ErasureReceipt
    from mneme.vault.pages import Page
    from mneme.vault.upkeep import Report, Stats
    from mneme.wiring import open_engine as engine
    from mneme.wiring import open_memory as open  # noqa: A004 (the contract's name)
    from mneme.wiring import remote_engine

__version__ = "0.1.0"

# What is loaded when it is first asked for: `import mneme` stays light.
_LATER = {
    "open": ("mneme.wiring", "open_memory"),
    "aopen": ("mneme.aio", "open_async"),
    "engine": ("mneme.wiring", "open_engine"),
    "AsyncMemoryOS": ("mneme.aio", "AsyncMemoryOS"),
    "AsyncNamespace": ("mneme.aio", "AsyncNamespace"),
    "remote_engine": ("mneme.wiring", "remote_engine"),
    "MemoryOS": ("mneme.app.memory", "MemoryOS"),
    "Namespace": ("mneme.app.namespace", "Namespace"),
    "ImportReport": ("mneme.core.report", "ImportReport"),
    "AddReport": ("mneme.ingest.bulk", "AddReport"),
    "Advice": ("mneme.recall.advice", "Advice"),
    "Citation": ("mneme.recall.context", "Citation"),
    "Context": ("mneme.recall.context", "Context"),
    "Hit": ("mneme.recall.context", "Hit"),
    "PlanItem": ("mneme.app.activation.reply", "PlanItem"),
    "Reply": ("mneme.app.activation.reply", "Reply"),
    "Timings": ("mneme.memories.activation.ledger", "Timings"),
    "QueryResult": ("mneme.core.tabular", "QueryResult"),
    "Step": ("mneme.memories.plaintext.tasks.step", "Step"),
    "Table": ("mneme.app.tables", "Table"),
    "Task": ("mneme.app.tasks", "Task"),
    "WorkingContext": ("mneme.app.working.context", "WorkingContext"),
    "Training": ("mneme.memories.parametric.training", "Training"),
    "Settings": ("mneme.settings", "Settings"),
    "ConsolidationReport": ("mneme.transform.report", "ConsolidationReport"),
    "Undone": ("mneme.transform.report", "Undone"),
    "AuditEntry": ("mneme.vault.audit", "AuditEntry"),
    "ErasureReceipt": ("mneme.vault.erase", "ErasureReceipt"),
    "Page": ("mneme.vault.pages", "Page"),
    "Report": ("mneme.vault.upkeep", "Report"),
    "Stats": ("mneme.vault.upkeep", "Stats"),
}

__all__ = [
    "AddReport",
    "Advice",
    "AsyncMemoryOS",
    "AsyncNamespace",
    "AuditEntry",
    "BackendUnavailableError",
    "BlockDamagedError",
    "BudgetSpentError",
    "Citation",
    "ConsolidationReport",
    "Context",
    "CubeNotFoundError",
    "ErasureReceipt",
    "ForbiddenError",
    "FrozenCubeError",
    "GateFailedError",
    "Hit",
    "IdempotencyConflictError",
    "ImportRefusedError",
    "ImportReport",
    "InvalidInputError",
    "LifecycleError",
    "MemCube",
    "MemoryOS",
    "MissingDependencyError",
    "MnemeError",
    "Namespace",
    "Page",
    "PlanItem",
    "QueryRefusedError",
    "QueryResult",
    "Reply",
    "Report",
    "Settings",
    "Stats",
    "Step",
    "StepRefusedError",
    "StoreCorruptError",
    "StoreFullError",
    "Table",
    "Task",
    "Timings",
    "Training",
    "Undone",
    "UnfitAnswerError",
    "UnknownArgumentError",
    "UnsuitedModelError",
    "VersionConflictError",
    "WorkingContext",
    "aopen",
    "engine",
    "open",
    "remote_engine",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (any public name)
    try:
        module, attribute = _LATER[name]
    except KeyError:
        raise AttributeError(f"module 'mneme' has no attribute {name!r}") from None
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
