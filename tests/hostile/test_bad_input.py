"""Bad input, case by case: the error that it gets, and that nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mneme import (
    BackendUnavailableError,
    CubeNotFoundError,
    IdempotencyConflictError,
    ImportRefusedError,
    InvalidInputError,
    Namespace,
    UnknownArgumentError,
)
from mneme.app.memory import MemoryOS
from mneme.testing.strategies import BROKEN_TEXTS, SYNTAX, deep

Act = Callable[[Any], object]
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 (without a zone, on purpose)
LATE, EARLY = "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"

REFUSED: dict[str, Act] = {
    "no content": lambda a: a.add([]),
    "a number": lambda a: a.add(5),
    "bytes": lambda a: a.add(b"text"),
    "a message without content": lambda a: a.add({"role": "user"}),
    "a message of only pictures": lambda a: a.add({"role": "user", "content": [{"url": "x"}]}),
    "an unknown role": lambda a: a.add("Text.", role="usr"),
    "an unknown type": lambda a: a.add("Text.", type="turns"),
    "an unknown origin": lambda a: a.add("Text.", origin="web"),
    "an unknown way to infer": lambda a: a.add("Text.", infer="maybe"),
    "deep metadata": lambda a: a.add("Text.", metadata=deep(40)),
    "very deep metadata": lambda a: a.add("Text.", metadata=deep(100_000)),
    "metadata with NaN": lambda a: a.add("Text.", metadata={"a": float("nan")}),
    "metadata with infinity": lambda a: a.add("Text.", metadata={"a": [float("inf")]}),
    "metadata with a number as key": lambda a: a.add("Text.", metadata={1: 2}),
    "metadata with an object": lambda a: a.add("Text.", metadata={"a": object()}),
    "metadata with a NUL": lambda a: a.add("Text.", metadata={"a\0": 1}),
    "metadata with a surrogate": lambda a: a.add("Text.", metadata={"a": "\ud800"}),
    "large metadata": lambda a: a.add("Text.", metadata={"a": "x" * 70_000}),
    "a huge number in metadata": lambda a: a.add("Text.", metadata={"a": 10**5000}),
    "metadata that is a list": lambda a: a.add("Text.", metadata=[1]),
    "labels that are a string": lambda a: a.add("Text.", labels="secret"),
    "too many labels": lambda a: a.add("Text.", labels=[str(n) for n in range(100)]),
    "a naive moment": lambda a: a.add("Text.", at=NAIVE),
    "a moment above the last": lambda a: a.add("Text.", at=LATE),
    "a moment below the first": lambda a: a.add("Text.", at=EARLY),
    "no such day": lambda a: a.add("Text.", at="2026-02-30"),
    "words for a moment": lambda a: a.add("Text.", at="yesterday"),
    "a number for a moment": lambda a: a.add("Text.", at=1_700_000_000),
    "an end in the past": lambda a: a.add("Text.", expires_at="2020-01-01"),
    "a priority above 1": lambda a: a.add("Text.", priority=1.5),
    "a hold that is a word": lambda a: a.add("Text.", hold="yes"),
    "a long session": lambda a: a.add("Text.", session="s" * 5000),
    "an empty session": lambda a: a.add("Text.", session=""),
    "a document of nothing": lambda a: a.add(" \n ", type="document"),
    "an empty query": lambda a: a.search(""),
    "a query with NUL": lambda a: a.search("a\0b"),
    "a query with a surrogate": lambda a: a.search("\ud800"),
    "limit 0": lambda a: a.search("Oslo", limit=0),
    "limit true": lambda a: a.search("Oslo", limit=True),
    "limit of a million": lambda a: a.search("Oslo", limit=10**6),
    "an unknown mode": lambda a: a.search("Oslo", mode="magic"),
    "an unknown kind": lambda a: a.search("Oslo", kinds=["text"]),
    "types as a string": lambda a: a.search("Oslo", types="turn"),
    "a naive now": lambda a: a.search("Oslo", now=NAIVE),
    "a score that is no number": lambda a: a.search("Oslo", min_score=float("nan")),
    "a negative budget": lambda a: a.recall("Oslo", budget_tokens=-1),
    "an unknown filter": lambda a: a.search("Oslo", filters={"id": "x"}),
    "an unknown operator": lambda a: a.search("Oslo", filters={"type": {"like": "%"}}),
    "a filter without operators": lambda a: a.search("Oslo", filters={"type": {}}),
    "a filter on a list": lambda a: a.search("Oslo", filters={"type": ["turn"]}),
    "filters as a string": lambda a: a.search("Oslo", filters="type = 'turn'"),
    "a cursor of ours no more": lambda a: a.list(cursor="none"),
    "a negative cursor": lambda a: a.list(cursor="k-1"),
    "a cursor above all numbers": lambda a: a.list(cursor="kffffffffffffffffff"),
    "version 0": lambda a: a.get("x", version=0),
    "no target": lambda a: a.forget(),
    "empty filters": lambda a: a.erase(filters={}),
    "a target and filters": lambda a: a.erase("x", filters={"type": "turn"}),
    "an update of nothing": lambda a: a.update("x"),
    "validity the wrong way round": lambda a: a.update(
        "x", valid_from="2026-02-01", valid_to="2026-01-01"
    ),
    "feedback on nothing shown": lambda a: a.feedback([], used=["x"]),
    "feedback on a number": lambda a: a.feedback(5, used=True),
    "items that are a text": lambda a: a.add_many("Text."),
}  # fmt: skip


@pytest.fixture
def unchanged(memory: MemoryOS, alice: Namespace) -> Any:  # noqa: ANN401
    before = memory.audit_head(), memory.stats().counts
    yield
    assert (memory.audit_head(), memory.stats().counts) == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(alice: Namespace, what: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        REFUSED[what](alice)
    assert len(str(refused.value)) > 15


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("text", BROKEN_TEXTS, ids=lambda text: repr(text[:9]))
def test_a_broken_text_is_refused_everywhere(alice: Namespace, text: str) -> None:
    some = alice.list().items[0].id
    if text in {"\u2028", "\x1b[31m"}:
        text = text + "\0"
    for act in (
        lambda: alice.add(text),
        lambda: alice.add({"role": "user", "content": text}),
        lambda: alice.add(["Text.", text]),
        lambda: alice.add("Text.", session=text),
        lambda: alice.add("Text.", speaker=text),
        lambda: alice.add("Text.", labels=[text]),
        lambda: alice.add("Text.", idempotency_key=text),
        lambda: alice.update(some, text=text),
    ):
        with pytest.raises(InvalidInputError):
            act()


@pytest.mark.usefixtures("unchanged")
def test_one_bad_message_keeps_the_others_out(alice: Namespace) -> None:
    with pytest.raises(InvalidInputError):
        alice.add(["One.", "Two.", "\0"])


def test_one_bad_item_does_not_stop_the_others(alice: Namespace) -> None:
    report = alice.add_many(["Good one.", "", {"content": "x", "rol": "user"}, "Good two.", 7])
    assert [item.status for item in report.items] == [
        "added", "refused", "refused", "added", "refused"
    ]  # fmt: skip
    assert "role" in str(report.items[2].error)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("act", "nearest"),
    [
        (lambda a: a.add("Text.", sesion="s"), "session"),
        (lambda a: a.add("Text.", user_id="s"), None),
        (lambda a: a.search("Oslo", k=5), None),
        (lambda a: a.search("Oslo", limits=5), "limit"),
        (lambda a: a.recall("Oslo", budget=5), "budget_tokens"),
        (lambda a: a.update("x", txt="Text."), "text"),
        (lambda a: a.add({"role": "user", "contents": "x"}), "content"),
        (lambda a: a.erase("x", why="because"), None),
    ],
)
def test_an_unknown_argument_is_named_with_the_nearest(
    alice: Namespace, act: Act, nearest: str | None
) -> None:
    with pytest.raises(UnknownArgumentError) as refused:
        act(alice)
    assert isinstance(refused.value, TypeError)
    if nearest:
        assert repr(nearest) in str(refused.value)


BAD_PATHS = (
    "", "/", "a//b", "a/", "/a", "a b", "a\0", "ä", "*", "x" * 600, (), ("a", ""), ("a", 1), None,
    5, "a/../b;", "a'--", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_namespace_of_other_characters_is_refused(memory: MemoryOS, path: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidInputError):
        memory.namespace(path)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("query", SYNTAX)
def test_syntax_in_a_query_is_text(memory: MemoryOS, alice: Namespace, query: str) -> None:
    for mode in ("hybrid", "lexical", "dense"):
        hits = alice.search(query, mode=mode)
        assert all(hit.cube.namespace == "alice" for hit in hits)
        assert not any("zebra" in hit.cube.text for hit in hits)
    assert "zebra" not in alice.recall(query).text


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("value", SYNTAX)
def test_syntax_in_a_filter_is_a_value(alice: Namespace, value: str) -> None:
    assert alice.list(filters={"metadata.a": value}).items == ()
    assert alice.list(filters={"session": {"in": [value]}}).items == ()
    assert alice.search("Oslo", filters={"speaker": value}) == []
    for key in (value, f"metadata.{value}"):
        try:
            assert alice.list(filters={key: "x"}).items == ()
        except InvalidInputError as refused:
            assert "filter" in str(refused)  # noqa: PT017


def test_syntax_comes_back_as_it_went_in(memory: MemoryOS) -> None:
    there = memory.namespace("syntax")
    for value in SYNTAX:
        if value.strip():
            cube = there.add(value, session=value, speaker=value, metadata={value: value})[0]
            assert (cube.text, cube.session, cube.speaker) == (value, value, value)
            assert there.get(cube.id).metadata == {value: value}
            assert cube.id in [c.id for c in there.list(session=value).items]
    assert memory.verify().ok


def test_ids_of_another_namespace_are_as_unknown_as_any(memory: MemoryOS, alice: Namespace) -> None:
    theirs = memory.namespace("bob").list().items[0].id
    nobodys = theirs[:-1] + ("0" if theirs[-1] != "0" else "1")
    for act in (
        alice.get, alice.history, alice.archive, alice.freeze, alice.forget, alice.restore,
        alice.erase, alice.sources, alice.derived, alice.repeats,
        lambda i: alice.update(i, text="Mine now."),
        lambda i: alice.rollback(i, to_version=1),
        lambda i: alice.feedback([i], used=True),
        lambda i: alice.forget([alice.list().items[0].id, i]),
    ):  # fmt: skip
        before = memory.audit_head()
        said = []
        for cube_id in (theirs, nobodys):
            with pytest.raises(CubeNotFoundError) as refused:
                act(cube_id)
            assert isinstance(refused.value, KeyError)
            said.append(str(refused.value).replace(cube_id, "ID"))
        assert said[0] == said[1]
        assert memory.audit_head() == before
    assert memory.namespace("bob").get(theirs).version == 1


def test_a_parent_does_not_read_its_children(memory: MemoryOS) -> None:
    parent, child = memory.namespace("acme"), memory.namespace(("acme", "alice"))
    child.add("The child's word is giraffe.")
    assert parent.search("giraffe") == []
    assert parent.list().items == ()


def test_a_key_used_again_for_other_content_is_a_conflict(alice: Namespace) -> None:
    first = alice.add("Pay the rent.", idempotency_key="k1")
    assert [c.id for c in alice.add("Pay the rent.", idempotency_key="k1")] == [first[0].id]
    with pytest.raises(IdempotencyConflictError):
        alice.add("Pay the gas.", idempotency_key="k1")


def test_an_llm_is_asked_for_by_name(alice: Namespace) -> None:
    with pytest.raises(BackendUnavailableError):
        alice.add("Text.", infer="llm")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"{", b"\xff\xfe", b"[" * 200_000, b'{"format":"mneme-cubes"}']
)
def test_a_file_that_is_none_is_refused(alice: Namespace, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(content)
    with pytest.raises((ImportRefusedError, InvalidInputError)):
        alice.import_(file)


def test_an_export_that_was_changed_is_refused(memory: MemoryOS, tmp_path: Path) -> None:
    memory.namespace("from").add("The word is walrus.")
    file = tmp_path / "cubes"
    memory.namespace("from").export(file)
    whole = file.read_bytes()
    there = memory.namespace("to")
    for changed in (whole[:-5], whole.replace(b"walrus", b"badger"), whole[: len(whole) // 2]):
        file.write_bytes(changed)
        with pytest.raises(ImportRefusedError):
            there.import_(file)
    assert there.list().items == ()


def test_times_with_and_without_a_zone_are_read(alice: Namespace) -> None:
    cube = alice.add("At noon.", at="2026-03-20T12:00:00+02:00")[0]
    assert cube.event_at == datetime(2026, 3, 20, 10, tzinfo=UTC)
    assert alice.add("At ten.", at="2026-03-20T10:00")[0].event_at == cube.event_at
