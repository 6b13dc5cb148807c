"""Ollama's own `/api/chat`, which takes a schema, and a length of context with each question."""

from __future__ import annotations

from typing import Any

from mneme.backends.llm.dialects import Dialect, Question, Said, bearer, count_of, text_of

_CHARACTERS_PER_TOKEN = 2  # low, so that the context is long enough in any script
_SHORTEST_CONTEXT = 4096


def _body(model: str, question: Question, _form: int) -> dict[str, object]:
    return {
        "model": model,
        "messages": [{"role": "system", "content": question.system}, *question.talk()],
        "format": dict(question.schema),
        "stream": False,
        "options": {
            "temperature": 0,
            "num_predict": question.most_tokens,
            "num_ctx": _context(question),
        },
    }


def _context(question: Question) -> int:
    """Tokens of context, a power of two; with its default a server drops the prompt's start."""
    needed = question.size // _CHARACTERS_PER_TOKEN + question.most_tokens
    return max(_SHORTEST_CONTEXT, 1 << (needed - 1).bit_length())


def _said(answer: Any) -> Said:  # noqa: ANN401 (decoded JSON)
    return Said(
        text_of(answer["message"].get("content")),
        count_of(answer, "prompt_eval_count"),
        count_of(answer, "eval_count"),
        cut=answer.get("done_reason") == "length",
    )


DIALECT = Dialect(
    name="ollama", url="http://127.0.0.1:11434", path="/api/chat", forms=1,
    headers=bearer, body=_body, said=_said,
)  # fmt: skip
