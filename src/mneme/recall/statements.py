"""What a context takes from written memory: statements in place of turns that are half out of date.

In: hits of turns, hits of derived cubes, and the question. Out: hits, best first. A statement is
shown where its turn cannot speak for itself; else the words of the user are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mneme.memories.plaintext.apply import STANDING_TYPES
from mneme.memories.plaintext.sentences import content_of
from mneme.vault.marks import GOVERNED, ON_REQUEST
from mneme.vault.visible import holding, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.cube import MemCube
    from mneme.recall.context import Hit
    from mneme.vault.find import Indexes
    from mneme.vault.visible import Window

SUMMED_UP: Final = "summarised"  # the method of what consolidation wrote of several cubes

_STANDING: Final = 12  # instructions and preferences that a context may begin with
_NAMED: Final = 0.5  # share of the words of what was forgotten that a question about it has
_ASKED_FOR: Final = 2  # content words that a question shares with what it asks for by name


def standing_keys(found: Indexes, window: Window, at: int) -> list[int]:
    """Keys of the newest wishes that always hold: what users marked so, and derived instructions.

    Derived preferences are no such wishes: "I like jazz" is not meant for every answer.
    """
    keys: list[int] = []
    for index, types in ((found.ground, tuple(STANDING_TYPES)), (found.written, ("instruction",))):
        wished = replace(window, types=types, session=None)
        mask = visible(index, wished, None)
        if index is found.written:
            mask = holding(index, wished, mask, at)
        keys += sorted(index.column("key")[mask].tolist(), reverse=True)[:_STANDING]
    return keys


def is_open_to(cube: MemCube, question: str) -> bool:
    """Whether a cube may be given back: one that waits to be asked for needs to be named."""
    if ON_REQUEST not in cube.labels:
        return True
    own = set(content_of(cube.text))
    return len(own & set(content_of(question))) >= min(_ASKED_FOR, len(own))


def with_statements(turns: Sequence[Hit], statements: Sequence[Hit], question: str) -> list[Hit]:
    """Turns and statements as one list, best first.

    What the question names comes first, by the subject of what was said: the statement, or its turn
    where that is shown whole. Other statements stand next to a turn that is shown in part.
    """
    asked = set(content_of(question))
    whole = {hit.cube.id: hit for hit in turns if not hit.elided}
    partly = {hit.cube.id for hit in turns if hit.elided}
    named: list[tuple[int, Hit]] = []
    beside: dict[str, list[Hit]] = {}
    for hit in statements:
        if hit.cube.provenance.method == SUMMED_UP:  # it may say what holds no longer
            continue
        sources = {span.cube_id for span in hit.cube.provenance.sources}
        words = _named(hit.cube, asked)
        spoken = [whole[i] for i in sorted(sources) if i in whole]
        if words:
            named.append((words, max(spoken, key=_newest) if spoken else hit))
        elif sources & partly and not spoken:
            beside.setdefault(min(sources & partly), []).append(hit)
    first = [hit for _, hit in sorted(named, key=lambda each: -each[0])]
    rest = [each for hit in turns for each in (*beside.get(hit.cube.id, ()), hit)]
    return list({hit.cube.id: hit for hit in (*first, *rest)}.values())


def _newest(hit: Hit) -> tuple[object, str]:
    return (hit.cube.event_at or hit.cube.recorded_at, hit.cube.id)


def _is_governed(cube: MemCube) -> bool:
    return cube.provenance.method == GOVERNED


def _named(cube: MemCube, asked: set[int]) -> int:
    """How many words name what a statement is about, if the question has them; else 0.

    All of them, or most for what was forgotten; only of what holds one thing at a time.
    """
    subject = set(content_of(str(cube.metadata.get("subject") or "")))
    share = _NAMED if _is_governed(cube) else 1.0
    if not subject or not (_is_governed(cube) or cube.metadata.get("single")):
        return 0
    return len(subject) if len(subject & asked) >= share * len(subject) else 0
