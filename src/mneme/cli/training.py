"""The option `--training`: how weights are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme import Training

TrainingOf = Annotated[
    list[str] | None,
    typer.Option(
        "--training",
        metavar="NAME=VALUE",
        help="How weights are written: rank=8, form=int8, optimizer=lomo, ...; may be repeated.",
    ),
]


def read_training(said: Sequence[str] | None) -> Training | None:
    """The settings of `--training`; None where there are none.

    Raises:
        typer.BadParameter: One is unknown, or no value of its kind.
    """
    if not said:
        return None
    import mneme

    known = mneme.Training()
    given: dict[str, Any] = {}
    for each in said:
        name, found, value = each.partition("=")
        if not found or not hasattr(known, name):
            names = ", ".join(known.__dataclass_fields__)
            raise typer.BadParameter(
                f"{each!r}: give NAME=VALUE, of {names}", param_hint="--training"
            )
        kind = type(getattr(known, name))
        given[name] = value if kind is str else _number(each, value)
    return mneme.Training(**given)


def _number(said: str, value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        raise typer.BadParameter(
            f"{said!r}: the value is a number, true, or false", param_hint="--training"
        ) from None
