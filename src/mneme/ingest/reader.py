"""What a caller says, as drafts for the vault.

In: a string, a message, a list of messages or a document, untrusted. Out: checked drafts; nothing
is written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from mneme.core.errors import BackendUnavailableError, InvalidInputError, UnknownArgumentError
from mneme.core.moments import moment_us, optional_us
from mneme.govern.trust import origin_of, trust_of
from mneme.ingest import checks
from mneme.ingest.segment import sections
from mneme.vault.draft import Draft
from mneme.vault.write import RULES, RULES_LLM

if TYPE_CHECKING:
    from datetime import tzinfo

    from mneme.ingest.segment import Section

MESSAGE_FIELDS = ("role", "content", "name", "at")
INFER = ("auto", "none", "llm")
ADD_FIELDS = (
    "session", "role", "speaker", "at", "type", "metadata", "origin", "labels", "priority", "hold",
    "expires_at", "idempotency_key", "infer",
)  # fmt: skip


class Limits(NamedTuple):
    """What an input may be: its size in bytes, and how it is read.

    Attributes:
        zone: Where times without a zone are read.
        infer: Whether written memory reads what is added with `infer="auto"`.
        has_llm: Whether there is a language model for `infer="llm"`.
    """

    turn_bytes: int
    document_bytes: int
    metadata_bytes: int
    zone: tzinfo
    infer: bool = True
    has_llm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of `add`, as the caller gave them."""

    session: object = None
    role: object = "user"
    speaker: object = None
    at: object = None
    type: object = None
    metadata: object = None
    origin: object = None
    labels: object = ()
    priority: object = None
    hold: object = False
    expires_at: object = None
    idempotency_key: object = None
    infer: object = "auto"


class Repeats(Counter[str]):
    """How often the same words were said within one call, so that a retry finds each of them."""


def drafts_of(
    content: object, arguments: Arguments, limits: Limits, repeats: Repeats, now_us: int
) -> list[Draft]:
    """The drafts of one `add`.

    Args:
        content: A string, a message, or a list of messages.
        arguments: The other arguments of `add`.
        limits: Sizes and time zone.
        repeats: Of the call that this `add` is part of.
        now_us: `expires_at` must lie after it.

    Raises:
        InvalidInputError: Something cannot be kept as it is; nothing was written.
    """
    common = _common(arguments, limits, now_us)
    if common.type == "document":
        return _document(content, common, arguments, limits)
    messages = list(content) if _is_list(content) else [content]
    if not messages:
        raise InvalidInputError("the list of messages is empty; there is nothing to remember")
    turns = [_turn(message, common, limits) for message in messages]
    if len(turns) > 1 and common.session is None:
        turns = [replace(turn, session_of=0) for turn in turns]
    return _with_requests(turns, arguments, repeats)


def _is_list(content: object) -> TypeGuard[Sequence[object]]:
    return isinstance(content, Sequence) and not isinstance(content, str | bytes)


def _common(arguments: Arguments, limits: Limits, now_us: int) -> Draft:
    """The header that all drafts of one `add` share."""
    infer = checks.one_of(arguments.infer, INFER, name="infer")
    if infer == "llm" and not limits.has_llm:
        raise BackendUnavailableError("infer='llm' needs an LLM, and none is configured")
    type_ = "turn" if arguments.type is None else checks.type_of(arguments.type)
    role = checks.role_of(arguments.role)
    origin = (
        origin_of(role, type_) if arguments.origin is None else checks.origin_of(arguments.origin)
    )
    expires_at = optional_us(arguments.expires_at, limits.zone, name="expires_at")
    if expires_at is not None and expires_at <= now_us:
        raise InvalidInputError("expires_at lies in the past: the memory could never be read")
    return Draft(
        text="",
        type=type_,
        session=checks.name_of(arguments.session, name="session"),
        role=role,
        speaker=checks.name_of(arguments.speaker, name="speaker"),
        metadata=checks.metadata_of(arguments.metadata, max_bytes=limits.metadata_bytes),
        labels=checks.labels_of(arguments.labels) if arguments.labels else None,
        event_at=optional_us(arguments.at, limits.zone, name="at"),
        expires_at=expires_at,
        priority=checks.priority_of(arguments.priority),
        hold=checks.flag_of(arguments.hold, name="hold"),
        origin=origin,
        trust=trust_of(origin),
        heard=_stage(infer, limits),
        mute=infer == "none",
    )


def _stage(infer: str, limits: Limits) -> str | None:
    """Where written memory begins to read what is said."""
    if infer == "llm":
        return RULES_LLM
    return RULES if infer == "auto" and limits.infer else None


def _heard(draft: Draft) -> Draft:
    """Written memory reads what users say, not what they filed as something else."""
    said = draft.type == "turn" and draft.origin == "user" and draft.role == "user"
    return draft if said else replace(draft, heard=None, mute=False)


def _turn(message: object, common: Draft, limits: Limits) -> Draft:
    if not isinstance(message, Mapping):
        text = checks.text_of(message, name="content", max_bytes=limits.turn_bytes)
        return _heard(replace(common, text=text))
    for field in message:
        if field not in MESSAGE_FIELDS:
            raise UnknownArgumentError("a message", str(field), MESSAGE_FIELDS)
    if "content" not in message:
        raise InvalidInputError("a message needs 'content'")
    role = checks.role_of(message.get("role", common.role))
    stated = common.role == role
    origin = common.origin if stated else origin_of(role, common.type)
    at = message.get("at")
    turn = replace(
        common,
        text=checks.text_of(
            _joined(message["content"]), name="content", max_bytes=limits.turn_bytes
        ),
        role=role,
        origin=origin,
        trust=trust_of(origin),
        speaker=checks.name_of(message.get("name"), name="name") or common.speaker,
        event_at=common.event_at if at is None else moment_us(at, limits.zone, name="at"),
    )
    return _heard(turn)


def _joined(content: object) -> object:
    """The text of a message whose content comes in parts, as OpenAI's and Anthropic's do."""
    if not _is_list(content):
        return content
    parts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(part for part in parts if isinstance(part, str))


def _document(content: object, common: Draft, arguments: Arguments, limits: Limits) -> list[Draft]:
    body = content.get("content") if isinstance(content, Mapping) else content
    text = checks.text_of(body, name="content", max_bytes=limits.document_bytes)
    parts = sections(text)
    whole = replace(common, text=text, indexed=len(parts) < 2, heard=None, mute=False)
    drafts = [whole]
    if len(parts) > 1:
        drafts += [section_draft(whole, part) for part in parts]
    return _with_requests(drafts[:1], arguments, Repeats()) + drafts[1:]


def section_draft(whole: Draft, part: Section) -> Draft:
    """A section of a document as a cube of its own."""
    headings = checks.canonical({"headings": list(part.heading_path)})
    return replace(
        whole,
        text=whole.text[part.start : part.end],
        metadata=headings if part.heading_path else None,
        method="section",
        part_of=0,
        session_of=0,
        span=(part.start, part.end),
        indexed=True,
        request=None,
    )


def _with_requests(turns: list[Draft], arguments: Arguments, repeats: Repeats) -> list[Draft]:
    """Name each request, so that making it again writes nothing.

    With a key: the key. Without one: the same words by the same speaker at the same moment of the
    same session are a retry; where moment or session is not said, they may well be said twice.
    """
    key = checks.name_of(arguments.idempotency_key, name="idempotency_key")
    if key is not None:
        content = checks.canonical([[t.role, t.speaker, t.text, t.session] for t in turns])
        return [
            replace(turn, request=f"key:{key}#{number}", request_content=content)
            for number, turn in enumerate(turns)
        ]
    if arguments.session is None:
        return turns
    named = []
    for turn in turns:
        if turn.event_at is None:
            named.append(turn)
            continue
        said = checks.canonical(
            [turn.session, turn.role, turn.speaker, turn.event_at, turn.type, turn.metadata,
             turn.text]
        )  # fmt: skip
        named.append(replace(turn, request=f"said:{repeats[said]}:{said}"))
        repeats[said] += 1
    return named
