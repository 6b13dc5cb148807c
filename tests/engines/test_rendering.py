"""Messages become the tokens that the model was made for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mneme
from mneme.core.engine import Engine
from mneme.core.errors import InvalidInputError
from mneme.testing.tiny_models import tiny_model

SAYS_NO = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must take turns') }}{% endif %}"
    "{{ bos_token if loop.first }}{{ m['role'] }} {{ m['content'] }} {% endfor %}"
)
USER = {"role": "user", "content": "What is the question?"}
SYSTEM = {"role": "system", "content": "answer from memory"}


@pytest.fixture
def strict(tmp_path: Path) -> Engine:
    return mneme.engine(tiny_model("llama", tmp_path, template=SAYS_NO))


@pytest.fixture
def bare(tmp_path: Path) -> Engine:
    return mneme.engine(tiny_model("llama", tmp_path, template=None))


def test_the_template_is_followed(engine_of: Callable[[str], Engine]) -> None:
    engine = engine_of("llama")
    tokens = engine.render([SYSTEM, USER])
    assert engine.has_template
    assert engine.decode(tokens) == (
        "system answer from memory user What is the question ? assistant"
    )


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3", "phi3"])
def test_the_begin_token_comes_once(family: str, engine_of: Callable[[str], Engine]) -> None:
    tokens = engine_of(family).render([USER])
    assert tokens[0] == 1
    assert tokens.count(1) == 1


def test_a_tokenizer_that_adds_a_begin_token_adds_none_to_a_template(tmp_path: Path) -> None:
    folder = tiny_model("llama", tmp_path)
    said = json.loads((folder / "tokenizer.json").read_bytes())
    said["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    engine = mneme.engine(folder)
    assert engine.render([USER]).count(1) == 1
    assert engine.count("the memory") == 2


def test_without_a_template_the_contents_are_joined(bare: Engine) -> None:
    tokens = bare.render([SYSTEM, {"role": "user", "content": ""}, USER])
    assert not bare.has_template
    assert tokens[0] == 1
    assert bare.decode(tokens) == "answer from memory What is the question ?"


def test_a_template_without_a_system_gets_it_with_the_user(strict: Engine) -> None:
    assert strict.decode(strict.render([SYSTEM, USER])) == (
        "user answer from memory What is the question ?"
    )
    assert strict.decode(strict.render([SYSTEM])) == "user answer from memory"


def test_what_a_template_refuses_else_is_an_error_of_the_caller(strict: Engine) -> None:
    for messages in ([USER, USER], [SYSTEM, USER, USER]):
        with pytest.raises(InvalidInputError, match="roles must take turns"):
            strict.render(messages)


@pytest.mark.parametrize(
    "wrong", [[], [{"role": "user"}], [{"content": "x"}], [{"role": "user", "content": None}]]
)
def test_messages_need_a_role_and_a_text(
    wrong: list[dict[str, str]], engine_of: Callable[[str], Engine]
) -> None:
    with pytest.raises(InvalidInputError, match="message"):
        engine_of("llama").render(wrong)


def test_counting_and_reading_leave_special_tokens_out(bare: Engine) -> None:
    assert bare.count("") == 0
    assert bare.count("the memory") == 2
    tokens = bare.render([{"role": "user", "content": "the memory"}])
    assert bare.decode([*tokens, 2, 0]) == "the memory"
    assert {"<|im_start|>", "<|im_end|>", "<s>", "</s>", "<pad>"} <= set(bare.special)


def test_an_answer_may_have_several_ends(
    tmp_path: Path, engine_of: Callable[[str], Engine]
) -> None:
    assert [n for n in range(256) if engine_of("llama").ends(n)] == [2]
    folder = tiny_model("llama", tmp_path)
    said = json.loads((folder / "generation_config.json").read_bytes())
    said["eos_token_id"] = [5, 9]
    (folder / "generation_config.json").write_text(json.dumps(said), encoding="utf-8")
    engine = mneme.engine(folder)
    assert [n for n in range(256) if engine.ends(n)] == [2, 5, 9]


def test_an_answer_may_have_no_end(judge: Callable[[str], Path]) -> None:
    engine = mneme.engine(judge("recall"))
    assert not any(engine.ends(token) for token in range(260))
