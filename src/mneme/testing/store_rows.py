"""Rows with usual fields, to write into a store of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.core.rows import BlockRow, TextRow, VersionRow

if TYPE_CHECKING:
    from mneme.core.rows import Namespace
    from mneme.core.store import Store, Transaction

_SECOND = 1_000_000
_SPAN = (0).to_bytes(4, "little") + (5).to_bytes(4, "little") + (1).to_bytes(4, "little")


def version_row(key: int, version: int = 1, **changes: Any) -> VersionRow:  # noqa: ANN401
    """A version with usual fields; cube `key` has the id `cube-key`."""
    row = VersionRow(
        key, version, version, f"cube-{key}", "plaintext", "turn", "activated", None, "s", "user",
        None, None, None, None, version * _SECOND, None, None, None, None, 0, "user", "verbatim",
        "local", None, "trusted", None,
    )  # fmt: skip
    return row._replace(**changes)


def text_row(key: int, version: int = 1, body: str = "A text.") -> TextRow:
    """A text with an index entry of one passage and no vector."""
    return TextRow(key, version, body, b"salt", 0, b"", _SPAN, b"term", None, None)


def block_row(number: int, *, form: str = "raw", **changes: Any) -> BlockRow:  # noqa: ANN401
    """A block of four tokens that follows block `number` - 1; not written yet."""
    tokens = b"".join(token.to_bytes(4, "little") for token in range(number, number + 4))
    key, parent = (bytes([each]) * 32 for each in (number, number - 1))
    row = BlockRow(0, "e", key, parent, form, tokens, 4 * number, 10, b"sum", 0.5)
    return row._replace(**changes)


def add(tx: Transaction, path: str, *keys: int) -> Namespace:
    """Cubes with one version each."""
    namespace = tx.cubes.touch_namespace(path)
    tx.cubes.add(namespace, [version_row(key) for key in keys], [text_row(key) for key in keys])
    return namespace


def change(store: Store, row: VersionRow) -> None:
    """Write a further version."""
    with store.write() as tx:
        tx.cubes.add_version(tx.cubes.touch_namespace("a"), row)
