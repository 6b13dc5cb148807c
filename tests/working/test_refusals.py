"""Bad input: a typed error that says what to do, and nothing changed."""

from __future__ import annotations

from typing import Any

import pytest

from mneme import Namespace
from mneme.core.errors import InvalidInputError, UnknownArgumentError

Chat = dict[str, Any]


def call(call_id: str, name: str = "look_up", arguments: str = '{"city": "Oslo"}') -> Chat:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def asks(*calls: Chat) -> Chat:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def result(call_id: str, content: str = "7 degrees, rain") -> Chat:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_a_budget_too_small_for_the_system_message(alice: Namespace) -> None:
    work = alice.context(budget_tokens=50, session="s")
    with pytest.raises(InvalidInputError, match="raise the budget"):
        work.add({"role": "system", "content": "Rules of the house. " * 40})
    assert work.messages() == []
    assert alice.list().items == ()


def test_a_budget_that_an_old_session_does_not_fit_into(alice: Namespace) -> None:
    alice.context(session="s").add({"role": "system", "content": "Rules. " * 100})
    with pytest.raises(InvalidInputError, match=r"need \d+"):
        alice.context(session="s", budget_tokens=60)
    assert len(alice.context(session="s").messages()) == 1


def test_one_bad_message_keeps_the_others_out(alice: Namespace) -> None:
    work = alice.context(session="s")
    with pytest.raises(InvalidInputError):
        work.add(["good", {"role": "robot", "content": "bad"}])
    assert alice.list().items == ()


def test_a_result_without_its_call(alice: Namespace) -> None:
    work = alice.context(session="s")
    work.add(asks(call("c1")))
    with pytest.raises(InvalidInputError, match="no open call"):
        work.add(result("c2"))
    work.add(result("c1"))
    with pytest.raises(InvalidInputError, match="no open call"):
        work.add(result("c1"))
    assert len(work.messages()) == 2


def test_what_messages_made_is_not_taken_for_new(alice: Namespace) -> None:
    work = alice.context(session="s")
    work.note("k", "v")
    work.add("Hello.")
    with pytest.raises(InvalidInputError, match="only what is new"):
        work.add(work.messages())
    assert len(alice.list(types=["turn"]).items) == 1


@pytest.mark.parametrize("bad", [[], 7, b"bytes", [b"bytes"], "", "  ", {"role": "user"}])
def test_no_message_at_all(alice: Namespace, bad: object) -> None:
    with pytest.raises(InvalidInputError):
        alice.context(session="s").add(bad)


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
def test_texts_that_no_store_takes(alice: Namespace, bad: str) -> None:
    with pytest.raises(InvalidInputError):
        alice.context(session="s").add(bad)
    with pytest.raises(InvalidInputError):
        alice.context(session="s").note("key", bad)
    assert alice.list().items == ()


def test_arguments_of_the_verb(alice: Namespace) -> None:
    for budget in (-1, 2.5, True, "many"):
        with pytest.raises(InvalidInputError):
            alice.context(budget_tokens=budget)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="low, middle, high"):
        alice.context(tier="top")
    with pytest.raises(InvalidInputError):
        alice.context(session="")
    with pytest.raises(UnknownArgumentError, match="budget_tokens"):
        alice.context(budget=7)  # type: ignore[call-arg]


def test_notes_that_cannot_be_kept(alice: Namespace) -> None:
    work = alice.context(budget_tokens=200, session="s")
    for key, text in (("", "x"), ("a\nb", "x"), ("k", ""), ("k", "long " * 200)):
        with pytest.raises(InvalidInputError):
            work.note(key, text)
    with pytest.raises(InvalidInputError, match="no note"):
        work.note("unknown", None)
    assert work.scratch == {}
