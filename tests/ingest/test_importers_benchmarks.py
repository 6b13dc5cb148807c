"""The formats of LoCoMo, LongMemEval and mem0."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mneme.ingest.importers import ImportItem, detect, read

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def locomo(**more: object) -> dict[str, Any]:
    talk = {
        "speaker_a": "Ann", "speaker_b": "Ben",
        "session_10_date_time": "9:05 am on 2 June, 2023",
        "session_10": [{"speaker": "Ben", "dia_id": "D10:1", "text": "Back again."}],
        "session_2_date_time": "1:56 pm on 8 May, 2023",
        "session_2": [
            {"speaker": "Ann", "dia_id": "D2:1", "text": "Hello Ben!"},
            {"speaker": "Ben", "dia_id": "D2:2", "text": "Look!", "blip_caption": "a red kite",
             "img_url": ["u"]},
            {"speaker": "Ben", "dia_id": "D2:3", "text": "", "blip_caption": "a dog"},
        ],
    }  # fmt: skip
    return {"sample_id": "conv-1", "conversation": talk | more, "qa": [{"question": "?"}]}


def test_locomo(imported: Callable[..., Any]) -> None:
    found = imported([locomo()])
    assert [(i.session, i.speaker, i.content) for i in found.items] == [
        ("conv-1/session_2", "Ann", "Hello Ben!"),
        ("conv-1/session_2", "Ben", "Look! [shares a photo: a red kite]"),
        ("conv-1/session_2", "Ben", "[shares a photo: a dog]"),
        ("conv-1/session_10", "Ben", "Back again."),
    ]
    assert found.items[0].at == datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert found.items[0].idempotency_key == "locomo:conv-1:D2:1"
    assert found.items[3].at == datetime(2023, 6, 2, 9, 5, tzinfo=UTC)
    assert found.skipped == []


def test_locomo_of_one_sample_or_the_bare_conversation(imported: Callable[..., Any]) -> None:
    assert len(imported(locomo()).items) == 4
    bare = imported([locomo()["conversation"]])
    assert bare.items[0].session == "record 1/session_2"


def test_odd_locomo_files(imported: Callable[..., Any]) -> None:
    odd = locomo(session_1=["x", {}, {"text": 5, "dia_id": [], "speaker": {}}], session_3=None,
                 session_2_date_time="someday")  # fmt: skip
    found = imported([odd, 5, {"conversation": []}, {"a": 1}], format="locomo")
    assert len(found.items) == 4
    assert found.items[0].at is None
    assert found.reasons == {
        "not a turn": 1, "empty": 2, "not a list of turns": 1, "not a conversation": 3,
    }  # fmt: skip


def question(name: str, *sessions: str, **more: object) -> dict[str, Any]:
    value: dict[str, Any] = {
        "question_id": name, "question_type": "single-session-user", "question": "?",
        "answer": "!", "question_date": "2023/05/30 (Tue) 23:40",
        "haystack_session_ids": list(sessions),
        "haystack_dates": [f"2023/05/{20 + n} (Sat) 02:21" for n in range(len(sessions))],
        "haystack_sessions": [
            [{"role": "user", "content": f"I said {s}", "has_answer": True},
             {"role": "assistant", "content": f"I heard {s}"}] for s in sessions
        ],
        "answer_session_ids": [sessions[0]] if sessions else [],
    }  # fmt: skip
    return value | more


def test_longmemeval(imported: Callable[..., Any]) -> None:
    found = imported([question("q1", "s1", "s2"), question("q2", "s2", "s3")])
    assert [(i.session, i.role, i.content) for i in found.items[:2]] == [
        ("s1", "user", "I said s1"), ("s1", "assistant", "I heard s1"),
    ]  # fmt: skip
    assert [i.session for i in found.items[2::2]] == ["s2", "s3"]
    assert found.items[2].at == datetime(2023, 5, 21, 2, 21, tzinfo=UTC)
    assert found.items[2].idempotency_key == "longmemeval:s2:1"
    assert found.reasons == {"a session that another question holds too": 1}


def test_odd_longmemeval_files(imported: Callable[..., Any]) -> None:
    found = imported(
        [
            question("q1", "s1", haystack_dates=None, haystack_session_ids="x", question_id=None),
            question("q2", "s", haystack_dates=["never"], haystack_sessions=[
                [5, {"role": "user"}, {"role": None, "content": ["fine"]}], "text"]),
            question("q3", haystack_sessions=None),
            3,
        ],
        format="longmemeval",
    )  # fmt: skip
    assert found.contents == ["I said s1", "I heard s1", "fine"]
    assert [i.session for i in found.items] == ["record 1/1", "record 1/1", "s"]
    assert found.reasons == {
        "not a turn": 1, "empty": 1, "not a list of turns": 1,
        "not a question with its sessions": 2,
    }  # fmt: skip


def memory(name: str, text: str, **more: object) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": name, "memory": text, "hash": "h", "metadata": {"category": "food"}, "score": None,
        "created_at": "2024-07-01T10:00:00-07:00", "updated_at": None, "user_id": "ada",
    }  # fmt: skip
    return value | more


def test_mem0_in_both_versions(imported: Callable[..., Any]) -> None:
    listed = [memory("m1", "Likes bread"), memory("m2", "Hates rain", updated_at="2024-08-01")]
    for value in (listed, {"results": listed}, {"count": 2, "results": listed}):
        found = imported(value)
        assert [(i.content, i.type, i.idempotency_key) for i in found.items] == [
            ("Likes bread", "fact", "mem0:m1"), ("Hates rain", "fact", "mem0:m2"),
        ]  # fmt: skip
        first, second = found.items
        assert first.at == datetime(2024, 7, 1, 17, tzinfo=UTC)
        assert first.metadata == {"category": "food", "user_id": "ada"}
        assert first.session == "mem0"
        assert second.at == datetime(2024, 8, 1, tzinfo=UTC)


def test_odd_mem0_files(imported: Callable[..., Any]) -> None:
    found = imported(
        {"relations": [{"source": "a"}, {}], "results": [
            memory("m1", "fine", role="assistant", actor_id="Ada", run_id="r1", metadata=None),
            memory("m2", ""), {"memory": "no id"}, {"memory": 5}, "text"]},
        format="mem0",
    )  # fmt: skip
    assert [(i.content, i.role, i.speaker, i.session) for i in found.items] == [
        ("fine", "assistant", "Ada", "r1"), ("no id", "user", None, "mem0"),
    ]  # fmt: skip
    assert found.reasons == {"empty": 2, "not a memory": 1, "an edge of mem0's graph": 2}
    assert imported({"results": []}) == ([], [])


def test_the_real_locomo_file() -> None:
    path = DATA / "locomo" / "locomo_dev.json"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    assert detect(path) == "locomo"
    found = list(read(path))
    assert len(found) == 2760
    assert all(isinstance(item, ImportItem) and item.at for item in found)
