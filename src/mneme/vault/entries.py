"""Index entries of texts: passages, terms and vectors, made before the transaction begins."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mneme.core.clock import from_us
from mneme.core.rows import TextRow
from mneme.memories.plaintext.build import analyse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.memories.plaintext.build import Analysis
    from mneme.vault.embedding import Embedding

_SPAN = struct.Struct("<iii")
_NOTHING = (0, b"", b"", b"")


class Said(NamedTuple):
    """A text, and what of its header its entry depends on."""

    text: str
    role: str
    speaker: str | None
    event_at: int | None
    indexed: bool = True


class Entry(NamedTuple):
    """The index entry of a text, without the number of the embedder; see `core.rows.TextRow`."""

    shape: int
    mentions: bytes
    spans: bytes
    terms: bytes
    vectors: bytes | None

    def row(self, key: int, version: int, text: tuple[str, bytes], embedder: int | None) -> TextRow:
        """The row to be stored; text is the body and its salt."""
        number = None if self.vectors is None else embedder
        return TextRow(
            key, version, *text, self.shape, self.mentions, self.spans, self.terms, number,
            self.vectors,
        )  # fmt: skip


def make_entries(said: Sequence[Said], embedding: Embedding | None) -> list[Entry]:
    """Entries of texts, with vectors where the embedder answers now."""
    analyses = [_analysis(each) if each.indexed else None for each in said]
    texts = [p.embed_text for a in analyses if a is not None for p in a.passages]
    vectors = embedding.make(texts) if embedding is not None and texts else None
    rows = None if vectors is None else vectors.astype("<f2")
    entries, at = [], 0
    for analysis in analyses:
        count = len(analysis.passages) if analysis else 0
        blob = None if rows is None else rows[at : at + count].tobytes()
        entries.append(_entry(analysis, blob))
        at += count
    return entries


def embed_texts(said: Said) -> list[str]:
    """What an embedder is given for each passage of a text."""
    return [passage.embed_text for passage in _analysis(said).passages]


def pack_vectors(vectors: np.ndarray) -> bytes:
    """Vectors as they are stored."""
    return vectors.astype("<f2").tobytes()


def best_span(spans: bytes, passage: int) -> tuple[int, int] | None:
    """The characters of a passage in its text."""
    if not 0 <= passage < len(spans) // _SPAN.size:
        return None
    start, end, _ = _SPAN.unpack_from(spans, passage * _SPAN.size)
    return start, end


def _analysis(said: Said) -> Analysis:
    said_at = None if said.event_at is None else from_us(said.event_at)
    return analyse(said.text, role=said.role, speaker=said.speaker, said_at=said_at)


def _entry(analysis: Analysis | None, vectors: bytes | None) -> Entry:
    if analysis is None:
        return Entry(*_NOTHING, None)
    spans = b"".join(_SPAN.pack(p.start, p.end, len(p.terms) // 4) for p in analysis.passages)
    terms = b"".join(p.terms for p in analysis.passages)
    return Entry(analysis.shape, analysis.mentions, spans, terms, vectors)
