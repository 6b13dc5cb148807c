"""Open a store for one verb, and show how far long work has come."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mneme import MemoryOS, Namespace

    Progress = Callable[[int, int | None], None]

_JOBS_S = 2.0


@contextmanager
def opened(store: str | None) -> Iterator[MemoryOS]:
    """The store, closed at the end; jobs that are due run for two seconds before that."""
    import mneme

    with mneme.open(store) as memory:
        yield memory
        memory.drain(timeout_s=_JOBS_S)


@contextmanager
def bound(store: str | None, namespace: str) -> Iterator[Namespace]:
    """One namespace of the store."""
    with opened(store) as memory:
        yield memory.namespace(namespace)


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Progress | None]:
    """A bar on stderr that is fed with (done, total); none where no person looks on."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(show_speed=True),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
