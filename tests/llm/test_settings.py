"""From settings to a language model."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mneme.core.errors import InvalidInputError, MissingDependencyError
from mneme.settings import Settings
from mneme.wiring import _language_model


@pytest.mark.parametrize("spec", ["openai:gpt-5-mini", "anthropic:claude", "ollama:qwen3:8b"])
def test_the_setting_names_provider_and_model(spec: str) -> None:
    model = _language_model(Settings(llm=spec))
    assert model is not None
    assert model.id == spec


def test_without_the_setting_there_is_none() -> None:
    assert _language_model(Settings()) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"llm": "openai"},
        {"llm": "openai:"},
        {"llm": "other:model"},
        {"llm": "openai:m", "llm_url": "localhost"},
        {"llm": "openai:m", "llm_price_in": -1.0},
        {"llm": "openai:m", "llm_timeout_s": 0.0},
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        _language_model(Settings(**settings))  # type: ignore[arg-type]


def test_making_a_model_loads_no_package_of_the_extra() -> None:
    program = (
        "import sys; from mneme.settings import Settings\n"
        "from mneme.wiring import _language_model\n"
        "_language_model(Settings(llm='openai:m'))\n"
        "print(sorted({'httpx2', 'fastjsonschema'} & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("package", ["httpx2", "fastjsonschema"])
def test_a_missing_package_is_told_when_the_store_is_opened(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"mneme\[llm\]"):
        _language_model(Settings(llm="openai:gpt-5-mini"))


def test_the_key_is_never_shown() -> None:
    assert "s3cret" not in repr(Settings(llm_key="s3cret"))
