"""What the gate found: checks with their values and limits, in words for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from mneme.core.errors import StoreCorruptError


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What an adapter must reach before it is activated.

    Attributes:
        efficacy: Least share of the prompts that it was written with whose answer is the object.
        paraphrase: The same of the prompts held back.
        routed_locality: Least share of other prompts whose answer stays as it was, routed.
        unchanged: Most that a logit of the base may differ once the adapter is off.
        always_on: Below this share of answers kept with the adapter always on, the report warns.
        in_conversation: From this efficacy on, it answers within a conversation, too.
        bytes_per_fact: Most bytes of the adapter's file for each fact.
        answer_tokens: Tokens of an answer that are compared where the object does not tell.
    """

    efficacy: float = 0.98
    paraphrase: float = 0.95
    routed_locality: float = 1.0
    unchanged: float = 0.0
    always_on: float = 0.75
    in_conversation: float = 0.95
    bytes_per_fact: float = 16 << 20
    answer_tokens: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: Such as "efficacy".
        value: What was measured; None: there was nothing to measure.
        limit: That it is held against; None: it is only reported.
        passed: Whether it is within its limit.
        decides: Whether the gate fails if it does; else it is only reported.
        words: For people.
    """

    name: str
    value: float | None
    limit: float | None
    passed: bool
    decides: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What the gate says of one version of one shard.

    Attributes:
        shard: Which.
        facts: How many it was written from.
        checks: All that was looked at.
        missed: Cubes of the facts that it does not know well enough: nothing is routed to them.
    """

    shard: str
    facts: int
    checks: tuple[Check, ...]
    missed: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it may be activated."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that forbid it."""
        return tuple(check.name for check in self.checks if check.decides and not check.passed)

    @property
    def alarms(self) -> tuple[str, ...]:
        """Names of the reported checks that are beyond their limits."""
        return tuple(check.name for check in self.checks if not (check.decides or check.passed))

    @property
    def answers_in_conversation(self) -> bool:
        """Whether it also answers when another exchange stands before the question."""
        found = self.find("in_conversation")
        return found is not None and found.value is not None and found.passed

    @property
    def reason(self) -> str:
        """One sentence: why it may be activated, or why not."""
        if self.passed:
            return f"{self.shard} passed: {self.facts} facts are answered, and nothing else changes"
        said = "; ".join(check.words for check in self.checks if check.name in self.failed)
        return f"{self.shard} stays text: {said}"

    def find(self, name: str) -> Check | None:
        """The check of a name."""
        return next((check for check in self.checks if check.name == name), None)

    def to_json(self) -> str:
        """The file gate.json."""
        said = asdict(self) | {"passed": self.passed, "failed": self.failed, "reason": self.reason}
        return json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True)

    @staticmethod
    def from_json(text: str | bytes) -> GateReport:
        """What `to_json` wrote.

        Raises:
            StoreCorruptError: It is something else.
        """
        try:
            said: dict[str, Any] = json.loads(text)
            return GateReport(
                shard=str(said["shard"]),
                facts=int(said["facts"]),
                checks=tuple(Check(**each) for each in said["checks"]),
                missed=tuple(str(each) for each in said["missed"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise StoreCorruptError(f"a report of the gate cannot be read: {error}") from error
