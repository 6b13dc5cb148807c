"""One suite of behaviours: the library and the client do the same, and raise the same."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mneme import (
    AddReport,
    Context,
    CubeNotFoundError,
    ErasureReceipt,
    FrozenCubeError,
    Hit,
    IdempotencyConflictError,
    ImportRefusedError,
    InvalidInputError,
    LifecycleError,
    MemCube,
    Namespace,
    Page,
    UnknownArgumentError,
    VersionConflictError,
)
from mneme.app.memory import MemoryOS
from mneme.client import RemoteNamespace

Space = Namespace | RemoteNamespace

OSLO = "I moved to Oslo in March."


def test_what_is_added_comes_back_as_it_was_said(space: Space, memory: MemoryOS) -> None:
    [cube] = space.add(
        OSLO, session="s1", speaker="Ada", at="2026-03-20T10:00:00+01:00", labels=["home"],
        metadata={"seen": [1, 2.5, None, {"deep": "yes"}]}, priority=0.5, hold=True,
    )  # fmt: skip
    assert isinstance(cube, MemCube)
    assert cube.text == OSLO
    assert cube.event_at == datetime(2026, 3, 20, 9, tzinfo=UTC)
    assert cube.metadata["seen"][3]["deep"] == "yes"
    assert (cube.speaker, cube.labels, cube.priority, cube.hold) == ("Ada", ("home",), 0.5, True)
    assert cube == memory.namespace("acme/alice").get(cube.id) == space.get(cube.id)
    space.update(cube.id, hold=False)


def test_messages_of_one_call_share_a_session(space: Space) -> None:
    said = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]
    first, second = space.add(said)
    assert first.session == second.session
    assert [first.role, second.role] == ["user", "assistant"]


def test_moments_are_taken_as_the_library_takes_them(space: Space) -> None:
    [cube] = space.add("The first day.", at=date(2026, 5, 1))  # type: ignore[arg-type]
    assert cube.event_at == datetime(2026, 5, 1, tzinfo=UTC)
    with pytest.raises(InvalidInputError, match="zone"):
        space.add("Never.", at=datetime(2026, 5, 1))  # noqa: DTZ001


def test_saying_it_again_is_a_retry_only_where_the_library_says_so(space: Space) -> None:
    first = space.add(OSLO, session="s1", at="2026-03-20")
    assert space.add(OSLO, session="s1", at="2026-03-20") == first
    assert space.add(OSLO, session="s1") != space.add(OSLO, session="s1")
    assert space.add("Key.", idempotency_key="k") == space.add("Key.", idempotency_key="k")
    with pytest.raises(IdempotencyConflictError):
        space.add("Other.", idempotency_key="k")


def test_many_are_added_with_a_status_each(space: Space) -> None:
    items = [
        OSLO,
        {"role": "assistant", "content": [{"type": "text", "text": "In parts."}]},
        {"content": "With more.", "session": "s2", "metadata": {"n": 1}, "name": "Ada"},
        {"content": [{"role": "user", "content": "Two."}, "messages."]},
        {"nothing": 1},
        object(),
        {"content": "Bad.", "metadata": {"x": object()}},
        " ",
    ]
    seen: list[tuple[int, int | None]] = []
    report = space.add_many(items, progress=lambda done, total: seen.append((done, total)))
    assert isinstance(report, AddReport)
    assert [each.number for each in report.items] == list(range(8))
    assert [each.status for each in report.items] == ["added"] * 4 + ["refused"] * 4
    assert [len(each.ids) for each in report.items] == [1, 1, 1, 2, 0, 0, 0, 0]
    assert all(each.error for each in report.refused)
    assert seen == [(8, 8)]
    assert space.get(report.items[2].ids[0]).speaker == "Ada"


def test_a_generator_of_many_is_added_in_order(space: Space) -> None:
    report = space.add_many(f"Number {n}." for n in range(600))
    assert report.added == 600
    texts = [space.get(each.ids[0]).text for each in report.items[::150]]
    assert texts == [f"Number {n}." for n in range(0, 600, 150)]


def test_search_and_recall_give_the_librarys_records(space: Space, memory: MemoryOS) -> None:
    for text in (OSLO, "My cat is called Grey.", "I play the cello."):
        space.add(text, session="s1", at="2026-03-20")
    hits = space.search("Where did I move?", limit=2, explain=True, types=["turn"])
    assert all(isinstance(hit, Hit) for hit in hits)
    assert hits[0].cube.text == OSLO
    assert hits[0].scores
    library = memory.namespace("acme/alice")
    assert hits == library.search("Where did I move?", limit=2, explain=True, types=["turn"])
    context = space.recall("Where did I move?", budget_tokens=200)
    assert isinstance(context, Context)
    assert OSLO in context.text
    assert context.to_messages()[0]["role"] == "system"
    assert context.citations[0].cube_id == context.hits[0].cube.id


def test_filters_and_pages(space: Space) -> None:
    for n in range(5):
        space.add(f"Number {n}.", session="s1", metadata={"n": n})
    page = space.list(limit=2, filters={"metadata.n": {"gte": 1}})
    assert isinstance(page, Page)
    rest = space.list(limit=9, filters={"metadata.n": {"gte": 1}}, cursor=page.next_cursor)
    assert [c.metadata["n"] for c in (*page.items, *rest.items)] == [1, 2, 3, 4]
    assert rest.next_cursor is None
    assert space.list(types=["turn", "fact"], kinds=["plaintext"], session="s1").items
    assert space.list(session="other").items == ()
    with pytest.raises(InvalidInputError):
        space.list(cursor="nonsense")
    with pytest.raises(InvalidInputError):
        space.list(filters={"nonsense": 1})
    with pytest.raises(InvalidInputError):
        space.search("x", limit=0)


def test_a_change_is_a_version(space: Space) -> None:
    [cube] = space.add("I live in Bergen.")
    changed = space.update(cube.id, text="I live in Oslo.", labels=("home",), expected_version=1)
    assert (changed.version, changed.text, changed.labels) == (2, "I live in Oslo.", ("home",))
    with pytest.raises(VersionConflictError) as found:
        space.update(cube.id, text="No.", expected_version=1)
    assert "version 2" in str(found.value)
    back = space.rollback(cube.id, to_version=1)
    assert (back.version, back.text) == (3, "I live in Bergen.")
    assert [each.version for each in space.history(cube.id)] == [1, 2, 3]
    assert space.get(cube.id, version=2).text == "I live in Oslo."


def test_states(space: Space) -> None:
    [cube] = space.add(OSLO)
    assert space.freeze(cube.id).state == "frozen"
    with pytest.raises(FrozenCubeError):
        space.update(cube.id, text="No.")
    assert space.unfreeze(cube.id).state == "activated"
    assert space.archive(cube.id).state == "archived"
    with pytest.raises(CubeNotFoundError):
        space.get(cube.id, include_archived=False)
    assert space.activate(cube.id).state == "activated"
    with pytest.raises(LifecycleError):
        space.activate(cube.id)


def test_forget_restore_and_erase(space: Space) -> None:
    first, second = (space.add(text)[0] for text in (OSLO, "I play the cello."))
    assert space.forget(first.id) == 1
    with pytest.raises(CubeNotFoundError):
        space.get(first.id)
    space.restore(first.id)
    assert space.forget(filters={"role": "user"}) == 2
    space.restore(first.id)
    assert [each.id for each in space.preview_erase([first.id])] == [first.id]
    receipt = space.erase([first.id, second.id], reason="asked for")
    assert isinstance(receipt, ErasureReceipt)
    assert set(receipt.erased) == {first.id, second.id}
    assert (receipt.complete, receipt.reason) == (True, "asked for")
    with pytest.raises(CubeNotFoundError):
        space.erase(first.id)
    for verb in (space.forget, space.erase, space.preview_erase):
        with pytest.raises(InvalidInputError, match="either"):
            verb()


def test_documents_have_sections(space: Space) -> None:
    text = "# One\n\nThe first part is here.\n\n# Two\n\nThe second part is there.\n"
    whole, *sections = space.add(text, type="document")
    assert len(sections) == 2
    assert [each.id for each in space.sources(sections[0].id)] == [whole.id]
    assert {each.id for each in space.derived(whole.id)} == {each.id for each in sections}


def test_feedback_takes_hits_and_ids(space: Space) -> None:
    space.add(OSLO)
    hits = space.search("Oslo")
    space.feedback(hits, used=True)
    space.feedback([hits[0].cube.id], used=hits)
    with pytest.raises(InvalidInputError):
        space.feedback(3, used=True)


@pytest.mark.parametrize("wrong", ["no-such-id", "../../..", "a/b", "ä", ".", "%2e", "x?y#z"])
def test_an_id_that_is_not_there_is_not_found(space: Space, wrong: str) -> None:
    with pytest.raises(CubeNotFoundError) as found:
        space.get(wrong)
    assert wrong in str(found.value)
    assert (found.value.cube_id, found.value.namespace) == (wrong, "acme/alice")


@pytest.mark.parametrize("wrong", ["", " ", 7, None])
def test_what_is_no_id_is_refused(space: Space, wrong: str) -> None:
    for verb in (space.get, space.history, space.archive, space.restore):
        with pytest.raises(InvalidInputError):
            verb(wrong)


def test_unknown_arguments_are_refused(space: Space) -> None:
    with pytest.raises(UnknownArgumentError, match="'limit'"):
        space.search("x", limits=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        space.add("x", sesion="s")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "wrong", [float("nan"), {1: "x"}, b"bytes", object(), 1 << 70, "lone \ud800"], ids=repr
)
def test_metadata_that_is_no_json_is_refused(space: Space, wrong: object) -> None:
    with pytest.raises(InvalidInputError):
        space.add("x", metadata={"value": wrong})
    assert space.list().items == ()


def test_a_file_goes_out_and_comes_in(space: Space, memory: MemoryOS, tmp_path: Path) -> None:
    space.add_many([OSLO, "I play the cello.", "Grüße 世界 🙂"])
    file = tmp_path / "out.mneme"
    assert space.export(file) == 3
    memory.namespace("acme/alice").erase(filters={"role": "user"})
    report = space.import_(file)
    assert (report.added, report.repeated) == (3, 0)
    assert space.import_(str(file), format="mneme").repeated == 3
    bad = tmp_path / "bad.mneme"
    bad.write_text("nonsense")
    with pytest.raises(ImportRefusedError):
        space.import_(bad, format="mneme")
    assert not list(tmp_path.glob("*.part"))
