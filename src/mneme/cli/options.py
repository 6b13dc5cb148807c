"""The options that verbs share, and how their text becomes arguments of a call."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

Store = Annotated[
    str | None,
    typer.Option("--store", help="Folder of the store.  [default: the user's data folder]"),
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Whom the memory belongs to, such as acme/alice.")
]
WholeStore = Annotated[str, typer.Option("--namespace", "-n", hidden=True)]  # it says nothing there
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]

CubeId = Annotated[str, typer.Argument(metavar="ID", help="Id of a cube.")]
CubeIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of cubes.")]
Targets = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of cubes; or give --filter.")
]
Query = Annotated[str, typer.Argument(help="What to look for, in plain words.")]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        "-f",
        metavar="FIELD=VALUE",
        help="Only cubes whose field matches; = != < <= > >=, several mean 'and'; "
        "or a JSON object. Fields: type, session, speaker, role, origin, trust, state, event_at, "
        "recorded_at, metadata.KEY.",
    ),
]
Types = Annotated[
    list[str] | None, typer.Option("--type", "-t", help="Only this type; may be repeated.")
]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be repeated.")]
Session = Annotated[str | None, typer.Option("--session", "-s", help="Of this conversation.")]
Limit = Annotated[int | None, typer.Option("--limit", "-k", help="How many at most.")]
Now = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="What 'last week' is counted from.  [default: the clock]"),
]
ValidAt = Annotated[str | None, typer.Option(metavar="TIME", help="Only what held at this time.")]
AsOf = Annotated[str | None, typer.Option(metavar="TIME", help="As the store stood at this time.")]
Archived = Annotated[
    bool, typer.Option("--include-archived", help="Archived and merged cubes too.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")]
Labels = Annotated[
    list[str] | None, typer.Option("--label", help="Sensitivity or purpose; may be repeated.")
]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", "-m", metavar="KEY=VALUE", help="Your own data; or a JSON object."),
]
Priority = Annotated[float | None, typer.Option(help="Your own weight, 0 to 1.")]
Hold = Annotated[
    bool | None, typer.Option("--hold/--no-hold", help="While held, it cannot be erased.")
]
ExpiresAt = Annotated[str | None, typer.Option(metavar="TIME", help="Hidden from then on.")]

_COMPARISON = re.compile(r"([\w.@:-]+?)\s*(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_OPERATORS = {"!=": "ne", "<=": "lte", ">=": "gte", "<": "lt", ">": "gt"}


def given(**arguments: object) -> dict[str, Any]:
    """The arguments that were given: so the defaults are those of the call itself."""
    return {name: value for name, value in arguments.items() if value is not None}


def read_filters(values: list[str] | None) -> dict[str, Any] | None:
    """`["type=fact", "event_at>=2026-01-01"]` as the mapping that calls take."""
    filters: dict[str, Any] = {}
    for value in values or []:
        for field, condition in _read_filter(value).items():
            old = filters.get(field)
            both = isinstance(old, dict) and isinstance(condition, dict)
            if old is not None and not both:
                raise typer.BadParameter(f"{field!r} has two conditions", param_hint="--filter")
            filters[field] = {**old, **condition} if isinstance(old, dict) else condition
    return filters or None


def _read_filter(value: str) -> dict[str, Any]:
    if value.lstrip().startswith("{"):
        return _read_object(value, "--filter")
    match = _COMPARISON.fullmatch(value)
    if match is None:
        raise typer.BadParameter(f"{value!r} is not FIELD=VALUE", param_hint="--filter")
    field, operator, operand = match.groups()
    found = read_scalar(operand) if field.startswith("metadata.") else operand
    return {field: found if operator == "=" else {_OPERATORS[operator]: found}}


def read_metadata(values: list[str] | None) -> dict[str, Any] | None:
    """`["place=Oslo", "n=3"]`, or JSON objects, as one object."""
    metadata: dict[str, Any] = {}
    for value in values or []:
        if value.lstrip().startswith("{"):
            metadata |= _read_object(value, "--metadata")
            continue
        key, equals, operand = value.partition("=")
        if not equals:
            raise typer.BadParameter(f"{value!r} is not KEY=VALUE", param_hint="--metadata")
        metadata[key] = read_scalar(operand)
    return metadata or None


def read_scalar(text: str) -> Any:  # noqa: ANN401
    """A JSON number, boolean, null or quoted string; anything else is the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, dict | list) else value


def _read_object(text: str, hint: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"no JSON object: {error}", param_hint=hint) from error
    if not isinstance(value, dict):
        raise typer.BadParameter("no JSON object", param_hint=hint)
    return value
