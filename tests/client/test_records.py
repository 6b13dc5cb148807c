"""Records survive JSON; what is none of them is said."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import BackendUnavailableError, ForbiddenError, Hit, MemCube, Page, Timings
from mneme.client import AsyncClient, Client
from mneme.client.records import record, records
from mneme.core.lifecycle import State
from mneme.core.plain import plain
from mneme.core.provenance import Provenance, SourceSpan
from mneme.testing.doors import Door

text = st.text(st.characters(codec="utf-8"), max_size=10)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
counts = st.integers(0, 1 << 40)
values = st.recursive(
    st.none() | st.booleans() | counts | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
sources = st.builds(SourceSpan, cube_id=text, version=counts, start=counts, end=counts)
cubes = st.builds(
    MemCube,
    id=text, version=counts, namespace=text, type=text, text=text, session=text, role=text,
    kind=st.sampled_from(["plaintext", "activation", "parametric"]), state=st.sampled_from(State),
    speaker=st.none() | text, metadata=st.dictionaries(text, values, max_size=3),
    event_at=st.none() | moments, recorded_at=moments, valid_from=st.none() | moments,
    valid_to=st.none() | moments, expires_at=st.none() | moments,
    provenance=st.builds(Provenance, origin=text, method=text, sources=st.tuples(sources),
                         actor=st.none() | text, model=st.none() | text),
    labels=st.lists(text).map(tuple), trust=text, content_hash=text, uses=counts,
    priority=st.none() | st.floats(0, 1), hold=st.booleans(),
)  # fmt: skip
hits = st.builds(
    Hit, cubes, st.floats(0, 1), counts, st.none() | st.dictionaries(text, st.floats(0, 1)),
    st.booleans(), st.none() | st.tuples(counts, counts),
    st.lists(st.tuples(counts, counts), max_size=2).map(tuple),
)  # fmt: skip
pages = st.builds(Page, st.lists(cubes, max_size=2).map(tuple), st.none() | text)


def sent(value: object) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(json.dumps(plain(value)))


@given(hits | pages)
def test_a_record_is_the_same_behind_json(known: Hit | Page) -> None:
    assert record(type(known), sent(known)) == known


@given(hits)
def test_a_newer_server_may_say_more(hit: Hit) -> None:
    more = sent(hit) | {"later": 1}
    more["cube"]["later"] = {"x": [1]}
    assert record(Hit, more) == hit


@pytest.mark.parametrize("wrong", [None, [], "x", {}, {"items": 7}, {"items": [{}]}])
def test_what_is_no_record_is_said(wrong: object) -> None:
    with pytest.raises(BackendUnavailableError, match="Page"):
        record(Page, wrong)
    with pytest.raises(BackendUnavailableError, match="list"):
        records(Page, {"items": []})


def test_numbers_and_lists_are_checked() -> None:
    known = sent(Timings(ttft_s=1.0, total_s=2.0, prompt_tokens=3))
    assert record(Timings, known | {"ttft_s": 1}).ttft_s == 1.0
    for name, value in (("ttft_s", "1"), ("failed", "x"), ("tokens_by_tier", [])):
        with pytest.raises(BackendUnavailableError):
            record(Timings, known | {name: value})


def test_a_file_that_cannot_be_written_leaves_nothing(door: Door, tmp_path: Path) -> None:
    place = tmp_path / "none" / "out.mneme"

    async def later() -> None:
        async with AsyncClient(door.url, door.key) as client:
            await client.namespace("a").export(place)

    with Client(door.url, door.key) as client, pytest.raises(ForbiddenError, match="written"):
        client.namespace("a").export(place)
    with pytest.raises(ForbiddenError, match="written"):
        asyncio.run(later())
    with Client(door.url, door.key) as client, pytest.raises(ValueError, match="no file"):
        client.namespace("a").import_(place)


def test_a_server_that_is_away_is_waited_for_a_little() -> None:
    async def later() -> None:
        async with AsyncClient("http://127.0.0.1:1") as client:
            await client.namespaces()

    with pytest.raises(BackendUnavailableError, match="no answer"):
        asyncio.run(later())


def test_a_heavy_batch_is_sent_in_pieces(door: Door) -> None:
    with Client(door.url, door.key) as client:
        report = client.namespace("a").add_many(f"{n} " + "x" * 900_000 for n in range(7))
        assert [each.status for each in report.items] == ["added"] * 7
        assert [c.text[0] for c in client.namespace("a").list().items] == list("0123456")
