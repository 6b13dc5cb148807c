"""How OpenAPI describes the routes of OpenAI's dialect: loosely, since others define it.

Unknown fields go through as they are (docs/proxy.md), and refusals have OpenAI's shape.
"""

from __future__ import annotations

from typing import Any, Final

Operation = dict[str, Any]

_REQUEST: Final = {
    "type": "object",
    "properties": {
        "model": {"description": "As the model's server names it."},
        "messages": {"type": "array", "items": {}, "description": "The conversation."},
        "stream": {"description": "Whether the answer comes as events."},
    },
    "required": ["messages"],
    "examples": [{"model": "mneme", "messages": [{"role": "user", "content": "Where do I live?"}]}],
}
_ERROR: Final = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"message": {"type": "string"}, "type": {"type": "string"}},
            "required": ["message", "type"],
        }
    },
    "required": ["error"],
}
_REFUSED: Final = {
    "description": "A refusal, as OpenAI's API says it.",
    "content": {"application/json": {"schema": _ERROR}},
}
_CHUNK: Final = {"type": "object", "properties": {"data": {"type": "string"}}}
_ANSWER: Final = {
    "description": "As the model's server answers.",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/event-stream": {"schema": _CHUNK},
    },
}
_SAYS: Final[dict[tuple[str, str], Operation]] = {
    ("/v1/chat/completions", "post"): {
        "operationId": "chat_completions",
        "summary": "Chat with memory, in OpenAI's dialect",
        "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}},
    },
    ("/v1/models", "get"): {
        "operationId": "list_models",
        "summary": "List models, in OpenAI's dialect",
    },
}


def describe_dialect(paths: dict[str, dict[str, Operation]]) -> None:
    """Put into the page what the routes of the proxy take and give, where they are there."""
    for (path, method), said in _SAYS.items():
        operation = paths.get(path, {}).get(method)
        if operation is not None:
            operation.update(said)
            operation["responses"] = {"200": _ANSWER, "default": _REFUSED}
