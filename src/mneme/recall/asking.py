"""The arguments of `search`, `recall`, `list` and `feedback`, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mneme.core.cube import PLAINTEXT_TYPES
from mneme.core.errors import InvalidInputError
from mneme.core.filters import parse_filters
from mneme.core.moments import moment_us, optional_us
from mneme.recall.context import Hit
from mneme.recall.search import Asked
from mneme.vault.visible import Window

if TYPE_CHECKING:
    from datetime import tzinfo

CANDIDATES = 60  # hits that a context may choose from
MODES = ("hybrid", "lexical", "dense")
KINDS = ("plaintext", "activation", "parametric")
_MOST = 1000
_HIGHEST_SCORE = 1e9
_LONGEST_QUERY = 32_768
_REWARD = 0.25  # what one feedback changes of a utility between -1 and 1


def asked_of(given: Mapping[str, Any], zone: tzinfo, clock_us: int) -> Asked:
    """A question with its window.

    Raises:
        InvalidInputError: An argument is not acceptable.
    """
    now = optional_us(given.get("now"), zone, name="now")
    times = {
        name: optional_us(given.get(name), zone, name=name)
        for name in ("since", "until", "valid_at", "as_of")
    }
    kinds = kinds_of(given.get("kinds", ("plaintext",)))
    return Asked(
        text=query_of(given["query"]),
        window=Window(
            now=clock_us,
            asked_at=clock_us if now is None else now,
            types=() if kinds and "plaintext" not in kinds else types_of(given.get("types")),
            session=_session_of(given.get("session")),
            conditions=parse_filters(
                given.get("filters"), lambda value: moment_us(value, zone, name="filter")
            ),
            include_archived=_flag_of(given.get("include_archived", False), "include_archived"),
            **times,
        ),
        now_us=clock_us if now is None else now,
        limit=limit_of(given["limit"]),
        mode=_mode_of(given.get("mode", "hybrid")),
        min_score=_score_of(given.get("min_score")),
        explain=_flag_of(given.get("explain", False), "explain"),
    )


def query_of(value: object) -> str:
    """A question: any text with something in it; a very long one is cut."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError("the query must be a string with something in it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError("the query holds a lone surrogate; decode it properly") from error
    if "\0" in value:
        raise InvalidInputError("the query holds a NUL character; remove it")
    return value[:_LONGEST_QUERY]


def limit_of(value: object) -> int:
    """How many to give back."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise InvalidInputError(f"limit takes a number from 1 to {_MOST}, not {value!r:.80}")
    return value


def budget_of(value: object) -> int:
    """A budget in tokens."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidInputError(f"budget_tokens takes a number from 0 on, not {value!r:.80}")
    return value


def types_of(value: object) -> tuple[str, ...] | None:
    """Known types; None for all."""
    return _names_of(value, PLAINTEXT_TYPES, "types")


def kinds_of(value: object) -> tuple[str, ...] | None:
    """Known kinds; None for all."""
    return _names_of(value, KINDS, "kinds")


def rewards(hits_or_ids: object, used: object) -> dict[str, float]:
    """By id, how much more (or less) ranking shall think of it.

    Args:
        hits_or_ids: What was given back: hits, cubes' ids, or one of either.
        used: Whether all of them helped, or those that did.
    """
    shown = ids_of(hits_or_ids)
    if isinstance(used, bool):
        return dict.fromkeys(shown, _REWARD if used else -_REWARD)
    helped = set(ids_of(used))
    if not helped <= set(shown):
        raise InvalidInputError("used names a cube that is not among the hits")
    return {i: _REWARD if i in helped else -_REWARD for i in shown}


def ids_of(value: object) -> list[str]:
    """The ids of hits, or ids as they are, each once."""
    if isinstance(value, str | Hit):
        value = [value]
    if not isinstance(value, Iterable):
        raise InvalidInputError("feedback takes hits or ids")
    ids = [each.cube.id if isinstance(each, Hit) else each for each in value]
    if not all(isinstance(each, str) for each in ids):
        raise InvalidInputError("feedback takes hits or ids")
    return list(dict.fromkeys(ids))


def _names_of(value: object, known: Sequence[str], name: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidInputError(f"{name} takes a list, such as [{known[0]!r}]")
    names = tuple(value)
    for each in names:
        if each not in known:
            raise InvalidInputError(f"unknown in {name}: {each!r:.80}; known: {', '.join(known)}")
    return names


def _session_of(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidInputError(f"session takes a name, not {value!r:.80}")
    return value


def _flag_of(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInputError(f"{name} takes true or false, not {value!r:.80}")
    return value


def _mode_of(value: object) -> Any:  # noqa: ANN401 (one of MODES)
    if value not in MODES:
        raise InvalidInputError(f"mode takes one of {', '.join(MODES)}, not {value!r:.80}")
    return value


def _score_of(value: object) -> float | None:
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -_HIGHEST_SCORE <= value <= _HIGHEST_SCORE:  # type: ignore[operator]
        raise InvalidInputError(f"min_score takes a number, not {value!r:.80}")
    return float(value)  # type: ignore[arg-type]
