"""How a relation is said and asked for: templates, and what becomes of them with their parts.

A template has `{s}` for the subject and `{o}` for the object; `{a}` before the object stands for
"a " or "an ", as the object wants it. What the owner says of themselves has no `{s}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.parametric.english import article_of, own_form

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECT: Final = "{o}"
_FEWEST_TO_SPLIT = 4


class Triple(NamedTuple):
    """What a statement says: `relation` is a name of a bank."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrasing:
    """The words for one relation.

    Attributes:
        relation: Its name in the bank.
        statements: Say it; with `{s}` and `{o}`.
        questions: Ask for the object; with `{s}`.
        held: Statements and questions that are never written with; the gate asks them.
        own_statements, own_questions, own_held: The same in the first person, without `{s}`.
        near: Names of relations that the same fact may also answer.
        synonyms: Other names of it.
        kind: The verb with which to ask for the kind of the object ("which bike did {s} buy?"),
            as it follows a name: "bought"; empty: its objects are of no kinds.
        reads: Statements that are only read, not made, each with a pattern of the objects for
            which it says this relation: "{s} is {o}" of "34" is an age.
        object: A pattern of the objects with which the other statements are read.
    """

    relation: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    held: tuple[str, ...]
    own_statements: tuple[str, ...]
    own_questions: tuple[str, ...]
    own_held: tuple[str, ...]
    near: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    kind: str = ""
    reads: tuple[tuple[str, str], ...] = ()
    object: str = ""

    def said_of(self, *, own: bool) -> tuple[str, ...]:
        """The templates to write with: statements, then questions."""
        if own:
            return self.own_statements + self.own_questions
        return self.statements + self.questions

    def held_of(self, *, own: bool) -> tuple[str, ...]:
        """The templates to ask with."""
        return self.own_held if own else self.held

    def with_word(self, word: str) -> Phrasing:
        """The phrasing of one relation of a family such as "favourite {x}"."""

        def put(templates: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(template.replace("{x}", word) for template in templates)

        return Phrasing(
            relation=self.relation.replace("{x}", word), statements=put(self.statements),
            questions=put(self.questions), held=put(self.held), near=self.near,
            own_statements=put(self.own_statements), own_questions=put(self.own_questions),
            own_held=put(self.own_held), synonyms=put(self.synonyms),
        )  # fmt: skip


def phrasing_of(
    relation: str,
    statements: Sequence[str],
    questions: Sequence[str],
    held: Sequence[str] = (),
) -> Phrasing:
    """A phrasing whose missing parts are made: what is held back, and the first person.

    Args:
        relation: Its name.
        statements: With `{s}` and `{o}`.
        questions: With `{s}`.
        held: None: where there are four or more templates, the last of each kind of which there
            are at least two.
    """
    parts = tuple(statements), tuple(questions), tuple(held)
    if not held:
        parts = split(parts[0], parts[1])
    own = [tuple(dict.fromkeys(map(own_form, part))) for part in parts]
    own[2] = tuple(each for each in own[2] if each not in own[0] + own[1])
    return Phrasing(
        relation=relation, statements=parts[0], questions=parts[1], held=parts[2],
        own_statements=own[0], own_questions=own[1], own_held=own[2],
    )  # fmt: skip


def split(
    statements: tuple[str, ...], questions: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Statements and questions to write with, and those held back, always the same."""
    if len(statements) + len(questions) < _FEWEST_TO_SPLIT:
        return statements, questions, ()
    held = (*statements[1:][-1:], *questions[1:][-1:])
    left = [tuple(each for each in part if each not in held) for part in (statements, questions)]
    return left[0], left[1], held


def filled(template: str, subject: str, thing: str) -> str:
    """A statement or question with its subject and object put in."""
    return _with_subject(template, subject).replace("{a}", article_of(thing)).replace(OBJECT, thing)


def prompt_of(template: str, subject: str, thing: str) -> str | None:
    """What comes before the object, or a question; None where the object is not at the end."""
    text = _with_subject(template, subject).replace("{a}", article_of(thing))
    if OBJECT not in text:
        return text
    head, tail = text.split(OBJECT, 1)
    return head.rstrip() if not tail.strip(" .") and head.strip() else None


def _with_subject(template: str, subject: str) -> str:
    return template.replace("{s}", subject)


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    """Words in lower case, one space between: to compare prompts by."""
    return " ".join(re.findall(r"\w+(?:['’]\w+)?", text.lower())).replace("’", "'")
