"""An item of a LangGraph store as a cube, and back; and what its filters mean.

An item is one cube of type `note`. Its session is its address, a hash of namespace and key, by
which it is found; its text is what a search reads of it; its metadata holds the item exactly (see
`exact`) and a hash of each beginning of its namespace, so that a search within a prefix looks at
nothing else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.store.base import SearchItem, get_text_at_path

from mneme.core.errors import InvalidInputError
from mneme.integrations.exact import parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mneme.core.cube import MemCube

NAME = "langgraph"
TYPE = "note"
_DEEPEST = 64  # labels of a namespace
_READ_TO_DEPTH = 32  # of a value; what is deeper is read as JSON
_HASH_CHARS = 24  # 96 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One item and the cube that holds it.

    Attributes:
        cube: At its newest version.
        namespace: LangGraph's, not Mneme's.
        key: Within the namespace.
        value: As it was put.
        created_at: When the key was first put.
        updated_at: When it was last put.
        ttl_minutes: After the last use it expires; None: never.
    """

    cube: MemCube
    namespace: tuple[str, ...]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ttl_minutes: float | None

    def shown(self, score: float | None = None) -> SearchItem:
        """As LangGraph shows it."""
        return SearchItem(
            namespace=self.namespace, key=self.key, value=self.value,
            created_at=self.created_at, updated_at=self.updated_at, score=score,
        )  # fmt: skip


def address_of(namespace: Sequence[str], key: str) -> str:
    """The session of an item's cube."""
    return f"{NAME}:{_hash([*namespace, key])}"


def within(prefix: Sequence[str]) -> dict[str, Any]:
    """Filters for the items whose namespace begins so.

    Raises:
        InvalidInputError: It has more than 64 labels.
    """
    _check_depth(prefix)
    return {f"metadata.{NAME}.{len(prefix)}": _hash(prefix)}


def parts_of_item(item: Mapping[str, Any], *, text: str, searched: bool) -> list[dict[str, Any]]:
    """The metadata of each version that has to be written; most often one.

    Args:
        item: With `namespace`, `key`, `value` and what else belongs to it, as JSON.
        text: Of the cube.
        searched: Whether a query may find it.

    Raises:
        InvalidInputError: The value is not JSON, is too large, or the namespace too deep.
    """
    namespace = item["namespace"]
    _check_depth(namespace)
    prefixes = {f"{NAME}.{depth}": _hash(namespace[:depth]) for depth in range(len(namespace) + 1)}
    header = prefixes | {f"{NAME}.searched": searched}
    return [part | header for part in parts_of(item, text=text, name=NAME)]


def is_searched(cube: MemCube) -> bool:
    """Whether a query may find it."""
    return bool(cube.metadata.get(f"{NAME}.searched"))


def text_of(value: Mapping[str, Any], fields: Sequence[str]) -> str:
    """What a search reads of a value: the texts at the paths; of "$", all that it says; or nothing.

    Args:
        value: Of the item.
        fields: LangGraph's paths, such as "title" or "chapters[*].text".
    """
    texts: list[str] = []
    for field in fields:
        texts += _said(value) if field == "$" else get_text_at_path(dict(value), field)
    return "\n".join(text for text in texts if text.strip())


def _said(value: object, path: str = "", depth: int = 0) -> list[str]:
    """Each leaf with its path, so that people and models can read it; a lone text as it is."""
    if isinstance(value, dict) and len(value) == 1 and not depth:
        only = next(iter(value.values()))
        if isinstance(only, str):
            return [only]
    if isinstance(value, dict) and depth < _READ_TO_DEPTH:
        inner = [(each, _join(path, key)) for key, each in value.items()]
        return [line for each, at in inner for line in _said(each, at, depth + 1)]
    if isinstance(value, list | tuple) and depth < _READ_TO_DEPTH:
        return [line for each in value for line in _said(each, path, depth + 1)]
    if value is None:
        return []
    said = value if isinstance(value, str) else json.dumps(value)
    return [f"{path}: {said}" if path else said]


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def passes(value: Mapping[str, Any], filters: Mapping[str, Any] | None) -> bool:
    """Whether a value meets filters, as LangGraph's InMemoryStore reads them."""
    return all(_meets(value.get(key), wanted) for key, wanted in (filters or {}).items())


def _meets(found: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        if any(key.startswith("$") for key in wanted):
            return all(_compares(found, name, operand) for name, operand in wanted.items())
        return isinstance(found, dict) and all(
            _meets(found.get(key), each) for key, each in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(map(_meets, found, wanted))
        )
    return found == wanted


def _compares(found: Any, operator: str, wanted: Any) -> bool:  # noqa: ANN401 (JSON)
    if operator in {"$eq", "$ne"}:
        return bool((found == wanted) == (operator == "$eq"))
    if operator not in {"$gt", "$gte", "$lt", "$lte"}:
        raise InvalidInputError(
            f"unsupported operator {operator!r}; use $eq, $ne, $gt, $gte, $lt or $lte"
        )
    try:
        left, right = float(found), float(wanted)
    except (TypeError, ValueError):
        return False  # no number lies on either side of what is none
    return {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[
        operator
    ]


def _check_depth(namespace: Sequence[str]) -> None:
    if len(namespace) > _DEEPEST:
        raise InvalidInputError(f"a namespace has {len(namespace)} labels, the limit is {_DEEPEST}")


def _hash(labels: Sequence[str]) -> str:
    """One spelling of labels; JSON keeps apart what a separator would not."""
    return hashlib.sha256(json.dumps(list(labels)).encode()).hexdigest()[:_HASH_CHARS]
