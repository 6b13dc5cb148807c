"""Erase: first all that goes is shown, then a typed confirmation, then the receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Form
from starlette.requests import Request
from starlette.responses import Response

from mneme.core.errors import InvalidInputError
from mneme.core.lifecycle import HIDDEN
from mneme.server.console.render import page
from mneme.server.console.route import pages, space_of

if TYPE_CHECKING:
    from mneme.app.namespace import Namespace
    from mneme.core.cube import MemCube

router = pages()
_SHOWN: Final = 500


@router.get("/n/{ns}/erase")
def preview(request: Request, ns: str, id: str = "", session: str = "") -> Response:  # noqa: A002
    """All that an erasure of a memory, or of a session, would take."""
    space = space_of(request, ns, "erase", "read")
    return _preview_page(request, space, id, session)


@router.post("/n/{ns}/erase")
def erase(
    request: Request,
    ns: str,
    id: Annotated[str, Form()] = "",  # noqa: A002
    session: Annotated[str, Form()] = "",
    confirm: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Erase it, if what was typed fits what goes now."""
    space = space_of(request, ns, "erase", "read")
    going = space.preview_erase(**_target(id, session))
    if " ".join(confirm.split()).lower() != phrase_of(going):
        said = f"Nothing was erased. Type “{phrase_of(going)}”, as below, to erase what is listed."
        return _preview_page(request, space, id, session, status=422, problem=said)
    receipt = space.erase(**_target(id, session), reason=reason.strip() or None)
    return page(request, "receipt.html", space=space.path, receipt=receipt)


def phrase_of(going: list[MemCube]) -> str:
    """What a person types: it names how many go, so that nothing unseen goes along."""
    return f"erase {len(going)}"


def _target(cube_id: str, session: str) -> dict[str, Any]:
    if bool(cube_id) == bool(session):
        raise InvalidInputError("choose a memory or a session to erase")
    return {"target": cube_id} if cube_id else {"filters": {"session": session}}


def _preview_page(
    request: Request,
    space: Namespace,
    cube_id: str,
    session: str,
    *,
    status: int = 200,
    problem: str | None = None,
) -> Response:
    going = space.preview_erase(**_target(cube_id, session))
    return page(
        request,
        "erase.html",
        status=status,
        space=space.path,
        id=cube_id,
        session=session,
        going=going[:_SHOWN],
        count=len(going),
        carriers=sum(cube.kind != "plaintext" for cube in going),
        derived=sum(cube.provenance.origin == "derived" for cube in going),
        hidden=sum(cube.state in HIDDEN for cube in going),
        phrase=phrase_of(going),
        problem=problem,
    )
