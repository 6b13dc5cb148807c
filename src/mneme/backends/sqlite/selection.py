"""A selection of current cubes as a WHERE clause: fixed text and bound values, nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mneme.core.rows import Condition, Selection

_COLUMNS = {
    "type": "v.type", "session": "v.session", "speaker": "v.speaker", "role": "v.role",
    "origin": "v.origin", "trust": "v.trust", "state": "v.state",
    "event_at": "v.event_at", "recorded_at": "v.recorded_at",
    "metadata": "json_extract(v.metadata, {path})",
}  # fmt: skip
_OPERATORS = {"eq": "IS", "ne": "IS NOT", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_ORDERED = {"lt", "lte", "gt", "gte"}


def where_of(selection: Selection) -> tuple[str, dict[str, Any]]:
    """The clause and its named values."""
    parts = ["c.state != 'erased'", "(v.expires_at IS NULL OR v.expires_at > :now)"]
    values: dict[str, Any] = {"now": selection.now}
    for column, wanted in (
        ("v.type", selection.types),
        ("v.kind", selection.kinds),
        ("v.state", selection.states),
    ):
        if wanted is not None:
            name = f"in_{column[2:]}"
            parts.append(f"{column} IN (SELECT value FROM json_each(:{name}))")
            values[name] = json.dumps(wanted)
    if selection.session is not None:
        parts.append("v.session = :session")
        values["session"] = selection.session
    if selection.said:
        parts.append("(v.kind IS NOT 'plaintext' OR v.origin IS NOT 'derived')")
    for number, condition in enumerate(selection.conditions):
        parts.append(_test(condition, f"c{number}", values))
    return " AND ".join(parts), values


def _test(condition: Condition, name: str, values: dict[str, Any]) -> str:
    column = _COLUMNS[condition.field]
    if condition.key is not None:
        column = column.format(path=f":{name}_path")
        values[f"{name}_path"] = f"$.{json.dumps(condition.key, ensure_ascii=False)}"
    if condition.op == "exists":
        return f"{column} IS {'NOT ' if condition.value else ''}NULL"
    if condition.op == "in":
        values[name] = json.dumps(condition.value)
        return f"{column} IN (SELECT value FROM json_each(:{name}))"
    values[name] = condition.value
    test = f"{column} {_OPERATORS[condition.op]} :{name}"
    if condition.key is not None and condition.op in _ORDERED:  # SQLite sorts numbers below texts
        test += f" AND (typeof({column}) = 'text') = (typeof(:{name}) = 'text')"
    return f"({test})"
