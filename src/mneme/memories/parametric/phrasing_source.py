"""Phrasings from data: JSON or a mapping, checked.

The form: {relation: {"statements": [...], "questions": [...], "held": [...], "as": [...],
"near": [...], "kind": verb, "own": {"statements": [...], "questions": [...], "held": [...]},
"object": pattern, "reads": {template: pattern}}}; only statements or questions must be there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.templates import Phrasing, phrasing_of

_PARTS: Final = ("statements", "questions", "held")
_FIELDS: Final = frozenset({*_PARTS, "as", "near", "own", "object", "reads", "kind"})
_PLACES: Final = frozenset({"s", "o", "a", "x"})


def read_phrasings(source: Mapping[str, Any] | str | Path) -> list[Phrasing]:
    """The phrasings of a mapping, or of a JSON file.

    Raises:
        InvalidInputError: It is not of that form; names the relation and what is wrong.
    """
    said = source if isinstance(source, Mapping) else _loaded(Path(source))
    if not isinstance(said, Mapping):
        raise InvalidInputError("phrasings are an object: relation to its templates")
    return [_phrasing(relation, each) for relation, each in said.items()]


def _loaded(path: Path) -> Any:  # noqa: ANN401 (JSON data)
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"the phrasings {path} cannot be read: {error}") from error
    except ValueError as error:
        raise InvalidInputError(f"the phrasings {path} are no JSON: {error}") from error


def _phrasing(relation: object, said: object) -> Phrasing:
    if not isinstance(relation, str) or not relation.strip():
        raise InvalidInputError("a relation needs a name, such as 'lives in'")
    if not isinstance(said, Mapping):
        raise InvalidInputError(f"phrasings of {relation!r} are an object with {list(_PARTS)}")
    unknown = sorted(str(name) for name in said if name not in _FIELDS)
    if unknown:
        raise InvalidInputError(
            f"phrasings of {relation!r} have no {unknown[0]!r}; they have {sorted(_FIELDS)}"
        )
    statements, questions, held = (_texts(relation, said, part) for part in _PARTS)
    _check(relation, statements, questions, held)
    return _reading(phrasing_of(relation, statements, questions, held), said)


def _own(made: Phrasing, said: Mapping[str, Any]) -> Phrasing:
    """With the own forms that are said, instead of those that were made."""
    relation, own = made.relation, said.get("own", {})
    if not isinstance(own, Mapping) or set(own) - set(_PARTS):
        raise InvalidInputError(f"'own' of {relation!r} is an object with {list(_PARTS)}")
    found = {part: _texts(relation, own, part) for part in own}
    for template in chain.from_iterable(found.values()):
        if "{s}" in template:
            raise InvalidInputError(f"{template!r} of {relation!r} is one's own: it has no {{s}}")
    if any("{o}" not in each for each in found.get("statements", ())):
        raise InvalidInputError(f"the own statements of {relation!r} need {{o}}")
    return replace(
        made,
        own_statements=found.get("statements", made.own_statements),
        own_questions=found.get("questions", made.own_questions),
        own_held=found.get("held", made.own_held),
    )


def _reading(made: Phrasing, said: Mapping[str, Any]) -> Phrasing:
    reads, thing, kind = said.get("reads", {}), said.get("object", ""), said.get("kind", "")
    if not isinstance(reads, Mapping) or not isinstance(thing, str) or not isinstance(kind, str):
        raise InvalidInputError(
            f"of {made.relation!r}, 'reads' is an object, 'object' a pattern and 'kind' a verb"
        )
    for pattern in (*reads.values(), thing):
        _compiled(made.relation, pattern)
    return replace(
        _own(made, said),
        near=_texts(made.relation, said, "near"),
        synonyms=_texts(made.relation, said, "as"),
        kind=kind.strip(),
        reads=tuple(reads.items()),
        object=thing,
    )


def _compiled(relation: str, pattern: object) -> None:
    try:
        re.compile(str(pattern))
    except re.error as error:
        raise InvalidInputError(f"a pattern of {relation!r} is none: {error}") from error


def _texts(relation: str, said: Mapping[str, Any], part: str) -> tuple[str, ...]:
    found = said.get(part, ())
    listed = isinstance(found, (list, tuple))
    if not listed or not all(isinstance(each, str) and each.strip() for each in found):
        raise InvalidInputError(f"{part!r} of {relation!r} is a list of texts")
    return tuple(found)


def _check(
    relation: str, statements: tuple[str, ...], questions: tuple[str, ...], held: tuple[str, ...]
) -> None:
    if not statements and not questions:
        raise InvalidInputError(f"{relation!r} has neither statements nor questions")
    for template in (*statements, *questions, *held):
        unknown = set(re.findall(r"\{(\w*)\}", template)) - _PLACES
        if unknown:
            raise InvalidInputError(
                f"{template!r} of {relation!r} has {{{unknown.pop()}}}; it may have {{s}} and {{o}}"
            )
        if template.count("{s}") != 1 or template.count("{o}") > 1:
            raise InvalidInputError(f"{template!r} of {relation!r} needs {{s}} once, {{o}} at most")
    for template in statements:
        if "{o}" not in template:
            raise InvalidInputError(f"the statement {template!r} of {relation!r} needs {{o}}")
    for template in questions:
        if "{o}" in template:
            raise InvalidInputError(f"the question {template!r} of {relation!r} gives {{o}} away")
