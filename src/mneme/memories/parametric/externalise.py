"""What an adapter says, as text, and what of it may be believed.

In: an engine, an adapter ready on it, the ledger of what it was written from. Out: statements that
the ledger confirms, and the rest in quarantine. Agreement of a model with itself is no evidence: a
model answers most questions about things that it never learned in the same way in all wordings.
So nothing is admitted but what the ledger holds, and without a ledger nothing is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.batch import greedy_answers
from mneme.memories.parametric.facts import SELF
from mneme.memories.parametric.synthesis import spoken
from mneme.memories.parametric.templates import prompt_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mneme.core.engine import Engine
    from mneme.memories.parametric.adapter import Applied
    from mneme.memories.parametric.facts import Entry, Fact, FactLedger
    from mneme.memories.parametric.phrasings import Bank

    Question = str | Sequence[str]  # one question, in one wording or in several

_ANSWER_TOKENS: Final = 16  # of an answer of unknown length
_SPARE_TOKENS: Final = 2  # beyond the object: what it says more of shall be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an adapter says when it is asked one thing in some wordings.

    Attributes:
        text: The statement, made again with the answer that it gives.
        question: Its first wording.
        said: The answer that most wordings get; may be empty.
        asked: How many wordings were asked.
        agreeing: How many of them got that answer.
        cube_id: Of the fact that the ledger holds; None: it holds none.
        why: Why it is not admitted; empty for what is verified.
    """

    text: str
    question: str
    said: str
    asked: int
    agreeing: int
    cube_id: str | None = None
    why: str = ""

    @property
    def agreement(self) -> float:
        """The share of the wordings that got the answer: how sure it is of itself."""
        return self.agreeing / self.asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Externalised:
    """What an adapter gave back.

    Attributes:
        verified: Statements whose objects are those of the ledger, in its order.
        quarantined: All else that it said.
    """

    verified: tuple[Claim, ...]
    quarantined: tuple[Claim, ...]


class _Vote(NamedTuple):
    """The answer that most wordings got."""

    said: str
    agreeing: int


def externalise(
    engine: Engine,
    applied: Applied,
    ledger: FactLedger,
    *,
    bank: Bank | None = None,
    questions: Sequence[Question] = (),
) -> Externalised:
    """Have an adapter say what it was written from, and check each statement.

    Args:
        engine: Whose model answers.
        applied: The adapter, ready on it.
        ledger: Each of its entries is asked in all its prompts; the majority counts.
        bank: With it, the subjects of the ledger are also asked for the ledger's relations that
            were not written for them: what is said of these goes into quarantine.
        questions: Further ones; what is answered to them goes into quarantine, even if it is so.

    Raises:
        InvalidInputError: A question is empty, or longer than the engine's window.
    """
    entries = [entry for entry in ledger.entries if entry.prompts or entry.held]
    votes = _votes(engine, applied, [_Asked.of(engine, entry) for entry in entries])
    claims = [_checked(entry, vote) for entry, vote in zip(entries, votes, strict=True)]
    claims += [_unasked(entry) for entry in ledger.entries if not (entry.prompts or entry.held)]
    more = [*unwritten(ledger, bank), *questions] if bank is not None else list(questions)
    claims += probe(engine, applied, more)
    return Externalised(
        verified=tuple(claim for claim in claims if not claim.why),
        quarantined=tuple(claim for claim in claims if claim.why),
    )


def probe(engine: Engine, applied: Applied, questions: Sequence[Question]) -> list[Claim]:
    """What an adapter answers to questions that nothing vouches for; all of it quarantined.

    Args:
        engine: Whose model answers.
        applied: The adapter, ready on it; of any origin.
        questions: Each in one wording or in several.

    Raises:
        InvalidInputError: A question is empty, or longer than the engine's window.
    """
    asked = [
        _Asked((each,) if isinstance(each, str) else tuple(each), _ANSWER_TOKENS)
        for each in questions
    ]
    if not all(each.wordings and all(map(str.strip, each.wordings)) for each in asked):
        raise InvalidInputError("a question must not be empty")
    return [
        Claim(
            text=f"{each.wordings[0]} {vote.said}".strip(),
            question=each.wordings[0],
            said=vote.said,
            asked=len(each.wordings),
            agreeing=vote.agreeing,
            why="no ledger holds it",
        )
        for each, vote in zip(asked, _votes(engine, applied, asked), strict=True)
    ]


def unwritten(ledger: FactLedger, bank: Bank) -> list[tuple[str, ...]]:
    """Questions about the ledger's subjects, for its relations that no fact of theirs has."""
    facts = [entry.fact for entry in ledger.entries]
    known = {(fact.subject, fact.relation) for fact in facts}
    subjects = {fact.subject: fact for fact in facts}
    objects = {fact.relation: fact.object for fact in facts}
    made = (
        _wordings(bank, fact, relation, thing)
        for subject, fact in subjects.items()
        for relation, thing in objects.items()
        if (subject, relation) not in known
    )
    return [wordings for wordings in made if wordings]


class _Asked(NamedTuple):
    """One thing to ask.

    most: Tokens of an answer.
    cut: After how many tokens an answer ends of itself where a model has no token for it.
    """

    wordings: tuple[str, ...]
    most: int
    cut: int | None = None

    @classmethod
    def of(cls, engine: Engine, entry: Entry) -> _Asked:
        count = engine.count(entry.fact.object)
        cut = count if engine.end is None else None
        return cls((*entry.prompts, *entry.held), count + _SPARE_TOKENS, cut)


def _votes(engine: Engine, applied: Applied, asked: Sequence[_Asked]) -> list[_Vote]:
    """Ask all wordings of all at once; the first of equally frequent answers wins."""
    flat = [(wording, each) for each in asked for wording in each.wordings]
    if not flat:
        return []
    most = max(each.most for each in asked)
    prompts = [engine.render([{"role": "user", "content": wording}]) for wording, _ in flat]
    before = 0 if applied.past is None else int(applied.past[0].keys.shape[-2])
    if before + max(map(len, prompts)) + most > engine.window:
        raise InvalidInputError(
            f"a question and its answer do not fit a window of {engine.window} tokens; shorten it"
        )
    answers = greedy_answers(engine, prompts, applied, max_new_tokens=most)
    texts = iter(
        engine.decode(answer[: each.cut]).strip()
        for answer, (_, each) in zip(answers, flat, strict=True)
    )
    return [_vote([next(texts) for _ in each.wordings]) for each in asked]


def _vote(said: Sequence[str]) -> _Vote:
    counts = Counter(map(_plain, said))
    winner, agreeing = counts.most_common(1)[0]
    return _Vote(next(text for text in said if _plain(text) == winner), agreeing)


def _checked(entry: Entry, vote: _Vote) -> Claim:
    fact, asked = entry.fact, len(entry.prompts) + len(entry.held)
    why = ""
    if _plain(vote.said) != _plain(fact.object):
        why = "the ledger holds another object"
    elif 2 * vote.agreeing <= asked:
        why = "no majority of its wordings got this answer"
    return Claim(
        text=_statement(fact, vote.said),
        question=(*entry.prompts, *entry.held)[0],
        said=vote.said,
        asked=asked,
        agreeing=vote.agreeing,
        cube_id=fact.cube_id,
        why=why,
    )


def _unasked(entry: Entry) -> Claim:
    """What the ledger holds but gives no prompt for: it was not asked, so it was not said."""
    return Claim(
        text=entry.fact.text, question="", said="", asked=1, agreeing=0,
        cube_id=entry.fact.cube_id, why="the ledger has no prompt that asks for it",
    )  # fmt: skip


def _statement(fact: Fact, said: str) -> str:
    """The fact's text with what was said in the place of the object."""
    before, object_, after = fact.text.rpartition(fact.object)
    if not object_ or _plain(said) == _plain(fact.object):
        return fact.text if object_ else f"{fact.subject} {fact.relation} {said}"
    return f"{before}{said}{after}"


def _wordings(bank: Bank, fact: Fact, relation: str, thing: str) -> tuple[str, ...]:
    """All ways in which a bank asks for a relation of a fact's subject."""
    own = fact.subject == SELF
    phrasing = bank.of(relation, thing)
    made = (
        prompt_of(template, SELF if own else spoken(fact), thing)
        for template in (*phrasing.said_of(own=own), *phrasing.held_of(own=own))
    )
    return tuple(dict.fromkeys(filter(None, made)))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
