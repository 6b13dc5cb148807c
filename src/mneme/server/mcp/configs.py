"""What MCP clients want to read in their configuration, to start or to reach this server.

In: a client and the command, or the address. Out: JSON. The formats are those of the clients' own
manuals, November 2026: Claude Code (.mcp.json), Claude Desktop (claude_desktop_config.json), Cursor
(.cursor/mcp.json), VS Code (.vscode/mcp.json).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import InvalidInputError
from mneme.server.mcp.caller import HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "mneme"
KEY_VARIABLE: Final = "MNEME_KEY"
CLIENTS: Final = ("claude-code", "claude-desktop", "cursor", "vscode")
_TYPED = {"claude-code", "vscode"}  # clients that want to be told the transport
_TOP = {"vscode": "servers"}
_KEYS = {"claude-code": f"${{{KEY_VARIABLE}}}", "cursor": f"${{env:{KEY_VARIABLE}}}"}
_INPUT = "mneme-key"


def started(client: str, command: Sequence[str]) -> dict[str, Any]:
    """The configuration by which a client starts `mneme mcp` and speaks with it on stdio.

    Args:
        client: One of CLIENTS.
        command: With absolute paths: clients start it in a folder of their own.
    """
    entry: dict[str, Any] = {"command": command[0], "args": list(command[1:])}
    if _known(client) in _TYPED:
        entry = {"type": "stdio", **entry}
    return {_TOP.get(client, "mcpServers"): {NAME: entry}}


def reached(client: str, url: str, namespace: str | None = None) -> dict[str, Any]:
    """The configuration by which a client reaches a running server; the key is never in it.

    Args:
        client: One of CLIENTS.
        url: Of the endpoint, such as http://127.0.0.1:8350/mcp.
        namespace: The one that is meant, for a key that grants several.

    Raises:
        InvalidInputError: The client starts its servers itself.
    """
    if _known(client) == "claude-desktop":
        raise InvalidInputError(
            "the configuration of claude-desktop has no servers at an address; leave out --http"
        )
    key = _KEYS.get(client, f"${{input:{_INPUT}}}")
    headers = {"Authorization": f"Bearer {key}"}
    if namespace is not None:
        headers[HEADER] = namespace
    entry: dict[str, Any] = {"url": url, "headers": headers}
    if client in _TYPED:
        entry = {"type": "http", **entry}
    config: dict[str, Any] = {_TOP.get(client, "mcpServers"): {NAME: entry}}
    if client == "vscode":
        asked = {
            "type": "promptString",
            "id": _INPUT,
            "description": "Key of Mneme (mneme_...)",
            "password": True,
        }
        config = {"inputs": [asked], **config}
    return config


def _known(client: str) -> str:
    if client not in CLIENTS:
        raise InvalidInputError(f"{client!r:.80} is no client here; use {', '.join(CLIENTS)}")
    return client
