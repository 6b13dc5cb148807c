"""Rows of an index as a store would give them, for tests of searching without a store."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from mneme.core.clock import to_us
from mneme.core.protocols import IndexRow, PassageRow
from mneme.memories.plaintext.build import analyse

DIM = 16


def vector_of(text: str) -> npt.NDArray[np.float32]:
    """A unit vector that depends on the words of a text alone."""
    total = np.zeros(DIM, np.float32)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:4])
        total += np.random.default_rng(seed).standard_normal(DIM, np.float32)
    length = float(np.linalg.norm(total))
    return total / np.float32(length) if length else total


def row(
    key: int,
    text: str,
    *,
    session: str = "s",
    speaker: str | None = None,
    said_at: datetime | None = datetime(2024, 5, 1, tzinfo=UTC),
    live: bool = True,
) -> IndexRow:
    """One turn of a user, as a store gives it to the index."""
    found = analyse(text, role="user", speaker=speaker, said_at=said_at)
    return IndexRow(
        key=key, live=live, state="activated", type="turn", session=session, role="user",
        speaker=speaker, origin="user", trust="trusted",
        event_at=None if said_at is None else to_us(said_at), recorded_at=key,
        valid_from=None, valid_to=None, expires_at=None, shape=found.shape,
        mentions=found.mentions,
        passages=tuple(
            PassageRow(passage.terms, vector_of(passage.embed_text).astype("<f2").tobytes())
            for passage in found.passages
        ),
    )  # fmt: skip


def without_vectors(given: IndexRow) -> IndexRow:
    """The row of a cube whose vectors are still to be made."""
    return given._replace(passages=tuple(each._replace(vector=None) for each in given.passages))
