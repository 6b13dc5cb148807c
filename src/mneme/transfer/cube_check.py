"""Whether a cube that comes from a file is one that this system could have written.

A checksum says that a file is whole, not that it is honest: each field must be such that every
later read of the cube succeeds, and nothing may claim more trust than its origin has.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mneme.core.clock import to_us
from mneme.core.cube import PLAINTEXT_TYPES
from mneme.core.lifecycle import State
from mneme.core.provenance import ORIGINS, UNTRUSTED_ORIGINS

if TYPE_CHECKING:
    from mneme.core.rows import VersionRow

_FIRST, _LAST = (to_us(moment.replace(tzinfo=UTC)) for moment in (datetime.min, datetime.max))  # noqa: DTZ901
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST_NAME = 2048
_STATES = frozenset(state.value for state in State)
_ROLES = frozenset({"user", "assistant", "system", "tool"})
_TRUST = frozenset({"trusted", "untrusted"})
_SOURCE = 4  # cube id, version, start, end


def is_sound(versions: tuple[VersionRow, ...], texts: dict[int, str]) -> bool:
    """Whether versions, oldest first, and their texts make a cube."""
    return (
        bool(versions)
        and [row.version for row in versions] == list(range(1, len(versions) + 1))
        and all(row.id == versions[0].id and row.text_version in texts for row in versions)
        and all(_is_version(row) for row in versions)
        and all(1 <= number <= len(versions) for number in texts)
        and all(_is_text(text) and bool(text.strip()) for text in texts.values())
    )


def _is_version(row: VersionRow) -> bool:
    return _is_known(row) and _has_names(row) and _has_numbers(row) and _has_json(row)


def _is_known(row: VersionRow) -> bool:
    honest = row.trust == "untrusted" or row.origin not in UNTRUSTED_ORIGINS
    return (
        row.kind == "plaintext"
        and row.type in PLAINTEXT_TYPES
        and row.state in _STATES
        and (row.prior_state is None or row.prior_state in _STATES)
        and row.role in _ROLES
        and row.origin in ORIGINS
        and row.trust in _TRUST
        and honest
    )


def _has_names(row: VersionRow) -> bool:
    optional = (row.speaker, row.actor, row.model)
    return (
        _is_text(row.id)
        and _ID.fullmatch(row.id) is not None
        and all(_is_name(name) for name in (row.session, row.method))
        and all(name is None or _is_name(name) for name in optional)
    )


def _has_numbers(row: VersionRow) -> bool:
    moments = (row.event_at, row.valid_from, row.valid_to, row.expires_at)
    whole = (row.version, row.text_version, row.hold)
    return (
        all(type(number) is int for number in whole)
        and row.hold in {0, 1}
        and _is_moment(row.recorded_at)
        and all(moment is None or _is_moment(moment) for moment in moments)
        and (
            row.priority is None or (type(row.priority) in {int, float} and 0 <= row.priority <= 1)
        )
    )


def _has_json(row: VersionRow) -> bool:
    try:
        metadata, labels, sources = (
            None if text is None else json.loads(text, parse_constant=_refuse)
            for text in (row.metadata, row.labels, row.sources)
        )
    except (ValueError, TypeError, RecursionError):
        return False
    return (
        (row.metadata is None or (isinstance(metadata, dict) and _is_text(row.metadata)))
        and (row.labels is None or (isinstance(labels, list) and all(map(_is_name, labels))))
        and (row.sources is None or (isinstance(sources, list) and all(map(_is_source, sources))))
    )


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _is_source(value: Any) -> bool:  # noqa: ANN401 (from outside)
    if not isinstance(value, list) or len(value) != _SOURCE:
        return False
    return _is_name(value[0]) and all(type(n) is int and 0 <= n < 1 << 62 for n in value[1:])


def _is_moment(value: object) -> bool:
    return type(value) is int and _FIRST <= value <= _LAST


def _is_name(value: object) -> bool:
    return _is_text(value) and 0 < len(str(value)) <= _LONGEST_NAME


def _is_text(value: object) -> bool:
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
