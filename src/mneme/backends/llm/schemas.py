"""JSON out of a model's text, and whether it fits a schema.

In: text that should be one JSON object. Out: that object without what the schema does not name.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mneme.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
_LONGEST_REASON = 300


class UnfitError(ValueError):
    """The text is no JSON, or not of the schema; says why in a few words."""


def read(text: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON data)
    """The value in a model's answer.

    Raises:
        UnfitError: There is none that fits.
    """
    value = pruned(_decoded(text), schema)
    wrong = _check(json.dumps(schema, sort_keys=True))(value)
    if wrong is not None:
        raise UnfitError(wrong[:_LONGEST_REASON])
    return value


def _decoded(text: str) -> object:
    text = _THOUGHT.sub("", text)
    fenced = _FENCED.match(text)
    try:
        value: object = json.loads(fenced[1] if fenced else text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "cannot be decoded"
        raise UnfitError(f"no valid JSON ({reason})") from None
    return value


def _no_number(name: str) -> object:
    raise ValueError(name)  # NaN and the infinities are no JSON


def pruned(value: object, schema: Mapping[str, Any]) -> object:
    """The value without properties beyond the schema, and without empty optional ones."""
    if isinstance(value, dict) and "properties" in schema:
        known, required = schema["properties"], set(schema.get("required", ()))
        return {
            name: pruned(value[name], known[name])
            for name in known
            if name in value and (value[name] is not None or name in required)
        }
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [pruned(item, schema["items"]) for item in value]
    return value


def strict_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as strict servers want it: each property required, the optional ones nullable."""
    strict = dict(schema)
    if "items" in strict:
        strict["items"] = strict_form(strict["items"])
    if "properties" in strict:
        required = set(strict.get("required", ()))
        strict["properties"] = {
            name: strict_form(each) if name in required else _nullable(strict_form(each))
            for name, each in strict["properties"].items()
        }
        strict |= {"required": list(strict["properties"]), "additionalProperties": False}
    return strict


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else schema


@lru_cache(maxsize=64)
def _check(schema: str) -> Callable[[object], str | None]:
    try:
        import fastjsonschema
    except ImportError as error:
        raise MissingDependencyError("fastjsonschema", "llm", "a language model") from error
    validate = fastjsonschema.compile(json.loads(schema))

    def check(value: object) -> str | None:
        try:
            validate(value)
        except fastjsonschema.JsonSchemaValueException as error:
            return str(error)
        return None

    return check


class Kept:
    """Answers to questions that were asked before, the newest ones; not safe between threads.

    Args:
        most: How many are kept.
        most_characters: Of all that are kept.
    """

    def __init__(self, most: int = 256, most_characters: int = 4_000_000) -> None:
        self._most, self._most_characters = most, most_characters
        self._answers: OrderedDict[str, str] = OrderedDict()
        self._characters = 0

    def get(self, key: str) -> Any | None:  # noqa: ANN401 (JSON data)
        """A fresh copy of the answer; None if it is not kept."""
        found = self._answers.get(key)
        if found is None:
            return None
        self._answers.move_to_end(key)
        return json.loads(found)

    def put(self, key: str, value: object) -> None:
        """Keep an answer; the ones that were used longest ago go."""
        self._characters -= len(self._answers.pop(key, ""))
        self._answers[key] = json.dumps(value)
        self._characters += len(self._answers[key])
        while len(self._answers) > self._most or self._characters > self._most_characters:
            self._characters -= len(self._answers.popitem(last=False)[1])

    def clear(self) -> None:
        """Keep nothing: what was asked may have been erased."""
        self._answers.clear()
        self._characters = 0
