"""The routes on keys: who may come in. For admins; an admin of some namespaces, for those alone.

Nobody hands out, or takes over, more than they have: a key that is made or gets a new secret may do
no more than the key that asks for it, nor live longer, unless that one is admin of every namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Path, Request
from starlette.responses import JSONResponse, Response

from mneme import __version__
from mneme.core.clock import from_us
from mneme.core.errors import ForbiddenError
from mneme.core.moments import optional_us
from mneme.core.plain import plain
from mneme.govern.permission import Grant, Principal
from mneme.server.routes.common import answer, router_of, says
from mneme.server.service import principal_of, service_of
from mneme.server.shapes.keys import KeyBody, KeyId, KeyList, Me, NewKey, RotateBody
from mneme.vault.keys import KeyUnknownError

if TYPE_CHECKING:
    from datetime import datetime

    from mneme.vault.keys import AccessKey

router = router_of("keys", "/v1")

ThisKey = Annotated[KeyId, Path(alias="id")]


def keeper(request: Request) -> Principal:
    """Whoever asks, if they may look after keys."""
    principal = principal_of(request)
    if not principal.is_admin:
        raise ForbiddenError("this key does not grant 'admin'")
    return principal


Keeper = Annotated[Principal, Depends(keeper)]


@router.get("/me", **says("whoami", "Whose key this is", Me, means="The key's own terms."))
async def me(request: Request) -> JSONResponse:
    """What the key of this request grants, and what the server takes; any good key may ask."""
    asks, limits = principal_of(request), service_of(request).settings
    per_s = asks.requests_per_s or limits.serve_requests_per_s
    takes = {
        "body_bytes": limits.serve_body_bytes,
        "timeout_s": limits.serve_timeout_s,
        "requests_per_s": per_s,
    }
    shown = plain(asks)
    del shown["requests_per_s"]
    return answer(shown | {"version": __version__, "limits": takes})


@router.get("/keys", **says("list_keys", "List keys", KeyList, means="Without their secrets."))
def list_(request: Request, asks: Keeper) -> JSONResponse:
    """The keys, the oldest first; of an admin of some namespaces, those that reach no further."""
    known = service_of(request).memory.list_keys()
    return answer({"keys": [key for key in known if _sees(asks, key)]})


@router.post(
    "/keys", **says("make_key", "Make a key", NewKey, status=201, means="Shown this once.")
)
def make(request: Request, asks: Keeper, body: KeyBody) -> JSONResponse:
    """A new key; its text is in this answer and nowhere else."""
    _refuse_more(
        asks,
        [Grant(namespaces=tuple(body.namespaces), verbs=tuple(body.verbs))],
        expires_at=_moment(request, body.expires_at),
        requests_per_s=body.requests_per_s,
    )
    given = body.given()
    made = service_of(request).memory.make_key(given.pop("name"), **given)
    return _new(*made, 201)


@router.post(
    "/keys/{id}/rotate",
    **says("rotate_key", "Give a key a new secret", NewKey, 404, means="Shown this once."),
)
def rotate(
    request: Request, asks: Keeper, key_id: ThisKey, body: RotateBody | None = None
) -> JSONResponse:
    """A new secret for a key; the old one works for `overlap_s` seconds more."""
    key = _found(request, asks, key_id)
    _refuse_more(asks, key.grants, expires_at=key.expires_at, requests_per_s=key.requests_per_s)
    overlap_s = 0.0 if body is None else body.overlap_s
    return _new(*service_of(request).memory.rotate_key(key_id, overlap_s=overlap_s))


@router.delete("/keys/{id}", **says("revoke_key", "Revoke a key", None, 404, status=204))
def revoke(request: Request, asks: Keeper, key_id: ThisKey) -> Response:
    """Refuse a key from now on."""
    _found(request, asks, key_id)
    service_of(request).memory.revoke_key(key_id)
    return Response(status_code=204)


def _found(request: Request, asks: Principal, key_id: str) -> AccessKey:
    """A key that whoever asks may look after; one of others' answers as one that is not there."""
    for key in service_of(request).memory.list_keys():
        if key.id == key_id and _sees(asks, key):
            return key
    raise KeyUnknownError(key_id)


def _sees(asks: Principal, key: AccessKey) -> bool:
    return all(map(asks.may_give, key.grants))


def _refuse_more(
    asks: Principal,
    grants: list[Grant] | tuple[Grant, ...],
    *,
    expires_at: datetime | None,
    requests_per_s: float | None,
) -> None:
    more = asks.exceeded_by(grants, expires_at=expires_at, requests_per_s=requests_per_s)
    if more is not None:
        raise ForbiddenError(f"that key would have {more}")


def _moment(request: Request, text: str | None) -> datetime | None:
    at = optional_us(text, service_of(request).settings.zone, name="expires_at")
    return None if at is None else from_us(at)


def _new(text: str, key: AccessKey, status: int = 200) -> JSONResponse:
    return answer({"key": text} | plain(key), status)
