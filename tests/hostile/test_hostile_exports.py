"""A cube file that somebody made with care: refused whole, or all of it can be read."""

from __future__ import annotations

import hashlib
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme import ImportRefusedError, InvalidInputError, MnemeError, Namespace
from mneme.app.memory import MemoryOS

numbers = count()
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2,
    1 << 20, 2**31, 2**53, 2**62, 2**63, -(2**63), 10**30, 1.5, 1e300,
    "", "x", "a\0b", "\ud800", "[]", "{}", "null", "[[1]]", '[["x",1,0,9]]', '{"a":1}', '{"a":NaN}',
    "not json", "activated", "erased", "forgotten", "turn", "activation", "untrusted", "user",
    [], {},
    ["x"], {"a": 1}, [[1, 2]], "x" * 5000,
)  # fmt: skip


@pytest.fixture(scope="module")
def lines(memory: MemoryOS, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    there = memory.namespace("exported")
    cube = there.add("The first text.", metadata={"a": 1}, labels=["x"], at="2026-01-01")[0]
    there.update(cube.id, text="The second text.", valid_from="2026-01-01")
    there.add("# One\n\nFirst part.\n\n# Two\n\nSecond part.", type="document")
    file = tmp_path_factory.mktemp("exports") / "cubes"
    there.export(file)
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def write(path: Path, lines: list[Any], **end: object) -> None:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    last = {"cubes": len(lines) - 1, "sha256": hashlib.sha256(body).hexdigest(), **end}
    path.write_bytes(body + json.dumps(last).encode() + b"\n")


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Every place within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [at] if at else []
    for key, each in inner:
        if isinstance(each, dict | list):
            found += places(each, (*at, key))
        else:
            found.append((*at, key))
    return found


def read_all(there: Namespace) -> None:
    for archived in (False, True):
        for cube in there.list(limit=1000, include_archived=archived).items:
            there.get(cube.id)
            there.history(cube.id)
            there.sources(cube.id)
            there.derived(cube.id)
            assert isinstance(cube.text, str)
    there.search("first text")
    there.recall("second part")
    there.list(filters={"metadata.a": 1, "event_at": {"gt": "2020-01-01"}})


@settings(
    max_examples=400, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
def test_a_changed_field_is_refused_or_harmless(
    memory: MemoryOS,
    lines: list[Any],
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    changed = json.loads(json.dumps(lines[:-1]))
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from([p for p in places(changed) if len(p) > 1]))
        target = changed
        for key in place[:-1]:
            if not isinstance(target, dict | list):
                return
            target = target[key]
        if not isinstance(target, dict | list):
            return
        if data.draw(st.booleans()) and isinstance(target, dict):
            target.pop(place[-1], None)
        else:
            target[place[-1]] = data.draw(st.sampled_from(VALUES))
    file = tmp_path_factory.mktemp("changed") / "cubes"
    write(file, changed)
    there = memory.namespace(f"in/{next(numbers)}")
    before = memory.audit_head()
    try:
        there.import_(file, format="mneme")
    except MnemeError as refused:
        assert isinstance(refused, ImportRefusedError | InvalidInputError)  # noqa: PT017
        assert memory.audit_head() == before
    read_all(there)
    there.erase([cube.id for cube in there.list(limit=1000, include_archived=True).items])


def test_a_count_that_does_not_fit_is_refused(
    memory: MemoryOS, lines: list[Any], tmp_path: Path
) -> None:
    there = memory.namespace("counted")
    for end in ({"cubes": 99}, {"cubes": None}, {"sha256": 5}):
        write(tmp_path / "cubes", lines[:-1], **end)
        with pytest.raises(ImportRefusedError):
            there.import_(tmp_path / "cubes")
    assert there.list().items == ()


def test_a_cube_that_comes_twice_is_refused(
    memory: MemoryOS, lines: list[Any], tmp_path: Path
) -> None:
    write(tmp_path / "cubes", [*lines[:-1], lines[1]])
    with pytest.raises(ImportRefusedError, match="twice"):
        memory.namespace("twice").import_(tmp_path / "cubes")


def test_what_came_from_a_tool_cannot_claim_trust(
    memory: MemoryOS, lines: list[Any], tmp_path: Path
) -> None:
    changed = json.loads(json.dumps(lines[:-1]))
    changed[1]["versions"][0]["origin"] = "tool"
    write(tmp_path / "cubes", changed)
    with pytest.raises(ImportRefusedError):
        memory.namespace("trusting").import_(tmp_path / "cubes")
