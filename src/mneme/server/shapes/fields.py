"""The fields that bodies share, each as strict as the library is.

Values stay as they came (strings, numbers, lists, objects): the library reads them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, WrapValidator

from mneme.core.filters import OPERATORS, TEXT_FIELDS, TIME_FIELDS

_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")
# What Python takes for white space, spelled out: `\s` is not the same set in every language.
_SPACE: Final = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
TEXT: Final = rf"^[^\x00]*[^\x00{_SPACE}][^\x00]*$"  # something to read, and no NUL
_NO_NUL: Final = r"^[^\x00]*$"
_LONGEST_NAME: Final = 512
_INT64: Final = (1 << 63) - 1
MOST_VERSIONS: Final = 1 << 20

Text = Annotated[str, Field(pattern=TEXT)]
Name = Annotated[str, Field(pattern=TEXT, max_length=_LONGEST_NAME)]
Id = Annotated[
    str,
    Field(
        pattern=TEXT,
        max_length=_LONGEST_NAME,
        description="The id of a memory.",
        examples=["019a9c2e-8d6b-7c04-b1a5-3f2f9d0c7e11"],
    ),
]
Moment = Annotated[
    str,
    Field(
        max_length=64,
        description="ISO 8601, such as 2026-03-20T14:05:00Z; one without a zone is read in the "
        "time zone of the server's settings.",
        json_schema_extra={"format": "date-time"},
    ),
]


def _as_it_came(value: Any, check: Any) -> Any:  # noqa: ANN401 (JSON)
    check(value)
    return value


AS_IT_CAME: Final = WrapValidator(_as_it_came)
"""Checks a value and leaves it as JSON: the library takes mappings, not models."""


def _exact(value: object) -> object:
    """A whole number that was written with a point: to JSON Schema 5.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE: Final = BeforeValidator(_exact)
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Version = Annotated[int, Field(ge=1, le=MOST_VERSIONS), WHOLE]
Limit = Annotated[int, Field(ge=1, le=1000), WHOLE]
Tokens = Annotated[int, Field(ge=0, le=1 << 31), WHOLE]
Labels = Annotated[list[Name], Field(max_length=64)]

Type = Literal[
    "turn", "document", "fact", "preference", "instruction", "event", "summary",
    "profile", "note", "procedure", "lesson", "task", "table",
]  # fmt: skip
Kind = Literal["plaintext", "activation", "parametric"]
Role = Literal["user", "assistant", "system", "tool"]
Origin = Literal["user", "assistant", "tool", "document", "derived"]
Types = Annotated[
    list[Type], Field(fail_fast=True)
]  # one fault is enough of a list that has no end
Kinds = Annotated[list[Kind], Field(fail_fast=True)]
Ids = Annotated[list[Id], Field(fail_fast=True)]
SomeIds = Annotated[list[Id], Field(min_length=1, fail_fast=True)]

# The library checks metadata, whatever its size; put by reference in openapi.py.
ANY_JSON: Final = {"description": "Any JSON; integers within 64 bits, strings without NUL."}
_ANY_JSON_REF: Final = {"$ref": "#/components/schemas/Json"}
JSON_SCHEMA: Final[dict[str, Any]] = ANY_JSON | {
    "anyOf": [
        {"type": "boolean"},
        {"type": "integer", "minimum": -_INT64, "maximum": _INT64},
        {"type": "number"},
        {"type": "string", "pattern": _NO_NUL},
        {"type": "null"},
        {"type": "array", "items": _ANY_JSON_REF},
        {
            "type": "object",
            "propertyNames": {"pattern": _NO_NUL},
            "additionalProperties": _ANY_JSON_REF,
        },
    ]
}
_METADATA_SCHEMA: Final = {
    "description": "The caller's own JSON object: at most 32 levels deep and 64 KiB.",
    "type": "object",
    "propertyNames": {"pattern": _NO_NUL},
    "additionalProperties": ANY_JSON,
}
Metadata = Annotated[dict[str, Any], WithJsonSchema(_METADATA_SCHEMA)]


def _whole(value: object) -> object:
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("takes a whole number")
    return value


def _flag(value: object) -> object:
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("takes true or false")
    return value


# In a query all is text: only the spelling of JSON counts, not "yes" or " 5.0".
QueryLimit = Annotated[Limit, BeforeValidator(_whole)]
QueryVersion = Annotated[Version, BeforeValidator(_whole)]
QueryFlag = Annotated[bool, BeforeValidator(_flag)]
QuerySeconds = Annotated[int, Field(ge=0, le=3600), BeforeValidator(_whole)]


def _text_test() -> dict[str, Any]:
    value = {"type": "string", "pattern": _NO_NUL}
    return _test(value)


def _test(value: dict[str, Any]) -> dict[str, Any]:
    many = {"type": "array", "items": value, "maxItems": 1000}
    operators = dict.fromkeys(OPERATORS, value) | {"in": many, "exists": {"type": "boolean"}}
    return {
        "anyOf": [
            value,
            {
                "type": "object",
                "properties": operators,
                "additionalProperties": False,
                "minProperties": 1,
            },
        ]
    }


def _filters_schema() -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    scalar = {
        "anyOf": [
            {"type": "string", "pattern": _NO_NUL},
            {"type": "boolean"},
            {"type": "integer", "minimum": -_INT64, "maximum": _INT64},
            {"type": "number"},
        ]
    }
    return {
        "title": "Filters",
        "description": "Several fields mean and; `metadata.<key>` tests the caller's own metadata.",
        "type": "object",
        "properties": {name: _text_test() for name in sorted(TEXT_FIELDS)}
        | {name: _test(moment) for name in sorted(TIME_FIELDS)},
        "patternProperties": {r'^metadata\.[^\x00"\\]{1,200}$': _test(scalar)},
        "additionalProperties": False,
        "examples": [{"type": "fact", "metadata.place": {"in": ["Oslo", "Bergen"]}}],
    }


FILTERS_SCHEMA: Final = _filters_schema()
Filters = Annotated[dict[str, Any], WithJsonSchema(FILTERS_SCHEMA)]
SOME_FILTERS_SCHEMA: Final = FILTERS_SCHEMA | {"minProperties": 1}
SomeFilters = Annotated[dict[str, Any], Field(min_length=1), WithJsonSchema(SOME_FILTERS_SCHEMA)]
Target = Id | SomeIds
