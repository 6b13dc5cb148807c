"""Adding so that a lost answer never stores twice, and adding many.

`add` of the library knows a retry by its idempotency key, or, where session and moment are said, by
the words. So a request without either gets a key of its own before it is first sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from mneme.client.records import record
from mneme.client.wire import Flow, encoded, given, post
from mneme.core.errors import MnemeError
from mneme.ingest import checks
from mneme.ingest.bulk import AddReport, ItemStatus, item_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int | None], None] | None

_MOST_ITEMS = 256  # of one request
_MOST_BYTES = 4 << 20


def with_key(content: object, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The arguments of an `add`, and whether it may be sent again.

    What says session and moment for a part of its messages only is left as it is, and is not
    repeatable: a key would make the library compare those messages otherwise.
    """
    body = given(content=content, **arguments)
    if "idempotency_key" in body:
        return body, True
    at = _moments(content, body)
    if "session" in body and all(at):
        return body, True
    if "session" in body and any(at):
        return body, False
    return {**body, "idempotency_key": uuid.uuid4().hex}, True


def add_many(path: str, items: Iterable[object], progress: Progress) -> Flow[AddReport]:
    """Add items chunk by chunk, each chunk one request; statuses keep the order of the items."""
    stream = checks.items_of(items)
    total = len(stream) if isinstance(stream, Sequence) else None
    statuses: list[ItemStatus] = []
    pending: list[tuple[int, bytes]] = []
    repeatable, size = True, 0
    numbered = enumerate(stream)
    while chunk := list(islice(numbered, _MOST_ITEMS)):
        for number, item in chunk:
            line, again = _line(number, item)
            if isinstance(line, ItemStatus):
                statuses.append(line)
                continue
            if size + len(line) > _MOST_BYTES and pending:
                statuses += yield from _batch(path, pending, repeatable=repeatable)
                pending, repeatable, size = [], True, 0
            pending.append((number, line))
            repeatable, size = repeatable and again, size + len(line)
        if pending:
            statuses += yield from _batch(path, pending, repeatable=repeatable)
            pending, repeatable, size = [], True, 0
        if progress is not None:
            progress(chunk[-1][0] + 1, total)
    return AddReport(tuple(sorted(statuses, key=lambda status: status.number)))


def _line(number: int, item: object) -> tuple[bytes | ItemStatus, bool]:
    """An item as JSON, or why it cannot be sent; and whether it may be sent again."""
    try:
        body, again = _body(item)
        return encoded(body), again
    except MnemeError as error:
        return ItemStatus(number, "refused", error=str(error)), True


def _body(item: object) -> tuple[object, bool]:
    content, _ = item_arguments(item)  # refuses what is no item, as the library does
    if not isinstance(item, Mapping) or content is item:
        return with_key(content, {})
    fields = {name: value for name, value in item.items() if name not in {"content", "name"}}
    if "name" in item:
        fields.setdefault("speaker", item["name"])
    return with_key(content, fields)


def _batch(
    path: str, lines: list[tuple[int, bytes]], *, repeatable: bool
) -> Flow[list[ItemStatus]]:
    request = post(path, {}, repeatable=repeatable)
    body = b'{"items":[' + b",".join(line for _, line in lines) + b"]}"
    answer = yield replace(request, body=body)
    report = record(AddReport, answer.json())
    return [
        replace(status, number=number)
        for (number, _), status in zip(lines, report.items, strict=True)
    ]


def _moments(content: object, body: Mapping[str, Any]) -> list[bool]:
    """For each message, whether it is said when it happened."""
    common = body.get("at") is not None
    if body.get("type") == "document":
        return [common]
    several = isinstance(content, Sequence) and not isinstance(content, str | bytes)
    messages = list(content) if several else [content]  # type: ignore[call-overload]
    return [
        common or (isinstance(each, Mapping) and each.get("at") is not None) for each in messages
    ]
