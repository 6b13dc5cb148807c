"""Current statements to a profile of each subject: kept up to date, never doubled.

In: facts and preferences that hold now. Out: one plan of a cube of type `profile` for each subject
of which enough is known, made of the statements' own words.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from mneme.core.provenance import SourceSpan
from mneme.transform.ground import SLEEP, digest_of, is_sleeps, metadata_of
from mneme.transform.plans import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mneme.core.rows import VersionRow
    from mneme.core.store import Transaction
    from mneme.transform.ground import Look

_TYPES = ("profile", "fact", "preference")  # in the order in which a profile lists them
_MOST_STATEMENTS = 40
_MOST_SUBJECTS = 100


def subjects_of(rows: Iterable[VersionRow]) -> dict[str, list[VersionRow]]:
    """The statements about each subject that vouch for what they say."""
    found: dict[str, list[VersionRow]] = defaultdict(list)
    for row in rows:
        said = metadata_of(row)
        subject = str(said.get("subject") or "").casefold()
        if row.type in _TYPES and subject and not said.get("hedged") and not is_sleeps(row):
            own = subject == "user" and row.speaker
            found[row.speaker.casefold() if own and row.speaker else subject].append(row)
    return found


def profile_slot(subject: str) -> str:
    """The slot of a subject's profile."""
    return f"{SLEEP}\0profile\0{subject}"


def plans_of(tx: Transaction, look: Look, secret: bytes, *, least: int) -> list[Plan]:
    """A profile of each subject about whom `least` statements hold."""
    known = {s: rows for s, rows in subjects_of(look.derived).items() if len(rows) >= least}
    ordered = sorted(known, key=lambda s: (-len(known[s]), s))[:_MOST_SUBJECTS]
    return [_plan(tx, subject, known[subject], look, secret) for subject in ordered]


def _plan(tx: Transaction, subject: str, rows: list[VersionRow], look: Look, secret: bytes) -> Plan:
    newest = sorted(rows, key=lambda row: row.key)[-_MOST_STATEMENTS:]
    newest.sort(key=lambda row: (_TYPES.index(row.type), row.key))
    texts = [tx.cubes.body(row.key, row.text_version)[0].strip() for row in newest]
    return Plan(
        slot=profile_slot(subject),
        digest=digest_of(newest, look, secret, "profile"),
        type="profile",
        text="\n".join(dict.fromkeys(texts)),
        sources=tuple(
            SourceSpan(cube_id=row.id, version=row.version, start=0, end=len(text))
            for row, text in zip(newest, texts, strict=True)
        ),
        of=newest,
        more={"about": subject, "statements": len(newest)},
    )
