"""Pydantic AI's conversations as memory: each message a cube, each record one that is archived.

The log of a conversation is append-only: an entry is never changed. A record is changed only from
the version that was read, so that of two writers one is told (`ConversationConflict`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from anyio import to_thread
from pydantic import TypeAdapter
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from mneme.core.errors import InvalidInputError, VersionConflictError
from mneme.integrations.exact import parts_of, text_for, value_of, write_parts
from mneme.integrations.transcript import Message, all_cubes, check_deletes, delete

if TYPE_CHECKING:
    from mneme.core.cube import MemCube
    from mneme.integrations.exact import Memories

_NAME = "pydantic_ai"
_ENTRY = "pydantic_ai_entry"
_SESSION = "pydantic_ai conversations"
_GONE = {"gone": True}  # what is left of a record: the next one of its id continues from it
_RECORD: TypeAdapter[ConversationRecord] = TypeAdapter(ConversationRecord)


class MnemeConversations(ConversationStore):
    """Conversations of one namespace, whose messages are its memories, too.

    Args:
        namespace: Of `mneme` or of `mneme.client`.
        deletes: What `delete` does with messages that no other conversation needs: "forget" hides
            them, and `Namespace.restore` brings them back; "erase" removes them for good.
        infer: As for `Namespace.add`: "auto" reads facts out of what users say, "none" does not.
    """

    def __init__(
        self, namespace: Memories, *, deletes: str = "forget", infer: str = "auto"
    ) -> None:
        self._namespace, self._infer = namespace, infer
        self._deletes = check_deletes(deletes)

    # -- the storage primitives of Pydantic AI

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """The record of a conversation; None if there is none."""
        found = await to_thread.run_sync(self._record, conversation_id)
        return None if found is None else found[1]

    async def read_records(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> Sequence[ConversationRecord]:
        """Records, those saved last first."""
        known = await to_thread.run_sync(self._records)
        chosen = [each for each in known if scope is None or each.scope == scope]
        chosen.sort(key=lambda each: each.updated_at, reverse=True)
        return chosen[:limit]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Keep a record and the entries that it adds; on a conflict neither is left.

        Raises:
            ConversationConflict: Somebody else wrote or deleted it meanwhile.
            InvalidInputError: A message has more than 8 MiB of JSON besides its text.
        """
        await to_thread.run_sync(self._write, record, new_entries, expected_revision)

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation, and the messages that no fork of it needs."""
        await to_thread.run_sync(self._delete, conversation_id, expected_revision)

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """One entry."""
        return await to_thread.run_sync(lambda: self._entry_of(self._cube_of(entry_id)))

    async def read_history(
        self, head_id: str | None, *, limit: int | None = None
    ) -> list[ConversationEntry]:
        """The entries up to one, oldest first; the last `limit` of them."""
        return await to_thread.run_sync(lambda: self._history(head_id, limit))

    # -- within

    def _record(self, conversation_id: str) -> tuple[MemCube, ConversationRecord | None] | None:
        """The cube of a record, and the record; None in it if it was deleted."""
        named = {"metadata.conversation": _short(conversation_id)}
        for cube in all_cubes(self._namespace, session=_SESSION, types=("note",), filters=named):
            form = value_of(self._namespace, cube, _NAME)
            return cube, None if form == _GONE else _RECORD.validate_python(form)
        return None

    def _records(self) -> list[ConversationRecord]:
        cubes = all_cubes(self._namespace, session=_SESSION, types=("note",))
        forms = (value_of(self._namespace, cube, _NAME) for cube in cubes)
        return [_RECORD.validate_python(form) for form in forms if form != _GONE]

    def _write(
        self,
        record: ConversationRecord,
        entries: Sequence[ConversationEntry],
        expected_revision: str | None,
    ) -> None:
        known = self._checked(record.conversation_id, expected_revision)
        last = entries[-1].id if entries else None
        if record.head_id not in {None, last} and not self._has(record.head_id):
            raise ConversationConflict(record.conversation_id)
        kept: list[str] = []
        try:
            kept += (self._keep(entry, record.conversation_id) for entry in entries)
            self._put(record.conversation_id, known, _RECORD.dump_python(record, mode="json"))
        except (ConversationConflict, InvalidInputError):
            if kept:
                self._namespace.erase(kept, reason="the record was not written")
            raise

    def _checked(self, conversation_id: str, expected_revision: str | None) -> MemCube | None:
        found = self._record(conversation_id)
        stored = found[1] if found is not None else None
        if (stored.revision if stored is not None else None) != expected_revision:
            raise ConversationConflict(conversation_id)
        return None if found is None else found[0]

    def _put(self, conversation_id: str, known: MemCube | None, form: object) -> None:
        """Write a record as the next version of the one that was read, or as the first."""
        text = text_for(f"Conversation {conversation_id}", "Conversation")
        named = {"conversation": _short(conversation_id)}
        parts = [named | part for part in parts_of(form, text=text, name=_NAME)]
        if known is not None:
            try:
                self._namespace.update(known.id, metadata=parts[0], expected_version=known.version)
            except VersionConflictError as error:
                raise ConversationConflict(conversation_id) from error
            write_parts(self._namespace, known.id, parts)
            return
        [cube] = self._namespace.add(
            text, type="note", session=_SESSION, role="system", metadata=parts[0], infer="none",
            idempotency_key=f"{_NAME}:{_short(conversation_id)}",
        )  # fmt: skip
        if cube.metadata != parts[0]:  # somebody else was first
            raise ConversationConflict(conversation_id)
        write_parts(self._namespace, cube.id, parts)
        self._namespace.archive(cube.id)  # it is no memory to be found

    def _keep(self, entry: ConversationEntry, conversation_id: str) -> str:
        said = message_of(entry.message)
        text = text_for(said.text, said.label)
        form = {"id": entry.id, "parent": entry.parent_id, "message": said.form}
        parts = [{_ENTRY: entry.id} | part for part in parts_of(form, text=text, name=_NAME)]
        [cube] = self._namespace.add(
            text, role=said.role, session=_session(conversation_id), metadata=parts[0],
            at=entry.message.timestamp, infer=self._infer,
            idempotency_key=f"{_NAME}:{entry.id}",
        )  # fmt: skip
        write_parts(self._namespace, cube.id, parts)
        return cube.id

    def _delete(self, conversation_id: str, expected_revision: str) -> None:
        known = self._checked(conversation_id, expected_revision)
        if known is None:
            raise ConversationConflict(conversation_id)
        self._put(conversation_id, known, _GONE)
        own = self._entries(_session(conversation_id))
        for record in self._records():
            for tip in (record.head_id, *record.branches):
                for entry in self._history(tip, None):
                    own.pop(entry.id, None)
        delete(self._namespace, [cube.id for cube, _ in own.values()], self._deletes)

    def _history(self, head_id: str | None, limit: int | None) -> list[ConversationEntry]:
        known: dict[str, tuple[MemCube, ConversationEntry]] = {}
        found: list[ConversationEntry] = []
        wanted = head_id
        while wanted is not None and (limit is None or len(found) < limit):
            if wanted not in known:  # the newest part of it may be a fork of another conversation
                known |= self._entries(self._cube_of(wanted).session)
            found.append(known[wanted][1])
            wanted = known[wanted][1].parent_id
        return found[::-1]

    def _entries(self, session: str) -> dict[str, tuple[MemCube, ConversationEntry]]:
        """The entries of a session by their ids."""
        cubes = all_cubes(
            self._namespace, session=session, filters={f"metadata.{_ENTRY}": {"exists": True}}
        )
        return {str(cube.metadata[_ENTRY]): (cube, self._entry_of(cube)) for cube in cubes}

    def _entry_of(self, cube: MemCube) -> ConversationEntry:
        form = value_of(self._namespace, cube, _NAME)
        [message] = ModelMessagesTypeAdapter.validate_python([form["message"]])
        return ConversationEntry(id=form["id"], parent_id=form["parent"], message=message)

    def _has(self, entry_id: str | None) -> bool:
        return any(True for _ in self._cubes_of(str(entry_id)))

    def _cube_of(self, entry_id: str) -> MemCube:
        for cube in self._cubes_of(entry_id):
            return cube
        raise LookupError(entry_id)

    def _cubes_of(self, entry_id: str) -> Iterator[MemCube]:
        return all_cubes(self._namespace, filters={f"metadata.{_ENTRY}": entry_id})


def message_of(message: ModelMessage) -> Message:
    """A message as memory reads it, and its exact form."""
    form = ModelMessagesTypeAdapter.dump_python([message], mode="json")[0]
    if isinstance(message, ModelResponse):
        calls = [part.tool_name for part in message.parts if isinstance(part, ToolCallPart)]
        texts = [part.content for part in message.parts if isinstance(part, TextPart)]
        label = f"[called {', '.join(calls)}]" if calls else "[no text]"
        return Message(text="\n".join(texts), label=label, role="assistant", form=form)
    role, text = _said(message)
    return Message(text=text, label="[no text]", role=role, form=form)


def _said(request: ModelRequest) -> tuple[str, str]:
    """Who says what in a request: the user; else a tool, whose words are untrusted; else nobody."""
    users = [_words(part) for part in request.parts if isinstance(part, UserPromptPart)]
    if users:
        return "user", "\n".join(users)
    tools = [
        part.model_response_str() for part in request.parts if isinstance(part, ToolReturnPart)
    ]
    systems = [part.content for part in request.parts if isinstance(part, SystemPromptPart)]
    if tools or not systems:  # what is neither said nor set up comes from a tool, or its failure
        return "tool", "\n".join(tools)
    return "system", "\n".join(systems)


def _words(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    texts = [
        each if isinstance(each, str) else getattr(each, "content", "") for each in part.content
    ]
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _session(conversation_id: str) -> str:
    """A name of a session for any id."""
    plain = conversation_id.isascii() and conversation_id.isprintable()
    short = plain and 0 < len(conversation_id.strip()) <= 200
    return conversation_id if short else f"{_NAME}:{_short(conversation_id)}"


def _short(conversation_id: str) -> str:
    return hashlib.sha256(conversation_id.encode(errors="surrogatepass")).hexdigest()
