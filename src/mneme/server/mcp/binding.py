"""Tie a door to the official SDK, release 1 or 2: they differ in how handlers are handed over.

What travels is the same JSON, and the SDK's own models check it; handlers run in threads, since the
memory is synchronous.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio.to_thread
from mcp import types
from mcp.server.lowlevel import Server
from mcp.shared import exceptions

from mneme import __version__
from mneme.server.mcp.answering import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.server.mcp.answering import Door


class _Method(NamedTuple):
    """A method of the protocol, what its parameters and its result are, and who answers."""

    name: str
    request: str
    takes: str
    gives: str
    answer: Callable[[Any], dict[str, Any]]


def bind(door: Door) -> Server[Any]:
    """A server of the SDK that answers as the door does."""
    server: Any = Server("mneme", version=__version__, instructions=door.instructions)
    server.get_tool_input_schema = door.input_schema  # else release 2 lists all tools for each call
    for method in _methods(door):
        if hasattr(server, "add_request_handler"):  # release 2
            _hand_over_2(server, method, door)
        else:
            _hand_over_1(server, method, door)
    bound: Server[Any] = server
    return bound


def _methods(door: Door) -> list[_Method]:
    paged = "PaginatedRequestParams"
    templates = "ListResourceTemplates"
    return [
        _Method("tools/list", "ListToolsRequest", paged, "ListToolsResult", door.list_tools),
        _Method(
            "tools/call",
            "CallToolRequest",
            "CallToolRequestParams",
            "CallToolResult",
            door.call_tool,
        ),
        _Method(
            "resources/list",
            "ListResourcesRequest",
            paged,
            "ListResourcesResult",
            door.list_resources,
        ),
        _Method(
            "resources/templates/list",
            f"{templates}Request",
            paged,
            f"{templates}Result",
            door.list_templates,
        ),
        _Method(
            "resources/read",
            "ReadResourceRequest",
            "ReadResourceRequestParams",
            "ReadResourceResult",
            door.read_resource,
        ),
        _Method(
            "prompts/list", "ListPromptsRequest", paged, "ListPromptsResult", door.list_prompts
        ),
        _Method(
            "prompts/get",
            "GetPromptRequest",
            "GetPromptRequestParams",
            "GetPromptResult",
            door.get_prompt,
        ),
        _Method(
            "completion/complete",
            "CompleteRequest",
            "CompleteRequestParams",
            "CompleteResult",
            door.complete,
        ),
    ]


def _hand_over_2(server: Any, method: _Method, door: Door) -> None:  # noqa: ANN401
    async def handle(_context: object, params: Any) -> Any:  # noqa: ANN401
        return await _answer(method, door, params)

    server.add_request_handler(method.name, getattr(types, method.takes), handle)


def _hand_over_1(server: Any, method: _Method, door: Door) -> None:  # noqa: ANN401
    async def handle(request: Any) -> Any:  # noqa: ANN401
        return wrap(await _answer(method, door, request.params))

    wrap: Any = types.ServerResult  # a model there, an alias in release 2
    server.request_handlers[getattr(types, method.request)] = handle


async def _answer(method: _Method, door: Door, params: Any) -> Any:  # noqa: ANN401
    """The result, made in a thread; a read that the client cancels is left alone there."""
    leave = method.name != "tools/call" or door.is_read_only(params.name)
    run = partial(method.answer, params)
    try:
        said = await anyio.to_thread.run_sync(run, abandon_on_cancel=leave)
    except ProtocolError as error:
        raise _sdk_error(error) from error
    return getattr(types, method.gives).model_validate(said)


def _sdk_error(error: ProtocolError) -> Exception:
    if hasattr(exceptions, "MCPError"):  # release 2
        return exceptions.MCPError(error.code, error.message)
    of_release_1: type[Exception] = getattr(exceptions, "McpError")  # noqa: B009
    return of_release_1(types.ErrorData(code=error.code, message=error.message))
