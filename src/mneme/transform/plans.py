"""A derived cube that ought to be there, and bringing it about: made, rewritten, or left as it is.

A plan is named by its slot, which stands in the metadata of its cube and by whose mark the cube is
found; its digest says of which versions it was made. So bringing a plan about twice changes nothing
the second time, whoever did it first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mneme.core.lifecycle import HIDDEN, State
from mneme.transform.ground import labels_of, metadata_of
from mneme.vault.codec import canonical_json, sources_json
from mneme.vault.draft import Draft
from mneme.vault.entries import Said, make_entries
from mneme.vault.marks import DERIVED, SLOT, mark_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mneme.core.provenance import SourceSpan
    from mneme.core.rows import VersionRow
    from mneme.transform.runs import Place, Unit
    from mneme.vault.entries import Entry
    from mneme.vault.parts import Parts

Outcome = Literal["made", "rewritten", "same"]
STALE = "stale"  # in the metadata of what was archived because its source is no longer so


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A derived cube that ought to be there.

    Attributes:
        slot: Names it within the namespace.
        digest: Of what it is made of.
        of: The cubes whose labels and end of life it takes over.
        more: Further metadata.
        model: Of the language model that wrote the text.
    """

    slot: str
    digest: str
    type: str
    text: str
    sources: tuple[SourceSpan, ...]
    of: Sequence[VersionRow]
    session: str | None = None
    method: str = "summarised"
    model: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    def metadata(self, run_id: str) -> str:
        """Slot, digest, run and what else is said of it."""
        return canonical_json(
            {**self.more, "slot": self.slot, "digest": self.digest, "run": run_id}
        )

    @property
    def labels(self) -> str | None:
        """The labels of all that it is made of."""
        found = {label for row in self.of for label in labels_of(row)}
        return canonical_json(sorted(found)) if found else None

    @property
    def expires_at(self) -> int | None:
        """When the first of what it is made of ends."""
        return min((r.expires_at for r in self.of if r.expires_at is not None), default=None)

    @property
    def event_at(self) -> int | None:
        """When the last of what it is made of was said."""
        return max((r.event_at for r in self.of if r.event_at is not None), default=None)

    @property
    def speaker(self) -> str | None:
        """Who said all of it; None if several did."""
        names = {row.speaker for row in self.of}
        return names.pop() if len(names) == 1 else None


def at_slot(place: Place, slot: str, secret: bytes) -> list[VersionRow]:
    """The cubes under a slot, hidden ones included, in order of writing."""
    number = place.namespace.number
    keys = place.tx.written.marked(number, SLOT, mark_of(SLOT, slot, secret))
    rows = place.tx.cubes.current_of_keys(number, keys)
    return [row for row in rows if metadata_of(row).get("slot") == slot]


def is_there(place: Place, plan: Plan, secret: bytes) -> bool:
    """Whether a plan is brought about already."""
    return any(
        found.get("digest") == plan.digest and not found.get(STALE)
        for found in map(metadata_of, at_slot(place, plan.slot, secret))
    )


def entry_of(plan: Plan, parts: Parts) -> Entry:
    """The index entry of a plan's text, made before the transaction."""
    said = Said(plan.text, "user", plan.speaker, plan.event_at)
    return make_entries([said], parts.embedding if parts.embedding.inline else None)[0]


def bring_about(unit: Unit, plan: Plan, parts: Parts) -> Outcome:
    """Make or rewrite the cube of a plan, unless it is there, frozen, or hidden by its owner."""
    if is_there(unit.place, plan, parts.secret) or not _is_as_read(unit.place, plan):
        return "same"
    rows = [r for r in at_slot(unit.place, plan.slot, parts.secret) if r.state not in HIDDEN]
    if not rows:
        unit.make(_draft(plan, unit.run_id))
        return "made"
    row = rows[-1]
    if row.state == State.FROZEN or row.hold:
        return "same"
    for older in rows[:-1]:  # a restored one; the newest is kept up to date
        retire(unit, older)
    state = State.ACTIVATED if metadata_of(row).get(STALE) else row.state
    row = row._replace(
        metadata=plan.metadata(unit.run_id), labels=plan.labels, expires_at=plan.expires_at,
        event_at=plan.event_at, speaker=plan.speaker, method=plan.method, model=plan.model,
        sources=sources_json(plan.sources), state=state,
    )  # fmt: skip
    unit.rewrite(row, plan.text, entry_of(plan, parts))
    return "rewritten"


def _is_as_read(place: Place, plan: Plan) -> bool:
    """Whether nothing changed of what a plan is made of."""
    read = {row.key: row for row in plan.of}
    now = place.tx.cubes.current_of_keys(place.namespace.number, list(read))
    return now == list(read.values())


def retire(unit: Unit, row: VersionRow) -> bool:
    """Archive a cube whose source is no longer so; False if that was done or may not be."""
    if row.state != State.ACTIVATED or row.hold:
        return False
    stale = canonical_json({**metadata_of(row), STALE: True})
    unit.change(row._replace(state=State.ARCHIVED, metadata=stale))
    return True


def _draft(plan: Plan, run_id: str) -> Draft:
    return Draft(
        text=plan.text, type=plan.type, session=plan.session, speaker=plan.speaker,
        metadata=plan.metadata(run_id), labels=plan.labels, event_at=plan.event_at,
        expires_at=plan.expires_at, origin=DERIVED, method=plan.method, model=plan.model,
        sources=plan.sources,
    )  # fmt: skip
