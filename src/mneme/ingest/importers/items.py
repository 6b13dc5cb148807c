"""What an importer yields: one item for each message or document, or the reason why not.

Pure values. Characters that a store refuses (NUL, lone surrogates) become U+FFFD here, and the
item's metadata counts them, so that one odd character does not lose a message.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

ROLES: dict[str, str] = {
    "user": "user", "human": "user", "me": "user", "assistant": "assistant", "ai": "assistant",
    "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
    "claude": "assistant", "system": "system", "developer": "system", "tool": "tool",
    "function": "tool",
}  # fmt: skip

_REFUSED = re.compile("[\x00\ud800-\udfff]")
_LONGEST_NAME = 200
_DEEPEST_METADATA = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportItem:
    """The arguments of one `add`.

    Attributes:
        content: What was said or written.
        where: Its place in the file, for the report.
        idempotency_key: From the export's own ids, so that a second import adds nothing.
    """

    content: str
    where: str
    idempotency_key: str
    session: str | None = None
    role: str = "user"
    speaker: str | None = None
    at: datetime | None = None
    type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    origin: str | None = None

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `add`, without those that are not given."""
        given = {
            "content": self.content, "session": self.session, "role": self.role,
            "speaker": self.speaker, "at": self.at, "type": self.type,
            "metadata": dict(self.metadata) or None, "origin": self.origin,
            "idempotency_key": self.idempotency_key,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something of the file that is not imported; `count` of them, for one reason."""

    where: str
    why: str
    count: int = 1


def checked(item: ImportItem) -> ImportItem | Skipped:
    """The item with what a store takes: clean text, names on one line, plain metadata.

    What a tool said has origin "tool". An item without text is skipped.
    """
    if not item.content.strip():
        return Skipped(item.where, "empty")
    text, replaced = clean(item.content)
    notes = clean_metadata(item.metadata)
    if replaced:
        notes["replaced_characters"] = replaced
    return replace(
        item,
        content=text,
        idempotency_key=clean_name(item.idempotency_key) or "",
        session=clean_name(item.session),
        speaker=clean_name(item.speaker),
        metadata=notes,
        origin=item.origin or ("tool" if item.role == "tool" else None),
    )


def clean(text: str) -> tuple[str, int]:
    """The text with U+FFFD for NUL and lone surrogates, and how many there were."""
    return _REFUSED.subn("\ufffd", text)


def clean_name(value: object) -> str | None:
    """A name of a session, speaker or key on one line; None where nothing is left."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    text = " ".join(clean(_number_text(value) if isinstance(value, int) else value)[0].split())
    text = "".join(c for c in text if c.isprintable())
    if len(text) > _LONGEST_NAME:
        text = f"{text[: _LONGEST_NAME - 17]}-{digest(text)[:16]}"
    return text or None


def _number_text(value: int) -> str:
    return str(value) if abs(value) < 10**30 else ""


def digest(*parts: object) -> str:
    """A hash that tells contents apart, in 32 hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        text = ("" if part is None else str(part)).encode("utf-8", "surrogatepass")
        found.update(len(text).to_bytes(8, "big") + text)
    return found.hexdigest()[:32]


def clean_metadata(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object without null, numbers that JSON has not, and depths that nobody reads."""
    cleaned = _clean_value(value, 0)
    return cleaned if isinstance(cleaned, dict) else {}


def _clean_value(value: object, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return clean(value)[0]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _clean_container(value, depth) if depth < _DEEPEST_METADATA else None


def _clean_container(value: object, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        pairs = ((clean(str(k))[0], _clean_value(v, depth + 1)) for k, v in value.items())
        return {k: v for k, v in pairs if v is not None}
    if isinstance(value, list | tuple):
        items = (_clean_value(item, depth + 1) for item in value)
        return [item for item in items if item is not None]
    return None
