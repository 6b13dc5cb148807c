"""A store of an older schema is brought up to date whole; a newer one is refused."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

import mneme
from mneme import StoreCorruptError
from mneme.backends.sqlite import schema
from mneme.backends.sqlite.connection import connect
from mneme.testing.contents import contents_of


def make_older(folder: Path) -> None:
    """Take from a store what the newest step brought, as the Mneme before it left it."""
    connection = connect(folder / "mneme.db", busy_timeout_s=5)
    for table in re.findall(r"CREATE TABLE (\w+)", schema.STEPS[-1]):
        connection.execute(f"DROP TABLE {table}")
    connection.execute(f"PRAGMA user_version = {schema.NEWEST - 1}")
    connection.close()


def tables(path: Path) -> list[tuple[str, str]]:
    connection = connect(path, busy_timeout_s=5)
    sql = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    found = [(str(name), str(made)) for name, made in connection.execute(sql)]
    connection.close()
    return found


def test_the_first_schema_is_one_step_short_of_the_newest(tmp_path: Path) -> None:
    """What `make_older` leaves is what the steps but the last one make."""
    with mneme.open(tmp_path / "store"):
        pass
    make_older(tmp_path / "store")
    older = apsw.Connection(str(tmp_path / "older.db"))
    for step in schema.STEPS[:-1]:
        older.execute(step)
    older.close()
    assert tables(tmp_path / "store" / "mneme.db") == tables(tmp_path / "older.db")


def test_a_store_of_the_schema_before_keeps_everything(tmp_path: Path) -> None:
    with mneme.open(tmp_path) as memory:
        alice = memory.namespace("alice")
        cube = alice.add("I moved to Oslo.", session="s", metadata={"a": 1})[0]
        alice.update(cube.id, text="I moved to Bergen.")
        alice.add("# One\n\nFirst part.\n\n# Two\n\nSecond part.", type="document")
        hidden = alice.add("The forgotten word is ibis.")[0]
        alice.forget(hidden.id)
        memory.namespace("bob").add("Another owner.")
        memory.drain()  # written memory adds to what is there
        before, head = contents_of(memory), memory.audit_head()
    make_older(tmp_path)
    with mneme.open(tmp_path) as memory:
        alice = memory.namespace("alice")
        assert contents_of(memory) == before
        assert memory.verify(audit_head=head).ok
        assert alice.search("Bergen")[0].cube.id == cube.id
        assert [each.text for each in alice.history(cube.id)] == [
            "I moved to Oslo.", "I moved to Bergen."
        ]  # fmt: skip
        assert alice.restore(hidden.id).text == "The forgotten word is ibis."
        alice.export(tmp_path / "cubes")
        receipt = alice.erase(cube.id)
        assert receipt.not_reached == (f"export: {tmp_path / 'cubes'}",)
        assert memory.verify().ok


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    with mneme.open(tmp_path) as memory:
        memory.namespace("alice").add("A line.")
    connection = connect(tmp_path / "mneme.db", busy_timeout_s=5)
    with pytest.raises(apsw.SQLError):
        schema.migrate(connection, (*schema.STEPS, "CREATE TABLE more(a); CREATE nonsense"))
    connection.close()
    with mneme.open(tmp_path) as memory:
        assert len(memory.namespace("alice").list().items) == 1
    assert "more" not in [name for name, _ in tables(tmp_path / "mneme.db")]


def test_a_newer_store_is_refused_untouched(tmp_path: Path) -> None:
    with mneme.open(tmp_path) as memory:
        memory.namespace("alice").add("A line.")
    connection = connect(tmp_path / "mneme.db", busy_timeout_s=5)
    connection.execute(f"PRAGMA user_version = {schema.NEWEST + 1}")
    connection.close()
    with pytest.raises(StoreCorruptError, match="newer"):
        mneme.open(tmp_path)
    connection = connect(tmp_path / "mneme.db", busy_timeout_s=5)
    assert connection.execute("SELECT count(*) FROM text").fetchone() == (1,)
    connection.close()
