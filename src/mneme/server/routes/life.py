"""The routes on the life of memories: versions, states, what derives from what, and the end."""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse

from mneme.core.plain import plain
from mneme.server.routes.common import (
    PREFIX,
    CubeId,
    Erasable,
    Forgettable,
    Readable,
    Updatable,
    answer,
    router_of,
    says,
)
from mneme.server.shapes import records
from mneme.server.shapes.bodies import EraseBody, ForgetBody, RollbackBody

router = router_of("life", PREFIX)
_ONE: Final = "/memories/{id}"
_STATE: Final = (404, 409)


@router.get(
    _ONE + "/history",
    **says("memory_history", "All versions of a memory", records.Cubes, 404, means="Oldest first."),
)
def history(space: Readable, cube_id: CubeId) -> JSONResponse:
    """All versions, oldest first."""
    return answer({"items": space.history(cube_id)})


@router.get(
    _ONE + "/sources",
    **says("memory_sources", "What a memory derives from", records.Cubes, 404, means="One step."),
)
def sources(space: Readable, cube_id: CubeId) -> JSONResponse:
    """What it derives from, one step, in the versions that it names."""
    return answer({"items": space.sources(cube_id)})


@router.get(
    _ONE + "/derived",
    **says("memory_derived", "What derives from a memory", records.Cubes, 404, means="One step."),
)
def derived(space: Readable, cube_id: CubeId) -> JSONResponse:
    """What derives from it, one step."""
    return answer({"items": space.derived(cube_id)})


@router.post(
    _ONE + "/rollback",
    **says("rollback_memory", "Go back to a version", records.Cube, *_STATE),
)
def rollback(space: Updatable, cube_id: CubeId, body: RollbackBody) -> JSONResponse:
    """Write a new version with an older one's text and validity; the state stays."""
    return answer(space.rollback(cube_id, to_version=body.to_version))


@router.post(_ONE + "/archive", **says("archive_memory", "Archive", records.Cube, *_STATE))
def archive(space: Updatable, cube_id: CubeId) -> JSONResponse:
    """Take a memory out of searches that do not ask for archived ones."""
    return answer(space.archive(cube_id))


@router.post(_ONE + "/activate", **says("activate_memory", "Activate", records.Cube, *_STATE))
def activate(space: Updatable, cube_id: CubeId) -> JSONResponse:
    """Bring an archived memory back into searches."""
    return answer(space.activate(cube_id))


@router.post(_ONE + "/freeze", **says("freeze_memory", "Freeze", records.Cube, *_STATE))
def freeze(space: Updatable, cube_id: CubeId) -> JSONResponse:
    """Refuse changes until it is unfrozen."""
    return answer(space.freeze(cube_id))


@router.post(_ONE + "/unfreeze", **says("unfreeze_memory", "Unfreeze", records.Cube, *_STATE))
def unfreeze(space: Updatable, cube_id: CubeId) -> JSONResponse:
    """Allow changes again."""
    return answer(space.unfreeze(cube_id))


@router.post(_ONE + "/restore", **says("restore_memory", "Restore", records.Cube, *_STATE))
def restore(space: Forgettable, cube_id: CubeId) -> JSONResponse:
    """Undo forgetting."""
    return answer(space.restore(cube_id))


@router.post(
    "/forget",
    **says(
        "forget", "Forget memories", records.Hidden, *_STATE,
        means="How many were hidden, those that derive from them included.",
    ),
)  # fmt: skip
def forget(space: Forgettable, body: ForgetBody) -> JSONResponse:
    """Hide memories from every read, by id or by filters; restoring undoes it."""
    return answer({"hidden": space.forget(body.target, filters=body.filters)})


@router.post(
    "/erase",
    **says(
        "erase", "Erase memories", records.Erasure, *_STATE,
        means="The receipt; with `dry_run` what would go.",
    ),
)  # fmt: skip
def erase(space: Erasable, body: EraseBody) -> JSONResponse:
    """Remove memories for good, with all that derives from them; it cannot be undone.

    The receipt says what went, what was rebuilt without it, and what was looked for afterwards.
    """
    if body.dry_run:
        return answer({"would": space.preview_erase(body.target, filters=body.filters)})
    receipt = space.erase(body.target, filters=body.filters, reason=body.reason)
    return answer(plain(receipt) | {"complete": receipt.complete})
