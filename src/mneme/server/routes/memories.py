"""The routes on memories: add, list, read, change, hide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Header, Query, Request
from starlette.responses import JSONResponse, Response

from mneme.core.errors import VersionConflictError
from mneme.ingest.reader import MESSAGE_FIELDS
from mneme.server import jsons
from mneme.server.etags import etag_of, matches
from mneme.server.jobs import ids_named
from mneme.server.problems import problem
from mneme.server.routes.common import (
    PREFIX,
    Addable,
    CubeId,
    Forgettable,
    Readable,
    Updatable,
    answer,
    router_of,
    says,
)
from mneme.server.service import service_of
from mneme.server.shapes import records
from mneme.server.shapes.bodies import AddBody, BatchBody, UpdateBody
from mneme.server.shapes.fields import (
    Kind,
    Moment,
    Name,
    QueryFlag,
    QueryLimit,
    QueryVersion,
    Type,
)
from mneme.vault.write import READ

if TYPE_CHECKING:
    from mneme.core.cube import MemCube

router = router_of("memories", PREFIX)
_ETAG: Final = {"ETag": "The version in quotes, for If-Match and If-None-Match."}

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        max_length=400,
        description="The same key with the same content writes nothing again; with other content "
        "it is refused.",
    ),
]
Tags = Annotated[str | None, Header(description="ETags, or `*`; what is no ETag matches nothing.")]


@router.post(
    "/memories",
    **says(
        "add_memory", "Remember something", records.Kept, 409,
        status=201, means="What is durable, and the jobs that go on reading it.",
    ),
)  # fmt: skip
def add(
    request: Request, space: Addable, body: AddBody, idempotency_key: IdempotencyKey = None
) -> JSONResponse:
    """Keep a text, a message, a list of messages or a document; it is durable when this answers.

    Facts that are read from it come later, by the jobs that are named.
    """
    given = body.given()
    if idempotency_key is not None:
        given.setdefault("idempotency_key", idempotency_key)
    cubes = space.add(**given)
    reading = ids_named(service_of(request), f"{READ} {space.path}")
    return answer({"cubes": cubes, "jobs": reading}, 201)


@router.get(
    "/memories",
    **says("list_memories", "List memories", records.CubePage, means="A page."),
)
def list_(  # noqa: PLR0913, PLR0917 (what a list can be asked for)
    space: Readable,
    type: Annotated[list[Type] | None, Query()] = None,  # noqa: A002 (the contract's name)
    kind: Annotated[list[Kind] | None, Query()] = None,
    session: Name | None = None,
    limit: QueryLimit = 100,
    cursor: Annotated[str | None, Query(pattern="^k[0-9a-f]{1,15}$")] = None,
    include_archived: QueryFlag = False,
    filters: Annotated[str | None, Query(description="JSON, as in a search.")] = None,
) -> JSONResponse:
    """The memories of a namespace in order of writing, page by page.

    Without `type`, `kind` or a filter on them only what was said is listed, not what was derived.
    """
    return answer(
        space.list(
            types=type, kinds=kind, session=session, limit=limit, cursor=cursor,
            include_archived=include_archived, filters=jsons.object_of(filters, name="filters"),
        )
    )  # fmt: skip


@router.post(
    "/batch",
    **says("add_batch", "Remember many things", records.AddReport, means="A status for each."),
)
def add_batch(
    space: Addable, body: BatchBody, idempotency_key: IdempotencyKey = None
) -> JSONResponse:
    """Keep many; one bad item does not stop the others.

    With an Idempotency-Key each item that has none of its own gets one made of it and its number.
    """
    items = body.items
    if idempotency_key is not None:
        items = [_with_key(item, f"{idempotency_key}/{n}") for n, item in enumerate(items)]
    return answer(space.add_many(items))


@router.get(
    "/memories/{id}",
    **says(
        "get_memory", "Read a memory", records.Cube, 404,
        means="One version of it.", headers=_ETAG,
    ),
)  # fmt: skip
def get(
    space: Readable,
    cube_id: CubeId,
    version: QueryVersion | None = None,
    as_of: Moment | None = None,
    include_archived: QueryFlag = True,
    if_none_match: Tags = None,
) -> Response:
    """The current version, a numbered one, or that of a past time; archived ones too."""
    cube = space.get(cube_id, version=version, as_of=as_of, include_archived=include_archived)
    headers = {"ETag": etag_of(cube.version), "Cache-Control": "private, no-cache"}
    if if_none_match is not None and matches(if_none_match, cube.version, weak=True):
        return Response(status_code=304, headers=headers)
    return answer(cube, headers=headers)


@router.patch(
    "/memories/{id}",
    **says(
        "update_memory", "Change a memory", records.Cube, 404, 409, 412,
        means="The new version.", headers=_ETAG,
    ),
)  # fmt: skip
def update(
    space: Updatable, cube_id: CubeId, body: UpdateBody, if_match: Tags = None
) -> JSONResponse:
    """Write a new version; what the request does not name stays as it was.

    `If-Match` refuses the change (412) if the memory is at another version; `expected_version` in
    the body does the same (409).
    """
    given = body.given()
    if if_match is None:
        return _changed(space.update(cube_id, **given))
    now_at = space.get(cube_id).version
    if not matches(if_match, now_at):
        return _other_version(now_at)
    try:
        return _changed(space.update(cube_id, **({"expected_version": now_at} | given)))
    except VersionConflictError as error:
        if matches(if_match, error.actual):
            raise
        return _other_version(error.actual)


@router.delete(
    "/memories/{id}",
    **says(
        "forget_memory", "Forget a memory", records.Hidden, 404, 409, 412,
        means="How many were hidden, those that derive from it included.",
    ),
)  # fmt: skip
def forget(space: Forgettable, cube_id: CubeId, if_match: Tags = None) -> JSONResponse:
    """Hide a memory from every read; restoring it undoes this.

    With `If-Match` nothing is hidden if the memory is at another version.
    """
    if if_match is not None:
        now_at = space.get(cube_id).version
        if not matches(if_match, now_at):
            return _other_version(now_at)
    return answer({"hidden": space.forget(cube_id)})


def _changed(cube: MemCube) -> JSONResponse:
    return answer(cube, headers={"ETag": etag_of(cube.version)})


def _other_version(actual: int) -> JSONResponse:
    return problem(
        412,
        f"If-Match names another version: the memory is at {actual}; read it again and retry",
        error=VersionConflictError.__name__,
        headers={"ETag": etag_of(actual)},
    )


def _with_key(item: Any, key: str) -> Any:  # noqa: ANN401 (JSON)
    """An item with an idempotency key, unless it has one, or is nothing that could."""
    if isinstance(item, str):
        return {"content": item, "idempotency_key": key}
    if not isinstance(item, dict) or item.get("idempotency_key") is not None:
        return item
    if set(item) <= set(MESSAGE_FIELDS) and not _are_messages(item.get("content")):
        return {"content": item, "idempotency_key": key}
    return item | {"idempotency_key": key}


def _are_messages(content: object) -> bool:
    """Whether a list holds messages, not the parts of one."""
    return isinstance(content, list) and all(
        isinstance(each, str) or (isinstance(each, dict) and "content" in each) for each in content
    )
