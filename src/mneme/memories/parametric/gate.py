"""The gate: what a shard must prove before it is activated.

In: an engine, an adapter ready on it, its ledger, the index that would route to it, and prompts
that ask for other things. Out: a `GateReport`. It measures what the editing of models is judged by
(efficacy, paraphrase, locality; ROME, arXiv 2202.05262) with routing as it will be used, and what
only a memory of several owners needs: that nobody else is routed to it, that no newer text
contradicts it, and that the base is the base again as soon as it is off.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.adapter import base_of
from mneme.memories.parametric.batch import greedy_answers, next_logits
from mneme.memories.parametric.gate_report import Check, GateLimits, GateReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from torch import Tensor

    from mneme.core.engine import Engine, Message
    from mneme.memories.parametric.adapter import Applied
    from mneme.memories.parametric.facts import Entry, Fact, FactLedger
    from mneme.memories.parametric.router import Route

    class Index(Protocol):
        """What routes: `router.RouterIndex`, or another that says the same."""

        def route(self, question: str) -> Route: ...
        def shards(self) -> tuple[str, ...]: ...


_PARAPHRASE = "paraphrase"


class _Asked(NamedTuple):
    """A prompt and the fact that answers it."""

    prompt: str
    fact: Fact


LIMITS = GateLimits()


def run_gate(  # noqa: PLR0913 (each is one thing to be proven)
    engine: Engine,
    applied: Applied,
    ledger: FactLedger,
    *,
    adapter_base: str,
    index: Index,
    shard: str,
    probes: Sequence[str],
    neighbours: Sequence[str],
    size_bytes: int,
    others: Sequence[Index] = (),
    conflicts: Sequence[str] = (),
    before: Tensor | None = None,
    limits: GateLimits = LIMITS,
) -> GateReport:
    """Decide whether a shard may be activated.

    Args:
        engine: Whose model answers.
        applied: The adapter, ready on it and off.
        ledger: What it was written from.
        adapter_base: Of the adapter (`Adapter.base`).
        index: Of its namespace, the shard put in already.
        shard: Its name in that index.
        probes: Prompts that have nothing to do with the facts; best such that the base answers.
        neighbours: Prompts close to the facts: the same subjects asked for something else, other
            subjects asked for the same.
        size_bytes: Of the adapter's file.
        others: The indexes of other namespaces.
        conflicts: Cubes of newer text that contradict the ledger.
        before: `probe_logits` of the probes from before the adapter was applied; None: they are
            taken now, so that a base which `apply` itself changed would go unnoticed.
        limits: What must be reached.

    Raises:
        InvalidInputError: The ledger is empty, or there is no prompt to probe with.
    """
    if not ledger.entries or not probes:
        raise InvalidInputError("the gate needs a ledger with facts, and prompts to probe with")
    checks = [
        _base(engine, adapter_base),
        _conflicts(conflicts),
        _leaks(ledger, others, shard),
        _misrouted(ledger, index),
        _size(ledger, size_bytes, limits),
    ]
    if not checks[0].passed:  # nothing that this model says would mean anything
        return GateReport(shard=shard, facts=len(ledger), checks=tuple(checks))
    trial = _Trial(engine, applied, limits)
    before = trial.logits(probes) if before is None else before
    checks += [
        trial.efficacy(_asked(ledger, _written)),
        trial.paraphrase(_asked(ledger, _held)),
        _own_routing(ledger, index, shard),
        trial.routed_locality([*probes, *neighbours], index, shard),
        trial.always_on(probes),
        trial.in_conversation(_asked(ledger, _written), probes[0]),
        trial.unchanged(before, probes),
        trial.switches([entry.prompts[0] for entry in ledger.entries if entry.prompts]),
    ]
    missed = tuple(dict.fromkeys(trial.missed))
    return GateReport(shard=shard, facts=len(ledger), checks=tuple(checks), missed=missed)


def probe_logits(engine: Engine, probes: Sequence[str]) -> Tensor:
    """The logits that follow each prompt in the model as it is: float32 [probes, vocabulary]."""
    return next_logits(engine, [_prompt(engine, probe) for probe in probes])


class _Trial:
    """One adapter on one engine, asked.

    Attributes:
        missed: Cubes of the facts that it does not know: a prompt that they were written with, or
            most of those held back, got another answer.
    """

    def __init__(self, engine: Engine, applied: Applied, limits: GateLimits) -> None:
        self._engine, self._applied, self._limits = engine, applied, limits
        self.missed: list[str] = []

    def efficacy(self, asked: Sequence[_Asked]) -> Check:
        return self._recall("efficacy", asked, self._limits.efficacy, "prompts it was written with")

    def paraphrase(self, asked: Sequence[_Asked]) -> Check:
        if not asked:
            return _skipped(_PARAPHRASE, self._limits.paraphrase, "no prompts were held back")
        return self._recall(_PARAPHRASE, asked, self._limits.paraphrase, "prompts held back")

    def routed_locality(self, prompts: Sequence[str], index: Index, shard: str) -> Check:
        """Of prompts that ask for something else, those that are not answered otherwise now."""
        routed = [
            match.clause
            for prompt in prompts
            for match in index.route(prompt).matches
            if match.shard == shard
        ]
        changed = self._changed(routed)
        limit = self._limits.routed_locality
        value = 1 - changed / len(prompts)
        words = (
            f"{changed} of {len(prompts)} prompts that ask for something else are answered "
            f"otherwise ({len(routed)} of them are routed to it)"
        )
        return _least("routed_locality", value, limit, words)

    def always_on(self, probes: Sequence[str]) -> Check:
        """What it would do to the rest if nothing routed: reported."""
        limit = self._limits.always_on
        value = 1 - self._changed(probes) / len(probes)
        words = f"without routing, {value:.3f} of the other answers would stay"
        return _least("always_on_locality", value, limit, words, decides=False)

    def in_conversation(self, asked: Sequence[_Asked], probe: str) -> Check:
        """Efficacy behind another exchange: reported."""
        engine, limit = self._engine, self._limits.in_conversation
        said = engine.decode(self._answers([_prompt(engine, probe)], None)[0])
        before = [{"role": "user", "content": probe}, {"role": "assistant", "content": said}]
        prompts = [_prompt(engine, each.prompt, before) for each in asked]
        if max(map(len, prompts)) + self._longest(asked) > engine.window:
            return _skipped(
                "in_conversation", limit, "two questions are too long for the model", decides=False
            )
        answers = self._answers(prompts, self._applied, self._longest(asked))
        right = sum(
            self._is_right(answer, each.fact) for answer, each in zip(answers, asked, strict=True)
        )
        value = right / len(asked)
        words = f"behind another exchange, {right} of {len(asked)} prompts are answered"
        return _least("in_conversation", value, limit, words, decides=False)

    def unchanged(self, before: Tensor, probes: Sequence[str]) -> Check:
        """Whether the base is what it was before the adapter was on."""
        value = float((self.logits(probes) - before).abs().max())
        limit = self._limits.unchanged
        words = f"with the adapter off, logits differ from the base's by {value:g}"
        return Check(
            name="unchanged", value=value, limit=limit, passed=value <= limit, decides=True,
            words=words,
        )  # fmt: skip

    def switches(self, prompts: Sequence[str]) -> Check:
        """Whether on and off differ at all: one that is always on would look unchanged."""
        asked = [_prompt(self._engine, prompt) for prompt in prompts]
        on = next_logits(self._engine, asked, self._applied)
        value = float((on - next_logits(self._engine, asked)).abs().max())
        words = "the model says the same with the adapter on and off"
        if value > 0:
            words = f"switching the adapter on moves logits by up to {value:.3g}"
        return Check(
            name="switches", value=value, limit=None, passed=value > 0, decides=True, words=words
        )

    def logits(self, prompts: Sequence[str]) -> Tensor:
        """The base's."""
        return probe_logits(self._engine, prompts)

    def _recall(self, name: str, asked: Sequence[_Asked], limit: float, what: str) -> Check:
        prompts = [_prompt(self._engine, each.prompt) for each in asked]
        answers = self._answers(prompts, self._applied, self._longest(asked))
        wrong = [
            each.fact.cube_id
            for each, answer in zip(asked, answers, strict=True)
            if not self._is_right(answer, each.fact)
        ]
        prompts_of, wrong_of = Counter(each.fact.cube_id for each in asked), Counter(wrong)
        spared = 0.5 if name == _PARAPHRASE else 0.0
        self.missed += [c for c, n in wrong_of.items() if n > spared * prompts_of[c]]
        value = 1 - len(wrong) / len(asked)
        words = f"{len(asked) - len(wrong)} of {len(asked)} {what} are answered with the object"
        return _least(name, value, limit, words)

    def _changed(self, prompts: Sequence[str]) -> int:
        """Of prompts, how many the model answers otherwise with the adapter on."""
        asked = [_prompt(self._engine, prompt) for prompt in prompts]
        on, off = self._answers(asked, self._applied), self._answers(asked, None)
        return sum(a != b for a, b in zip(on, off, strict=True))

    def _answers(
        self, prompts: Sequence[Sequence[int]], applied: Applied | None, most: int | None = None
    ) -> list[list[int]]:
        most = most or self._limits.answer_tokens
        return greedy_answers(self._engine, prompts, applied, max_new_tokens=most)

    def _longest(self, asked: Sequence[_Asked]) -> int:
        return max(self._engine.count(each.fact.object) for each in asked) + 2

    def _is_right(self, answer: Sequence[int], fact: Fact) -> bool:
        if self._engine.end is None:  # it goes on and on
            answer = answer[: self._engine.count(fact.object)]
        return _plain(self._engine.decode(answer)) == _plain(fact.object)


def _asked(ledger: FactLedger, of: Callable[[Entry], Sequence[str]]) -> list[_Asked]:
    return [_Asked(prompt, entry.fact) for entry in ledger.entries for prompt in of(entry)]


def _written(entry: Entry) -> Sequence[str]:
    return entry.prompts


def _held(entry: Entry) -> Sequence[str]:
    return entry.held


def _prompt(engine: Engine, text: str, before: Sequence[Message] = ()) -> list[int]:
    return engine.render([*before, {"role": "user", "content": text}])


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _base(engine: Engine, adapter_base: str) -> Check:
    same = adapter_base == base_of(engine.fields)
    words = "the adapter belongs to this base" if same else "the adapter belongs to another base"
    return _none("base", 0 if same else 1, words)


def _conflicts(conflicts: Sequence[str]) -> Check:
    words = f"newer text contradicts it: {', '.join(conflicts)}" if conflicts else "no newer text"
    return _none("conflicts", len(conflicts), words)


def _leaks(ledger: FactLedger, others: Sequence[Index], shard: str) -> Check:
    """Ways in which somebody else would get at it."""
    cubes = set(ledger.cube_ids)
    prompts = [each.prompt for of in (_written, _held) for each in _asked(ledger, of)]
    found = sum(shard in other.shards() for other in others)
    for other in others:
        routed = [match for prompt in prompts for match in other.route(prompt).matches]
        found += sum(m.shard == shard or m.entry.fact.cube_id in cubes for m in routed)
    words = f"{found} ways lead to it from {len(others)} other namespaces"
    return _none("leaks", found, words)


def _misrouted(ledger: FactLedger, index: Index) -> Check:
    """Own questions that are routed to a fact that answers something else."""
    found = 0
    for asked in _asked(ledger, lambda entry: (*entry.prompts, *entry.held)):
        matches = index.route(asked.prompt).matches
        found += any(not _answers_alike(match.entry.fact, asked.fact) for match in matches)
    return _none("misrouted", found, f"{found} of its own questions are routed to another fact")


def _answers_alike(one: Fact, other: Fact) -> bool:
    return _plain(one.object) == _plain(other.object) and _plain(one.subject) == _plain(
        other.subject
    )


def _own_routing(ledger: FactLedger, index: Index, shard: str) -> Check:
    """Own questions that find the shard: reported; the others are answered from text."""
    asked = _asked(ledger, lambda entry: (*entry.prompts, *entry.held))
    found = 0
    for each in asked:
        route = index.route(each.prompt)
        found += route.covered and any(
            match.shard == shard and match.entry.fact == each.fact for match in route.matches
        )
    words = f"{found} of {len(asked)} of its own questions are routed to it"
    return Check(
        name="own_routing", value=found / len(asked), limit=None, passed=True, decides=False,
        words=words,
    )  # fmt: skip


def _size(ledger: FactLedger, size_bytes: int, limits: GateLimits) -> Check:
    value, limit = size_bytes / len(ledger), limits.bytes_per_fact
    words = f"it takes {value:,.0f} bytes for each fact; {limit:,.0f} are allowed"
    return Check(
        name="size", value=value, limit=limit, passed=value <= limit, decides=True, words=words
    )


def _none(name: str, found: float, words: str) -> Check:
    return Check(name=name, value=found, limit=0, passed=not found, decides=True, words=words)


def _least(name: str, value: float, limit: float, words: str, *, decides: bool = True) -> Check:
    passed = value >= limit
    said = words if passed else f"{words} ({value:.3f}; at least {limit:g} is asked for)"
    return Check(name=name, value=value, limit=limit, passed=passed, decides=decides, words=said)


def _skipped(name: str, limit: float, why: str, *, decides: bool = True) -> Check:
    return Check(name=name, value=None, limit=limit, passed=True, decides=decides, words=why)
