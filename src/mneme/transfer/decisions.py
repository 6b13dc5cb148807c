"""What was shown, and what came of it, as JSON lines for trainers of reinforcement learning.

One line for each piece of feedback, as Memory-R1 (arXiv:2508.19828) and Mem-alpha
(arXiv:2509.25911) train on: state (the signals of each cube that was shown), action (in which order
they were shown), reward, time. Ids, numbers and a keyed hash of the question; never content.
"""

from __future__ import annotations

import json
import os
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mneme.core.clock import from_us
from mneme.core.errors import ForbiddenError
from mneme.vault.codec import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mneme.core.rows import DecisionRow
    from mneme.vault.vault import Vault


def export_decisions(vault: Vault, namespace: str, path: Path) -> int:
    """Write the decisions of a namespace; the number of lines.

    Raises:
        ForbiddenError: The file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with part.open("wb") as file:
            for line in _lines(vault, namespace):
                file.write(canonical_json(line).encode() + b"\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ForbiddenError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    vault.mover.note_copy(namespace, "decisions", str(path.resolve()))
    return count


def _lines(vault: Vault, namespace: str) -> Iterator[dict[str, Any]]:
    with vault.parts.store.read() as tx:
        known = tx.cubes.namespace(namespace)
        if known is None:
            return
        rows = tx.written.decisions(known.number)
        for (at, query), group in groupby(rows, key=lambda each: (each[1].at, each[1].query)):
            yield _line(namespace, at, query, sorted(group, key=lambda each: each[1].place))


def _line(
    namespace: str, at: int, query: bytes, rows: Iterable[tuple[str, DecisionRow]]
) -> dict[str, Any]:
    shown = list(rows)
    return {
        "namespace": namespace,
        "time": from_us(at).isoformat(),
        "query": query.hex(),
        "state": {cube_id: json.loads(row.signals) for cube_id, row in shown},
        "action": [cube_id for cube_id, _ in shown],
        "reward": {cube_id: row.reward for cube_id, row in shown},
    }
