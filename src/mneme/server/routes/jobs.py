"""The routes on background work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, StreamingResponse

from mneme.server.jobs import ENDED, job_of, jobs_of
from mneme.server.routes.common import answer, router_of, says
from mneme.server.service import principal_of, service_of
from mneme.server.shapes import records
from mneme.server.shapes.fields import TEXT, QuerySeconds
from mneme.server.streaming import BEAT, BEAT_S, as_events, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mneme.server.jobs import Job

router = router_of("jobs", "/v1/jobs")
JobId = Annotated[
    str,
    Path(alias="id", pattern=TEXT, max_length=2048, description="As it was given out."),
]
_LOOK_S: Final = 0.25


@router.get("", **says("list_jobs", "List background work", records.Jobs, means="Oldest first."))
def list_jobs(request: Request) -> JSONResponse:
    """What is not done yet, of namespaces that the key may read; all of it for an admin."""
    return answer({"items": jobs_of(service_of(request), principal_of(request))})


@router.get("/{id}", **says("get_job", "What became of a job", records.Job, 404, means="The job."))
def get_job(request: Request, job_id: JobId) -> JSONResponse:
    """A job by the id that was given out for it; one that is done stays answerable."""
    return answer(job_of(service_of(request), principal_of(request), job_id))


@router.get(
    "/{id}/events",
    **says("job_events", "Wait for a job", None, 404, means="Its states as they come."),
)
async def job_events(
    request: Request,
    job_id: JobId,
    wait_s: Annotated[
        QuerySeconds, Query(description="The stream ends after so many seconds at the latest.")
    ] = 600,
) -> StreamingResponse:
    """Events `job`, one for each change of its state, until it is done or dead."""
    asked = service_of(request), principal_of(request), job_id
    first = await run_in_threadpool(job_of, *asked)

    async def events() -> AsyncIterator[bytes]:
        job: Job = first
        yield event("job", job)
        ends, said_at = _now_s() + wait_s, _now_s()
        while job["state"] not in ENDED and _now_s() < ends:
            await asyncio.sleep(min(_LOOK_S, max(0.0, ends - _now_s())))
            before, job = job, await run_in_threadpool(job_of, *asked)
            if job != before:
                yield event("job", job)
                said_at = _now_s()
            elif _now_s() - said_at > BEAT_S:
                yield BEAT
                said_at = _now_s()

    return as_events(events())


def _now_s() -> float:
    return asyncio.get_running_loop().time()
