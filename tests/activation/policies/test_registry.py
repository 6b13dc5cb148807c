"""One list says what there is."""

from __future__ import annotations

import importlib
import re
from typing import Any, get_args

import pytest

from mneme.core.errors import InvalidInputError, MissingDependencyError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mneme.memories.activation import policies as package  # noqa: E402 (torch first)
from mneme.memories.activation.policies import (  # noqa: E402
    OWN,
    build_policy,
    decode_policy,
    policies,
    policy,
    question_policy,
)
from mneme.memories.activation.policies.policy import Policy, Stage  # noqa: E402
from mneme.memories.activation.policies.presses import PRESSES  # noqa: E402

VERB = {"build": "thin", "question": "narrow", "decode": "tally"}


def name_of(policy: Policy) -> str:
    return policy.about.name


@pytest.mark.parametrize("each", [*OWN, *PRESSES], ids=name_of)
def test_every_policy_says_what_it_is(each: Policy) -> None:
    about = each.about
    assert about.stage in get_args(Stage)
    assert callable(getattr(each, VERB[about.stage]))
    assert about.needs_question == (about.stage == "question")
    assert re.fullmatch(r".+, arXiv:\d{4}\.\d{5}", about.paper) or about.paper.startswith("none")
    assert re.fullmatch(r"[a-z0-9-]+", about.name)
    assert (about.extra == "kvpress") == about.name.startswith("kvpress-")


def test_names_are_unique() -> None:
    names = [each.about.name for each in (*OWN, *PRESSES)]
    assert len(names) == len(set(names))


def test_own_policies_have_a_docstring_with_their_paper() -> None:
    for each in OWN:
        assert type(each).__doc__


def test_a_policy_is_found_by_its_name() -> None:
    assert build_policy("leverage").about.name == "leverage"
    assert question_policy("snapkv").about.name == "snapkv"
    assert decode_policy("raas").about.name == "raas"


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(InvalidInputError, match=r"'levrage'.*leverage"):
        policy("levrage")


def test_the_wrong_stage_says_what_would_fit() -> None:
    with pytest.raises(InvalidInputError, match=r"'snapkv'.*'question'.*leverage"):
        build_policy("snapkv")
    with pytest.raises(InvalidInputError, match=r"'leverage'.*'build'.*snapkv"):
        question_policy("leverage")


def test_without_kvpress_only_our_own_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed: Any = importlib.import_module("mneme.memories.activation.policies.pressed")
    monkeypatch.setattr(pressed, "find_spec", lambda _name: None)
    assert policies() == OWN
    with pytest.raises(MissingDependencyError, match=r"kvpress-knorm.*mneme\[kvpress\]"):
        policy("kvpress-knorm")
    with pytest.raises(MissingDependencyError, match="kvpress"):
        pressed.load_kvpress("kvpress-knorm")


def test_the_list_is_public() -> None:
    assert {each.about.stage for each in package.policies()} == {"build", "question", "decode"}
