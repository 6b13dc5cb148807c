"""The routes that move a whole namespace: a file out, a file in."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final, Literal

from fastapi import Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from mneme.app.namespace import Namespace
from mneme.server.routes.common import PREFIX, answer, router_of, says, space_for
from mneme.server.shapes import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

router = router_of("moving", PREFIX)
Exportable = Annotated[Namespace, Depends(space_for("export"))]
Importable = Annotated[Namespace, Depends(space_for("import"))]
Format = Literal[
    "auto", "mneme", "chatgpt", "claude", "jsonl", "locomo", "longmemeval", "markdown", "mem0"
]
FILE: Final = "application/x-ndjson"
_CHUNK: Final = 1 << 18
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


@router.post(
    "/export",
    **says(
        "export_namespace", "Export a namespace", None, means="The file.",
        headers={
            "X-Mneme-Cubes": "How many memories it holds.",
            "Content-Disposition": "A name for the file.",
        },
    ),
)  # fmt: skip
def export(space: Exportable) -> StreamingResponse:
    """All memories with all versions in one file, which an import takes and the command line too.

    The last line holds a checksum: a file that was cut is refused by an import.
    """
    with TemporaryDirectory(prefix="mneme-download-") as folder:
        path = Path(folder) / "cubes.jsonl"
        count = space.export(path)
        size, file = path.stat().st_size, path.open("rb")
    # The file has no name any more: it goes when it is closed, whatever happens to the download.
    name = _UNSAFE.sub("-", space.path)
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}.mneme.jsonl"',
        "X-Mneme-Cubes": str(count),
    }
    return StreamingResponse(_chunks(file), media_type=FILE, headers=headers)


@router.post(
    "/import",
    **says("import_file", "Import a file", records.ImportReport, means="What came in."),
)
async def import_(
    request: Request,
    space: Importable,
    format: Format = "auto",  # noqa: A002 (the contract's name)
    filename: Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00/\\]+$")] = None,
) -> JSONResponse:
    """Read a file that the request carries as it is; what was imported before is recognised.

    `filename` helps to tell the format; without one of the known formats nothing is imported.
    """
    with TemporaryDirectory(prefix="mneme-import-") as folder:
        path = Path(folder) / (_UNSAFE.sub("-", filename or "").lstrip(".-") or "upload")
        with path.open("wb") as file:
            async for chunk in request.stream():
                await run_in_threadpool(file.write, chunk)
        return answer(await run_in_threadpool(space.import_, path, format=format))


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
