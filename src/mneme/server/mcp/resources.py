"""Namespaces and memories as resources that people can pick and put into a conversation.

`mneme://namespaces` lists them, `mneme://{ns}` is one (its newest memories), `mneme://{ns}/{id}` is
a memory. In `{ns}` the `/` of a namespace is written `~`, and `@` and `:` are percent-encoded. A
namespace that is called "namespaces" is `mneme://namespaces/`, with a slash at its end.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from mneme.core.clock import from_us
from mneme.core.errors import InvalidInputError
from mneme.server.mcp import shown

if TYPE_CHECKING:
    from mneme.app.namespace import Namespace
    from mneme.core.cube import MemCube
    from mneme.server.mcp.caller import Caller

SCHEME: Final = "mneme://"
NAMESPACES: Final = "namespaces"
_PAGE = 100
_LATELY_DAYS = (1, 30)
_NAME_CHARS = 80

TEMPLATES: Final[list[dict[str, Any]]] = [
    {
        "uriTemplate": SCHEME + "{ns}",
        "name": "namespace",
        "title": "A namespace",
        "description": "The memories of one owner, as a list; write ~ for / in its name.",
        "mimeType": "text/plain",
    },
    {
        "uriTemplate": SCHEME + "{ns}/{id}",
        "name": "memory",
        "title": "A memory",
        "description": "One memory: as text, and as JSON with where it comes from.",
        "mimeType": "text/plain",
    },
]


def quoted(path: str) -> str:
    """A namespace as it stands in an address."""
    return quote(path.replace("/", "~"), safe="~")


def address(path: str, cube_id: str | None = None) -> str:
    """The address of a namespace, or of a memory in it."""
    base = SCHEME + quoted(path)
    if cube_id is not None:
        return f"{base}/{quote(cube_id, safe='')}"
    return base + "/" if path == NAMESPACES else base


def listed(caller: Caller, cursor: str | None) -> dict[str, Any]:
    """Namespaces first, then the memories at home, a page at a time."""
    found = [] if cursor else _namespaces(caller)
    home, after = caller.home, None
    if home is not None and caller.may_somewhere("read"):
        page = caller.space("read").list(limit=_PAGE, cursor=cursor)
        found += [_entry(cube) for cube in page.items]
        after = page.next_cursor
    return {"resources": found} | ({"nextCursor": after} if after else {})


def _namespaces(caller: Caller) -> list[dict[str, Any]]:
    first = {
        "uri": SCHEME + NAMESPACES,
        "name": NAMESPACES,
        "title": "Namespaces",
        "description": "Whose memories can be read here.",
        "mimeType": "application/json",
    }
    return [first] + [
        {
            "uri": address(path),
            "name": path,
            "title": f"Memories of {path}",
            "mimeType": "text/plain",
        }
        for path in caller.readable()[:_PAGE]
    ]


def _entry(cube: MemCube) -> dict[str, Any]:
    said = " ".join(cube.text.split())
    name = said if len(said) <= _NAME_CHARS else said[:_NAME_CHARS] + "…"
    marked = f"untrusted data: {name}" if cube.trust == "untrusted" else name
    return {
        "uri": address(cube.namespace, cube.id),
        "name": marked,
        "title": marked,
        "mimeType": "text/plain",
    }


def read(caller: Caller, uri: str) -> dict[str, Any]:
    """What stands at an address.

    Raises:
        CubeNotFoundError: There is no such memory; nor is one of another namespace.
        ForbiddenError: The namespace is not granted.
        InvalidInputError: It is no such address.
    """
    if not uri.startswith(SCHEME):
        raise InvalidInputError(f"{uri!r:.80} is no address here; they begin with {SCHEME}")
    if uri == SCHEME + NAMESPACES:
        entries = [{"namespace": path, "uri": address(path)} for path in caller.readable()]
        return {"contents": [_content(uri, "application/json", _json(entries))]}
    ns, slash, cube_id = uri.removeprefix(SCHEME).partition("/")
    space = caller.space("read", unquote(ns))
    if slash and cube_id:
        cube = space.get(unquote(cube_id))
        span = (0, len(cube.text))
        text = shown.listing("One memory", [shown.item(cube, 1, span)])
        whole = shown.record(cube, whole=True)
        return {
            "contents": [
                _content(uri, "text/plain", text),
                _content(uri, "application/json", _json(whole)),
            ]
        }
    newest = _newest(caller, unquote(ns))
    title = f"The newest of {space.path}, {shown.memories(len(newest))}, oldest first"
    return {"contents": [_content(uri, "text/plain", shown.cubes_text(title, newest))]}


def _newest(caller: Caller, ns: str) -> list[MemCube]:
    """The last page of a namespace: of the last day if that fills it, else of more."""
    space = caller.space("read", ns)
    now = from_us(caller.service.memory.vault.parts.clock.now_us())
    for days in _LATELY_DAYS:
        since = (now - timedelta(days=days)).isoformat()
        found = _last_page(space, {"recorded_at": {"gte": since}})
        if len(found) == _PAGE:
            return found
    return _last_page(space, None)


def _last_page(space: Namespace, filters: dict[str, Any] | None) -> list[MemCube]:
    kept: list[MemCube] = []
    cursor: str | None = None
    while True:
        page = space.list(limit=1000, cursor=cursor, filters=filters)
        kept = [*kept, *page.items][-_PAGE:]
        cursor = page.next_cursor
        if cursor is None:
            return kept


def _content(uri: str, mime_type: str, text: str) -> dict[str, Any]:
    return {"uri": uri, "mimeType": mime_type, "text": text}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
