"""OpenAI's `/chat/completions`, which vLLM, llama.cpp, LM Studio, LiteLLM and others speak too.

Servers differ in what they know: so four forms of the question, from the strictest down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mneme.backends.llm.dialects import Dialect, Question, Said, bearer, count_of, text_of
from mneme.backends.llm.schemas import strict_form

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL = "https://api.openai.com/v1"


def _body(model: str, question: Question, form: int) -> dict[str, object]:
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "system", "content": question.system}, *question.talk()],
    }
    if form == 0:  # what OpenAI's own models want
        body["max_completion_tokens"] = question.most_tokens
    else:
        body |= {"max_tokens": question.most_tokens, "temperature": 0}
    if form <= 1:
        body["response_format"] = {"type": "json_schema", "json_schema": _named(question.schema)}
    elif form == 2:
        body["response_format"] = {"type": "json_object"}
    if form >= 2:
        body["messages"] = [{"role": "system", "content": _told(question)}, *question.talk()]
    return body


def _named(schema: Mapping[str, Any]) -> dict[str, object]:
    return {"name": "answer", "strict": True, "schema": strict_form(schema)}


def _told(question: Question) -> str:
    """The system's words with the schema in them, for servers that take none beside."""
    from json import dumps

    schema = dumps(question.schema, ensure_ascii=False)
    return f"{question.system}\n\nAnswer with one JSON object of this JSON schema:\n{schema}"


def _said(answer: Any) -> Said:  # noqa: ANN401 (decoded JSON)
    choice, usage = answer["choices"][0], answer.get("usage")
    return Said(
        text_of(choice["message"].get("content")),
        count_of(usage, "prompt_tokens"),
        count_of(usage, "completion_tokens"),
        cut=choice.get("finish_reason") == "length",
    )


DIALECT = Dialect(
    name="openai", url=_URL, path="/chat/completions", forms=4,
    headers=bearer, body=_body, said=_said,
)  # fmt: skip
