"""ChatGPT's export: a tree of messages for each conversation."""

from __future__ import annotations

import json
import resource
import sys
import time
import tracemalloc
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mneme.core.errors import ImportRefusedError
from mneme.ingest.importers import ImportItem, Skipped, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def node(
    name: str, parent: str | None, content: object, *, role: str = "user", **more: object
) -> dict[str, Any]:  # fmt: skip
    body = {"content_type": "text", "parts": [content]} if isinstance(content, str) else content
    message: dict[str, Any] = {
        "id": name, "author": {"role": role, "name": None, "metadata": {}}, "create_time": None,
        "content": body, "status": "finished_successfully", "metadata": {}, "recipient": "all",
    }  # fmt: skip
    return {"id": name, "message": message | more, "parent": parent, "children": []}


def conversation(
    *nodes: dict[str, Any], current: str | None = None, **more: object
) -> dict[str, Any]:
    mapping = {n["id"]: n for n in nodes}
    last = nodes[-1]["id"] if nodes else None
    return {
        "title": "Oslo", "create_time": 1_700_000_000.5, "update_time": 1_700_000_900.0,
        "mapping": {"root": {"id": "root", "message": None, "parent": None, "children": []}}
        | mapping,
        "current_node": current or last, "conversation_id": "conv-1", "id": "conv-1",
    } | more  # fmt: skip


def test_a_conversation_in_its_order(imported: Callable[..., Any]) -> None:
    found = imported([
        conversation(
            node("b", "a", "Bring a coat.", role="assistant", create_time=1_700_000_200,
                 metadata={"model_slug": "gpt-4o"}),
            node("a", "root", "What about Oslo?", create_time=1_700_000_100),
            current="b",
        )
    ])  # fmt: skip
    first, second = found.items
    assert (first.content, first.role, first.session) == ("What about Oslo?", "user", "conv-1")
    assert first.at == datetime(2023, 11, 14, 22, 15, tzinfo=UTC)
    assert first.idempotency_key == "chatgpt:conv-1:a"
    assert (second.role, second.metadata) == ("assistant", {"title": "Oslo", "model": "gpt-4o"})
    assert found.skipped == []


def test_the_current_branch_is_kept_and_the_others_are_counted(
    imported: Callable[..., Any],
) -> None:
    found = imported(
        [
            conversation(
                node("a", "root", "question"),
                node("b1", "a", "first answer", role="assistant"),
                node("c1", "b1", "a dead end"),
                node("b2", "a", "second answer", role="assistant"),
                node("c2", "b2", "thanks"),
                node("empty", "b2", ""),
                current="c2",
            )
        ]
    )
    assert found.contents == ["question", "second answer", "thanks"]
    assert found.reasons == {"on a branch that was left": 2}


@pytest.mark.parametrize("current", ["gone", "", None, 7])
def test_without_a_current_node_the_newest_message_ends_the_branch(
    imported: Callable[..., Any], current: object
) -> None:
    value = conversation(
        node("a", "root", "q", create_time=1_700_000_100),
        node("new", "a", "new answer", create_time=1_700_000_300),
        node("old", "a", "old answer", create_time=1_700_000_200),
    ) | {"current_node": current}
    assert imported([value]).contents == ["q", "new answer"]


def test_without_any_time_the_last_node_ends_the_branch(imported: Callable[..., Any]) -> None:
    value = conversation(node("a", "root", "q"), node("b", "a", "r")) | {"current_node": None}
    assert imported([value]).contents == ["q", "r"]


def test_a_damaged_tree_gives_what_hangs_together(imported: Callable[..., Any]) -> None:
    loop = conversation(node("a", "b", "one"), node("b", "a", "two"))
    orphan = conversation(node("c", "lost", "three"), id="x", conversation_id="x")
    odd = conversation(node("d", "e", "four"), id="y", conversation_id="y")
    odd["mapping"]["e"] = "not a node"
    assert imported([loop, orphan, odd]).contents == ["one", "two", "three", "four"]


def test_a_missing_time_is_that_of_the_message_before(imported: Callable[..., Any]) -> None:
    found = imported(
        [
            conversation(
                node("a", "root", "one"),
                node("b", "a", "two", create_time=1_700_000_100),
                node("c", "b", "three", create_time=float("nan")),
                node("d", "c", "four", create_time="garbage"),
            )
        ]
    )
    seconds = [item.at.timestamp() for item in found.items]
    assert seconds == [1_700_000_000.5, 1_700_000_100, 1_700_000_100, 1_700_000_100]
    none = imported([conversation(node("a", "root", "one"), create_time=None)])
    assert none.items[0].at is None


def test_parts_that_are_no_text(imported: Callable[..., Any]) -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    heard = {"content_type": "audio_transcription", "text": "spoken words"}
    found = imported(
        [
            conversation(
                node("a", "root", {"content_type": "multimodal_text", "parts": [image, "look"]}),
                node("b", "a", {"content_type": "multimodal_text", "parts": [image]}),
                node("c", "b", {"content_type": "multimodal_text", "parts": [heard, None, 3]}),
                node("d", "c", {"content_type": "text", "parts": []}),
                node("e", "d", {"content_type": "text", "parts": ["", "  "]}),
                node("f", "e", {"content_type": "code", "language": "python", "text": "x = 1"}),
                node("g", "f", {"content_type": "tether_quote", "url": "u", "text": "quoted"}),
                node("h", "g", None),
                node("i", "h", "end"),
            )
        ]
    )
    assert found.contents == ["look", "spoken words", "x = 1", "quoted", "end"]
    assert found.items[0].metadata["not_imported"] == ["image_asset_pointer"]
    assert found.reasons == {"no text, only image_asset_pointer": 1, "empty": 3}


def test_what_was_said_to_nobody_is_skipped(imported: Callable[..., Any]) -> None:
    found = imported([
        conversation(
            node("s", "root", "", role="system"),
            node("s2", "s", "You are helpful.", role="system",
                 metadata={"is_visually_hidden_from_conversation": True}),
            node("a", "s2", "search for it"),
            node("b", "a", "search('it')", role="assistant", recipient="browser"),
            node("c", "b", {"content_type": "execution_output", "text": "3 results"}, role="tool",
                 author={"role": "tool", "name": "browser"}),
            node("d", "c", {"content_type": "thoughts", "thoughts": [{"content": "hm"}]},
                 role="assistant"),
            node("e", "d", {"content_type": "reasoning_recap", "content": "Thought for 3s"},
                 role="assistant"),
            node("f", "e", "Found.", role="assistant"),
        )
    ])  # fmt: skip
    assert [(i.role, i.origin, i.content) for i in found.items] == [
        ("user", None, "search for it"), ("tool", "tool", "3 results"),
        ("assistant", None, "Found."),
    ]  # fmt: skip
    assert found.items[1].metadata["tool"] == "browser"
    assert found.reasons == {"empty": 1, "hidden": 1, "a call of a tool": 1, "reasoning": 2}


def test_custom_instructions_come_once(imported: Callable[..., Any]) -> None:
    profile = {
        "content_type": "user_editable_context", "user_profile": "I am a baker.",
        "user_instructions": "Answer in metric.",
    }  # fmt: skip
    hidden = {"is_visually_hidden_from_conversation": True}
    found = imported([
        conversation(node("p", "root", profile, metadata=hidden), node("a", "p", "hi"),
                     id=name, conversation_id=name)
        for name in ("one", "two")
    ])  # fmt: skip
    assert [(i.type, i.content) for i in found.items] == [
        ("instruction", "I am a baker.\n\nAnswer in metric."), (None, "hi"), (None, "hi"),
    ]  # fmt: skip
    assert found.reasons == {"the same custom instructions again": 1}


def test_odd_values_cost_only_themselves(imported: Callable[..., Any]) -> None:
    good = conversation(node("a", "root", "good"), title=None, id=None, conversation_id=None)
    found = imported([
        5, None, "text", [], {}, {"mapping": []}, {"mapping": None}, {"mapping": {}},
        conversation(
            node("a", "root", "x", author=None), node("b", "a", "y", author="assistant"),
            {"id": "c", "message": "text", "parent": "b"},
            node("d", "c", "z", metadata=[]), title=["odd"],
        ),
        good,
    ], format="chatgpt")  # fmt: skip
    assert found.contents == ["x", "y", "z", "good"]
    assert [i.role for i in found.items] == ["user", "assistant", "user", "user"]
    assert found.reasons == {"not a conversation": 7, "not a message": 1}
    assert found.items[-1].session == "record 10"


def test_surrogates_and_nul_are_replaced(imported: Callable[..., Any]) -> None:
    found = imported(
        json.dumps([conversation(node("a", "root", "x\ud800y\x00z"), title="t\ud83d")])
    )
    assert found.contents == ["x\ufffdy\ufffdz"]
    assert found.items[0].metadata == {"title": "t\ufffd", "replaced_characters": 2}


def test_zips_and_folders(tmp_path: Path) -> None:
    data = json.dumps([conversation(node("a", "root", "hello"))])
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("conversations.json", data)
        file.writestr("chat.html", "<html>")
        file.writestr("user.json", "{}")
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "conversations.json").write_text(data)
    (folder / "notes.md").write_text("# no")
    for path in (archive, folder):
        (item,) = read(path)
        assert isinstance(item, ImportItem)
        assert item.idempotency_key == "chatgpt:conv-1:a"


def test_a_truncated_export_gives_the_whole_conversations(imported: Callable[..., Any]) -> None:
    data = json.dumps(
        [
            conversation(node("a", "root", "first")),
            conversation(node("b", "root", "second")),
        ]
    )
    found = imported(data[:-40])
    assert found.contents == ["first"]
    assert "the rest of the file was not read" in found.skipped[-1].why
    with pytest.raises(ImportRefusedError):
        imported(data[:40], format="chatgpt")


def _write_export(path: Path, megabytes: int) -> int:
    """An export of about that size, written piece by piece; the number of its messages."""
    count, text = 0, "A sentence that fills some space, again and again. " * 20
    with path.open("w") as file:
        file.write("[")
        number = 0
        while file.tell() < megabytes * 2**20:
            nodes = [
                node(f"n{number}-{i}", f"n{number}-{i - 1}" if i else "root", text,
                     role="assistant" if i % 2 else "user", create_time=1_700_000_000 + i)
                for i in range(20)
            ]  # fmt: skip
            value = conversation(*nodes, id=f"c{number}", conversation_id=f"c{number}")
            file.write(("," if number else "") + json.dumps(value))
            count, number = count + 20, number + 1
        file.write("]")
    return count


def test_an_export_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    count = _write_export(path, 12)
    tracemalloc.start()
    found = sum(isinstance(item, ImportItem) for item in read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == count
    assert peak < 4 * 2**20


@pytest.mark.slow
def test_200_mb_take_little_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    count = _write_export(path, 200)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = sum(isinstance(item, ImportItem) for item in read(path))
    assert found == count
    assert time.perf_counter() - start < 60
    unit = 1 if sys.platform == "darwin" else 1024
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    assert grown < 64 * 2**20


def test_nothing_raises_for_a_wrong_format(imported: Callable[..., Any]) -> None:
    found = imported([{"role": "user", "content": "x"}], format="chatgpt")
    assert found.items == []
    assert found.skipped == [Skipped("record 1", "not a conversation")]
