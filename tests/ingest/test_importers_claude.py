"""Claude's export: a list of messages with blocks and attachments."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mneme.ingest.importers import ImportItem, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOT = "00000000-0000-4000-8000-000000000000"


def said(name: str, text: str = "", **more: object) -> dict[str, Any]:
    value: dict[str, Any] = {
        "uuid": name, "text": text, "content": [{"type": "text", "text": text}] if text else [],
        "sender": "human", "created_at": "2024-05-01T10:00:00.123456Z", "attachments": [],
        "files": [],
    }  # fmt: skip
    return value | more


def conversation(*messages: object, **more: object) -> dict[str, Any]:
    return {
        "uuid": "c1", "name": "Bread", "created_at": "2024-05-01T09:59:00Z",
        "account": {"uuid": "u"}, "chat_messages": list(messages),
    } | more  # fmt: skip


def test_a_conversation(imported: Callable[..., Any]) -> None:
    found = imported(
        [
            conversation(
                said("m1", "How do I bake bread?", files=[{"file_name": "oven.jpg"}, {}]),
                said("m2", "Slowly.", sender="assistant", created_at="2024-05-01T12:00:00+02:00"),
            )
        ]
    )
    first, second = found.items
    assert (first.content, first.role, first.session) == ("How do I bake bread?", "user", "c1")
    assert first.at == datetime(2024, 5, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert first.metadata == {"title": "Bread", "files": ["oven.jpg"]}
    assert first.idempotency_key == "claude:c1:m1"
    assert (second.role, second.at) == ("assistant", datetime(2024, 5, 1, 10, tzinfo=UTC))
    assert found.skipped == []


def test_blocks(imported: Callable[..., Any]) -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "I look it up."},
        {"type": "tool_use", "name": "web", "input": {"q": "bread"}},
        {"type": "tool_result", "name": "web", "content": [{"type": "text", "text": "A page."}]},
        {"type": "tool_result", "name": "web", "content": []},
        {"type": "text", "text": "Here it is."},
    ]
    found = imported(
        [
            conversation(
                said("m1", content=blocks, sender="assistant", text="old form"),
                said("m2", content=blocks[:1], sender="assistant"),
                said("m3", content=None, text="only the old form"),
                said("m4"),
            )
        ]
    )
    assert [(i.role, i.origin, i.content) for i in found.items] == [
        ("tool", "tool", "A page."),
        ("assistant", None, "I look it up.\n\nHere it is."),
        ("user", None, "only the old form"),
    ]
    assert found.items[0].metadata == {"title": "Bread", "tool": "web"}
    assert found.reasons == {"no text, only thinking": 1, "empty": 2}


def test_attachments_are_documents(imported: Callable[..., Any]) -> None:
    files = [
        {"file_name": "notes.txt", "file_type": "txt", "extracted_content": "Some notes."},
        {"file_name": "photo.png", "extracted_content": ""},
        "odd",
    ]
    found = imported(
        [conversation(said("m1", "Read this.", attachments=files), said("m2", attachments=files))]
    )
    assert [(i.type, i.origin, i.content) for i in found.items] == [
        ("document", "document", "Some notes."), (None, None, "Read this."),
        ("document", "document", "Some notes."),
    ]  # fmt: skip
    assert found.items[0].metadata == {"title": "Bread", "file_name": "notes.txt"}
    assert found.reasons == {"an attachment without text": 2}


def test_the_branch_of_the_last_message_is_kept(imported: Callable[..., Any]) -> None:
    found = imported(
        [
            conversation(
                said("a", "question", parent_message_uuid=ROOT),
                said("b", "first answer", parent_message_uuid="a"),
                said("c", "second answer", parent_message_uuid="a"),
                said("d", "thanks", parent_message_uuid="c"),
            )
        ]
    )
    assert found.contents == ["question", "second answer", "thanks"]
    assert found.reasons == {"on a branch that was left": 1}


def test_a_named_leaf_ends_the_branch(imported: Callable[..., Any]) -> None:
    value = conversation(
        said("a", "question", parent_message_uuid=ROOT),
        said("b", "first answer", parent_message_uuid="a"),
        said("c", "second answer", parent_message_uuid="a"),
        current_leaf_message_uuid="b",
    )
    assert imported([value]).contents == ["question", "first answer"]


@pytest.mark.parametrize("parent", [None, "unknown", 5])
def test_without_parents_all_messages_are_kept(
    imported: Callable[..., Any], parent: object
) -> None:
    listed = [said(str(n), f"text {n}", parent_message_uuid=parent) for n in range(4)]
    assert len(imported([conversation(*listed)]).items) == 4


def test_a_loop_of_parents_ends(imported: Callable[..., Any]) -> None:
    found = imported(
        [
            conversation(
                said("a", "one", parent_message_uuid="b"), said("b", "two", parent_message_uuid="a")
            )
        ]
    )
    assert found.contents == ["one", "two"]


def test_odd_values_cost_only_themselves(imported: Callable[..., Any]) -> None:
    found = imported([
        7, {"uuid": "x"}, {"chat_messages": None}, conversation(),
        conversation(
            5, None, said("a", "fine", sender=None, created_at="never"),
            {"uuid": None, "text": "no id", "attachments": {}, "files": "x"},
            {"text": ["wrong"]}, uuid=None, name=None,
        ),
    ])  # fmt: skip
    assert found.contents == ["fine", "no id"]
    assert found.items[0].session == "record 5"
    assert found.items[0].at == datetime(2024, 5, 1, 9, 59, tzinfo=UTC)
    assert found.reasons == {"not a conversation": 3, "not a message": 2, "empty": 1}


def test_a_zip(tmp_path: Path, imported: Callable[..., Any]) -> None:
    imported([conversation(said("m1", "hello"))], "conversations.json")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
        file.write(tmp_path / "conversations.json", "data/conversations.json")
        file.writestr("data/users.json", "[]")
    (item,) = read(tmp_path / "data.zip")
    assert isinstance(item, ImportItem)
    assert item.idempotency_key == "claude:c1:m1"
