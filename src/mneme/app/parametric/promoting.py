"""`promote(to="parametric")`: arguments checked, shards written or promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.app.activation.engines import is_remote
from mneme.app.activation.promote import targets_of
from mneme.core.errors import GateFailedError, InvalidInputError
from mneme.memories.parametric.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.app.parametric.models import Models
    from mneme.app.parametric.shards import Shards, Wanted
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
    if not plan.shards and not plan.there:
        raise InvalidInputError(f"there is nothing to write into weights: {_reasons(plan.left)}")
    there = [models.vault.reader.get(path, cube_id) for cube_id in plan.there]
    if not wait:
        made = [shards.promise(path, each, settings) for each in plan.shards]
    else:
        made = _written(shards, path, plan.shards, settings, progress)
        models.let_go(path)
    renewed = {cube.id for cube in made}
    return [*(cube for cube in there if cube.id not in renewed), *made]


def _written(
    shards: Shards,
    path: str,
    wanted: Sequence[Wanted],
    settings: Training,
    progress: Progress | None,
) -> list[MemCube]:
    """What passed its gate; if nothing did, the first reason is raised."""
    made, failed = [], []
    for each in wanted:
        try:
            made += shards.write(path, each, settings, _steps(progress))
        except GateFailedError as error:
            failed.append(error)
    if failed and not made:
        raise failed[0]
    return made


def training_of(value: object) -> Training:
    """The settings, checked.

    Raises:
        InvalidInputError: They are no Training, or out of range.
    """
    if value is None:
        return Training()
    if not isinstance(value, Training):
        raise InvalidInputError(f"training takes mneme.Training(...), not {type(value).__name__}")
    return value


def _steps(progress: Progress | None) -> Callable[[int, int, float], None] | None:
    if progress is None:
        return None
    return lambda step, steps, _loss: progress(step, steps)


def _reasons(left: Sequence[tuple[str, str]]) -> str:
    said = dict.fromkeys(why for _, why in left)
    return "; ".join(said) or "no cube is meant"
