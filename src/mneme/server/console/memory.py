"""One memory: its text and header, versions with their differences, and its provenance."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from mneme.core.errors import CubeNotFoundError
from mneme.core.lifecycle import EDGES, enter
from mneme.server.console.diff import Piece, difference, shortened
from mneme.server.console.graph import BOX_H, BOX_W, graph_of
from mneme.server.console.render import page
from mneme.server.console.route import pages, space_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.app.namespace import Namespace
    from mneme.core.cube import MemCube
    from mneme.server.console.graph import Step

router = pages()
_SHOWN_CHARS: Final = 20_000  # of a text, unless all of it is asked for
_SHOWN_VERSIONS: Final = 50
_FIELDS: Final = (
    "type", "state", "labels", "priority", "hold", "expires_at", "valid_from", "valid_to",
    "metadata",
)  # fmt: skip
MOVES: Final = ("archive", "activate", "freeze", "unfreeze")


class Version(NamedTuple):
    """A version, what changed from the one before in words, and its other changed fields."""

    cube: MemCube
    pieces: list[Piece]
    fields: list[tuple[str, object, object]]


@router.get("/n/{ns}/memories/{id}")
def memory(request: Request, ns: str, id: str, whole: bool = False) -> Response:  # noqa: A002
    """All that is known of a memory."""
    space = space_of(request, ns, "read")
    return shown(request, space, id, whole=whole)


def shown(
    request: Request,
    space: Namespace,
    cube_id: str,
    *,
    whole: bool = False,
    status: int = 200,
    note: str | None = None,
) -> Response:
    """The page of a memory; `note` says what was just done, or was not."""
    cube = space.get(cube_id)
    history = space.history(cube_id)
    return page(
        request,
        "memory.html",
        status=status,
        space=space.path,
        cube=cube,
        text=cube.text if whole else cube.text[:_SHOWN_CHARS],
        cut=0 if whole else max(0, len(cube.text) - _SHOWN_CHARS),
        moves=[verb for verb in MOVES if enter(verb, cube.state) is not None and verb in EDGES],
        versions=versions_of(history[-_SHOWN_VERSIONS:]),
        count=len(history),
        graph=graph_of(cube, _steps(space, back=True), _steps(space, back=False)),
        box=(BOX_W, BOX_H),
        note=note,
    )


def versions_of(history: Sequence[MemCube]) -> list[Version]:
    """Each version with what it changed, the newest first."""
    found = [Version(history[0], [], [])]
    for before, after in pairwise(history):
        same = before.text == after.text
        pieces = [] if same else shortened(difference(before.text, after.text))
        fields = [
            (name, getattr(before, name), getattr(after, name))
            for name in _FIELDS
            if getattr(before, name) != getattr(after, name)
        ]
        found.append(Version(after, pieces, fields))
    return found[::-1]


def _steps(space: Namespace, *, back: bool) -> Step:
    def step(cube_id: str) -> Sequence[MemCube]:
        try:
            return space.sources(cube_id) if back else space.derived(cube_id)
        except CubeNotFoundError:  # it went while the graph was drawn
            return ()

    return step
