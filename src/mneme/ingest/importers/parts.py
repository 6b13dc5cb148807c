"""The text inside a message whose content is a list of parts or blocks.

In: the `content` of a message, of any shape. Out: its text, and the kinds of parts that are none.
"""

from __future__ import annotations

from typing import Any

_TEXT_KEYS = ("text", "content", "value", "parts", "result")
_UNSAID = frozenset({"thinking", "tool_use", "tool_result"})
_DEEPEST = 5


def text_of(content: object) -> tuple[str, list[str]]:
    """The text parts joined by blank lines, and what the other parts are ("image_url")."""
    texts: list[str] = []
    others: list[str] = []
    _collect(content, texts, others, 0)
    return "\n\n".join(texts), others


def _collect(content: object, texts: list[str], others: list[str], depth: int) -> None:
    if isinstance(content, str):
        if content.strip():
            texts.append(content)
    elif isinstance(content, list) and depth < _DEEPEST:
        for part in content:
            _collect(part, texts, others, depth + 1)
    elif isinstance(content, dict) and depth < _DEEPEST:
        inner = next((content[k] for k in _TEXT_KEYS if _holds_text(content.get(k))), None)
        if str(content.get("type")) in _UNSAID:
            others.append(kind_of(content))
        elif inner is not None:
            _collect(inner, texts, others, depth + 1)
        elif not any(key in content for key in _TEXT_KEYS):
            others.append(kind_of(content))


def _holds_text(value: object) -> bool:
    return isinstance(value, str | list | dict) and bool(value)


def kind_of(part: dict[str, Any]) -> str:
    """What a part calls itself."""
    kind = part.get("type") or part.get("content_type")
    return kind[:40] if isinstance(kind, str) and kind else "something without text"


def missing(others: list[str]) -> str:
    """Why a message without text is skipped."""
    kinds = sorted(set(others))
    return f"no text, only {', '.join(kinds[:5])}" if kinds else "empty"
