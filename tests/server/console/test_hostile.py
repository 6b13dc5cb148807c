"""Texts that want to be more than text."""

from __future__ import annotations

import re

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.app.memory import MemoryOS
from mneme.server.console.display import preview, visible
from mneme.testing.doors import Door, running_door

HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "quotes": "\"' onmouseover=\"alert(3)\" x='` <a href='javascript:alert(4)'>",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} <%= 7 %>",
    "closing": "</textarea></title></script></svg><h1>out</h1>",
    "right to left": "שלום \u202egnp.exe\u202c עולם \u2067isolated\u2069",
    "control": "a\x01b\x08c\x1b[31md\x7fe\x85f\rg",
    "entities": "&lt;script&gt; &amp;amp; &#x3C;",
    "htmx": '<div hx-get="/keys" hx-trigger="load" data-hx-on:load="alert(5)"></div>',
    "emoji": "👩‍👩‍👧 🇳🇴 \U0001f469\u200d\U0001f4bb e\u0301",
    "long word": "x" * 5000,
    "lines": "\n\nfirst\n\tsecond\n",
}


@pytest.fixture
def client(door: Door) -> httpx2.Client:
    return httpx2.Client(base_url=door.url, headers=door.headers, timeout=60)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_text_is_only_text_on_every_page(
    client: httpx2.Client, memory: MemoryOS, text: str
) -> None:
    space = memory.namespace("alice")
    [cube] = space.add(
        f"harmless beginning {text}",
        speaker=text.replace("\n", " ").replace("\r", " ")[:60].strip(),
        metadata={"note": text},
        labels=[text[:40].strip()],
    )
    space.update(cube.id, text=f"harmless change {text}")
    with client:
        for path in (
            f"/n/alice/memories/{cube.id}",
            f"/n/alice/memories/{cube.id}/edit",
            "/n/alice/timeline",
            "/n/alice/search?q=harmless",
            "/n/alice/playground?q=harmless",
            f"/n/alice/erase?id={cube.id}",
        ):
            answer = client.get(path)
            assert answer.status_code == 200, path
            _is_tame(answer.text, path)


def _is_tame(page: str, path: str) -> None:
    assert "<script>alert" not in page, path
    assert "<img" not in page, path
    assert "<h1>out" not in page, path
    assert '<div hx-get="/keys"' not in page, path
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', page)), path
    assert not re.search(r"(href|src|action)=[\"']?\s*javascript:", page), path
    if not path.endswith("/edit"):  # a form holds the text as it is, so that saving keeps it
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page), path


def test_a_question_is_only_text(client: httpx2.Client) -> None:
    with client:
        for page in ("search", "playground"):
            answer = client.get(f"/n/alice/{page}", params={"q": HOSTILE["quotes"]})
            _is_tame(answer.text, page)
        error = client.get("/n/alice/memories/<script>alert(1)<")
        assert "<script>alert" not in error.text


def test_a_text_of_a_megabyte_is_shown_in_part_and_edited_whole(
    client: httpx2.Client, memory: MemoryOS
) -> None:
    space = memory.namespace("alice")
    long = "All work & no <play>. " * 47_000
    [cube] = space.add(long)
    with client:
        page = client.get(f"/n/alice/memories/{cube.id}").text
        assert len(page) < 100_000
        assert "Show the other" in page
        assert len(client.get(f"/n/alice/memories/{cube.id}?whole=true").text) > len(long)
        form = {"version": "1", "type": "turn", "text": long + "And an end."}
        saved = client.post(f"/n/alice/memories/{cube.id}/edit", data=form)
        assert saved.status_code == 303, saved.text[:500]
        assert space.get(cube.id).text == long + "And an end."
        diff = client.get(f"/n/alice/memories/{cube.id}").text
        assert "<ins>" in diff
        assert "characters alike" in diff
        assert len(diff) < 100_000


def test_saving_without_a_change_writes_no_version(client: httpx2.Client, memory: MemoryOS) -> None:
    """Browsers send lines of a form with CR LF; that alone is no edit."""
    space = memory.namespace("alice")
    [cube] = space.add("one\r\ntwo\rthree\nfour")
    with client:
        form = {"version": "1", "type": "turn", "text": "one\r\ntwo\r\nthree\r\nfour"}
        assert client.post(f"/n/alice/memories/{cube.id}/edit", data=form).status_code == 303
    assert space.get(cube.id).version == 1


def test_a_namespace_and_a_session_with_odd_names_work(memory: MemoryOS) -> None:
    memory.namespace("a:b/@c.d-e").add("odd", session='s" <i>&?#%2F/é')
    with (
        running_door(memory) as door,
        httpx2.Client(base_url=door.url, headers=door.headers, timeout=30) as client,
    ):
        home = client.get("/").text
        [link] = re.findall(r'<a href="(/n/a[^"]+/timeline)"', home)
        listed = client.get(link)
        assert listed.status_code == 200
        [session] = re.findall(r'<h2 id="s-1"><a href="([^"]+)"', listed.text)
        assert "odd" in client.get(session.replace("&amp;", "&")).text
        assert "<i>" not in listed.text


@given(st.text(max_size=300))
def test_what_is_visible_holds_no_control_character(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", visible(text))
    assert "\n" not in preview(text)
    assert len(preview(text, 20)) <= 21 * len("⟦U+202E⟧")
