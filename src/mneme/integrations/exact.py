"""Any JSON, exactly, in the metadata of a cube whose text is what a search reads.

In: a value as JSON knows it, and the text that stands for it. Out: metadata, and the value again.

Metadata holds the value as one string of ASCII JSON, so that what metadata refuses (deep nesting,
NUL, lone surrogates, big integers) and what it does not keep (the order of keys) comes back. Where
the text occurs in it, a mark stands, which no ASCII holds: the text is kept once, and a cube whose
text was edited, or blanked for a person's sake, says so to the framework, too.

A value that is longer than metadata may be is written as several versions of the same cube, one
part each: it is forgotten, erased, exported and restored as the one memory that it is. A reader
takes the newest value of which all parts are there.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mneme.app.namespace import Namespace
    from mneme.client import RemoteNamespace
    from mneme.core.cube import MemCube

    Memories = Namespace | RemoteNamespace  # the same verbs, here and behind a server

_MARK = "«text»"
_PART_CHARS = 30_000  # as JSON within JSON at most twice that, which is below 64 KiB
_MOST_CHARS = 8 << 20
_MOST_TEXT_BYTES = 1_000_000  # below the default of Settings.max_turn_bytes
_UNFIT = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def text_for(text: str, otherwise: str) -> str:
    """A text that a cube can hold: the same if it can, else as near to it as may be.

    Args:
        text: What a reader should find.
        otherwise: What stands there if there is nothing to read.
    """
    fit = text.translate(_UNFIT)
    if len(fit) * 4 > _MOST_TEXT_BYTES:
        fit = fit.encode()[:_MOST_TEXT_BYTES].decode(errors="ignore")
    return fit if fit.strip() else otherwise


def json_of(value: object) -> str:
    """A value as ASCII JSON.

    Raises:
        InvalidInputError: It is not JSON.
    """
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"it cannot be kept as JSON: {error}") from error


def parts_of(value: object, *, text: str, name: str) -> list[dict[str, Any]]:
    """The metadata of each version that has to be written; most often one.

    Args:
        value: JSON.
        text: Of the cube.
        name: Under which the metadata has it, such as "langchain".

    Raises:
        InvalidInputError: The value is not JSON, or has more than 8 MiB.
    """
    form = json_of(value)
    form = form.replace(json.dumps(text), _MARK)
    if len(form) > _MOST_CHARS:
        raise InvalidInputError(
            f"it has {len(form)} characters of JSON besides its text, the limit is {_MOST_CHARS}; "
            "keep large data elsewhere and its address here"
        )
    if len(form) <= _PART_CHARS:
        return [{name: form}]
    write, count = uuid.uuid4().hex, -(-len(form) // _PART_CHARS)
    return [
        {name: form[start : start + _PART_CHARS], f"{name}.part": [write, number, count]}
        for number, start in enumerate(range(0, len(form), _PART_CHARS), start=1)
    ]


def write_parts(
    namespace: Memories,
    cube_id: str,
    parts: list[dict[str, Any]],
) -> None:
    """Write those parts that come after the first one, which the cube has already."""
    for part in parts[1:]:
        namespace.update(cube_id, metadata=part)


def value_of(
    namespace: Memories,
    cube: MemCube,
    name: str,
) -> Any:  # noqa: ANN401 (JSON)
    """The value that a cube holds.

    Raises:
        KeyError: None that is whole, under this name.
    """
    for version in _newest_first(namespace, cube, name):
        form = _whole(namespace, version, name)
        if form is None:
            continue
        try:
            return json.loads(form.replace(_MARK, json.dumps(cube.text)))
        except ValueError:  # somebody wrote into the metadata
            continue
    raise KeyError(name)


def _newest_first(namespace: Memories, cube: MemCube, name: str) -> Iterator[MemCube]:
    """The version at hand; if it holds a part of a value only, those before it as well."""
    if not isinstance(cube.metadata.get(name), str):
        return
    yield cube
    if _part(cube.metadata, name) is not None:
        yield from reversed(namespace.history(cube.id)[: cube.version - 1])


def _whole(namespace: Memories, version: MemCube, name: str) -> str | None:
    """The form that is complete with this version; None if it is not the last part of one."""
    form, part = version.metadata.get(name), _part(version.metadata, name)
    if part is None:
        return form if isinstance(form, str) else None
    write, number, count = part
    if number != count:
        return None
    found = {}
    for each in namespace.history(version.id):
        own = _part(each.metadata, name)
        if own is not None and own[0] == write:
            found[own[1]] = str(each.metadata[name])
    wanted = range(1, count + 1)
    return "".join(found[k] for k in wanted) if found.keys() >= set(wanted) else None


def _part(metadata: Mapping[str, Any], name: str) -> tuple[str, int, int] | None:
    """Which write, which part of it, of how many; None if the value is in one piece."""
    part = metadata.get(f"{name}.part")
    return tuple(part) if isinstance(part, list | tuple) and len(part) == 3 else None
