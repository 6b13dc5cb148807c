"""Tools of the MCP door, called by the SDK's own client over HTTP, a session for each key."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

from mneme.testing.doors import Door
from mneme.testing.intruders import Intruder
from mneme.testing.mcp_client import ProtocolError, Talk, reached, talking


class ToolCaller:
    """Keeps a session open for each principal."""

    def __init__(self, door: Door) -> None:
        self._url, self._stack = f"{door.url}/mcp", ExitStack()
        self._talks: dict[str, Talk] = {}

    def close(self) -> None:
        self._stack.close()

    def call(self, who: Intruder, tool: str, arguments: dict[str, Any]) -> tuple[int, str]:
        """200 and the result, or 400 and the error, as text."""
        if who.name not in self._talks:
            session = reached(self._url, {"Authorization": f"Bearer {who.key}"})
            self._talks[who.name] = self._stack.enter_context(talking(session))
        try:
            said = self._talks[who.name].call(tool, **arguments)
        except ProtocolError as error:
            return 400, str(error)
        return 400 if said.get("isError") else 200, json.dumps(said, ensure_ascii=False)

    def read(self, who: Intruder, uri: str) -> tuple[int, str]:
        """A resource, likewise."""
        self.call(who, "list_memories", {"limit": 1})
        try:
            return 200, json.dumps(self._talks[who.name].read(uri), ensure_ascii=False)
        except ProtocolError as error:
            return 400, str(error)
