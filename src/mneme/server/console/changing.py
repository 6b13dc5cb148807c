"""Add, edit, roll back, archive, freeze, forget and restore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Form
from starlette.requests import Request
from starlette.responses import Response

from mneme.core.cube import PLAINTEXT_TYPES
from mneme.core.errors import InvalidInputError, VersionConflictError
from mneme.ingest.checks import canonical
from mneme.server.console.diff import difference, shortened
from mneme.server.console.display import in_url
from mneme.server.console.forms import AddForm, EditForm
from mneme.server.console.home import see
from mneme.server.console.memory import MOVES
from mneme.server.console.render import page
from mneme.server.console.route import pages, space_of
from mneme.server.console.timeline import ROLES
from mneme.server.service import service_of

if TYPE_CHECKING:
    from mneme.app.namespace import Namespace
    from mneme.core.cube import MemCube
    from mneme.vault.audit import AuditEntry

router = pages()
_FORGOTTEN_SHOWN: Final = 50
_ADDED: Final = ("turn", "document", "note", "preference", "instruction")

Text = Annotated[str, Form()]


@router.get("/n/{ns}/add")
def add_form(request: Request, ns: str) -> Response:
    """A form for a memory."""
    space = space_of(request, ns, "add")
    return _add_page(request, space, AddForm())


@router.post("/n/{ns}/add")
def add(request: Request, ns: str, given: Annotated[AddForm, Form()]) -> Response:
    """Keep what was typed, and show it."""
    space = space_of(request, ns, "add")
    try:
        kept = space.add(lines(given.text), **given.arguments())
    except InvalidInputError as error:
        return _add_page(request, space, given, status=422, problem=str(error))
    if not space_may_read(request, space):
        return _add_page(request, space, AddForm(), note="It was added.")
    return see(_of(space, kept[0].id))


@router.get("/n/{ns}/memories/{id}/edit")
def edit_form(request: Request, ns: str, id: str) -> Response:  # noqa: A002
    """A form with the memory as it is."""
    space = space_of(request, ns, "update", "read")
    return _edit_page(request, space, space.get(id))


@router.post("/n/{ns}/memories/{id}/edit")
def edit(request: Request, ns: str, id: str, given: Annotated[EditForm, Form()]) -> Response:  # noqa: A002
    """Write a new version of what was changed; if somebody was first, show both."""
    space = space_of(request, ns, "update", "read")
    before = space.get(id)
    try:
        changes = _changes(before, given)
        if changes or given.version != before.version:
            space.update(id, **changes, expected_version=given.version)
    except VersionConflictError:
        now = space.get(id)
        pieces = shortened(difference(now.text, lines(given.text)))
        return _edit_page(request, space, now, status=409, given=given, pieces=pieces)
    except InvalidInputError as error:
        return _edit_page(request, space, before, status=422, given=given, problem=str(error))
    return see(_of(space, id) + "#versions")


@router.post("/n/{ns}/memories/{id}/rollback")
def rollback(request: Request, ns: str, id: str, to_version: Annotated[int, Form()]) -> Response:  # noqa: A002
    """A new version with an older one's text."""
    space = space_of(request, ns, "update")
    space.rollback(id, to_version=to_version)
    return see(_of(space, id) + "#versions")


@router.post("/n/{ns}/memories/{id}/move")
def move(request: Request, ns: str, id: str, verb: Text = "") -> Response:  # noqa: A002
    """Archive, activate, freeze or unfreeze."""
    space = space_of(request, ns, "update")
    if verb not in MOVES:
        raise InvalidInputError(f"there is no move {verb!r:.40}; there are {', '.join(MOVES)}")
    getattr(space, verb)(id)
    return see(_of(space, id))


@router.post("/n/{ns}/memories/{id}/forget")
def forget(request: Request, ns: str, id: str) -> Response:  # noqa: A002
    """Hide a memory and what derives from it."""
    space = space_of(request, ns, "forget")
    hidden = space.forget(id)
    asked = urlencode({"hidden": hidden, "id": id})
    return see(f"/n/{in_url(space.path)}/forgotten?{asked}")


@router.get("/n/{ns}/forgotten")
def forgotten(request: Request, ns: str, hidden: int = 0, id: str = "") -> Response:  # noqa: A002
    """What was forgotten lately, by id: its text is not readable until it is restored."""
    space = space_of(request, ns, "forget")
    entries = service_of(request).memory.audit()
    rows = still_forgotten(entries, space.path)[:_FORGOTTEN_SHOWN]
    return page(request, "forgotten.html", space=space.path, rows=rows, hidden=hidden, id=id)


@router.post("/n/{ns}/restore")
def restore(request: Request, ns: str, id: Text = "") -> Response:  # noqa: A002
    """Undo `forget`."""
    space = space_of(request, ns, "forget")
    space.restore(id.strip())
    readable = space_may_read(request, space)
    return see(_of(space, id.strip()) if readable else f"/n/{in_url(space.path)}/forgotten")


def still_forgotten(entries: list[AuditEntry], path: str) -> list[AuditEntry]:
    """The entries that forgot what was neither restored nor erased since, the newest first."""
    last = {
        entry.cube_id: entry
        for entry in entries
        if entry.namespace == path and entry.verb in {"forget", "restore", "erase"}
    }
    return sorted(
        (entry for entry in last.values() if entry.verb == "forget"),
        key=lambda entry: -entry.number,
    )


def lines(text: str) -> str:
    """Text of a form, whose lines end with CR LF, as lines that end with LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def space_may_read(request: Request, space: Namespace) -> bool:
    """Whether the key may read what it just changed."""
    return bool(request.scope["principal"].may("read", space.path))


def _changes(before: MemCube, given: EditForm) -> dict[str, Any]:
    """What differs from the memory as it is."""
    changes: dict[str, Any] = {}
    if lines(given.text) != lines(before.text):
        changes["text"] = lines(given.text)
    if given.type and given.type != before.type:
        changes["type"] = given.type
    labels = [each.strip() for each in given.labels.split(",") if each.strip()]
    if labels != list(before.labels):
        changes["labels"] = labels
    metadata = _object(given.metadata)
    if canonical(metadata) != canonical(before.metadata):
        changes["metadata"] = metadata
    if given.hold != before.hold:
        changes["hold"] = given.hold
    return changes


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidInputError(f"metadata is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInputError('metadata takes a JSON object such as {"colour": "red"}')
    return found


def _edit_page(
    request: Request,
    space: Namespace,
    cube: MemCube,
    *,
    status: int = 200,
    given: EditForm | None = None,
    **more: object,
) -> Response:
    """The form; `more`: a problem, or the pieces of a difference."""
    shown = {"problem": None, "pieces": None, "types": PLAINTEXT_TYPES} | more
    return page(
        request,
        "edit.html",
        status=status,
        space=space.path,
        cube=cube,
        given=given or _as_it_is(cube),
        **shown,
    )


def _as_it_is(cube: MemCube) -> EditForm:
    metadata = json.dumps(dict(cube.metadata), ensure_ascii=False, indent=2, default=dict)
    return EditForm(
        version=cube.version,
        text=cube.text,
        type=cube.type,
        labels=", ".join(cube.labels),
        metadata=metadata if cube.metadata else "",
        hold=cube.hold,
    )


def _add_page(
    request: Request, space: Namespace, given: AddForm, *, status: int = 200, **more: str
) -> Response:
    """The form; `more`: a problem, or a note of what was done."""
    shown = {"problem": "", "note": ""} | more
    return page(
        request, "add.html", status=status, space=space.path, roles=ROLES, types=_ADDED,
        given=given, **shown,
    )  # fmt: skip


def _of(space: Namespace, cube_id: str) -> str:
    return f"/n/{in_url(space.path)}/memories/{in_url(cube_id)}"
