"""The tables of a store, and the steps from each older schema to the newest.

A version's number is `key * VERSIONS + version`: rows of one cube lie together and nothing else
has to be indexed. Rows are appended and never overwritten, save the head in `cube`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.core.errors import StoreCorruptError

if TYPE_CHECKING:
    import apsw

VERSIONS = 1 << 20  # most versions that one cube may have

SCHEMA_1 = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE namespace(
  ns INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL DEFAULT 0);
CREATE TABLE cube(
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ns INTEGER NOT NULL, seq INTEGER NOT NULL,
  version INTEGER NOT NULL, text_version INTEGER NOT NULL, state TEXT NOT NULL);
CREATE INDEX cube_by_namespace ON cube(ns);
CREATE INDEX cube_by_change ON cube(ns, seq);
CREATE TABLE version(
  vid INTEGER PRIMARY KEY, text_version INTEGER NOT NULL, kind TEXT NOT NULL, type TEXT NOT NULL,
  state TEXT NOT NULL, prior_state TEXT, session TEXT NOT NULL, role TEXT NOT NULL, speaker TEXT,
  metadata TEXT, labels TEXT, event_at INTEGER, recorded_at INTEGER NOT NULL, valid_from INTEGER,
  valid_to INTEGER, expires_at INTEGER, priority REAL, hold INTEGER NOT NULL, origin TEXT NOT NULL,
  method TEXT NOT NULL, actor TEXT, model TEXT, trust TEXT NOT NULL, sources TEXT);
CREATE TABLE text(vid INTEGER PRIMARY KEY, body TEXT NOT NULL, salt BLOB NOT NULL);
CREATE TABLE entry(
  vid INTEGER PRIMARY KEY, shape INTEGER NOT NULL, mentions BLOB NOT NULL, spans BLOB NOT NULL,
  terms BLOB NOT NULL, embedder INTEGER, vectors BLOB);
CREATE TABLE embedder(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE edge(
  parent INTEGER NOT NULL, child INTEGER NOT NULL, relation TEXT NOT NULL,
  PRIMARY KEY(parent, relation, child)) WITHOUT ROWID;
CREATE INDEX edge_by_child ON edge(child, relation);
CREATE TABLE sketch(
  ns INTEGER NOT NULL, band INTEGER NOT NULL, key INTEGER NOT NULL,
  PRIMARY KEY(ns, band, key)) WITHOUT ROWID;
CREATE INDEX sketch_by_key ON sketch(key);
CREATE TABLE request(
  ns INTEGER NOT NULL, name BLOB NOT NULL, key INTEGER NOT NULL, content BLOB NOT NULL,
  PRIMARY KEY(ns, name)) WITHOUT ROWID;
CREATE INDEX request_by_key ON request(key);
CREATE TABLE usage(
  key INTEGER PRIMARY KEY, uses INTEGER NOT NULL, last_used_at INTEGER, utility REAL NOT NULL);
CREATE TABLE audit(
  number INTEGER PRIMARY KEY, at INTEGER NOT NULL, verb TEXT NOT NULL, actor TEXT NOT NULL,
  namespace TEXT NOT NULL, cube_id TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
  hash TEXT NOT NULL);
CREATE TABLE job(
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, unique_key TEXT NOT NULL, payload TEXT NOT NULL,
  state TEXT NOT NULL, tries INTEGER NOT NULL, due_at INTEGER NOT NULL, lease_until INTEGER,
  error TEXT);
CREATE UNIQUE INDEX job_once ON job(unique_key) WHERE state = 'waiting';
CREATE INDEX job_due ON job(state, due_at);
"""

# 2: where copies went, so that an erasure can name those that it cannot reach.
SCHEMA_2 = """
CREATE TABLE copy(
  number INTEGER PRIMARY KEY, at INTEGER NOT NULL, ns INTEGER, kind TEXT NOT NULL,
  path TEXT NOT NULL);
"""

# 3: written memory: turns still to be read, marks by which derived cubes are found, what language
# models cost. A mark is a keyed hash, so that an erased text leaves nothing that could be tried.
# And the rows of the tables that users keep.
SCHEMA_3 = """
CREATE TABLE heard(
  key INTEGER PRIMARY KEY, ns INTEGER NOT NULL, stage TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX heard_by_stage ON heard(ns, stage, key);
CREATE TABLE mark(
  ns INTEGER NOT NULL, kind TEXT NOT NULL, mark INTEGER NOT NULL, key INTEGER NOT NULL,
  PRIMARY KEY(ns, kind, mark, key)) WITHOUT ROWID;
CREATE INDEX mark_by_key ON mark(key);
CREATE TABLE decision(
  number INTEGER PRIMARY KEY, ns INTEGER NOT NULL, key INTEGER NOT NULL, at INTEGER NOT NULL,
  query BLOB NOT NULL, place INTEGER NOT NULL, reward REAL NOT NULL, signals TEXT NOT NULL);
CREATE INDEX decision_by_namespace ON decision(ns, number);
CREATE INDEX decision_by_key ON decision(key);
CREATE TABLE spent(
  job TEXT PRIMARY KEY, calls INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL, cost INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE table_row(
  key INTEGER NOT NULL, row INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER,
  source INTEGER, untrusted INTEGER NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY(key, row, since)) WITHOUT ROWID;
CREATE INDEX table_row_by_source ON table_row(source) WHERE source IS NOT NULL;
CREATE INDEX table_row_sourced ON table_row(key, source) WHERE source IS NOT NULL;
CREATE INDEX table_row_tainted ON table_row(key) WHERE untrusted = 1;
CREATE INDEX table_row_live ON table_row(key) WHERE until IS NULL;
"""

# 4: blocks of keys and values, which cubes hold them, and files that are to be removed once `due`.
# A block's key covers its namespace and engine; its number is never given again.
SCHEMA_4 = """
CREATE TABLE block(
  number INTEGER PRIMARY KEY AUTOINCREMENT, ns INTEGER NOT NULL, engine TEXT NOT NULL,
  key BLOB NOT NULL, parent BLOB NOT NULL, form TEXT NOT NULL,
  tokens BLOB NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL, checksum BLOB NOT NULL,
  cost_s REAL NOT NULL, uses INTEGER NOT NULL DEFAULT 0, used_at INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX block_by_key ON block(key, form);
CREATE INDEX block_by_parent ON block(parent);
CREATE TABLE block_of(
  cube INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY(cube, block)) WITHOUT ROWID;
CREATE INDEX block_held ON block_of(block);
CREATE TABLE doomed(name TEXT PRIMARY KEY, due INTEGER NOT NULL) WITHOUT ROWID;
"""

# 5: the numbers of parametric cubes; files of adapters, and the version of the cube that brought
# them; later versions may name them.
SCHEMA_5 = """
CREATE TABLE shard(
  ns INTEGER NOT NULL, number INTEGER NOT NULL, cube INTEGER NOT NULL,
  PRIMARY KEY(ns, number)) WITHOUT ROWID;
CREATE UNIQUE INDEX shard_by_cube ON shard(cube);
CREATE TABLE adapter_file(
  digest TEXT NOT NULL, part TEXT NOT NULL, cube INTEGER NOT NULL, version INTEGER NOT NULL,
  size INTEGER NOT NULL, checksum BLOB NOT NULL,
  PRIMARY KEY(cube, digest, part)) WITHOUT ROWID;
CREATE INDEX adapter_file_by_digest ON adapter_file(digest, part);
"""

STEPS: tuple[str, ...] = (SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4, SCHEMA_5)
NEWEST = len(STEPS)


def schema_version(connection: apsw.Connection) -> int:
    """The schema that the database is at; 0 for an empty one."""
    return int(connection.pragma("user_version"))


def migrate(connection: apsw.Connection, steps: tuple[str, ...] = STEPS) -> None:
    """Bring the database to the newest schema, all steps in one transaction.

    Args:
        connection: Outside of a transaction.
        steps: From an empty database to the newest schema.

    Raises:
        StoreCorruptError: The store was written by a newer Mneme.
    """
    newest = len(steps)
    if schema_version(connection) == newest:
        return
    connection.execute("BEGIN IMMEDIATE")  # another process may have been faster
    try:
        version = schema_version(connection)
        if version > newest:
            raise StoreCorruptError(
                f"the store has schema {version}, this Mneme knows {newest}; install a newer Mneme"
            )
        for step in steps[version:]:
            connection.execute(step)
        connection.execute(f"PRAGMA user_version = {newest}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
