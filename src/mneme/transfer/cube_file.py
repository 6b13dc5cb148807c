"""One file that holds the cubes of a namespace with all their versions: JSON lines with a checksum.

The first line names the format, the last one counts the cubes and gives the SHA-256 of all lines
before it: a file that was cut or changed is refused before anything of it is written.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from mneme.core.errors import ForbiddenError, ImportRefusedError
from mneme.core.report import ImportReport
from mneme.core.rows import VersionRow
from mneme.transfer.cube_check import is_sound
from mneme.transfer.row_check import rows_of
from mneme.vault.codec import canonical_json
from mneme.vault.moving import Moved
from mneme.vault.moving_tables import insert_rows, table_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mneme.vault.moving_tables import MovedRows
    from mneme.vault.vault import Vault

FORMAT = "mneme"
_MAGIC = {"format": "mneme-cubes", "version": 1}
_BATCH = 256
_LONGEST_LINE = 512 << 20
_CUBE = b'{"indexed":'  # how the line of a cube begins
_ROWS = b'{"at":'  # and that of the rows of a table
_FIELDS = VersionRow._fields[1:]


def export(vault: Vault, namespace: str, path: Path) -> int:
    """Write all readable cubes of plaintext of a namespace; the number of cubes.

    What was computed of them for a model is not written: it is made again from the text.
    """
    part = path.with_name(path.name + ".part")
    try:
        count = _write(vault, namespace, part)
        part.replace(path)
    except OSError as error:
        raise ForbiddenError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    vault.mover.note_copy(namespace, "export", str(path.resolve()))
    return count


def _write(vault: Vault, namespace: str, part: Path) -> int:
    count, digest = 0, hashlib.sha256()
    with part.open("wb") as file:
        for line in _lines(vault, namespace):
            digest.update(line)
            file.write(line)
            count += line.startswith(_CUBE)  # not the first line, nor the rows of a table
        file.write(_line({"cubes": count, "sha256": digest.hexdigest()}))
        file.flush()
        os.fsync(file.fileno())
    return count


def _lines(vault: Vault, namespace: str) -> Iterator[bytes]:
    yield _line({**_MAGIC, "namespace": namespace})
    tables: dict[str, int] = {}
    for cube in vault.mover.cubes(namespace):
        if cube.versions[-1].type == "table":
            tables[cube.versions[-1].id] = cube.versions[-1].version
        versions = [dict(zip(_FIELDS, row[1:], strict=True)) for row in cube.versions]
        texts = {str(number): text for number, text in cube.texts.items()}
        yield _line({"versions": versions, "texts": texts, "indexed": cube.indexed})
    for rows in table_rows(vault.parts, namespace, tables):
        yield _line({"table": rows.table, "at": rows.version, "rows": rows.rows})


def _line(value: object) -> bytes:
    return canonical_json(value).encode() + b"\n"


def is_cube_file(path: Path) -> bool:
    """Whether a file begins like one that `export` wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"mneme-cubes"' in file.read(256)


def import_cubes(
    vault: Vault, namespace: str, path: Path, progress: Callable[[int, int], None] | None
) -> ImportReport:
    """Read a file that `export` wrote.

    Raises:
        ImportRefusedError: The file is not whole, or not of this format; nothing was written.
    """
    _check_whole(path)
    added = repeated = done = 0
    total = path.stat().st_size
    batch: list[Moved] = []
    for cube, size in _cubes(path):
        batch.append(cube)
        done += size
        if len(batch) == _BATCH:
            new, old = vault.mover.insert(namespace, batch)
            added, repeated, batch = added + new, repeated + old, []
            if progress is not None:
                progress(done, total)
    new, old = vault.mover.insert(namespace, batch) if batch else (0, 0)
    for rows in _rows(path):
        insert_rows(vault.parts, namespace, rows)
    return ImportReport(format=FORMAT, added=added + new, repeated=repeated + old, skipped=())


def _check_whole(path: Path) -> None:
    """Read the file once: its checksum, and every cube's shape."""
    digest, last = hashlib.sha256(), b""
    with path.open("rb") as file:
        for line in file:
            digest.update(last)
            last = line
    end = _decoded(path, last)
    if not isinstance(end, dict) or end.get("sha256") != digest.hexdigest():
        raise ImportRefusedError(f"{path} was cut or changed: its checksum does not fit")
    count = sum(1 for _ in _cubes(path))
    sum(1 for _ in _rows(path))
    if count != end.get("cubes"):
        raise ImportRefusedError(f"{path} should hold {end.get('cubes')} cubes, not {count}")


def _cubes(path: Path) -> Iterator[tuple[Moved, int]]:
    with path.open("rb") as file:
        head = _decoded(path, file.readline(_LONGEST_LINE))
        if not isinstance(head, dict) or any(head.get(k) != v for k, v in _MAGIC.items()):
            raise ImportRefusedError(f"{path} is no export that this Mneme can read")
        seen: set[str] = set()
        for line in file:
            value = _decoded(path, line)
            if isinstance(value, dict) and "versions" in value:
                cube = _cube(path, value)
                if cube.versions[0].id in seen:
                    raise ImportRefusedError(f"{path} holds cube {cube.versions[0].id} twice")
                seen.add(cube.versions[0].id)
                yield cube, len(line)


def _rows(path: Path) -> Iterator[MovedRows]:
    """The rows of tables, which stand after all cubes."""
    with path.open("rb") as file:
        for line in file:
            value = _decoded(path, line) if line.startswith(_ROWS) else None
            if isinstance(value, dict):
                yield rows_of(path, value)


def _decoded(path: Path, line: bytes) -> Any:  # noqa: ANN401 (from outside)
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ImportRefusedError(f"{path} holds a line that is no JSON") from error


def _cube(path: Path, value: dict[str, Any]) -> Moved:
    try:
        versions = tuple(
            VersionRow(0, *(version[name] for name in _FIELDS)) for version in value["versions"]
        )
        texts = {int(number): str(text) for number, text in value["texts"].items()}
        sound = is_sound(versions, texts)
        indexed = bool(value["indexed"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImportRefusedError(f"{path} holds a cube that is not whole") from error
    if not sound:
        raise ImportRefusedError(f"{path} holds a cube with fields that no cube has")
    return Moved(versions, texts, indexed)
