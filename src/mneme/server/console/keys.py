"""Access keys: listed, made (the key is shown this once), rotated, revoked."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form
from starlette.requests import Request
from starlette.responses import Response

from mneme.core.errors import InvalidInputError
from mneme.govern.permission import VERBS
from mneme.server.console.forms import KeyForm
from mneme.server.console.home import see
from mneme.server.console.render import page
from mneme.server.console.route import admin_of, pages

router = pages()


@router.get("/keys")
def keys(request: Request) -> Response:
    """What is known of each key; never its secret."""
    return _page(request, KeyForm(verbs=["read"]))


@router.post("/keys")
def make(request: Request, given: Annotated[KeyForm, Form()]) -> Response:
    """A new key, shown this once."""
    memory = admin_of(request)
    try:
        text, key = memory.make_key(
            given.name.strip(),
            namespaces=given.namespaces.replace(",", " ").split(),
            verbs=given.verbs,
            expires_at=given.expires_at or None,
            requests_per_s=_rate(given.requests_per_s),
        )
    except InvalidInputError as error:
        return _page(request, given, status=422, problem=str(error))
    return page(request, "key_shown.html", secret=text, key=key, made=True)


@router.post("/keys/{id}/rotate")
def rotate(request: Request, id: str, overlap_h: Annotated[float, Form()] = 0.0) -> Response:  # noqa: A002
    """A new secret; the old one works for some hours yet, if that is asked for."""
    text, key = admin_of(request).rotate_key(id, overlap_s=overlap_h * 3600.0)
    return page(request, "key_shown.html", secret=text, key=key, made=False)


@router.post("/keys/{id}/revoke")
def revoke(request: Request, id: str, confirm: Annotated[str, Form()] = "") -> Response:  # noqa: A002
    """Refuse a key from now on."""
    memory = admin_of(request)
    if confirm != "yes":
        raise InvalidInputError("tick the box to say that the key is to be revoked")
    memory.revoke_key(id)
    return see("/keys")


def _rate(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInputError("requests per second takes a number") from error


def _page(
    request: Request, given: KeyForm, *, status: int = 200, problem: str | None = None
) -> Response:
    keys = admin_of(request).list_keys()
    return page(
        request, "keys.html", status=status, keys=keys, verbs=VERBS, given=given, problem=problem
    )
