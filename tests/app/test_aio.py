"""The same names as coroutines."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import mneme


def test_the_awaitable_front_has_the_same_names(tmp_path: Path) -> None:
    async def use() -> None:
        async with await mneme.aopen(tmp_path) as memory:
            alice = memory.namespace("alice")
            cubes = await alice.add("I moved to Oslo.", session="s")
            hits = await alice.search("Oslo")
            assert hits[0].cube.id == cubes[0].id
            many = await asyncio.gather(*(alice.add(f"Line {n}.") for n in range(20)))
            assert len(many) == 20
            assert (await memory.stats()).types["turn"] == 21
            assert (await memory.verify()).ok
            with pytest.raises(mneme.CubeNotFoundError):
                await alice.get("none")
            with pytest.raises(TypeError):
                await alice.add("x", sesion="s")
            with pytest.raises(AttributeError):
                _ = alice._private
            with pytest.raises(AttributeError):
                _ = memory._private
            assert alice.path == "alice"

    asyncio.run(use())
