"""`promote(to="parametric")`: arguments checked, shards written or promised."""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import TYPE_CHECKING

from mneme.app.activation.engines import is_remote
from mneme.app.activation.promote import targets_of
from mneme.core.errors import GateFailedError, InvalidInputError, MnemeError
from mneme.ingest import checks
from mneme.memories.parametric.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.app.parametric.models import Models
    from mneme.app.parametric.shards import Plan, Shards
    from mneme.core.cube import MemCube
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.core.rows import Condition

    Progress = Callable[[int, int], None]


def promote_to_weights(
    models: Models,
    path: str,
    targets: tuple[Sequence[str] | None, tuple[Condition, ...]],
    engine: Engine | RemoteEngine,
    training: object,
    *,
    wait: bool,
    progress: Progress | None,
) -> list[MemCube]:
    """Shards that carry the facts of cubes.

    Raises:
        GateFailedError: No shard could be proven.
        InvalidInputError: No fact could be read, or an argument is wrong.
    """
    if is_remote(engine):
        raise InvalidInputError(
            "weights are written for a model in this process: give mneme.engine(path); a server "
            "is given the files by export_adapter"
        )
    settings = training_of(training)
    shards = models.shards(engine)
    rows = targets_of(models.vault, path, *targets)
    plan = shards.plan(path, rows, settings)
    if not (plan.shards or plan.there or plan.promised):
        raise InvalidInputError(f"there is nothing to write into weights: {_reasons(plan.left)}")
    if wait:
        made = _written(shards, path, plan, settings, progress)
        models.let_go(path)
    else:
        made = [models.vault.reader.get(path, cube_id) for cube_id in plan.promised]
        made += [shards.promise(path, each, settings) for each in plan.shards]
    renewed = {cube.id for cube in made}
    there = [each for each in plan.there if each not in renewed]
    return [*(models.vault.reader.get(path, each) for each in there), *made]


def _written(
    shards: Shards,
    path: str,
    plan: Plan,
    settings: Training,
    progress: Progress | None,
) -> list[MemCube]:
    """What passed its gate; if nothing did, the first reason is raised."""
    made: list[MemCube] = []
    failed: list[MnemeError] = []
    steps = _steps(progress)
    works = [partial(shards.rebuild, path, cube_id, steps) for cube_id in plan.promised]
    works += [partial(shards.write, path, each, settings, steps) for each in plan.shards]
    for work in works:
        try:
            made += work()
        except (GateFailedError, InvalidInputError) as error:
            failed.append(error)
    if failed and not (made or plan.there):
        raise failed[0]
    return made


def training_of(value: object) -> Training:
    """The settings, checked.

    Raises:
        InvalidInputError: They are no Training, or one of them is out of range.
    """
    if value is None:
        return Training()
    if not isinstance(value, Training):
        raise InvalidInputError(f"training takes mneme.Training(...), not {type(value).__name__}")
    _check_names(value)
    for name in ("rank", "facts_per_shard", "steps", "batch"):
        _check(name, getattr(value, name), int, 1, math.inf)
    _check("seed", value.seed, int, 0, 2**63 - 1)
    for name in ("replay", "distill"):
        _check(name, getattr(value, name), float, 0, math.inf)
    _check("after_turns", value.after_turns, float, 0, 1)
    if value.learning_rate is not None:
        _check("learning_rate", value.learning_rate, float, sys.float_info.min, math.inf)
    checks.flag_of(value.recompute, name="recompute")
    return value


def _check_names(training: Training) -> None:
    from mneme.memories.parametric import forms, optimizers, writers

    known = {
        "writer": tuple(writers.NAMES),
        "form": tuple(forms.FORMS),
        "optimizer": tuple(optimizers.NAMES),
    }
    for name, names in known.items():
        said = getattr(training, name)
        if said not in names:
            raise InvalidInputError(f"{name} takes one of {', '.join(names)}, not {said!r:.80}")


def _check(name: str, value: object, kind: type, least: float, most: float) -> None:
    kinds = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        upper = "" if most == math.inf else f" to {most:g}"
        above = f"from {least:g}{upper}" if least == int(least) else "above 0"
        raise InvalidInputError(f"{name} takes a number {above}, not {value!r:.80}")


def _steps(progress: Progress | None) -> Callable[[int, int, float], None] | None:
    if progress is None:
        return None
    return lambda step, steps, _loss: progress(step, steps)


def _reasons(left: Sequence[tuple[str, str]]) -> str:
    said = dict.fromkeys(why for _, why in left)
    return "; ".join(said) or "no cube is meant"
