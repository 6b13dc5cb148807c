"""JSON back into the records that the library gives, of the same classes.

A record says by its annotations how it is read; what it does not know is ignored, so that a newer
server may say more.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from mneme.app.activation.reply import PlanItem, Reply
from mneme.core.cube import MemCube
from mneme.core.errors import BackendUnavailableError
from mneme.core.lifecycle import State
from mneme.core.provenance import Provenance, SourceSpan
from mneme.core.report import ImportReport
from mneme.govern.permission import Grant
from mneme.ingest.bulk import AddReport, ItemStatus
from mneme.memories.activation.ledger import Timings
from mneme.recall.context import Citation, Context, Hit
from mneme.vault.audit import AuditEntry
from mneme.vault.erase import ErasureReceipt
from mneme.vault.keys import AccessKey
from mneme.vault.pages import Page
from mneme.vault.upkeep import Stats

T = TypeVar("T")
Reader = Callable[[Any], Any]

_RECORDS: tuple[type, ...] = (
    MemCube, Provenance, SourceSpan, Hit, Citation, Context, Page, AddReport, ItemStatus,
    ErasureReceipt, ImportReport, AuditEntry, AccessKey, Grant, Stats, Reply, PlanItem, Timings,
)  # fmt: skip
# What annotations name that their modules import for type checkers only.
_NAMES: dict[str, Any] = {kind.__name__: kind for kind in _RECORDS} | {
    "State": State,
    "Mapping": Mapping,
    "Sequence": Sequence,
    "datetime": datetime,
}


def record(kind: type[T], value: object) -> T:
    """JSON as a record.

    Raises:
        BackendUnavailableError: It is not what this record looks like.
    """
    try:
        read: T = _reader(cast("Hashable", kind))(value)
    except (KeyError, TypeError, ValueError) as error:
        raise BackendUnavailableError(
            f"what came back is no {kind.__name__} ({error}); is the server of another version?"
        ) from error
    return read


def records(kind: type[T], value: object) -> list[T]:
    """A list of records."""
    if not isinstance(value, list):
        raise BackendUnavailableError(
            f"what came back is no list of {kind.__name__}; is the server of another version?"
        )
    return [record(kind, each) for each in value]


@lru_cache(maxsize=256)
def _reader(hint: Any) -> Reader:  # noqa: ANN401 (a type)
    """How a value of a type is read."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return _optional(args)
    if hint is tuple or origin is tuple:
        return _tuple(args)
    if origin in {list, Sequence}:
        return _list(_reader(args[0]))
    if origin in {dict, Mapping}:
        return _mapping(_reader(args[1]))
    if origin is Literal or hint is Any:
        return lambda value: value
    return _plain(hint)


def _plain(hint: Any) -> Reader:  # noqa: ANN401 (a type)
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is datetime:
        return datetime.fromisoformat
    if hint is float:
        return _number
    return _instance(hint)


def _dataclass(kind: type[T]) -> Reader:
    hints = get_type_hints(kind, localns=_NAMES)
    known = [(each.name, _reader(hints[each.name]), _has_default(each)) for each in fields(kind)]  # type: ignore[arg-type]

    def read(value: Any) -> T:  # noqa: ANN401 (JSON)
        if not isinstance(value, dict):
            raise TypeError(f"not an object, but {type(value).__name__}")
        found = {
            name: reader(value[name])
            for name, reader, optional in known
            if not optional or name in value
        }
        return kind(**found)

    return read


def _has_default(each: Any) -> bool:  # noqa: ANN401 (a Field)
    return each.default is not MISSING or each.default_factory is not MISSING


def _optional(args: tuple[Any, ...]) -> Reader:
    [inner] = [_reader(each) for each in args if each is not NoneType]
    return lambda value: None if value is None else inner(value)


def _tuple(args: tuple[Any, ...]) -> Reader:
    if args[-1] is Ellipsis:
        each = _reader(args[0])
        return lambda value: tuple(each(item) for item in _checked(value, list))
    readers = [_reader(each) for each in args]
    return lambda value: tuple(
        read(item) for read, item in zip(readers, _checked(value, list), strict=True)
    )


def _list(each: Reader) -> Reader:
    return lambda value: [each(item) for item in _checked(value, list)]


def _mapping(each: Reader) -> Reader:
    return lambda value: {key: each(item) for key, item in _checked(value, dict).items()}


def _number(value: Any) -> float:  # noqa: ANN401 (JSON)
    return float(_checked(value, (int, float)))


def _instance(kind: Any) -> Reader:  # noqa: ANN401 (a type)
    return lambda value: _checked(value, kind)


def _checked(value: Any, kind: Any) -> Any:  # noqa: ANN401 (JSON, a type)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.80} where {kind} was expected")
    return value
