"""Anthropic's `/v1/messages`: the schema is that of a tool which the model has to call."""

from __future__ import annotations

import json
from typing import Any

from mneme.backends.llm.dialects import Dialect, Question, Said, count_of, text_of

_VERSION = "2023-06-01"
_TOOL = "answer"


def _headers(key: str | None) -> dict[str, str]:
    return {"anthropic-version": _VERSION, **({"x-api-key": key} if key else {})}


def _body(model: str, question: Question, _form: int) -> dict[str, object]:
    return {
        "model": model,
        "max_tokens": question.most_tokens,
        "system": question.system,
        "messages": question.talk(),
        "tools": [
            {
                "name": _TOOL,
                "description": "Give the answer.",
                "input_schema": dict(question.schema),
            }
        ],
        "tool_choice": {"type": "tool", "name": _TOOL},
    }


def _said(answer: Any) -> Said:  # noqa: ANN401 (decoded JSON)
    usage = answer.get("usage")
    texts = [_text(block) for block in answer["content"]]
    return Said(
        next((text for text in reversed(texts) if text), ""),
        count_of(usage, "input_tokens"),
        count_of(usage, "output_tokens"),
        cut=answer.get("stop_reason") == "max_tokens",
    )


def _text(block: Any) -> str:  # noqa: ANN401 (decoded JSON)
    if block["type"] == "tool_use":
        return json.dumps(block["input"])
    return text_of(block.get("text"))


DIALECT = Dialect(
    name="anthropic", url="https://api.anthropic.com/v1", path="/messages", forms=1,
    headers=_headers, body=_body, said=_said,
)  # fmt: skip
