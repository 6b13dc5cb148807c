"""What a table is: its name, its columns, and how both stand in its cube.

The header lies in the cube's metadata; the text says the same in words, so that searches find it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import normalize

from mneme.core.errors import InvalidInputError
from mneme.core.tabular import COLUMN_TYPES, Column

METHOD: Final = "table"  # how the cube of a table was made
MOST_COLUMNS: Final = 64
_LONGEST_NAME = 63
_KEY = "table"
_RESERVED = ("sqlite_", "rowid", "oid", "_rowid_")


@dataclass(frozen=True, slots=True)
class Shape:
    """The name of a table, its columns, and what it is for."""

    name: str
    columns: tuple[Column, ...]
    description: str = ""

    @property
    def text(self) -> str:
        """The text of the cube."""
        columns = ", ".join(f"{column.name} ({column.type})" for column in self.columns)
        lines = [f"Table {self.name}", self.description, f"Columns: {columns}"]
        return "\n".join(line for line in lines if line)

    @property
    def metadata(self) -> str:
        """The header, as canonical JSON."""
        header = {
            "name": self.name,
            "columns": [list(column) for column in self.columns],
            "description": self.description,
        }
        return json.dumps({_KEY: header}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(column.name for column in self.columns)})"


def shape_of(name: object, columns: object, description: str = "") -> Shape:
    """A table as a caller describes it.

    Args:
        name: Letters, digits and underscores, no digit first.
        columns: A mapping from a name to one of COLUMN_TYPES.
        description: What the table is for.

    Raises:
        InvalidInputError: The name or a column is not acceptable.
    """
    if not isinstance(columns, Mapping) or not columns:
        raise InvalidInputError(
            "columns takes a mapping from names to types, such as "
            '{"day": "date", "what": "text", "amount": "real"}'
        )
    if len(columns) > MOST_COLUMNS:
        raise InvalidInputError(f"{len(columns)} columns; the limit is {MOST_COLUMNS}")
    found = tuple(Column(identifier_of(each, "column"), _type_of(t)) for each, t in columns.items())
    if len({column.name.casefold() for column in found}) < len(found):
        raise InvalidInputError("two columns have the same name; capitals make no difference")
    return Shape(identifier_of(name, "table"), found, description)


def identifier_of(value: object, what: str) -> str:
    """A name that SQL takes without quotes, unless it is a word of SQL."""
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME:
        name = normalize("NFC", value)
        if name.isidentifier() and not name.casefold().startswith(_RESERVED):
            return name
    raise InvalidInputError(
        f"{value!r:.80} is no name of a {what}; use at most {_LONGEST_NAME} letters, digits and "
        "underscores, with no digit first"
    )


def _type_of(value: object) -> str:
    if value in COLUMN_TYPES:
        return str(value)
    raise InvalidInputError(f"type {value!r:.80} is unknown; use one of {', '.join(COLUMN_TYPES)}")


def read_shape(metadata: str | None) -> Shape | None:
    """The shape that a cube's metadata states; None where it states none."""
    try:
        header: Any = json.loads(metadata or "{}")[_KEY]
        columns = {str(name): type_ for name, type_ in header["columns"]}
        description = header.get("description", "")
        if len(columns) < len(header["columns"]) or not isinstance(description, str):
            return None
        return shape_of(header["name"], columns, description)
    except (ValueError, KeyError, TypeError, AttributeError):  # InvalidInputError is a ValueError
        return None
