"""OpenAI Agents SDK: a session that remembers.

    session = MnemeSession(memory.namespace("alice"), session_id="s1")
    await Runner.run(agent, "Where do I live?", session=session)

It fits the SDK's `Session` protocol: items come back exactly as they were added. What users and
agents say in it is also found by `Namespace.search` and `recall`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from mneme.core.errors import InvalidInputError, MissingDependencyError
from mneme.integrations.transcript import Message, Transcript

try:
    from agents.memory import SessionSettings
except ImportError as error:  # pragma: no cover (tested where it is not installed)
    raise MissingDependencyError("openai-agents", "", "mneme.integrations.openai_agents") from error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.items import TResponseInputItem

    from mneme.core.clock import Clock
    from mneme.integrations.exact import Memories
    from mneme.integrations.transcript import Kept

_NAME = "openai_agents"
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


class MnemeSession:
    """The items of one session, exactly as the SDK gave them.

    Args:
        namespace: Of `mneme` or of `mneme.client`.
        session_id: The session; any name of up to 512 bytes.
        session_settings: Of the SDK; its `limit` holds where `get_items` has none.
        deletes: What `pop_item` and `clear_session` do: "forget" hides, and `Namespace.restore`
            brings back; "erase" removes for good.
        infer: As for `Namespace.add`: "auto" reads facts out of what users say, "none" does not.
        clock: Says when an item came.

    Raises:
        InvalidInputError: An item cannot be kept; none of the call was.
    """

    def __init__(
        self,
        namespace: Memories,
        session_id: str,
        *,
        session_settings: SessionSettings | None = None,
        deletes: str = "forget",
        infer: str = "auto",
        clock: Clock | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = session_settings or SessionSettings()
        self._transcript = Transcript(
            namespace, session_id, name=_NAME, deletes=deletes, infer=infer, clock=clock
        )

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The newest `limit` items, or all, oldest first."""
        wanted = limit
        if wanted is None and self.session_settings is not None:
            wanted = self.session_settings.limit
        kept = await asyncio.to_thread(self._transcript.read)
        items = [_item_of(each) for each in kept]
        return items if wanted is None or wanted < 0 else items[max(len(items) - wanted, 0) :]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Keep items in their order."""
        said = [_said(item) for item in items]
        await asyncio.to_thread(self._transcript.append, said)

    async def pop_item(self) -> TResponseInputItem | None:
        """Delete the newest item, as `deletes` says, and give it back; None if there is none."""
        return await asyncio.to_thread(self._pop)

    async def clear_session(self) -> None:
        """Delete all items, as `deletes` says."""
        await asyncio.to_thread(self._transcript.clear)

    def _pop(self) -> TResponseInputItem | None:
        newest = self._transcript.read()[-1:]
        self._transcript.remove(newest)
        return _item_of(newest[0]) if newest else None


def _item_of(kept: Kept) -> TResponseInputItem:
    item = kept.form
    if item is None:
        item = {"role": kept.cube.role, "content": kept.cube.text}
    return cast("TResponseInputItem", item)


def _said(item: TResponseInputItem) -> Message:
    if not isinstance(item, dict):
        raise InvalidInputError(f"an item is a dict, not {type(item).__name__}")
    form = cast("Mapping[str, Any]", item)
    kind = str(form.get("type", "message"))
    return Message(text=_text(form, kind), label=f"[{kind}]", role=_role(form, kind), form=item)


def _role(item: Mapping[str, Any], kind: str) -> str:
    """Whose words they are: what a tool gave back is a tool's, and thereby untrusted."""
    if "role" in item:
        return _ROLES.get(str(item["role"]), "assistant")
    return "tool" if kind.endswith(("_output", "_result", "_response")) else "assistant"


def _text(item: Mapping[str, Any], kind: str) -> str:
    """What a reader should find of an item."""
    if kind == "function_call":
        return f"called {item.get('name')}({item.get('arguments')})"
    for field in ("content", "output", "summary"):
        if item.get(field):
            return _joined(item[field])
    return ""


def _joined(content: object) -> str:
    """The texts of a content in parts, such as `input_text`, `output_text` and `refusal`."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return json.dumps(content, default=str)
    texts = [part.get("text") or part.get("refusal") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
