"""Whether the server answers."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["server"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the server answers; needs no key."""
    return {"status": "ok"}
