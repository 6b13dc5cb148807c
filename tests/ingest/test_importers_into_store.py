"""An export goes into a store, and a second time adds nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import mneme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mneme.app.namespace import Namespace

ODD = "x\ud800y\x00z \u202e \u200b 記憶 😀\r\n"


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Namespace]:
    with mneme.open(tmp_path / "store") as memory:
        yield memory.namespace("me")


def chatgpt() -> Any:  # noqa: ANN401
    def node(name: str, parent: str, role: str, text: str) -> dict[str, Any]:
        return {"id": name, "parent": parent, "message": {
            "id": name, "author": {"role": role, "name": ODD}, "create_time": 1_700_000_000,
            "content": {"content_type": "text", "parts": [text]}, "metadata": {"model_slug": ODD},
        }}  # fmt: skip

    nodes = [node("a", "", "user", "Where is Oslo?"), node("b", "a", "tool", ODD),
             node("c", "b", "assistant", "In Norway."), node("d", "a", "user", "x")]  # fmt: skip
    return [{"title": ODD, "id": "c" * 500, "current_node": "c",
             "mapping": {n["id"]: n for n in nodes}}]  # fmt: skip


def claude() -> Any:  # noqa: ANN401
    files = [{"file_name": ODD, "extracted_content": f"# Title\n\n{ODD}\n\nlong text " * 300}]
    return [{"uuid": "u", "name": "", "chat_messages": [
        {"uuid": "m", "sender": "human", "text": "Hello", "attachments": files},
        {"uuid": "n", "sender": "assistant", "text": ODD, "created_at": "0001-01-01T00:00:00Z"},
    ]}]  # fmt: skip


def messages() -> Any:  # noqa: ANN401
    return [
        {"content": "ok", "session": ODD, "name": ODD, "metadata": {ODD: [float("nan"), 10**30]}},
        {"content": "ok", "session": ODD, "at": "9999-12-31T23:59:59Z", "role": ODD},
        {"content": "ok", "type": "document", "at": 1e300},
        {"content": ODD * 1000, "id": "i" * 1000, "role": "system"},
        {"content": ""},
    ]


def mem0() -> Any:  # noqa: ANN401
    return {"results": [{"id": "1", "memory": "Likes bread", "user_id": "u", "categories": ["a"]}]}


def locomo() -> Any:  # noqa: ANN401
    return {"session_1": [{"speaker": "Ann", "text": "Hi", "dia_id": "D1:1"}]}


def longmemeval() -> Any:  # noqa: ANN401
    return [{"question_id": "q", "haystack_session_ids": ["s"], "haystack_dates": ["2023/05/20"],
             "haystack_sessions": [[{"role": "user", "content": "Hi"}]]}]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "make", "count"),
    [("chatgpt", chatgpt, 3), ("claude", claude, 3), ("jsonl", messages, 4), ("mem0", mem0, 1),
     ("locomo", locomo, 1), ("longmemeval", longmemeval, 1)],
)  # fmt: skip
def test_every_format_is_kept_once(
    tmp_path: Path, space: Namespace, name: str, make: Callable[[], Any], count: int
) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(make()))
    first = space.import_(path)
    assert (first.format, first.added, first.repeated) == (name, count, 0)
    second = space.import_(path)
    assert (second.added, second.repeated) == (0, count)
    assert second.skipped == first.skipped


def test_notes_are_kept_once_and_found(tmp_path: Path, space: Namespace) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# Bread\n\nRye needs patience.\n")
    (notes / "b.md").write_bytes(ODD.encode("utf-8", "surrogatepass") + b"\n# B\nmore")
    assert space.import_(notes).added == 2
    assert space.import_(notes).repeated == 2
    assert any("Rye needs patience" in hit.cube.text for hit in space.search("rye patience"))


def test_a_refused_file_changes_nothing(tmp_path: Path, space: Namespace) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"a": 1}')
    with pytest.raises(mneme.ImportRefusedError):
        space.import_(path)
    assert space.list().items == ()
