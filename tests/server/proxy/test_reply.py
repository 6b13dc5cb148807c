"""The answer is heard as it passes, however it is cut into chunks."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.server.proxy.reply import Listener, Reply, read_whole


def _event(choices: object, end: str = "\n") -> bytes:
    return f"data: {json.dumps({'choices': choices})}{end}{end}".encode()


def _stream(words: list[str], end: str = "\n", reason: str | None = "stop") -> bytes:
    said = [_event([{"index": 0, "delta": {"content": w}}], end) for w in words]
    last = _event([{"index": 0, "delta": {}, "finish_reason": reason}], end)
    return b": a comment\n\n" + b"".join([*said, last])


@given(
    words=st.lists(st.text(max_size=8), max_size=6),
    cuts=st.lists(st.integers(0, 600), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    spaced=st.booleans(),
)
def test_any_cutting_gives_the_same_reply_and_holds_back_only_the_end(
    words: list[str], cuts: list[int], end: str, spaced: bool
) -> None:
    last = f"data:{' ' if spaced else ''}[DONE]{end}{end}".encode()
    body = _stream(words, end) + last
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    listener, before = Listener(), b""
    for start, stop in itertools.pairwise(places):
        chunk = body[start:stop]
        at = None if listener.done else listener.hear(chunk)
        if at is not None:
            before += chunk[:at]
            assert body.startswith(before)
            assert len(before) >= len(body) - len(last)
            assert len(before) < len(body) - len(end)
        elif not listener.done:
            before += chunk
    assert listener.done
    assert listener.reply() == Reply(text="".join(words))


def test_a_stream_without_an_end_is_cut() -> None:
    listener = Listener()
    listener.hear(_stream(["a", "b"]))
    assert listener.reply() == Reply(fault="cut")
    assert listener.ended


def test_a_stream_without_a_reason_is_unfinished() -> None:
    listener = Listener()
    listener.hear(_stream(["a"], reason=None) + b"data: [DONE]\n\n")
    assert listener.reply() == Reply(fault="unfinished")


def test_of_several_choices_none_is_taken() -> None:
    listener = Listener()
    for n in (0, 1):
        listener.hear(_event([{"index": n, "delta": {"content": "x"}, "finish_reason": "stop"}]))
    listener.hear(b"data: [DONE]\n\n")
    assert listener.reply() == Reply(text="")


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (b"data: {no\n\n", "unreadable"),
        (b"data: 3\n\n", "unreadable"),
        (b'data: {"error": {"message": "m"}}\n\n', "error"),
        (_event([{"index": 0, "delta": {}, "finish_reason": "content_filter"}]), "content_filter"),
    ],
)
def test_a_fault_is_named(event: bytes, fault: str) -> None:
    listener = Listener()
    listener.hear(event + b"data: [DONE]\n\n")
    assert listener.reply() == Reply(fault=fault)


@pytest.mark.parametrize(
    ("status", "body", "reply"),
    [
        (200, b'{"choices":[{"finish_reason":"stop","message":{"content":"x"}}]}', Reply("x")),
        (200, b'{"choices":[{"finish_reason":null,"message":{"content":"x"}}]}', "unfinished"),
        (200, b'{"choices":[]}', "unfinished"),
        (200, b"[1]", "unreadable"),
        (200, b"<html>", "unreadable"),
        (500, b'{"choices":[{"finish_reason":"stop","message":{"content":"x"}}]}', "status 500"),
    ],
)
def test_a_whole_answer(status: int, body: bytes, reply: Reply | str) -> None:
    assert read_whole(status, body) == (Reply(fault=reply) if isinstance(reply, str) else reply)
