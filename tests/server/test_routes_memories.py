"""Memories over HTTP: what is added is listed, read, changed and hidden as the library does it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.client.records import record
from mneme.core.cube import MemCube
from mneme.core.plain import plain
from mneme.settings import Settings
from mneme.testing.doors import running_door
from mneme.wiring import build

ALICE = "/v1/namespaces/alice"
MEMORIES = ALICE + "/memories"

texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda text: bool(text.strip()))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def added(http: httpx2.Client, text: str, **more: object) -> dict[str, Any]:
    answer = http.post(MEMORIES, json={"content": text, **more})
    assert answer.status_code == 201, answer.text
    [cube] = answer.json()["cubes"]
    assert isinstance(cube, dict)
    return cube


@contextmanager
def fresh() -> Iterator[tuple[httpx2.Client, Namespace]]:
    """A server over a store of its own, for tests that try many stores."""
    settings = Settings(worker=False, embedder="none")
    with (
        tempfile.TemporaryDirectory() as folder,
        build(Path(folder) / "store", settings=settings) as memory,
        running_door(memory) as door,
        httpx2.Client(base_url=door.url, headers=door.headers, timeout=30) as http,
    ):
        yield http, memory.namespace("alice")


def test_adding_answers_with_the_cube_and_the_job_that_reads_it(
    http: httpx2.Client, alice: Namespace
) -> None:
    answer = http.post(MEMORIES, json={"content": "I live in Oslo.", "session": "s1"})
    assert answer.status_code == 201
    [cube] = answer.json()["cubes"]
    assert cube == plain(alice.get(cube["id"]))
    [job] = answer.json()["jobs"]
    assert http.get(f"/v1/jobs/{job}").json()["kind"] == "read"


def test_what_is_not_to_be_read_has_no_job(http: httpx2.Client) -> None:
    answer = http.post(MEMORIES, json={"content": "I live in Oslo.", "infer": "none"})
    assert answer.json()["jobs"] == []


def test_a_cube_of_many_fields_comes_back_as_the_library_has_it() -> None:
    @given(
        text=texts,
        metadata=st.dictionaries(texts, values, max_size=4),
        labels=st.lists(texts, max_size=3, unique=True),
        priority=st.none() | st.floats(0, 1),
        at=st.none() | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat()),
        hold=st.booleans(),
    )
    @settings(max_examples=60, deadline=None)
    def round_trip(**given_: object) -> None:
        content = str(given_.pop("text"))
        said = json.dumps({"content": content, **given_})
        answer = http.post(MEMORIES, content=said, headers={"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        [cube] = answer.json()["cubes"]
        kept = alice.get(cube["id"])
        assert (kept.text, kept.hold, kept.priority) == (
            content,
            given_["hold"],
            given_["priority"],
        )
        assert plain(kept) == http.get(f"{MEMORIES}/{cube['id']}").json() == cube
        assert record(MemCube, cube) == kept

    with fresh() as (http, alice):
        round_trip()


def test_walking_a_cursor_sees_each_cube_once_while_others_are_added() -> None:
    @given(number=st.integers(0, 12), limit=st.integers(1, 5), between=st.integers(0, 2))
    @settings(max_examples=25, deadline=None)
    def walk(number: int, limit: int, between: int) -> None:
        here = f"/v1/namespaces/n{next(numbers)}"
        there = http.post(f"{here}/batch", json={"items": [f"note {n}" for n in range(number)]})
        wanted = [i for item in there.json()["items"] for i in item["ids"]]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = http.get(
                f"{here}/memories",
                params={"limit": limit} | ({"cursor": cursor} if cursor else {}),
            ).json()
            seen += [cube["id"] for cube in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            assert len(page["items"]) == limit
            http.post(f"{here}/batch", json={"items": ["later"] * between})
            if len(seen) > number + 40:
                break
        assert seen[:number] == wanted
        assert len(seen) == len(set(seen))

    numbers = iter(range(10_000))
    with fresh() as (http, _):
        walk()


def test_lists_can_be_narrowed(http: httpx2.Client, alice: Namespace) -> None:
    alice.add("I like tea.", session="s1")
    alice.add("# Tea\n\nGreen.", type="document", session="s2", metadata={"place": "Oslo"})

    def listed(query: str) -> list[str]:
        return [cube["session"] for cube in http.get(f"{MEMORIES}?{query}").json()["items"]]

    assert listed("session=s1") == ["s1"]
    assert listed("type=document") == ["s2"]
    assert sorted(listed("type=document&type=turn")) == ["s1", "s2"]
    assert listed('filters={"metadata.place":"Oslo"}') == ["s2"]
    assert listed("kind=activation") == []


def test_an_idempotency_key_writes_once(http: httpx2.Client, alice: Namespace) -> None:
    headers = {"Idempotency-Key": "first"}
    answers = [
        http.post(MEMORIES, json={"content": "I live in Oslo."}, headers=headers) for _ in range(2)
    ]
    first, second = ([cube["id"] for cube in each.json()["cubes"]] for each in answers)
    assert first == second
    other = http.post(MEMORIES, json={"content": "I live in Bergen."}, headers=headers)
    assert (other.status_code, other.json()["error"]) == (409, "IdempotencyConflictError")
    assert len(alice.list().items) == 1


def test_each_item_of_a_batch_gets_a_key_of_its_own_and_a_retry_writes_nothing(
    http: httpx2.Client, alice: Namespace
) -> None:
    parts = [{"type": "text", "text": "I sail."}]
    items: list[object] = [
        "I like tea.",
        {"role": "user", "content": "I like milk."},
        {"role": "user", "content": parts},
        {"content": [{"role": "user", "content": "I run."}], "session": "s1"},
        {"content": "I swim.", "idempotency_key": "mine"},
        {"content": "no", "colour": "red"},
        7,
    ]
    sent = {"json": {"items": items}, "headers": {"Idempotency-Key": "batch"}}
    first, second = (http.post(f"{ALICE}/batch", **sent).json()["items"] for _ in range(2))  # type: ignore[arg-type]
    assert [each["status"] for each in first] == ["added"] * 5 + ["refused"] * 2
    assert [each["status"] for each in second] == ["repeated"] * 5 + ["refused"] * 2
    assert [each["ids"] for each in first] == [each["ids"] for each in second]
    assert sorted(cube.text for cube in alice.list().items) == [
        "I like milk.",
        "I like tea.",
        "I run.",
        "I sail.",
        "I swim.",
    ]


def test_an_etag_is_the_version_and_saves_reading_again(http: httpx2.Client) -> None:
    at = f"{MEMORIES}/{added(http, 'I live in Oslo.')['id']}"
    assert http.get(at).headers["etag"] == '"1"'
    for tag in ('"1"', 'W/"1"', '"7", "1"', "*"):
        again = http.get(at, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    changed = http.patch(at, json={"text": "I live in Bergen."})
    assert changed.headers["etag"] == '"2"'
    assert http.get(at, headers={"If-None-Match": '"1"'}).json()["text"] == "I live in Bergen."
    assert http.get(at, params={"version": 1}).json()["text"] == "I live in Oslo."


@pytest.mark.parametrize("tag", ['"2"', 'W/"1"', '"other"', '"2", "3"'])
def test_if_match_of_another_version_changes_and_hides_nothing(
    http: httpx2.Client, tag: str
) -> None:
    at = f"{MEMORIES}/{added(http, 'I live in Oslo.')['id']}"
    headers = {"If-Match": tag}
    for answer in (
        http.patch(at, json={"text": "no"}, headers=headers),
        http.delete(at, headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]) == (412, "VersionConflictError")
        assert answer.headers["etag"] == '"1"'
    assert http.get(at).json()["version"] == 1


def test_if_match_of_the_version_changes_and_hides(http: httpx2.Client) -> None:
    at = f"{MEMORIES}/{added(http, 'I live in Oslo.')['id']}"
    for tag in ('"1"', '"7", "2"', "*"):
        assert http.patch(at, json={"hold": False}, headers={"If-Match": tag}).status_code == 200
    assert http.delete(at, headers={"If-Match": '"4"'}).json() == {"hidden": 1}
    assert http.get(at).status_code == 404
    assert http.delete(at).status_code == 404


def test_an_expected_version_that_is_another_is_a_conflict(http: httpx2.Client) -> None:
    at = f"{MEMORIES}/{added(http, 'I live in Oslo.')['id']}"
    answer = http.patch(at, json={"text": "no", "expected_version": 3}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["error"]) == (409, "VersionConflictError")


def test_a_foreign_id_answers_like_one_that_never_was(
    http: httpx2.Client, memory: MemoryOS, alice: Namespace
) -> None:
    [cube] = memory.namespace("bob").add("I live in Rome.")
    never = cube.id[:-4] + "0000"
    foreign, missing = (http.get(f"{MEMORIES}/{each}") for each in (cube.id, never))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text.replace(cube.id, "ID") == missing.text.replace(never, "ID")
