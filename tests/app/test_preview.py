"""What an erasure would take, said before it is done."""

import pytest

from mneme import CubeNotFoundError, ForbiddenError, MemCube, Namespace
from mneme.app.memory import MemoryOS


def _document(alice: Namespace) -> MemCube:
    text = "# Refunds\n\nThey take 30 days.\n\n# Returns\n\nBy post."
    return alice.add(text, type="document")[0]


def test_the_preview_names_what_goes_and_changes_nothing(
    memory: MemoryOS, alice: Namespace
) -> None:
    whole = _document(alice)
    alice.add("I moved to Oslo.")
    before = memory.audit_head()
    would = alice.preview_erase(whole.id)
    assert would[0].text == whole.text
    assert memory.audit_head() == before
    assert {cube.id for cube in would} == set(alice.erase(whole.id).erased)
    assert len(would) == 3


def test_what_is_forgotten_is_counted_and_says_nothing(alice: Namespace) -> None:
    [cube] = alice.add("I moved to Oslo in March.", metadata={"town": "Oslo"}, speaker="Ida")
    alice.forget(cube.id)
    [would] = alice.preview_erase(cube.id)
    assert (would.id, would.state) == (cube.id, "forgotten")
    assert "Oslo" not in repr(would)


def test_what_erase_refuses_the_preview_refuses(memory: MemoryOS, alice: Namespace) -> None:
    [held] = alice.add("Keep this.", hold=True)
    with pytest.raises(ForbiddenError):
        alice.preview_erase(held.id)
    with pytest.raises(CubeNotFoundError):
        memory.namespace("bob").preview_erase(held.id)
    alice.update(held.id, hold=False)
