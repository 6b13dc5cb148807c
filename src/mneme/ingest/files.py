"""Files of other systems into a namespace, streamed, with a report."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mneme.core.report import ImportReport
from mneme.ingest.importers import Skipped, detect, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from mneme.ingest.bulk import Bulk


def import_file(
    bulk: Bulk,
    namespace: str,
    path: Path,
    format_name: str,
    progress: Callable[[int, int], None] | None,
) -> ImportReport:
    """Read a file, or a folder of notes, into a namespace.

    Args:
        bulk: Adds to the namespace.
        namespace: Its path.
        path: The file or folder.
        format_name: One of the importers' names, or "auto".
        progress: Told the bytes done and in all.

    Raises:
        ImportRefusedError: The file is not of that format, or of none that is known.
    """
    name = detect(path) if format_name == "auto" else format_name
    skipped: list[tuple[str, str]] = []
    counts: list[int] = []
    places: deque[str] = deque()

    def items() -> Iterator[dict[str, Any]]:
        for item in read(path, format=name, timezone=bulk.limits.zone, progress=progress):
            if isinstance(item, Skipped):
                skipped.append((item.where, item.why))
                counts.append(item.count)
                continue
            places.append(item.where)
            yield item.arguments()

    added = repeated = 0
    for status in bulk.add(namespace, items()):
        place = places.popleft()
        added += status.status == "added"
        repeated += status.status == "repeated"
        if status.status == "refused":
            skipped.append((place, status.error or "refused"))
            counts.append(1)
    return ImportReport(
        format=name, added=added, repeated=repeated, skipped=tuple(skipped), left_out=sum(counts)
    )
