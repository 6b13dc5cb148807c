"""The derivation around one memory: where to draw what, and the same as a list.

In: the cube, and functions that give its sources and what derives from it, one step each. Out:
boxes in columns, sources to the left and what derives to the right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.cube import MemCube

    Step = Callable[[str], Sequence[MemCube]]

STEPS: Final = 2
_MOST: Final = 40  # boxes
BOX_W: Final = 184
BOX_H: Final = 52
_GAP_X: Final = 56
_GAP_Y: Final = 14
_PAD: Final = 8


@dataclass(slots=True)
class Branch:
    """A cube, and what is one step further; `more` where that was left out."""

    cube: MemCube
    further: list[Branch] = field(default_factory=list)
    more: int = 0


class Box(NamedTuple):
    """A cube on the drawing."""

    cube: MemCube
    x: int
    y: int
    is_self: bool


class Line(NamedTuple):
    """From a source to what derives from it."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What is drawn, and the two trees that say the same in words."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: int
    height: int
    sources: Branch
    derived: Branch

    @property
    def is_alone(self) -> bool:
        """Whether it neither came from a cube nor led to one."""
        return len(self.boxes) == 1


def graph_of(cube: MemCube, sources: Step, derived: Step) -> Graph:
    """The derivation around a cube, some steps each way."""
    back, forth = Branch(cube), Branch(cube)
    columns: dict[int, dict[str, MemCube]] = {0: {cube.id: cube}}
    edges: list[tuple[str, str]] = []
    seen = {cube.id}
    for root, step, sign in ((back, sources, -1), (forth, derived, 1)):
        _grow(root, step, sign, columns, edges, seen)
    boxes, height = _placed(cube, columns)
    first = min(columns)
    width = (max(columns) - first + 1) * (BOX_W + _GAP_X) - _GAP_X + 2 * _PAD
    at = {box.cube.id: box for box in boxes}
    lines = tuple(_line(at[a], at[b]) for a, b in dict.fromkeys(edges))
    return Graph(boxes=boxes, lines=lines, width=width, height=height, sources=back, derived=forth)


def _grow(
    root: Branch,
    step: Step,
    sign: int,
    columns: dict[int, dict[str, MemCube]],
    edges: list[tuple[str, str]],
    seen: set[str],
) -> None:
    """Follow a direction, breadth first, up to the most boxes."""
    level = [root]
    for depth in range(1, STEPS + 1):
        column, following = columns.get(sign * depth, {}), list[Branch]()
        for branch in level:
            for found in step(branch.cube.id):
                if found.id not in seen and len(seen) >= _MOST:
                    branch.more += 1
                    continue
                new = found.id not in seen
                seen.add(found.id)
                pair = (found.id, branch.cube.id) if sign < 0 else (branch.cube.id, found.id)
                edges.append(pair)
                further = Branch(found)
                branch.further.append(further)
                if new:
                    column[found.id] = found
                    following.append(further)
        if column:
            columns[sign * depth] = column
        level = following


def _placed(cube: MemCube, columns: dict[int, dict[str, MemCube]]) -> tuple[tuple[Box, ...], int]:
    """Boxes, each column centred on the tallest; and the height of it all."""
    tallest = max(len(column) for column in columns.values())
    step_y = BOX_H + _GAP_Y
    height = tallest * step_y - _GAP_Y + 2 * _PAD
    boxes = []
    for number, depth in enumerate(sorted(columns)):
        top = _PAD + (tallest - len(columns[depth])) * step_y // 2
        x = _PAD + number * (BOX_W + _GAP_X)
        for row, each in enumerate(columns[depth].values()):
            boxes.append(Box(each, x, top + row * step_y, each.id == cube.id))
    return tuple(boxes), height


def _line(source: Box, derived: Box) -> Line:
    x1, y1 = source.x + BOX_W, source.y + BOX_H // 2
    x2, y2 = derived.x, derived.y + BOX_H // 2
    bend = max(20, (x2 - x1) // 2)
    return Line(f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}")
