"""Server-sent events: any text is one line of data, and silence is filled."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import StreamingResponse

from mneme.core.errors import InvalidInputError
from mneme.server import streaming

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_any_text_is_one_line_of_data(text: str) -> None:
    said = streaming.event("token", {"text": text}).decode()
    name, data, *rest = said.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert (name, rest) == ("event: token", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == {"text": text}


def told(work: Callable[[Callable[[str], None]], object]) -> tuple[int, str]:
    """Status and body of what is told of some work."""

    async def run() -> tuple[int, str]:
        answer = await streaming.told(work, "reply")
        if not isinstance(answer, StreamingResponse):
            return answer.status_code, bytes(answer.body).decode()
        pieces = [piece async for piece in answer.body_iterator]
        return answer.status_code, b"".join(bytes(piece) for piece in pieces).decode()  # type: ignore[arg-type]

    return asyncio.run(run())


def test_silence_is_filled_so_that_nobody_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BEAT_S", 0.05)

    def work(note: Callable[[str], None]) -> str:
        note("a")
        time.sleep(0.3)
        note("b")
        return "ab"

    status, text = told(work)
    assert status == 200
    assert text.count(": still here\n\n") >= 2
    events = [block for block in text.split("\n\n") if not block.startswith(":")]
    assert events == [
        'event: token\ndata: {"text":"a"}',
        'event: token\ndata: {"text":"b"}',
        'event: reply\ndata: "ab"',
        "",
    ]


def test_what_fails_before_the_first_piece_has_its_own_status() -> None:
    def work(_note: Callable[[str], None]) -> None:
        raise InvalidInputError("no")

    status, text = told(work)
    assert (status, json.loads(text)["error"]) == (422, "InvalidInputError")


def test_what_fails_later_is_the_last_event() -> None:
    def work(note: Callable[[str], None]) -> None:
        note("a")
        raise InvalidInputError("no")

    status, text = told(work)
    assert status == 200
    last = text.strip().split("\n\n")[-1].split("\n")
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["status"] == 422
