"""The routes that need a model: promote, demote, chat."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mneme.app.namespace import Namespace
from mneme.core.errors import BackendUnavailableError
from mneme.core.plain import plain
from mneme.memories.parametric.training import Training
from mneme.server.jobs import ids_named
from mneme.server.routes.common import (
    PREFIX,
    CubeId,
    Updatable,
    answer,
    router_of,
    says,
    space_for,
)
from mneme.server.service import service_of
from mneme.server.shapes import records
from mneme.server.shapes.bodies import ChatBody, PromoteBody
from mneme.server.streaming import told
from mneme.vault.stale import PREFILL, TUNE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.app.activation.reply import Reply
    from mneme.core.engine import Engine, RemoteEngine

router = router_of("models", PREFIX)
Chattable = Annotated[Namespace, Depends(space_for("chat"))]
_JOB_OF: Final = {"activation": PREFILL, "parametric": TUNE}


def engine_of(request: Request) -> Engine | RemoteEngine:
    """The model of the server.

    Raises:
        BackendUnavailableError: There is none; it says how to set one.
    """
    engine = service_of(request).engine
    if engine is None:
        raise BackendUnavailableError(
            "this server has no model: start it with MNEME_SERVE_MODEL=FOLDER, the folder of a "
            "Hugging Face model"
        )
    return engine


Model = Annotated[Any, Depends(engine_of)]


@router.post(
    "/promote",
    **says(
        "promote", "Make carriers of memories", records.Kept, 404, 409, 501,
        means="The carriers, and the jobs that go on making them.",
    ),
)  # fmt: skip
def promote(request: Request, space: Updatable, model: Model, body: PromoteBody) -> Response:
    """Keep what the server's model computes of memories, or write facts into weights for it.

    With `wait` false the carriers are promised and a job makes them.
    """
    given = body.given()
    if given.get("training") is not None:
        given["training"] = Training(**given["training"])
    cubes = space.promote(given.pop("target", None), engine=model, **given)
    names = [f"{_JOB_OF[cube.kind]} {space.path} {cube.id}" for cube in cubes]
    return answer({"cubes": cubes, "jobs": ids_named(service_of(request), *names)})


@router.post(
    "/memories/{id}/demote",
    **says("demote_memory", "Drop carriers", None, 404, 409, status=204, means="Dropped."),
)
def demote(space: Updatable, cube_id: CubeId) -> Response:
    """Drop what carries a memory beside its text, or one carrier; the text stays."""
    space.demote(cube_id)
    return Response(status_code=204)


@router.post(
    "/chat",
    **says("chat", "Answer from memory", records.Reply, 409, 501, means="The answer."),
)
async def chat(space: Chattable, model: Model, body: ChatBody) -> Response:
    """Answer a question from memory, and remember the exchange.

    With `stream` the answer comes as events: `token` with pieces of its text, then `reply` with all
    of it; `error` with a problem if it breaks off, and then nothing is remembered.
    """
    given = body.given()
    streams = given.pop("stream", False)
    ask = partial(space.chat, given.pop("messages"), engine=model, **given)
    if not streams:
        return answer(_shown(await run_in_threadpool(ask)))

    def work(note: Callable[[str], None]) -> dict[str, Any]:
        return _shown(ask(note=note))

    return await told(work, "reply")


def _shown(reply: Reply) -> dict[str, Any]:
    shown: dict[str, Any] = plain(reply)
    shown["context"]["messages"] = reply.context.to_messages()
    return shown
