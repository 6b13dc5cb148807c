"""A ChatGPT export: `conversations.json`, alone or in the zip.

Each conversation is a tree of messages; edits and second answers make branches. The branch that
ends in `current_node` is imported, the messages of the others are counted as skipped.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.ingest.importers.items import ROLES, ImportItem, Progress, Skipped, checked, clean_name
from mneme.ingest.importers.moments import moment_of
from mneme.ingest.importers.parts import missing, text_of
from mneme.ingest.importers.records import records
from mneme.ingest.importers.sources import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mneme.ingest.importers.records import Record

MEMBERS = re.compile(r"conversations(?:[-_]\d+)?\.json")
_UNSAID = {"thoughts": "reasoning", "reasoning_recap": "reasoning"}


class _Talk(NamedTuple):
    """What all messages of a conversation share."""

    where: str
    session: str
    title: str | None
    timezone: tzinfo


def read(
    path: Path, *, timezone: tzinfo = UTC, progress: Progress | None = None
) -> Iterator[ImportItem | Skipped]:
    """The messages of all conversations, each conversation in its order.

    Raises:
        ImportRefusedError: The file cannot be read at all.
    """
    profiles: set[str] = set()  # custom instructions, which come again with every conversation
    with opened(path, MEMBERS, progress) as sources:
        for source in sources:
            for record in records(source):
                if isinstance(record, Skipped):
                    yield record
                else:
                    yield from _conversation(record, timezone, profiles)


def _conversation(
    record: Record, timezone: tzinfo, profiles: set[str]
) -> Iterator[ImportItem | Skipped]:
    value = record.value
    nodes = value.get("mapping") if isinstance(value, dict) else None
    if not isinstance(nodes, dict):
        yield Skipped(record.where, "not a conversation")
        return
    session = clean_name(value.get("conversation_id")) or clean_name(value.get("id"))
    title = clean_name(value.get("title"))
    session = session or f"{record.where} {title or ''}".strip()
    talk = _Talk(f"{record.where} ({title or session})", session, title, timezone)
    branch = _branch(nodes, value.get("current_node"))
    at = moment_of(value.get("create_time"), timezone)
    for name in branch:
        said = nodes[name].get("message")
        if said is None:
            continue
        item = _message(talk, name, said, at, profiles)
        if isinstance(item, ImportItem):
            at = item.at
        yield item
    kept = set(branch)
    left = sum(1 for name, node in nodes.items() if name not in kept and _has_text(node))
    if left:
        yield Skipped(talk.where, "on a branch that was left", left)


def _branch(nodes: dict[str, Any], current: object) -> list[str]:
    """The names of the nodes from the root to the current one; a damaged tree ends early."""
    name = current if isinstance(current, str) and current in nodes else _latest(nodes)
    branch: dict[str, None] = {}
    while isinstance(name, str) and name not in branch:
        node = nodes.get(name)
        if not isinstance(node, dict):
            break
        branch[name] = None
        name = node.get("parent")
    return list(branch)[::-1]


def _latest(nodes: dict[str, Any]) -> str | None:
    """The newest message, where the export does not say which branch is current."""
    best, best_at = None, -1.0
    for name, node in nodes.items():
        said = node.get("message") if isinstance(node, dict) else None
        at = moment_of(said.get("create_time")) if isinstance(said, dict) else None
        if at and at.timestamp() >= best_at:
            best, best_at = name, at.timestamp()
    return best or next((n for n in reversed(nodes) if isinstance(nodes[n], dict)), None)


def _has_text(node: object) -> bool:
    said = node.get("message") if isinstance(node, dict) else None
    return isinstance(said, dict) and bool(text_of(said.get("content"))[0])


def _message(
    talk: _Talk, name: str, said: object, last_at: datetime | None, profiles: set[str]
) -> ImportItem | Skipped:
    where = f"{talk.where}, message {clean_name(name)}"
    if not isinstance(said, dict):
        return Skipped(where, "not a message")
    author = said.get("author")
    author = author if isinstance(author, dict) else {"role": author}
    role = ROLES.get(str(author.get("role")).lower(), "user")
    content = said.get("content")
    kind = content.get("content_type") if isinstance(content, dict) else None
    if isinstance(content, dict) and kind == "user_editable_context":
        return _profile(talk, name, content, profiles)
    why = _unsaid(said, role, kind)
    if why:
        return Skipped(where, why)
    text, others = text_of(content)
    if not text:
        return Skipped(where, missing(others))
    notes = said.get("metadata")
    model = notes.get("model_slug") if isinstance(notes, dict) else None
    return checked(
        ImportItem(
            content=text,
            where=where,
            idempotency_key=f"chatgpt:{talk.session}:{said.get('id') or name}",
            session=talk.session,
            role=role,
            at=moment_of(said.get("create_time"), talk.timezone) or last_at,
            metadata={
                "title": talk.title,
                "model": model,
                "tool": author.get("name") if role == "tool" else None,
                "not_imported": sorted(set(others)) or None,
            },
        )
    )


def _unsaid(said: dict[str, Any], role: str, kind: object) -> str:
    """Why this message was not said to anybody."""
    notes = said.get("metadata")
    if isinstance(notes, dict) and notes.get("is_visually_hidden_from_conversation"):
        return "hidden"
    if isinstance(kind, str) and kind in _UNSAID:
        return _UNSAID[kind]
    recipient = said.get("recipient")
    if role == "assistant" and isinstance(recipient, str) and recipient not in {"all", ""}:
        return "a call of a tool"
    return ""


def _profile(
    talk: _Talk, name: str, content: dict[str, Any], profiles: set[str]
) -> ImportItem | Skipped:
    """What the user told about themselves and asked for, once for each wording."""
    where = f"{talk.where}, custom instructions"
    said = (content.get(key) for key in ("user_profile", "user_instructions"))
    text = "\n\n".join(part for part in said if isinstance(part, str) and part.strip())
    if text in profiles:
        return Skipped(where, "the same custom instructions again")
    profiles.add(text)
    key = f"chatgpt:{talk.session}:{name}"
    return checked(
        ImportItem(
            content=text,
            where=where,
            idempotency_key=key,
            session=talk.session,
            type="instruction",
            metadata={"title": talk.title},
        )
    )
