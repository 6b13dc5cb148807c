import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme.core import errors
from mneme.core.lifecycle import EDGES, HIDDEN, SEARCHED, State, enter
from mneme.core.strict import strict

MEMORY_ERRORS = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, errors.MnemeError)
]


@given(st.sampled_from(sorted(EDGES)), st.sampled_from(State))
def test_every_edge_leads_to_a_known_state_or_nowhere(verb: str, state: State) -> None:
    reached = enter(verb, state)
    leaves, enters = EDGES[verb]
    assert reached is (enters if state in leaves else None)


def test_a_frozen_cube_can_only_be_unfrozen_expire_or_be_forgotten() -> None:
    assert {verb for verb in EDGES if enter(verb, State.FROZEN)} == {"unfreeze", "expire", "forget"}


def test_what_is_searched_is_not_hidden() -> None:
    assert not SEARCHED & HIDDEN


def test_errors_read_well_and_are_the_builtins_that_they_resemble() -> None:
    missing = errors.CubeNotFoundError("c1", "alice")
    assert isinstance(missing, KeyError)
    assert str(missing).startswith("no cube 'c1' in namespace 'alice'")
    assert isinstance(errors.InvalidInputError("x"), ValueError)
    assert isinstance(errors.UnknownArgumentError("add()", "sesion", ["session"]), TypeError)
    assert isinstance(errors.BackendUnavailableError("x"), ConnectionError)
    assert isinstance(errors.MissingDependencyError("p", "e", "it"), ImportError)
    assert isinstance(errors.ImportRefusedError("x"), ValueError)
    assert isinstance(errors.ForbiddenError("x"), PermissionError)
    assert isinstance(errors.StoreFullError("x"), OSError)
    assert str(errors.VersionConflictError("c1", 1, 2)) == (
        "cube 'c1' is at version 2, not 1; read it again and retry"
    )


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda each: each.__name__)
def test_the_module_draws_every_error(error: type) -> None:
    assert error.__name__ in (errors.__doc__ or "")


def test_an_unknown_argument_names_the_nearest_one() -> None:
    @strict
    def call(*, session: str | None = None) -> str | None:
        return session

    assert call(session="s") == "s"
    with pytest.raises(TypeError, match="did you mean 'session'"):
        call(sesion="s")  # type: ignore[call-arg]
    with pytest.raises(errors.UnknownArgumentError, match=r"has no argument 'qqq'$"):
        call(qqq=1)  # type: ignore[call-arg]
