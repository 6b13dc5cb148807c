"""What every language model must do, as tests: subclass LanguageModelContract and run them.

class TestMyModel(LanguageModelContract):
    @pytest.fixture
    def model(self):
        return MyModel(...)
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest

from mneme.core.errors import InvalidInputError
from mneme.core.protocols import Answer

if TYPE_CHECKING:
    from mneme.core.protocols import LanguageModel

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "word": {"type": "string"},
        "count": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string"},
    },
    "required": ["word", "count", "tags"],
}
SYSTEM = "Answer with any word, any count and any tags."


class LanguageModelContract:
    """Subclass it and give a `model` fixture that answers."""

    def test_the_id_names_provider_and_model(self, model: LanguageModel) -> None:
        provider, _, name = model.id.partition(":")
        assert provider
        assert name
        assert model.id.isprintable()

    def test_an_answer_fits_its_schema(self, model: LanguageModel) -> None:
        answer = model.ask(SYSTEM, "one", SCHEMA, job="test", most_tokens=200)
        assert isinstance(answer, Answer)
        assert isinstance(answer.value["word"], str)
        assert isinstance(answer.value["count"], int)
        assert isinstance(answer.value["tags"], list)
        assert set(answer.value) <= set(SCHEMA["properties"])
        json.dumps(answer.value, allow_nan=False)

    def test_an_answer_says_what_it_cost(self, model: LanguageModel) -> None:
        answer = model.ask(SYSTEM, "a question of its own", SCHEMA, job="test", most_tokens=200)
        assert answer.calls >= 1
        assert answer.input_tokens > 0
        assert answer.output_tokens > 0
        assert answer.cost >= 0

    def test_what_is_done_with_an_answer_stays_out_of_the_next(self, model: LanguageModel) -> None:
        for _ in range(2):
            answer = model.ask(SYSTEM, "again", SCHEMA, job="test", most_tokens=200)
            assert "mine" not in answer.value["tags"]
            answer.value["tags"].append("mine")

    @pytest.mark.parametrize("prompt", ["", "\x00", "明日 🎉", '"}]} ```', "long " * 5_000])
    def test_any_prompt_is_answered(self, model: LanguageModel, prompt: str) -> None:
        assert model.ask(SYSTEM, prompt, SCHEMA, job="test", most_tokens=200).value["word"]

    def test_threads_may_ask_at_once(self, model: LanguageModel) -> None:
        def ask(number: int) -> Answer:
            return model.ask(SYSTEM, f"thread {number}", SCHEMA, job="test", most_tokens=200)

        with ThreadPoolExecutor(8) as pool:
            assert all(answer.value["word"] for answer in pool.map(ask, range(16)))

    @pytest.mark.parametrize("most_tokens", [0, -1])
    def test_an_answer_of_no_tokens_is_refused(
        self, model: LanguageModel, most_tokens: int
    ) -> None:
        with pytest.raises(InvalidInputError):
            model.ask(SYSTEM, "one", SCHEMA, job="test", most_tokens=most_tokens)
