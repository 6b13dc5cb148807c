"""The routes of OpenAI's dialect."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mneme.server.proxy import refused, upstream
from mneme.server.proxy.engine import from_engine, name_of
from mneme.server.proxy.passing import while_there
from mneme.server.proxy.refused import RefusedError
from mneme.server.proxy.serving import Proxy, begin, from_upstream, reading, recall
from mneme.server.proxy.whose import may_chat
from mneme.server.service import principal_of, service_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

_UNSET: Final = (
    "no model is behind this server: set MNEME_UPSTREAM_URL to an OpenAI-compatible server, such "
    "as http://127.0.0.1:8000/v1, or MNEME_SERVE_MODEL to the folder of a model, and start it again"
)


@asynccontextmanager
async def _closing(app: FastAPI) -> AsyncIterator[None]:
    """Close at the end what the first request opened."""
    try:
        yield
    finally:
        proxy: Proxy | None = getattr(app.state, "proxy", None)
        if proxy is not None:
            await proxy.client.aclose()


router = APIRouter(prefix="/v1", tags=["chat"], lifespan=_closing)


def _proxy_of(request: Request) -> Proxy:
    state = request.app.state
    if getattr(state, "proxy", None) is None:
        service = service_of(request)
        state.proxy = Proxy(service, upstream.open_client(service.settings))
    proxy: Proxy = state.proxy
    return proxy


@router.post("/chat/completions", response_class=JSONResponse)
async def complete(request: Request) -> Response:
    """A chat in OpenAI's dialect, with memory: docs/proxy.md."""
    proxy = _proxy_of(request)
    await request.body()

    async def work() -> Response:
        try:
            return await _answer(proxy, request)
        except RefusedError as error:
            return refused.answer(error)

    return await while_there(request.receive, work)


async def _answer(proxy: Proxy, request: Request) -> Response:
    principal = principal_of(request)
    chat = await begin(proxy, request, principal)
    service = proxy.service
    try:
        if service.settings.upstream_url is not None:
            await recall(proxy, chat, principal)
            return await from_upstream(proxy, chat, request)
        if service.engine is not None:
            space = reading(proxy, chat, principal)
            return await from_engine(proxy, chat, service.engine, space)
    except RefusedError as error:
        said = chat.headers(f"no; {error.code}")
        return refused.answer(error, {n.decode(): v.decode("latin-1") for n, v in said})
    raise RefusedError(404, _UNSET, code="no_model")


@router.get("/models", response_class=JSONResponse)
async def models(request: Request) -> Response:
    """The models behind this server."""
    proxy = _proxy_of(request)
    if not may_chat(principal_of(request)):
        said = "this key does not grant 'chat'"
        return refused.answer(RefusedError(403, said, code="ForbiddenError"))
    try:
        return await _models(proxy, request)
    except RefusedError as error:
        return refused.answer(error)


async def _models(proxy: Proxy, request: Request) -> Response:
    settings = proxy.service.settings
    if settings.upstream_url is None:
        return _own_model(proxy)
    answer = await upstream.asked(
        proxy.client, settings, "/models",
        given=request.headers, query=request.url.query, body=None,
    )  # fmt: skip
    body = await upstream.whole(answer)
    response = Response(body, answer.status_code)
    length = (b"content-length", str(len(body)).encode())
    response.raw_headers = [*upstream.given(answer), length]
    return response


def _own_model(proxy: Proxy) -> Response:
    engine = proxy.service.engine
    if engine is None:
        raise RefusedError(404, _UNSET, code="no_model")
    name = name_of(proxy, engine)
    model = {"id": name, "object": "model", "created": 0, "owned_by": "mneme"}
    return JSONResponse({"object": "list", "data": [model]})
