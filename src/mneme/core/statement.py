"""What a reading of a text brings out: statements, and wishes about the memory itself.

Rules and language models both read turns into these (ingest); reconciliation turns them into cubes.
Times are microseconds since 1970, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StatementType = Literal["fact", "preference", "instruction", "event", "profile", "procedure"]
Wish = Literal["forget", "withhold", "until", "on_request", "retract"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One thing that a text says, and the characters that say it.

    Attributes:
        type: Of the cube that it becomes.
        text: What is kept: the words of the source, or one sentence in its language.
        start: First character of the source that supports it.
        end: The character after the last one that does.
        subject: Whom or what it is about, as the source names it ("user" for the speaker).
        relation: What is said of the subject ("lives in", "is"); with the subject, the slot.
        object: What fills the slot.
        single: Whether the slot holds one object at a time, so that a new one ends the old one.
        valid_from: When it begins to hold, where the text says so.
        valid_to: When it ceases to hold, where the text says so.
        hedged: Whether the speaker passes it on without vouching for it.
        corrects: Whether it says that what was said before is wrong ("no, it was Bergen").
        ends: Whether it says that what filled the slot holds no longer ("I left Acme").
    """

    type: StatementType
    text: str
    start: int
    end: int
    subject: str | None = None
    relation: str | None = None
    object: str | None = None
    single: bool = False
    valid_from: int | None = None
    valid_to: int | None = None
    hedged: bool = False
    corrects: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the speaker asks of the memory itself.

    Attributes:
        wish: "forget": hide what is meant; "withhold": do not keep this turn; "until": hide it from
            `until` on; "on_request": give it back only where it is asked for by name; "retract":
            it was only so for a while and is over.
        about: Words for what is meant ("the hotel preference"); None: this turn, or with `previous`
            the one before.
        value: The words of the remembered thing itself, where the speaker repeats them.
        previous: Whether what was said just before is meant ("forget that").
        until: For "until".
        start: First character of the source that asks for it.
        end: The character after the last one that does.
    """

    wish: Wish
    about: str | None = None
    value: str | None = None
    previous: bool = False
    until: int | None = None
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A turn to be read.

    Attributes:
        id: Of its cube.
        text: What was said.
        role: user, assistant, system or tool.
        speaker: The name of who said it, where there is one.
        at: When it was said, where that is known.
    """

    id: str
    text: str
    role: str
    speaker: str | None
    at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one utterance says."""

    statements: tuple[Statement, ...] = ()
    requests: tuple[Request, ...] = ()
