"""Many additions at once: a transaction for each chunk; one bad item spoils none of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from mneme.core.errors import (
    IdempotencyConflictError,
    InvalidInputError,
    MnemeError,
    UnknownArgumentError,
)
from mneme.ingest.reader import ADD_FIELDS, MESSAGE_FIELDS, Arguments, Repeats, drafts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mneme.ingest.reader import Limits
    from mneme.vault.draft import Draft, Kept
    from mneme.vault.vault import Vault

CHUNK = 512
_ITEM_FIELDS = ("content", "name", *ADD_FIELDS)


@dataclass(frozen=True, slots=True)
class ItemStatus:
    """What became of one item: "added", "repeated" (it was there already) or "refused"."""

    number: int
    status: str
    ids: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of each item, in their order."""

    items: tuple[ItemStatus, ...]

    @property
    def added(self) -> int:
        """Items that were added."""
        return sum(item.status == "added" for item in self.items)

    @property
    def repeated(self) -> int:
        """Items that were there already."""
        return sum(item.status == "repeated" for item in self.items)

    @property
    def refused(self) -> tuple[ItemStatus, ...]:
        """Items that could not be kept, with the reason."""
        return tuple(item for item in self.items if item.status == "refused")


class Bulk:
    """Adds a stream of items to a namespace, chunk by chunk."""

    def __init__(self, vault: Vault, limits: Limits) -> None:
        self._vault, self.limits = vault, limits

    def add(
        self,
        path: str,
        items: Iterable[object],
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Iterator[ItemStatus]:
        """Add items; each status comes after its item is durable or was refused."""
        repeats = Repeats()
        total = len(items) if isinstance(items, Sized) else None
        stream = enumerate(items)
        while chunk := list(islice(stream, CHUNK)):
            yield from self._add_chunk(path, chunk, repeats)
            if progress is not None:
                progress(chunk[-1][0] + 1, total)

    def _add_chunk(
        self, path: str, chunk: Sequence[tuple[int, object]], repeats: Repeats
    ) -> list[ItemStatus]:
        statuses: dict[int, ItemStatus] = {}
        drafts: dict[int, list[Draft]] = {}
        now = self._vault.parts.clock.now_us()
        for number, item in chunk:
            try:
                content, arguments = item_arguments(item)
                drafts[number] = drafts_of(content, arguments, self.limits, repeats, now)
            except MnemeError as error:
                statuses[number] = ItemStatus(number, "refused", error=str(error))
        statuses |= self._write(path, drafts)
        return [statuses[number] for number, _ in chunk]

    def _write(self, path: str, drafts: dict[int, list[Draft]]) -> dict[int, ItemStatus]:
        joined = [shifted for group in _shift(drafts.values()) for shifted in group]
        try:
            kept = self._vault.writer.add(path, joined) if joined else []
        except (InvalidInputError, IdempotencyConflictError) as error:
            return self._write_singly(path, drafts, error)
        statuses, at = {}, 0
        for number, group in drafts.items():
            statuses[number] = _status(number, kept[at : at + len(group)])
            at += len(group)
        return statuses

    def _write_singly(
        self, path: str, drafts: dict[int, list[Draft]], error: MnemeError
    ) -> dict[int, ItemStatus]:
        """Find the item that made its chunk fail; the others are written."""
        if len(drafts) == 1:
            number = next(iter(drafts))
            return {number: ItemStatus(number, "refused", error=str(error))}
        statuses: dict[int, ItemStatus] = {}
        for number, group in drafts.items():
            statuses |= self._write(path, {number: group})
        return statuses


def item_arguments(item: object) -> tuple[object, Arguments]:
    """An item as the content and the other arguments of `add`."""
    if not isinstance(item, Mapping):
        return item, Arguments()
    for field in item:
        if field not in _ITEM_FIELDS:
            raise UnknownArgumentError("an item", str(field), _ITEM_FIELDS)
    if "content" not in item:
        raise InvalidInputError("an item needs 'content'")
    if set(item) <= set(MESSAGE_FIELDS) and not _are_messages(item["content"]):
        return item, Arguments()
    values = {field: value for field, value in item.items() if field not in {"content", "name"}}
    if "name" in item:
        values.setdefault("speaker", item["name"])
    return item["content"], Arguments(**values)


def _are_messages(content: object) -> bool:
    """Whether a list holds messages, not the parts of one."""
    return isinstance(content, list | tuple) and all(
        isinstance(each, str) or (isinstance(each, Mapping) and "content" in each)
        for each in content
    )


def _shift(groups: Iterable[list[Draft]]) -> Iterator[list[Draft]]:
    """Make the numbers by which drafts name one another count from the start of the chunk."""
    at = 0
    for group in groups:
        if at and any(d.part_of is not None or d.session_of is not None for d in group):
            yield [
                replace(
                    draft,
                    part_of=None if draft.part_of is None else draft.part_of + at,
                    session_of=None if draft.session_of is None else draft.session_of + at,
                )
                for draft in group
            ]
        else:
            yield group
        at += len(group)


def _status(number: int, kept: Sequence[Kept]) -> ItemStatus:
    repeated = all(each.repeated for each in kept)
    ids = tuple(each.row.id for each in kept)
    return ItemStatus(number, "repeated" if repeated else "added", ids)
