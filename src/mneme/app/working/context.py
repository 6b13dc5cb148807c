"""The working memory of one agent's loop: a conversation within a budget, over a store.

Follows SCM (arXiv:2304.13343: a stream of memory, and a controller that gives back what a step
needs) and MEM1 (arXiv:2506.15841: a prompt of constant size). What leaves the prompt was durable
before: every message is kept in the store as it is added, so that the window is only a view of the
session, built again by whoever opens it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from mneme.app.working.digest import Digester
from mneme.app.working.gather import Evidence, Gatherer
from mneme.app.working.log import SessionLog
from mneme.core.errors import InvalidInputError
from mneme.core.strict import strict
from mneme.ingest import checks
from mneme.recall import asking
from mneme.recall.context import Context
from mneme.recall.pack import MEMORY_HEADER, STANDING_HEADER, pack
from mneme.recall.working.evidence import read_text
from mneme.recall.working.layout import NOTES_HEADER, NOTES_SHARE, SUMMARY_HEADER, Desk
from mneme.recall.working.message import parse
from mneme.recall.working.tiers import Cost, tier_of
from mneme.recall.working.tools import DEFAULT_LIMIT, Toolbox
from mneme.recall.working.unit import awaited_calls, line_of

if TYPE_CHECKING:
    from datetime import datetime

    from mneme.app.shared import Shared
    from mneme.recall.working.evidence import Read
    from mneme.recall.working.layout import Layout
    from mneme.recall.working.message import Message
    from mneme.recall.working.tiers import Tier
    from mneme.recall.working.tools import ToolChoice

    Moment = datetime | str | None

_OURS = (NOTES_HEADER, SUMMARY_HEADER, MEMORY_HEADER, STANDING_HEADER)
_LONGEST_KEY = 200


class WorkingContext:
    """A conversation, notes, evidence and tools for the next step of an agent.

    Attributes:
        session: Name of the session; give it to `Namespace.context` to go on with it.
        budget_tokens: Ceiling of `messages()`, by the counter of the settings.
        tier: The tier of steps that name none.
    """

    def __init__(
        self, shared: Shared, path: str, *, session: str, budget_tokens: int, tier: str
    ) -> None:
        self.session, self.budget_tokens, self.tier = session, budget_tokens, tier
        self._shared = shared
        self._lock = RLock()
        self._tier = tier_of(tier)
        self._log = SessionLog(shared, path, session)
        self._gatherer = Gatherer(shared, path)
        self._digester = Digester(self._log, shared.model)
        self._toolbox = Toolbox()
        self._cost = Cost(tier=tier, budget_tokens=budget_tokens)
        self._reads: dict[tuple[int, int], Read] = {}
        self._desk().check()

    def __repr__(self) -> str:
        return f"WorkingContext(session={self.session!r}, budget_tokens={self.budget_tokens})"

    @strict
    def add(self, messages: object) -> list[str]:
        """Keep a message, or several, in the form of OpenAI's chat; durable on return.

        Args:
            messages: A string (the user's), a message, or a list of messages: only what is new.

        Returns:
            The ids of their cubes.

        Raises:
            InvalidInputError: One is malformed, answers no open call, was made by `messages()`, or
                cannot be shown within the budget. None was kept.
        """
        with self._lock:
            several = isinstance(messages, Sequence) and not isinstance(messages, str | bytes)
            new = [parse(each) for each in (messages if several else [messages])]  # type: ignore[attr-defined]
            if not new:
                raise InvalidInputError("the list of messages is empty; there is nothing to keep")
            self._log.refresh()
            self._check(new)
            ids = self._log.append(new)
            if self._tier.with_model and self._shared.model is not None:
                self._digester.digest(self._desk().staying(0.0)[0])
            return ids

    @strict
    def messages(
        self, query: str | None = None, *, tier: str | None = None, now: Moment = None
    ) -> list[dict[str, Any]]:
        """The messages for the next step, ready for an OpenAI-compatible chat.

        Args:
            query: What to recall evidence for; None recalls nothing and shows the pool as it is.
            tier: low, middle or high, for this step.
            now: What "last week" in the query refers to; the clock's time if None.
        """
        with self._lock:
            return [dict(chat) for chat in self._step(query, tier, now)[0].chats]

    @property
    def text(self) -> str:
        """`messages()` as plain text."""
        with self._lock:
            return self._step(None, None, None)[0].text

    @strict
    def evidence(self, query: str, *, tier: str | None = None, now: Moment = None) -> Evidence:
        """Refresh the pool for a question; what it holds, and what is missing."""
        with self._lock:
            return self._step(query, tier, now)[1]

    @strict
    def note(self, key: str, text: str | None) -> None:
        """Write a note into the scratchpad, or rewrite it; None takes it away (forgets it).

        Raises:
            InvalidInputError: The note is larger than the scratchpad, or empty.
        """
        with self._lock:
            checks.text_of(key, name="key", max_bytes=_LONGEST_KEY)
            if "\n" in key:
                raise InvalidInputError("the key of a note is one line")
            self._log.refresh()
            if text is not None:
                checks.text_of(text, name="text", max_bytes=self._shared.limits.turn_bytes)
                self._check_note(key, text)
            self._log.write_note(key, text)

    @property
    def scratch(self) -> dict[str, str]:
        """The notes by key, the one written last at the end."""
        with self._lock:
            self._log.refresh()
            return {key: note.text for key, note in self._log.notes.items()}

    @strict
    def register_tools(self, tools: object, *, pinned: Sequence[str] = ()) -> None:
        """Make tools known, as JSON schemas; those pinned are in every choice."""
        with self._lock:
            self._toolbox.register(tools, pinned)

    @strict
    def remove_tool(self, name: str) -> None:
        """Let go of a tool."""
        with self._lock:
            self._toolbox.remove(name)

    @strict
    def tools(self, query: str, *, limit: int = DEFAULT_LIMIT) -> ToolChoice:
        """The tools that the next step needs, at most `limit`; what came and what went."""
        with self._lock:
            step, most = asking.query_of(query), asking.limit_of(limit)
            self._log.refresh()
            turn, called = self._calls()
            embedding = self._shared.vault.parts.embedding
            choice = self._toolbox.choose(
                step, limit=most, turn=turn, called=called, vectorise=embedding.make
            )
            used = sum(self._shared.counter.count(checks.canonical(t)) for t in choice.tools)
            self._count(tokens={**self._cost.tokens, "tools": used})
            return choice

    @property
    def cost(self) -> Cost:
        """What the last step took, and all so far."""
        return self._cost

    # -- within

    def _step(
        self, query: str | None, tier_name: str | None, now: Moment
    ) -> tuple[Layout, Evidence]:
        tier = self._tier if tier_name is None else tier_of(tier_name)
        self._log.refresh()
        desk = self._desk()
        desk.check()
        gatherer, recalls, spent = self._gatherer, 0, 0.0
        if query is None:
            gatherer.keep_sound()
        else:
            question = asking.query_of(query)
            gatherer.gather(question, tier, now, self._shown(desk, tier))
            recalls, spent = gatherer.recalls, gatherer.recall_ms
        layout, packed = self._arrange(desk, tier)
        if query is not None:
            gatherer.count_use(packed.hits)
        self._count(tier, dict(layout.tokens), recalls, spent)
        missing = gatherer.missing
        return layout, Evidence(
            packed.text, packed.hits, missing, packed.tokens, recalls, packed.degraded
        )

    def _arrange(self, desk: Desk, tier: Tier) -> tuple[Layout, Context]:
        """The messages, and the evidence among them."""
        packed = Context("")

        def evidence(most_tokens: int, whole: frozenset[str]) -> str:
            nonlocal packed
            same = not any(hit.cube.id in whole for hit in packed.hits)
            if packed.text and same and packed.tokens <= most_tokens:
                return packed.text
            hits = pool.best(self._gatherer.asks, whole | notes)
            packed = pack(hits, budget_tokens=most_tokens, counter=self._shared.counter)
            return packed.text

        pool = self._gatherer.pool
        notes = {note.cube_id for note in self._log.notes.values()}
        layout = desk.arrange(tier.share, evidence if pool.hits() else None)
        return layout, packed if layout.tokens["evidence"] else Context("")

    def _desk(self) -> Desk:
        return self._desk_of(self._log.units)

    def _desk_of(self, units: Sequence[Any]) -> Desk:
        return Desk(
            units=units,
            notes={key: note.text for key, note in self._log.notes.items()},
            budget_tokens=self.budget_tokens,
            counter=self._shared.counter,
            digests=self._log.digests,
            stale=self._gatherer.stale(),
        )

    def _shown(self, desk: Desk, tier: Tier) -> list[Read]:
        """What the window says while evidence takes its share."""
        pinned = [unit for unit in desk.units if unit.is_pinned]
        entries = [e for u in [*pinned, *desk.staying(tier.share)[1]] for e in u.entries]
        known, self._reads = self._reads, {}
        for entry in entries:
            name = (entry.key, entry.version)
            read = known.get(name)
            if read is None:
                read = read_text(line_of(entry.message.to_chat()), entry.said_on)
            self._reads[name] = read
        return list(self._reads.values())

    def _check(self, new: Sequence[Message]) -> None:
        """Refuse messages that a chat would not accept, or that the budget cannot show."""
        known = [entry.message for unit in self._log.units[-1:] for entry in unit.entries]
        for message in new:
            if message.role == "tool" and message.answers not in awaited_calls(known):
                raise InvalidInputError(
                    f"the result of tool call {message.answers!r:.80} answers no open call; add "
                    "the assistant's message with its 'tool_calls' first, then each result once"
                )
            if message.role == "system" and (message.content or "").startswith(_OURS):
                raise InvalidInputError(
                    "this message was made by messages(); add only what is new in the conversation"
                )
            known.append(message)
        self._desk_of(self._log.preview(new)).check()

    def _check_note(self, key: str, text: str) -> None:
        most = int(self.budget_tokens * NOTES_SHARE)
        tokens = self._shared.counter.count(f"{NOTES_HEADER}\n- {key}: {text}")
        if tokens > most:
            raise InvalidInputError(
                f"the note has {tokens} tokens with its key; the scratchpad has {most}, a fifth of "
                "the budget: shorten it, or raise the budget"
            )

    def _calls(self) -> tuple[int, dict[str, int]]:
        """The number of the user's messages, and by tool that of its last call."""
        turn, called = 0, {}
        for entry in self._log.entries:
            turn += entry.message.role == "user"
            called.update({call.name: turn for call in entry.message.calls})
        return turn, called

    def _count(
        self,
        tier: Tier | None = None,
        tokens: Mapping[str, int] | None = None,
        recalls: int = 0,
        recall_ms: float = 0.0,
    ) -> None:
        was, spent = self._cost, self._digester
        self._cost = Cost(
            tier=was.tier if tier is None else tier.name,
            budget_tokens=self.budget_tokens,
            tokens=was.tokens if tokens is None else tokens,
            recalls=recalls,
            recall_ms=recall_ms,
            llm_calls=spent.calls - was.all_llm_calls,
            llm_tokens=spent.tokens - was.all_llm_tokens,
            all_recalls=was.all_recalls + recalls,
            all_recall_ms=was.all_recall_ms + recall_ms,
            all_llm_calls=spent.calls,
            all_llm_tokens=spent.tokens,
        )
