"""What the model answered, read while its bytes pass by. Pure: nothing is changed or held here.

In: the bytes of a whole answer, or of a stream of server-sent events as they come. Out: the reply's
text, and whether it ended well; an exchange that did not is not remembered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from mneme.server.proxy.talk import text_of

_LONGEST_LINE: Final = 16 << 20  # bytes that are read of an event
_LONGEST_TEXT: Final = 4 << 20  # characters that are read of a reply
_DONE: Final = "[DONE]"
_UNFIT: Final = frozenset({"content_filter", "error"})


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of a chat.

    Attributes:
        text: What the model said; empty where it only called tools, or gave several choices, of
            which nobody knows the one that was taken.
        fault: Why the exchange is not remembered; empty: it ended well.
    """

    text: str = ""
    fault: str = ""


def read_whole(status: int, body: bytes) -> Reply:
    """The reply in an answer that is no stream."""
    if not 200 <= status < 300:
        return Reply(fault=f"status {status}")
    try:
        choices = json.loads(body)["choices"]
        ends = [choice["finish_reason"] for choice in choices]
        texts = [text_of(choice["message"]) for choice in choices]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Reply(fault="unreadable")
    return _reply(texts, ends)


def _reply(texts: list[str], ends: list[Any]) -> Reply:
    if not ends or not all(isinstance(end, str) and end for end in ends):
        return Reply(fault="unfinished")
    if _UNFIT & set(ends):
        return Reply(fault=next(end for end in ends if end in _UNFIT))
    return Reply(text=texts[0] if len(texts) == 1 else "")


class Listener:
    """Hears a stream as it passes.

    Attributes:
        done: Whether the line that ends a stream was there.
        ended: Whether it said at all that it ends: so, or with a reason to finish, or an error.
    """

    def __init__(self) -> None:
        self.done = False
        self._line = bytearray()
        self._texts: dict[int, list[str]] = {}
        self._ends: dict[int, str] = {}
        self._fault = ""
        self._length = 0

    @property
    def ended(self) -> bool:
        return self.done or bool(self._ends) or self._fault == "error"

    def hear(self, chunk: bytes) -> int | None:
        """Take what comes next.

        Returns:
            Where in these bytes the line stands that ends the stream (or what was missing of it);
            None: it is not there.
        """
        start = 0
        while start < len(chunk) and not self.done:
            stop = chunk.find(b"\n", start)
            end = len(chunk) if stop < 0 else stop
            self._line += chunk[start:end]
            if self._is_last():
                self.done = True
                return start
            if stop < 0:
                self._bound()
                return None
            self._read_line()
            start = stop + 1
        return None

    def reply(self) -> Reply:
        """What was said, once the stream is over."""
        if self._fault:
            return Reply(fault=self._fault)
        if not self.done:
            return Reply(fault="cut")
        choices = sorted(self._texts.keys() | self._ends.keys())
        texts = ["".join(self._texts.get(each, [])) for each in choices]
        return _reply(texts, [self._ends.get(each) for each in choices])

    def _is_last(self) -> bool:
        if not self._line.startswith(b"data:") or len(self._line) > len(_DONE) + 8:
            return False
        return self._line[5:].strip() == _DONE.encode()

    def _bound(self) -> None:
        if len(self._line) > _LONGEST_LINE or self._length > _LONGEST_TEXT:
            self._fault = self._fault or "too long"
            self._line.clear()
            self._texts.clear()

    def _read_line(self) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._fault or not line.startswith(b"data:"):
            return
        try:
            self._take(json.loads(line[5:]))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self._fault = "unreadable"
        self._bound()

    def _take(self, event: dict[str, Any]) -> None:
        if event.get("error"):
            self._fault = "error"
            return
        for choice in event.get("choices") or ():
            number = int(choice.get("index", 0))
            text = text_of(choice.get("delta") or {})
            if text:
                self._length += len(text)
                self._texts.setdefault(number, []).append(text)
            if choice.get("finish_reason"):
                self._ends[number] = str(choice["finish_reason"])
