"""The verbs of activation memory on a namespace: promote, demote, chat."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mneme.app.activation import asked as checked
from mneme.app.activation.composed import COMPOSED
from mneme.app.activation.engines import is_remote
from mneme.app.activation.narrowing import narrowing_of
from mneme.app.activation.promote import groups_of
from mneme.app.activation.prompting import Asking
from mneme.app.parametric.named import answer_with
from mneme.app.parametric.promoting import promote_to_weights
from mneme.core.errors import CubeNotFoundError, InvalidInputError
from mneme.core.lifecycle import State
from mneme.core.strict import strict
from mneme.ingest import checks
from mneme.recall import asking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mneme.app.activation.reply import Reply
    from mneme.app.shared import Shared
    from mneme.core.cube import MemCube
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.core.rows import Condition
    from mneme.memories.parametric.training import Training
    from mneme.recall.context import Hit
    from mneme.vault.vault import Vault

    Target = str | Sequence[str] | None
    Cubes = list[MemCube]

_CATCH_UP_S = 0.5  # that an answer waits at most for turns to be read


class ActivationVerbs:
    """What an engine does with the memories of a namespace."""

    path: str
    _shared: Shared
    _vault: Vault

    if TYPE_CHECKING:

        def _target(
            self, target: Target, filters: object
        ) -> tuple[Sequence[str] | None, tuple[Condition, ...]]: ...
        def add(self, content: object, *, session: str | None = None) -> Cubes: ...

    @strict
    def promote(
        self,
        target: Target = None,
        *,
        filters: Mapping[str, Any] | None = None,
        to: str,
        engine: Engine | RemoteEngine,
        wait: bool = True,
        codec: str | None = None,
        policy: str | None = None,
        keep: float = 1.0,
        sentences: bool = False,
        episodes: bool = False,
        training: Training | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Cubes:
        """Make carriers of cubes: what the engine would compute of them, or weights that know them.

        To "activation": documents become one activation cube each; other cubes of one call become
        one together, in their order, since a prompt's keys and values depend on all that stands
        before. To "parametric": facts become shards of at most 50, each proven by its gate; what
        does not pass stays text (docs/parametric.md).

        Args:
            target: An id or ids of plaintext cubes; or `filters`.
            filters: The grammar of `search`.
            to: "activation" or "parametric".
            engine: One that is attached.
            wait: Whether to build and prove them now; else a job does, and their state is
                "generated" until then.
            codec: "raw" (bit by bit), "bf16", "int8", "int4" or "lowrank"; None: the setting.
            policy: Leaves tokens out; see docs/activation.md. None keeps all.
            keep: The share that a policy keeps.
            sentences: Whether to keep an index of sentences too: then `chat(policy="sentences",
                keep=0.2)` loads only the sentences that a question looks at.
            episodes: Whether cubes other than documents are cut into episodes (where the
                conversation paused or changed its topic), each a cube of its own.
            training: How weights are written; None: the defaults.
            progress: Told how many of how many cubes are built, or steps of training are done.

        Raises:
            GateFailedError: What was kept does not answer as what was computed; no shard passed.
            InvalidInputError: The text is longer than the model's window, or the engine is not
                attached.
            UnsuitedModelError: The model does not allow this form.
        """
        to, wait = checked.carrier_of(to), checks.flag_of(wait, name="wait")
        ids, conditions = self._target(target, filters)
        if to == "parametric":
            made = promote_to_weights(
                self._shared.models, self.path, (ids, conditions), engine, training, wait=wait,
                progress=progress,
            )  # fmt: skip
            self._shared.wake()  # a job may be waiting
            return made
        order = checked.order_of(
            codec or self._shared.engines.settings.form, policy, keep,
            sentences=checks.flag_of(sentences, name="sentences"),
        )  # fmt: skip
        promoter = self._shared.engines.promoter(engine)
        groups = groups_of(
            self._vault, self.path, ids, conditions,
            episodes=checks.flag_of(episodes, name="episodes"),
        )  # fmt: skip
        if not wait:
            cubes = [promoter.promise(self.path, group, order) for group in groups]
            self._shared.wake()
            return cubes
        made = []
        for number, group in enumerate(groups, start=1):
            made.append(promoter.build(self.path, group, order))
            if progress is not None:
                progress(number, len(groups))
        return made

    @strict
    def demote(self, id: str) -> None:  # noqa: A002 (the contract's name)
        """Drop the carriers of a cube, or one carrier; the text stays.

        Raises:
            CubeNotFoundError: No readable cube of that id.
            InvalidInputError: It has no carrier.
        """
        carriers = self.carriers(id)
        if not carriers:
            raise InvalidInputError(f"cube {id!r} has no carrier; there is nothing to drop")
        shards = [carrier.id for carrier in carriers if carrier.kind == "parametric"]
        for shard_id in shards:
            self._vault.adapters.demote(self.path, shard_id)
        for carrier_id in self._with_heads([c for c in carriers if c.kind != "parametric"]):
            self._vault.blocks.demote(self.path, carrier_id)
        self._shared.engines.let_go(self.path)
        self._shared.models.let_go(self.path)

    @strict
    def carriers(self, id: str) -> Cubes:  # noqa: A002 (the contract's name)
        """What carries a cube beside its text; the cube itself, if it is a carrier."""
        cube = self._vault.reader.get(self.path, checks.id_of(id))
        if cube.kind != "plaintext":
            return [cube] if cube.state != State.ARCHIVED else []
        return [
            derived
            for derived in self._vault.reader.derived(self.path, cube.id)
            if derived.kind != "plaintext" and derived.state != State.ARCHIVED
        ]

    @strict
    def chat(
        self,
        messages: object,
        *,
        engine: Engine | RemoteEngine,
        session: str | None = None,
        budget_tokens: int = 1500,
        max_new_tokens: int = 256,
        remember: bool = True,
        policy: str | None = None,
        keep: float = 1.0,
        adapters: str | Sequence[str] | None = None,
        note: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer a question from memory: what was promoted, and what is recalled for it.

        A question that asks for nothing but facts which weights were proven to know is answered by
        them, without text. Everything else has text in its prompt.

        Args:
            messages: A question, or a conversation whose last message is the user's.
            engine: One that is attached, or one behind a server.
            session: Where the exchange is remembered; None: a session of its own.
            budget_tokens: Of recalled text.
            max_new_tokens: Of the answer, which is the likeliest one (greedy).
            remember: Whether the question and the answer are kept as turns.
            policy: Answers on a part of what is loaded, such as "snapkv" (by what the question
                looks at), "scissorhands" (while the answer grows) or "sentences" (only those are
                loaded): less memory, an approximation. None answers on all.
            keep: The share of tokens that it keeps.
            adapters: Id or ids of parametric cubes that are on for the whole answer, beside text:
                foreign ones, or several for one session. No gate stands before what they say.
            note: Told each piece of the answer as soon as it is there.

        Raises:
            InvalidInputError: The prompt is longer than the model's window, or the engine is not
                attached.
            BackendUnavailableError: The server of a remote engine does not answer.
        """
        said = checked.said_of(messages, self._shared.limits)
        session = checks.name_of(session, name="session")
        narrowing = narrowing_of(policy, checked.share_of(keep, name="keep"))
        most, budget = checked.new_tokens_of(max_new_tokens), asking.budget_of(budget_tokens)
        named = [adapters] if isinstance(adapters, str) else adapters
        reply = None
        if narrowing is None and named is None:
            models = self._shared.models
            shards = models.served(engine) if is_remote(engine) else models.chat(engine)
            reply = shards.answer(self.path, said, most, note) if shards is not None else None
        if reply is None:
            asked = Asking(
                path=self.path, said=said, hits=self._hits(said[-1]["content"]),
                budget_tokens=budget, max_new_tokens=most, narrowing=narrowing,
            )  # fmt: skip
            if named is None:
                reply = self._shared.engines.chat(engine).answer(asked, note)
            else:
                reply = answer_with(self._shared.models, engine, asked, named, note)
        self._shared.engines.ledger.enter(reply.timings)
        ids = [hit.cube.id for hit in reply.context.hits]
        self._shared.usage.count(self._vault.lives.keys_of(self.path, ids))
        if not checks.flag_of(remember, name="remember"):
            return reply
        exchange = [said[-1], {"role": "assistant", "content": reply.text}]
        kept = self.add([each for each in exchange if each["content"].strip()], session=session)
        return checked.kept_in(reply, kept[0].session)

    def _asking(self, question: str, budget_tokens: int, max_new_tokens: int) -> Asking:
        """A question of this namespace, with what is recalled for it."""
        said = checked.said_of(question, self._shared.limits)
        return Asking(
            path=self.path, said=said, hits=self._hits(said[-1]["content"]),
            budget_tokens=asking.budget_of(budget_tokens),
            max_new_tokens=checked.new_tokens_of(max_new_tokens),
        )  # fmt: skip

    def _hits(self, question: str) -> Sequence[Hit]:
        """What is recalled for a question, best first; what was just said is read before."""
        self._shared.catch_up(self.path, _CATCH_UP_S)
        clock = self._vault.parts.clock.now_us()
        given = {"query": question, "limit": asking.CANDIDATES}
        asked = asking.asked_of(given, self._shared.limits.zone, clock)
        return self._shared.searcher.found(self.path, asked)

    def _with_heads(self, carriers: Cubes) -> list[str]:
        """Carriers, and the heads that chats made of them: those hold their blocks too."""
        gone = {carrier.id for carrier in carriers}
        sources = {span.cube_id for each in carriers for span in each.provenance.sources}
        heads: set[str] = set()
        for source in sources:
            with suppress(CubeNotFoundError):  # it is past its time: so are they
                found = self.carriers(source)
                heads |= {head.id for head in found if gone & set(head.metadata.get(COMPOSED, ()))}
        return [*gone, *(heads - gone)]
