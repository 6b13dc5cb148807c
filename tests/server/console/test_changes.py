"""What forms change, and what they refuse to."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2
import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.errors import CubeNotFoundError
from mneme.core.lifecycle import State
from mneme.testing.doors import Door


@pytest.fixture
def client(door: Door) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=door.url, headers=door.headers, timeout=30) as client:
        yield client


def form_of(page: str) -> dict[str, str]:
    """The fields of the form for a memory, as a browser would send them unchanged."""
    fields = dict(re.findall(r'<input type="hidden" name="(version)" value="(\d+)"', page))
    fields |= {"type": re.findall(r'<option value="(\w+)" selected', page)[0]}
    fields["text"] = re.findall(r'name="text"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)[0]
    return fields


def test_an_edit_is_a_version_and_its_difference_is_marked(
    client: httpx2.Client, alice: Namespace
) -> None:
    [cube] = alice.add("I live in Leeds now.")
    path = f"/n/alice/memories/{cube.id}"
    form = form_of(client.get(path + "/edit").text)
    form |= {"text": "I live in Porto now.", "labels": "home, private", "metadata": '{"a": [1]}'}
    assert client.post(path + "/edit", data=form).headers["location"] == path + "#versions"
    now = alice.get(cube.id)
    assert (now.text, now.labels, dict(now.metadata)) == (
        "I live in Porto now.", ("home", "private"), {"a": [1]},
    )  # fmt: skip
    page = client.get(path).text
    assert "I live in <del>Leeds</del><ins>Porto</ins> now." in page
    assert "home, private" in page


def test_who_was_second_sees_the_conflict_and_loses_nothing(
    client: httpx2.Client, alice: Namespace
) -> None:
    [cube] = alice.add("The tide is at 9.")
    path = f"/n/alice/memories/{cube.id}/edit"
    form = form_of(client.get(path).text) | {"text": "The tide is at 11."}
    alice.update(cube.id, text="The tide is at 10.")
    answer = client.post(path, data=form)
    assert answer.status_code == 409
    assert "Somebody else was first" in answer.text
    assert "The tide is at <del>10</del><ins>11</ins>." in answer.text
    assert alice.get(cube.id).text == "The tide is at 10."
    again = form_of(answer.text)
    assert again == {"version": "2", "type": "turn", "text": "The tide is at 11."}
    assert client.post(path, data=again).status_code == 303
    assert alice.get(cube.id).text == "The tide is at 11."


def test_a_wrong_edit_is_explained_and_what_was_typed_is_kept(
    client: httpx2.Client, alice: Namespace
) -> None:
    [cube] = alice.add("kept")
    form = {"version": "1", "type": "turn", "text": "typed", "metadata": "{no json"}
    answer = client.post(f"/n/alice/memories/{cube.id}/edit", data=form)
    assert answer.status_code == 422
    assert "metadata is no JSON" in answer.text
    assert "typed</textarea>" in answer.text
    assert alice.get(cube.id).text == "kept"
    assert client.post(f"/n/alice/memories/{cube.id}/edit", data={}).status_code == 422


def test_a_version_is_rolled_back_to(client: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("first")
    alice.update(cube.id, text="second")
    answer = client.post(f"/n/alice/memories/{cube.id}/rollback", data={"to_version": "1"})
    assert answer.status_code == 303
    assert (alice.get(cube.id).text, alice.get(cube.id).version) == ("first", 3)
    bad = client.post(f"/n/alice/memories/{cube.id}/rollback", data={"to_version": "9"})
    assert bad.status_code == 422


def test_states_are_offered_as_the_life_cycle_has_them(
    client: httpx2.Client, alice: Namespace
) -> None:
    [cube] = alice.add("alive")
    path = f"/n/alice/memories/{cube.id}"

    def offers() -> set[str]:
        return set(re.findall(r'name="verb" value="(\w+)"', client.get(path).text))

    assert offers() == {"archive", "freeze"}
    client.post(path + "/move", data={"verb": "freeze"})
    assert offers() == {"unfreeze"}
    assert "Edit</a>" not in client.get(path).text
    frozen = client.post(path + "/edit", data={"version": "2", "text": "x", "type": "turn"})
    assert frozen.status_code == 409
    client.post(path + "/move", data={"verb": "unfreeze"})
    client.post(path + "/move", data={"verb": "archive"})
    assert alice.get(cube.id).state == State.ARCHIVED
    assert offers() == {"activate"}
    for wrong in ("erase", "_transit", ""):
        assert client.post(path + "/move", data={"verb": wrong}).status_code == 422


def test_what_is_forgotten_is_listed_by_id_and_restored(
    client: httpx2.Client, alice: Namespace
) -> None:
    [cube] = alice.add("A quiet secret.")
    answer = client.post(f"/n/alice/memories/{cube.id}/forget")
    page = client.get(answer.headers["location"]).text
    assert "1 memory is hidden now." in page
    assert cube.id in page
    assert "quiet secret" not in page
    with pytest.raises(CubeNotFoundError):
        alice.get(cube.id)
    back = client.post("/n/alice/restore", data={"id": cube.id})
    assert back.headers["location"] == f"/n/alice/memories/{cube.id}"
    assert alice.get(cube.id).text == "A quiet secret."
    assert cube.id not in client.get("/n/alice/forgotten").text


def test_an_erasure_shows_all_that_goes_wants_a_word_and_gives_a_receipt(
    client: httpx2.Client, memory: MemoryOS, alice: Namespace
) -> None:
    [cube] = alice.add("I live in Porto and I work at Harrow Maps.", at="2026-03-01")
    memory.drain()
    going = alice.preview_erase(cube.id)
    assert len(going) > 1  # what derives from it, too
    page = client.get("/n/alice/erase", params={"id": cube.id}).text
    assert f"{len(going)} memories go" in page
    assert all(each.text[:30] in page for each in going)
    for typed in ("", "erase", f"erase {len(going) + 1}"):
        form = {"id": cube.id, "confirm": typed}
        answer = client.post("/n/alice/erase", data=form)
        assert answer.status_code == 422
        assert "Nothing was erased" in answer.text
    assert alice.get(cube.id).id == cube.id
    form = {"id": cube.id, "confirm": f" Erase  {len(going)} ", "reason": "asked <for>"}
    receipt = client.post("/n/alice/erase", data=form)
    assert receipt.status_code == 200
    assert all(each.id in receipt.text for each in going)
    assert "asked &lt;for&gt;" in receipt.text
    assert memory.audit_head() in receipt.text
    assert "Porto" not in receipt.text
    assert alice.list(limit=10).items == ()


def test_what_came_since_the_preview_does_not_go_along(
    client: httpx2.Client, alice: Namespace
) -> None:
    alice.add("one", session="talk")
    page = client.get("/n/alice/erase", params={"session": "talk"}).text
    assert "erase 1" in page
    alice.add("two", session="talk")
    form = {"session": "talk", "confirm": "erase 1"}
    assert client.post("/n/alice/erase", data=form).status_code == 422
    assert len(alice.list(session="talk").items) == 2
    form["confirm"] = "erase 2"
    assert client.post("/n/alice/erase", data=form).status_code == 200
    assert alice.list(session="talk").items == ()


def test_an_erasure_needs_one_target_and_respects_a_hold(
    client: httpx2.Client, alice: Namespace
) -> None:
    [cube] = alice.add("held", hold=True)
    assert client.get("/n/alice/erase").status_code == 422
    both = client.get("/n/alice/erase", params={"id": cube.id, "session": "x"})
    assert both.status_code == 422
    held = client.get("/n/alice/erase", params={"id": cube.id})
    assert held.status_code == 403
    assert "held" in held.text


def test_a_memory_is_added_by_hand(client: httpx2.Client, alice: Namespace) -> None:
    form = {
        "text": "Line one\r\nline two", "role": "user", "speaker": "Alice", "session": "desk",
        "at": "2026-03-20T14:05", "type": "preference",
    }  # fmt: skip
    answer = client.post("/n/alice/add", data=form)
    cube = alice.get(answer.headers["location"].rsplit("/", 1)[1])
    assert (cube.text, cube.speaker, cube.session, cube.type) == (
        "Line one\nline two", "Alice", "desk", "preference",
    )  # fmt: skip
    bad = client.post("/n/alice/add", data=form | {"at": "sometime"})
    assert bad.status_code == 422
    assert "line two</textarea>" in bad.text
    assert client.post("/n/alice/add", data={"text": ""}).status_code == 422


def test_what_helped_is_told_to_the_ranking(client: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("Keys hang by the door.")
    form = {"id": cube.id, "used": "true", "q": "keys", "back": "/n/alice/search?q=keys"}
    answer = client.post("/n/alice/feedback", data=form)
    assert answer.headers["location"] == "/n/alice/search?q=keys"
