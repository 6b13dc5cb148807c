import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core.provenance import ORIGINS
from mneme.govern.trust import origin_of, trust_of


@pytest.mark.parametrize(
    ("role", "type_", "origin"),
    [
        ("user", "turn", "user"),
        ("assistant", "turn", "assistant"),
        ("system", "turn", "user"),
        ("tool", "turn", "tool"),
        ("user", "document", "document"),
    ],
)
def test_the_origin_follows_from_role_and_type(role: str, type_: str, origin: str) -> None:
    assert origin_of(role, type_) == origin


@given(st.sampled_from(ORIGINS), st.lists(st.sampled_from(["trusted", "untrusted"])))
def test_taint_is_never_lost(origin: str, sources: list[str]) -> None:
    tainted = origin in {"tool", "document"} or "untrusted" in sources
    assert trust_of(origin, sources) == ("untrusted" if tainted else "trusted")
