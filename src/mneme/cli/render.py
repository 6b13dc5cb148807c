"""What verbs print: JSON for programs, lines for people."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC
from typing import TYPE_CHECKING, Any

import typer

from mneme.core.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mneme.core.cube import MemCube
    from mneme.recall.context import Hit

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PREVIEW_CHARS = 300


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=ascii_only))


def whole(record: object) -> dict[str, Any]:
    """A report as JSON knows it: its fields, and what it works out of them."""
    kind = type(record)
    derived = [name for name in dir(kind) if isinstance(getattr(kind, name), property)]
    return {**plain(record), **{name: plain(getattr(record, name)) for name in derived}}


def say(text: str = "", *, err: bool = False, **style: Any) -> None:  # noqa: ANN401
    """One line for people; colours go where the output is no terminal."""
    typer.secho(clean(text), err=err, **style)


def clean(text: str) -> str:
    """The text without characters that could steer a terminal."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))


def when(moment: datetime | None) -> str:
    """A moment in ISO form, to the second."""
    if moment is None:
        return "undated"
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def preview(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _PREVIEW_CHARS else line[:_PREVIEW_CHARS] + "…"


def headline(cube: MemCube) -> str:
    """Id, time, speaker and type, and the state if it is not the usual one."""
    words = [cube.id, when(cube.event_at), cube.speaker or cube.role, cube.type]
    if cube.state != "activated":
        words.append(str(cube.state))
    if cube.trust == "untrusted":
        words.append("untrusted")
    return "  ".join(words)


def payload(cube: MemCube) -> str:
    """What a cube carries, on one line."""
    if cube.kind == "plaintext":
        return preview(cube.text)
    facts = cube.metadata
    size = f"{facts.get('bytes', 0) / 1e6:.1f} MB" if facts.get("bytes") else "no bytes here"
    if cube.kind == "parametric":
        return f"{cube.kind}: {facts.get('facts', 0)} facts as {facts.get('form')}, {size}"
    return f"{cube.kind}: {facts.get('tokens', 0)} tokens as {facts.get('form')}, {size}"


def print_cubes(cubes: Iterable[MemCube]) -> None:
    """Two lines for each cube."""
    for cube in cubes:
        say(headline(cube), dim=True)
        say(f"    {payload(cube)}")


def print_versions(cubes: Iterable[MemCube]) -> None:
    """Versions of a cube, one below the other."""
    for cube in cubes:
        say(f"version {cube.version}  recorded {when(cube.recorded_at)}  {cube.state}", dim=True)
        say(f"    {payload(cube)}")


def print_cube(cube: MemCube) -> None:
    """All that a reader may want to know of one cube."""
    say(headline(cube), bold=True)
    say(cube.text)
    say()
    shown = plain(cube)
    for name in ("id", "type", "text", "state", "trust", "kind", "speaker", "event_at"):
        shown.pop(name)
    for name, value in shown.items():
        if value not in (None, [], {}, False):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            say(f"  {name:13} {text}", dim=True)


def print_hits(hits: Iterable[Hit]) -> None:
    """Hits with rank and score, and the signals where they were asked for."""
    for hit in hits:
        mark = "  lexical only" if hit.degraded else ""
        say(f"{hit.rank:>2}  {hit.score:.3f}  {headline(hit.cube)}{mark}", dim=True)
        say(f"    {preview(hit.cube.text)}")
        if hit.scores:
            said = (f"{name} {score:.3g}" for name, score in hit.scores.items() if score)
            say(f"    {', '.join(said)}", dim=True)


def print_record(record: object, indent: str = "") -> None:
    """Any record as `name: value` lines."""
    for name, value in plain(record).items():
        if isinstance(value, dict) and value:
            say(f"{indent}{name}:")
            print_record(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            say(f"{indent}{name}: {len(value)}")
            for item in value:
                say(f"{indent}  " + ", ".join(f"{key} {part}" for key, part in item.items()))
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            say(f"{indent}{name}: {text}")
