"""What goes over the wire, as plain values: requests, answers, and answers that never came.

Nothing here sends anything: the verbs make requests, `transport` sends them, `retry` decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from mneme.core.errors import BackendUnavailableError, CubeNotFoundError, InvalidInputError
from mneme.ingest import checks

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

_DEEPEST = 64
_INTEGERS = 1 << 63  # beyond them JSON of other languages is no longer exact
_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        method: GET, POST, PATCH or DELETE.
        path: Below the server's address; begins with a slash, and is escaped already.
        query: Names and values of the query string, in order.
        headers: Beside those that every request has.
        body: As it is sent; None for none.
        upload: A file that is sent as the body.
        into: A file that takes the answer's body; it is written only if all of it came.
        repeatable: Whether sending it twice does what sending it once does.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    upload: Path | None = None
    into: Path | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:  # noqa: ANN401 (JSON)
        """The body as JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise BackendUnavailableError(
                "what came back is not JSON; is this the address of a Mneme server?"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """No answer came.

    Attributes:
        sent: Whether the server may have got the request.
        why: In words.
    """

    sent: bool
    why: str


Flow = Generator[Request, Answer, T]  # what a verb is: requests out, answers in, a result


def post(path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> Request:
    """A POST of a JSON object."""
    return Request(method="POST", path=path, body=encoded(body), repeatable=repeatable)


def get(path: str, **query: object) -> Request:
    """A GET; what is None is left out, of a list each item is named."""
    return Request(method="GET", path=path, query=tuple(_pairs(query)), repeatable=True)


def encoded(value: object) -> bytes:
    """A value as the bytes of JSON.

    Raises:
        InvalidInputError: JSON cannot say it.
    """
    known = jsonable(value)
    try:
        return json.dumps(known, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # a lone surrogate: the server says where
        return json.dumps(known, allow_nan=False).encode()
    except ValueError as error:
        raise InvalidInputError("NaN and infinity cannot be sent") from error


def jsonable(value: object, depth: int = 0) -> Any:  # noqa: ANN401 (JSON)
    """A value as JSON knows it, or an error: nothing is sent as something else."""
    if depth > _DEEPEST:
        raise InvalidInputError(f"a value is nested deeper than {_DEEPEST} levels")
    if isinstance(value, int) and abs(value) >= _INTEGERS:
        raise InvalidInputError("an integer beyond 64 bits cannot be sent; make it a string")
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise InvalidInputError("a datetime has no zone; add one, such as tzinfo=datetime.UTC")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_key(name): jsonable(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(each, depth + 1) for each in value]
    raise InvalidInputError(f"a {type(value).__name__} cannot be sent; it is no JSON")


def given(**values: object) -> dict[str, object]:
    """The arguments that were given: what is None is left out."""
    return {name: value for name, value in values.items() if value is not None}


def listed(value: object) -> object:
    """Several of something as a list; anything else stays what it is."""
    single = value is None or isinstance(value, str | bytes | Mapping)
    return value if single or not isinstance(value, Iterable) else list(value)


def id_in_path(cube_id: object, namespace: str) -> str:
    """An id as a part of a path.

    Raises:
        CubeNotFoundError: No cube can have this id.
    """
    known = checks.id_of(cube_id)
    if not _ID.fullmatch(known):
        raise CubeNotFoundError(known, namespace)
    return known


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidInputError(f"keys are strings, not {name!r:.80}")
    return name


def _pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in query.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Mapping):
                yield name, encoded(each).decode()
            elif isinstance(each, bool):
                yield name, "true" if each else "false"
            elif each is not None:
                yield name, str(jsonable(each))
