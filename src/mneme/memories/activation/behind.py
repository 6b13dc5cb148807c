"""Writes blobs in a thread, so that nobody waits for a slow place.

What is forgotten while it waits, is under way, or was just written, is removed again: no copy comes
to be after its removal.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.errors import BackendUnavailableError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mneme.core.store import BlobStore

_RECENT = 10_000  # names of which it is known that they were written from here
_GROUP_BYTES = 8 << 20  # written in one call


class _Task(NamedTuple):
    store: BlobStore
    name: str
    data: bytes | None  # None: remove it

    @property
    def size(self) -> int:
        return len(self.data or b"")


class Behind:
    """A queue with a bounded number of bytes, and the thread that empties it.

    Attributes:
        written: How many blobs were written.
        errors: How many writes and removals failed; nobody is told otherwise.
        left_out: How many blobs were not written because the queue was full.
    """

    def __init__(self, *, room_bytes: int = 256 << 20) -> None:
        self._room_bytes = room_bytes
        self.written = self.errors = self.left_out = 0
        self._tasks: deque[_Task] = deque()
        self._bytes = 0  # of the tasks
        self._current: list[_Task] = []
        self._gone: set[str] = set()  # forgotten while they are under way
        self._recent: OrderedDict[str, BlobStore] = OrderedDict()
        self._owed: list[_Task] = []  # removals that failed
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def put(self, store: BlobStore, blobs: Mapping[str, bytes]) -> None:
        """Write them soon, as far as there is room in the queue."""
        with self._changed:
            for name, data in blobs.items():
                if self._closing or self._bytes + len(data) > self._room_bytes:
                    self.left_out += 1
                else:
                    self._add(_Task(store, name, data))

    def names(self) -> set[str]:
        """Of all that waits, is under way, or was written lately."""
        with self._changed:
            return {task.name for task in (*self._tasks, *self._current)} | set(self._recent)

    def forget(self, names: Iterable[str]) -> None:
        """Do not write them, and remove them where they were written."""
        gone = set(names)
        with self._changed:
            self._tasks = deque(task for task in self._tasks if not _writes(task, gone))
            self._bytes = sum(task.size for task in self._tasks)
            self._gone |= {task.name for task in self._current if _writes(task, gone)}
            for name in gone & self._recent.keys():
                self._add(_Task(self._recent.pop(name), name, None))

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing waits; whether that was in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._tasks or self._current), timeout_s)

    def close(self, timeout_s: float) -> None:
        """Write what waits, as far as the time allows, and stop."""
        self.flush(timeout_s)
        with self._changed:
            self._closing = True
            self._tasks.clear()
            self._changed.notify_all()

    def _add(self, task: _Task) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mneme-behind", daemon=True)
            self._thread.start()
        self._tasks.append(task)
        self._bytes += task.size
        self._changed.notify_all()

    def _run(self) -> None:
        while group := self._take():
            self._settle(group, done=_done(group))

    def _take(self) -> list[_Task]:
        """Tasks of one kind for one store; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._closing)
            group: list[_Task] = []
            size = 0
            while self._tasks and _together(group, self._tasks[0]) and size < _GROUP_BYTES:
                group.append(self._tasks.popleft())
                size += group[-1].size
            self._bytes -= size
            self._current, self._gone = group, set()
            return group

    def _settle(self, group: list[_Task], *, done: bool) -> None:
        with self._changed:
            self._current = []
            if not done:
                self.errors += len(group)
            if group[0].data is not None:  # a write that failed may have been done in part
                self.written += len(group) if done else 0
                self._recent |= {task.name: task.store for task in group}
                for name in self._gone:
                    self._add(_Task(self._recent.pop(name), name, None))
            elif not done:
                self._owed += group
            if done:
                self._ask_again(group[0].store)
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
            self._changed.notify_all()

    def _ask_again(self, store: BlobStore) -> None:
        """A store that answers is asked for the removals that it did not do before."""
        owed, self._owed = self._owed, []
        for task in owed:
            if task.store is store:
                self._add(task)
            else:
                self._owed.append(task)


def _writes(task: _Task, names: set[str]) -> bool:
    return task.data is not None and task.name in names


def _together(group: list[_Task], task: _Task) -> bool:
    if not group:
        return True
    return group[0].store is task.store and (group[0].data is None) == (task.data is None)


def _done(group: list[_Task]) -> bool:
    blobs = {task.name: task.data for task in group if task.data is not None}
    try:
        if blobs:
            group[0].store.put(blobs)
        else:
            group[0].store.drop([task.name for task in group])
    except (StoreFullError, BackendUnavailableError):
        return False
    return True
