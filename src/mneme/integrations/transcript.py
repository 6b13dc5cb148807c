"""One conversation, whose messages come back to a framework exactly as it gave them.

Each message is one cube of type `turn` in one session: its text is found, recalled and read by
written memory like any other; its exact form lies beside it (see `exact`). Messages of the session
that came another way, such as `Namespace.add`, are given as what anybody can read: role and text.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mneme.core.clock import SystemClock, from_us
from mneme.core.errors import InvalidInputError
from mneme.integrations.exact import parts_of, text_for, value_of, write_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mneme.core.clock import Clock
    from mneme.core.cube import MemCube
    from mneme.integrations.exact import Memories

Deletes = Literal["forget", "erase"]
DELETES = ("forget", "erase")
_PAGE = 1000
_AT_ONCE = 500
_LONGEST_NAME = 100  # characters, of 512 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message on its way into memory.

    Attributes:
        text: What is read of it; may be empty.
        label: What stands for it where there is nothing to read, such as "[image]".
        role: user, assistant, system or tool.
        form: The message as its framework writes it, as JSON.
        speaker: The name of who said it.
    """

    text: str
    label: str
    role: str
    form: object
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """One message of the transcript: its cube, and its exact form; None: it came another way."""

    cube: MemCube
    form: Any


def check_deletes(deletes: str) -> Deletes:
    """What deleting means: "forget" (it can be restored) or "erase" (it is gone for good)."""
    if deletes == "forget":
        return "forget"
    if deletes == "erase":
        return "erase"
    raise InvalidInputError(f"deletes takes 'forget' or 'erase', not {deletes!r:.80}")


def delete(namespace: Memories, ids: Sequence[str], deletes: Deletes) -> None:
    """Forget or erase cubes, with what derives from them."""
    for start in range(0, len(ids), _AT_ONCE):
        some = list(ids[start : start + _AT_ONCE])
        if deletes == "erase":
            namespace.erase(some, reason="deleted by the framework")
        else:
            namespace.forget(some)


def all_cubes(namespace: Memories, **selection: Any) -> Iterator[MemCube]:  # noqa: ANN401
    """All current cubes of a selection, archived ones included, in order of writing."""
    cursor = None
    while True:
        page = namespace.list(limit=_PAGE, cursor=cursor, include_archived=True, **selection)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


class Transcript:
    """The messages of one session, under the name of a framework.

    Args:
        namespace: Of `mneme` or of `mneme.client`.
        session: Any name of up to 512 bytes.
        name: Of the framework; its forms lie in the metadata under it.
        deletes: What `pop`, `clear` and `replace` do: "forget" or "erase".
        infer: As for `Namespace.add`: whether written memory reads what users say.
        clock: Says when a message came.
    """

    def __init__(
        self,
        namespace: Memories,
        session: str,
        *,
        name: str,
        deletes: str = "forget",
        infer: str = "auto",
        clock: Clock | None = None,
    ) -> None:
        self.namespace, self.session, self.name = namespace, session, name
        self._deletes, self._infer = check_deletes(deletes), infer
        self._clock = SystemClock() if clock is None else clock

    def append(self, messages: Sequence[Message]) -> None:
        """Keep messages in their order; if one is refused, none of them is kept.

        Raises:
            InvalidInputError: One of them, or the session, cannot be kept.
        """
        texts = [text_for(message.text, message.label) for message in messages]
        parts = [
            parts_of(message.form, text=text, name=self.name)
            for message, text in zip(messages, texts, strict=True)
        ]
        items = [
            self._item(message, text, of_it[0])
            for message, text, of_it in zip(messages, texts, parts, strict=True)
        ]
        if not items:
            return
        report = self.namespace.add_many(items)
        ids = [cube_id for status in report.items for cube_id in status.ids]
        if report.refused:
            if ids:
                self.namespace.erase(ids, reason="the other messages were refused")
            raise InvalidInputError(f"a message cannot be kept: {report.refused[0].error}")
        for cube_id, of_it in zip(ids, parts, strict=True):
            write_parts(self.namespace, cube_id, of_it)

    def _item(self, message: Message, text: str, metadata: dict[str, Any]) -> dict[str, Any]:
        item: dict[str, Any] = {
            "content": text, "session": self.session, "role": message.role, "metadata": metadata,
            "at": from_us(self._clock.now_us()), "infer": self._infer,
            "idempotency_key": uuid.uuid4().hex,  # the same words may be said twice
        }  # fmt: skip
        if message.speaker and text_for(message.speaker, "") == message.speaker:
            item["speaker"] = message.speaker[:_LONGEST_NAME]
        return item

    def read(self) -> list[Kept]:
        """All messages, oldest first."""
        turns = all_cubes(self.namespace, session=self.session, types=("turn",))
        return [kept for cube in turns if (kept := self._kept(cube)) is not None]

    def _kept(self, cube: MemCube) -> Kept | None:
        """None for what cannot be said again: a tool's words without the call, half a message."""
        try:
            return Kept(cube, value_of(self.namespace, cube, self.name))
        except KeyError:
            half = f"{self.name}.part" in cube.metadata
            return None if half or cube.role == "tool" else Kept(cube, None)

    def remove(self, kept: Sequence[Kept]) -> None:
        """Delete some of what `read` gave."""
        delete(self.namespace, [each.cube.id for each in kept], self._deletes)

    def clear(self) -> None:
        """Delete all messages."""
        turns = all_cubes(self.namespace, session=self.session, types=("turn",))
        delete(self.namespace, [cube.id for cube in turns], self._deletes)
