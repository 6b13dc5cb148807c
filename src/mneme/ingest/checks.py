"""Checks of what callers hand in: each gives the value as it is stored, or a typed error."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from mneme.core.cube import PLAINTEXT_TYPES
from mneme.core.errors import InvalidInputError
from mneme.core.provenance import ORIGINS

ROLES = ("user", "assistant", "system", "tool")
_LONGEST_NAME = 512
_DEEPEST = 32
_MOST_LABELS = 64
_INTEGERS = 1 << 63
_LONGEST_S = 1e9
_SEGMENT = re.compile(r"[A-Za-z0-9_.@:-]+")


def text_of(value: object, *, name: str, max_bytes: int) -> str:
    """A text that can be stored and shown again as it was said."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be a string, not {type(value).__name__}")
    if not value.strip():
        raise InvalidInputError(f"{name} is empty; there is nothing to remember")
    if "\0" in value:
        raise InvalidInputError(f"{name} holds a NUL character; remove it")
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{name} holds a lone surrogate at character {error.start}; decode it properly"
        ) from error
    if size > max_bytes:
        raise InvalidInputError(
            f"{name} has {size} bytes, the limit is {max_bytes}; split it or raise the setting"
        )
    return value


def name_of(value: object, *, name: str) -> str | None:
    """A short text such as a session or a speaker; None stays None."""
    return None if value is None else text_of(value, name=name, max_bytes=_LONGEST_NAME)


def one_of(value: object, known: tuple[str, ...], *, name: str) -> str:
    """One of some names."""
    if isinstance(value, str) and value in known:
        return value
    near = get_close_matches(str(value), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; use one of {', '.join(known)}"
    raise InvalidInputError(f"{name} {value!r:.80} is unknown{hint}")


def role_of(value: object) -> str:
    """A role."""
    return one_of(value, ROLES, name="role")


def type_of(value: object) -> str:
    """A type of plaintext cube."""
    return one_of(value, PLAINTEXT_TYPES, name="type")


def origin_of(value: object) -> str:
    """An origin."""
    return one_of(value, ORIGINS, name="origin")


def version_of(value: object, *, name: str) -> int | None:
    """A version number; None stays None."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInputError(f"{name} takes a version number from 1 on, not {value!r:.80}")
    return value


def namespace_of(value: object) -> str:
    """A namespace as its path: segments of letters, digits and -_.@: between slashes."""
    segments = value.split("/") if isinstance(value, str) else value
    if isinstance(segments, list | tuple) and segments:
        path = "/".join(str(each) for each in segments)
        known = all(isinstance(each, str) and _SEGMENT.fullmatch(each) for each in segments)
        if known and len(path) <= _LONGEST_NAME:
            return path
    raise InvalidInputError(
        f"{value!r:.80} is no namespace; use segments of letters, digits and -_.@: such as "
        "'acme/alice'"
    )


def id_of(value: object) -> str:
    """An id; whether there is such a cube, the store knows."""
    if not isinstance(value, str):
        raise InvalidInputError(f"an id is a string, not {type(value).__name__}")
    return text_of(value, name="id", max_bytes=_LONGEST_NAME)


def ids_of(value: object) -> list[str]:
    """An id, or several."""
    if isinstance(value, str):
        return [id_of(value)]
    if not isinstance(value, list | tuple | set | frozenset):
        raise InvalidInputError(f"a target is an id or a list of ids, not {type(value).__name__}")
    return [id_of(each) for each in value]


def items_of(value: object) -> Iterable[object]:
    """What may be gone through item by item; a single text or message is none of it."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidInputError(f"items are a list, or a stream, not one {type(value).__name__}")
    return value


def pairs_of(value: object, *, name: str) -> list[tuple[str, str]]:
    """Pairs of texts, such as a namespace and a question."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidInputError(f"{name} takes a list of pairs, not {type(value).__name__}")
    pairs = list(value)
    for pair in pairs:
        fits = isinstance(pair, tuple | list) and len(pair) == 2
        if not fits or not all(isinstance(part, str) for part in pair):
            raise InvalidInputError(f"{name} takes pairs of texts, not {pair!r:.80}")
    return [(first, second) for first, second in pairs]


def path_of(value: object) -> Path:
    """A path of a file or a folder."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise InvalidInputError(f"{value!r:.80} is no path")
    try:
        os.fsencode(value)
    except UnicodeEncodeError as error:
        raise InvalidInputError("the path holds a lone surrogate") from error
    return Path(value)


def seconds_of(value: object, *, name: str) -> float | None:
    """A duration in seconds; None stays None."""
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _LONGEST_S:  # type: ignore[operator]
        raise InvalidInputError(f"{name} takes seconds from 0 to {_LONGEST_S:.0e}")
    return value  # type: ignore[return-value]


def flag_of(value: object, *, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} takes true or false, not {value!r:.80}")
    return value


def priority_of(value: object) -> float | None:
    """A number from 0 to 1; None stays None."""
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]
        raise InvalidInputError(f"priority takes a number from 0 to 1, not {value!r:.80}")
    return float(value)  # type: ignore[arg-type]


def labels_of(value: object) -> str | None:
    """Labels as JSON; None for none."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidInputError(f"labels takes a list of strings, not {value!r:.80}")
    labels = [text_of(each, name="label", max_bytes=_LONGEST_NAME) for each in value]
    if len(labels) > _MOST_LABELS:
        raise InvalidInputError(f"{len(labels)} labels; the limit is {_MOST_LABELS}")
    return canonical(list(dict.fromkeys(labels))) if labels else None


def metadata_of(value: object, *, max_bytes: int) -> str | None:
    """A JSON object as it is stored; None for none."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"metadata takes a mapping, not {type(value).__name__}")
    _check_json(value, 0)
    text = canonical(value)
    size = len(text.encode())
    if size > max_bytes:
        raise InvalidInputError(f"metadata has {size} bytes of JSON, the limit is {max_bytes}")
    return text if value else None


def canonical(value: object) -> str:
    """JSON with one spelling."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=dict
    )


def _check_json(value: Any, depth: int) -> None:  # noqa: ANN401 (from outside)
    if depth > _DEEPEST:
        raise InvalidInputError(f"metadata is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise InvalidInputError(f"metadata keys are strings, not {key!r:.80}")
            _check_json(key, depth)
            _check_json(each, depth + 1)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_json(each, depth + 1)
    elif isinstance(value, str):
        _check_string(value)
    elif isinstance(value, int | float):
        _check_number(value)
    elif value is not None:
        raise InvalidInputError(f"metadata cannot hold a {type(value).__name__}")


def _check_number(value: object) -> None:
    if isinstance(value, float):
        if not isfinite(value):
            raise InvalidInputError("metadata cannot hold NaN or infinity")
    elif isinstance(value, int) and abs(value) >= _INTEGERS:
        raise InvalidInputError("metadata cannot hold an integer beyond 64 bits; make it a string")


def _check_string(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError("metadata holds a lone surrogate") from error
    if "\0" in value:
        raise InvalidInputError("metadata holds a NUL character")
