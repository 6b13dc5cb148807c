"""Files whose rows of tables are not what a table could have written: refused, nothing kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mneme import ImportRefusedError, Namespace
from mneme.app.memory import MemoryOS
from mneme.app.tables import Table

LONG = json.dumps({"what": "x" * 20_000})


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the line with the rows, and make the checksum fit again."""
    lines = path.read_bytes().splitlines(keepends=True)
    (at,) = [n for n, line in enumerate(lines) if line.startswith(b'{"at":')]
    value = json.loads(lines[at])
    change(value)
    lines[at] = json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    digest = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
    end = json.loads(lines[-1]) | {"sha256": digest}
    path.write_bytes(b"".join(lines[:-1]) + json.dumps(end).encode() + b"\n")


def cell(place: int, value: object) -> Callable[[dict[str, Any]], object]:
    def change(line: dict[str, Any]) -> None:
        line["rows"][0][place] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        cell(0, 0), cell(0, "1"), cell(0, True), cell(0, 2), cell(1, 9), cell(1, 1.0), cell(2, 1),
        cell(2, 99), cell(3, 5), cell(3, ""), cell(3, "\ud800"), cell(4, 2), cell(4, None),
        cell(5, "[]"), cell(5, "{"), cell(5, {"what": 1}), cell(5, '{"what":[1]}'),
        cell(5, '{"what":NaN}'), cell(5, '{"what":1e999}'), cell(5, '{"what":null}'),
        cell(5, '{"what":"\\u0000"}'), cell(5, '{"what":"\\ud800"}'), cell(5, LONG),
        cell(5, '{"amount":99999999999999999999}'), cell(5, "[" * 60_000),
        lambda line: line["rows"].append([1]), lambda line: line["rows"].append("x"),
        lambda line: line.update(rows=3), lambda line: line.update(table=3),
        lambda line: line.update(at=0), lambda line: line.pop("table"),
        lambda line: line["rows"].append(line["rows"][0]),
    ],
)  # fmt: skip
def test_rows_that_no_table_wrote_are_refused(
    memory: MemoryOS,
    alice: Namespace,
    expenses: Table,
    tmp_path: Path,
    change: Any,  # noqa: ANN401
) -> None:
    path = tmp_path / "alice.mneme"
    alice.export(path)
    rewrite(path, change)
    with pytest.raises(ImportRefusedError):
        memory.namespace("bob").import_(path)
    assert not memory.namespace("bob").list().items


def test_rows_of_another_type_than_their_column_are_empty_cells(
    memory: MemoryOS, alice: Namespace, expenses: Table, tmp_path: Path
) -> None:
    path = tmp_path / "alice.mneme"
    alice.export(path)
    rewrite(path, cell(5, '{"amount":"much","what":true,"day":"2026-03-01","nope":1}'))
    bob = memory.namespace("bob")
    bob.import_(path)
    assert bob.table("expenses").rows(where={"amount": {"exists": False}})[0].cells == {
        "day": "2026-03-01", "what": None, "amount": None
    }  # fmt: skip
    assert bob.query("SELECT count(*), count(amount) FROM expenses").rows == ((3, 2),)


def test_rows_cannot_be_slipped_into_a_table_that_has_some(
    memory: MemoryOS, alice: Namespace, expenses: Table, tmp_path: Path
) -> None:
    path = tmp_path / "alice.mneme"
    alice.export(path)
    rewrite(path, lambda line: line["rows"].append([9, 2, None, None, 0, '{"what":"planted"}']))
    alice.import_(path)
    assert len(expenses.rows()) == 3


def test_a_file_without_rows_is_read_as_before(
    memory: MemoryOS, alice: Namespace, tmp_path: Path
) -> None:
    alice.add("I like tea.")
    alice.export(tmp_path / "alice.mneme")
    assert b'"rows"' not in (tmp_path / "alice.mneme").read_bytes()
    assert memory.namespace("bob").import_(tmp_path / "alice.mneme").added == 1
