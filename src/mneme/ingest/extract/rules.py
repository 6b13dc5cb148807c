"""Read a turn by rules: what its speaker states, and what he asks of the memory.

In: an utterance, and those before it (for corrections such as "no, it was Bergen"). Out: a Reading
whose statements are words of the turn. Pure functions: no model, no clock, no I/O. Only turns of
users are read; quotations, code and contexts that Mneme rendered are not. Forms that need words of
a language are English; pairs such as "key: value" work in every script.

Facts, conflicts and spoken feedback follow issue 3; that a new value of a key ends the old one
follows PI-LLM (arXiv:2506.08184).
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from mneme.core.statement import Reading, Request, Statement, Utterance
from mneme.ingest.extract.rules_corrections import correction, is_corrected
from mneme.ingest.extract.rules_events import dated_event
from mneme.ingest.extract.rules_named import Naming, namings
from mneme.ingest.extract.rules_pairs import Pair, pairs_of
from mneme.ingest.extract.rules_self import Found, anchors_of, self_statements
from mneme.ingest.extract.rules_slots import SPEAKER, slot_of
from mneme.ingest.extract.rules_standing import label_of, standing_type
from mneme.ingest.extract.rules_text import FILL, Sentence, fill_passed_on, sentences_of
from mneme.ingest.extract.rules_times import held
from mneme.ingest.extract.rules_told import is_prose_key
from mneme.ingest.extract.rules_told import told as told_naming
from mneme.ingest.extract.rules_wishes import wish_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["read", "slot_of"]

_NOTHING: Final = Reading()
_ASIDE: Final = re.compile(
    r"[,;–—-]\s*(?:so |and |but )?(?:can|could|do|does|did|would|will|should|what|any|how|is|are"
    r"|was|where|which|who|when|why|have|has|may|right|ok)\b"
    r"|\s(?:and|so) (?:was wondering|i['’]?m wondering|i was wondering|what|how|which|where|can"
    r"|could)\b",
    re.IGNORECASE,
)
_TASK: Final = re.compile(
    r"(?:hi|hello|hey|please|can you|could you|now|ok|okay|,|\s)*(?:write|rewrite|re-write|act "
    r"(?:as|like)|pretend|imagine|you are|you['’]re|translate|summari[sz]e|proofread|paraphrase"
    r"|rephrase"
    r"|improve|edit|correct|fix|continue|complete|generate|simulate|role-?play|i want you to|i "
    r"need you to act|draft|compose|create an?|make an?|respond to|reply to|analy[sz]e|classify"
    r"|extract|answer the|read the|from the following"
    r"|ignore|let['’]s play|in this (?:story|scene|game)|suppose|what would you|the following"
    r"|below is|here is|here['’]s|this is (?:a|my|the))\b",
    re.IGNORECASE,
)
_LEAD: Final = re.compile(
    r"(?:(?:please|also|and|oh|so|ok(?:ay)?|hey|btw|by the way)[, ]+)*(?:"
    r"(?P<told>(?:please )?(?:remember|keep in mind|note|don['’]?t forget|do not forget"
    r"|memori[sz]e|make a note|take note|bear in mind|keep remembering|save|store)(?:,? (?:too"
    r"|also|please))?(?:\s(?:this|it|down))?(?:\s?[:,]\s|\sthat\s|\sthe fact that\s)(?!to\b))"
    r"|(?P<kept>(?:keep|continue) remembering (?:that )?)"
    r"|(?P<news>(?:a |an |quick |one |another )?(?:update|updated|change|news)(?: this| that| on "
    r"this| to that| the record)?\s?[:：]\s|update (?:this|that),\s)"
    r"|(?P<confirm>(?:i )?(?:confirm|reconfirm|to confirm|just confirming|confirming|reminder"
    r"|just a reminder|as a reminder|still true|fyi|for the record)(?:\s[a-z ]{1,40})?\s?[:：]\s"
    r"|for the record,\s|fyi,?\s)"
    r")(?:that\s)?(?=\S)",
    re.IGNORECASE,
)
_THE: Final = re.compile(r"the\s", re.IGNORECASE)
_OWN: Final = re.compile(r"(?:i|i['’]\w+|we|my|our)\s", re.IGNORECASE)
_HEDGE: Final = re.compile(
    r"\b(?:i heard|i think|maybe|perhaps|probably|possibly|might|not (?:sure|certain|confirmed"
    r"|verified)|unsure|someone (?:said|told|mentioned|thinks)|people say|they say"
    r"|apparently|supposedly|allegedly|reportedly|rumou?rs?|rumou?red|unverified|unconfirmed|i "
    r"guess|i believe|i suppose|could be|iirc|afaik|if i remember)\b",
    re.IGNORECASE,
)
_DISCLAIMED: Final = re.compile(
    r"\b(?:must(?: not|n['’]t)|should(?: not|n['’]t)|does(?: not|n['’]t)|do(?: not|n['’]t)) "
    r"(?:override|overwrite|replace|supersede)\b|\bnot authoritative\b|\b(?:discussed|mentioned"
    r"|noted) elsewhere\b"
    r"|\b(?:similar|unrelated|conflicting|different)\b.{0,40}?\b(?:from|in) (?:another|a "
    r"different|an older|some other)\b|\bignore the old\b",
    re.IGNORECASE,
)
_MAY_DISCLAIM: Final = (
    "another", "elsewhere", "override", "authoritative", "supersede", "overwrite", "replace",
    "ignore the old", "a different", "an older", "some other",
)  # fmt: skip
_HEARD: Final = re.compile(
    r"[^:]{0,80}?\b(?:about|regarding|on|that)\s(?P<key>[^:]{2,240}):\s(?=\S)", re.IGNORECASE
)
# Relations whose date is when they began; a date with a name ("the launch is on 3 May") is none.
_BEGINS: Final = frozenset(
    {"lives in", "works at", "job", "marital status", "got", "uses", "joined"}
)
_NOTED: Final = re.compile(
    r"(?:please )?(?:note|keep in mind|bear in mind|take note)\b|.*,\s*$", re.IGNORECASE
)
_YEAR: Final = re.compile(r"\b\d{4}\b|\b(?:ago|last|since|years?|year['’]s)\b", re.IGNORECASE)
_HALF_A_YEAR_US: Final = 183 * 86_400 * 1_000_000
_SHORT_TURN: Final = 400  # characters
_SHORT_LEAD: Final = 25  # characters of "Not sure, but"
_TAIL: Final = re.compile(r"[\s,;]*(?:\b(?:and|but|so|because|since|as)[\s,]*)?$", re.IGNORECASE)


def read(utterance: Utterance, before: Sequence[Utterance] = ()) -> Reading:
    """What one utterance states and asks.

    Args:
        utterance: A turn; only those of the role "user" say anything.
        before: The last few utterances before it, oldest first.

    Returns:
        Statements in the order of the text, each with the characters that say it, and requests.
    """
    text = utterance.text
    if utterance.role != "user" or not text.strip():
        return _NOTHING
    filled = fill_passed_on(text)
    pairs = pairs_of(text, filled)
    if pairs:
        return Reading(statements=tuple(_of_pair(pair) for pair in pairs))
    return _prose(utterance, filled, before)


def _of_pair(pair: Pair) -> Statement:
    return Statement(
        type="fact", text=pair.text, start=pair.start, end=pair.end, subject=pair.key,
        relation="is", object=pair.value, single=True,
    )  # fmt: skip


def _prose(utterance: Utterance, filled: str, before: Sequence[Utterance]) -> Reading:
    statements: list[Statement] = []
    requests: list[Request] = []
    sentences = sentences_of(filled)
    alone = len(sentences) == 1
    task = bool(sentences) and _TASK.match(sentences[0].text) is not None
    for number, sentence in enumerate(sentences):
        source = utterance.text[sentence.start : sentence.end]
        request = wish_of(sentence, source, utterance.at, alone=alone)
        if request is not None:
            requests.append(request)
        if request is None or (
            request.wish == "on_request" and request.about and not alone_request(source)
        ):
            if task and number:
                continue
            earlier = chain(reversed(statements), _earlier(utterance, before))
            first = number == 0
            statements += _of_sentence(sentence, utterance, earlier, first=first, alone=alone)
    if any(request.wish == "withhold" and not request.previous for request in requests):
        statements = []
    return Reading(statements=tuple(statements), requests=tuple(requests))


def alone_request(source: str) -> bool:
    """Whether a sentence only asks; one that says who may see something is a rule as well."""
    return re.match(r"(?:please |only |don['’]?t |do not )", source, re.IGNORECASE) is not None


def _earlier(utterance: Utterance, before: Sequence[Utterance]) -> Iterator[Statement]:
    """What the same speaker stated in the utterances before, newest first."""
    for past in reversed(before):
        if past.role == "user" and past.speaker == utterance.speaker:
            yield from reversed(read(past).statements)


def _of_sentence(
    sentence: Sentence,
    utterance: Utterance,
    earlier: Iterator[Statement],
    *,
    first: bool,
    alone: bool,
) -> list[Statement]:
    """The statements of one sentence that asks nothing of the memory."""
    if sentence.has(_MAY_DISCLAIM) and _DISCLAIMED.search(sentence.text):
        return []  # it says of itself that it is not to count
    if sentence.asks:
        aside = _ASIDE.search(sentence.text)
        if aside is None:
            return []
        sentence = sentence.part(0, aside.start())
    found = _explicit(sentence, utterance, first=first)
    if not found:
        found = _plain(sentence, utterance, alone=alone)
    if not found:
        corrected = correction(sentence, earlier)
        found = [corrected] if corrected else []
    return [_finish(statement, sentence, utterance) for statement in found]


def _explicit(sentence: Sentence, utterance: Utterance, *, first: bool) -> list[Statement]:
    """What is said to be remembered: under "remember that", under a label, or for always."""
    text = sentence.text
    whole = Statement(type="fact", text="", start=sentence.start, end=sentence.end)
    kind = standing_type(text)
    if kind is not None:
        return [replace(whole, type=kind)]
    # a long text tells its own reader what to note
    lead = _LEAD.match(text)
    if lead and not first and len(utterance.text) > _SHORT_TURN and _NOTED.match(lead.group()):
        lead = None
    kept = lead is not None and not lead.group().rstrip().endswith(",")
    start = lead.end() if lead else is_corrected(text) if text[:10].lower() == "correction" else 0
    if start:
        told = _told(sentence, start, utterance, kept=kept)
        wrong = lead is None
        return [replace(one, corrects=one.corrects or (wrong and one.single)) for one in told]
    label = label_of(text, first=first)
    if label is not None:
        return [replace(whole, type=label.type)]
    heard = _HEARD.match(text) if ": " in text and _HEDGE.search(text) else None
    if heard is not None and first and not is_prose_key(heard["key"]):
        return [
            replace(
                whole,
                subject=heard["key"],
                relation="is",
                object=text[heard.end() :].rstrip(" ."),
                single=True,
                hedged=True,
            )
        ]
    return []


def _told(sentence: Sentence, start: int, utterance: Utterance, *, kept: bool) -> list[Statement]:
    """What follows "remember that": of oneself, "S is V", or a fact without a slot."""
    text = sentence.text
    clause = sentence.part(start)
    kind = standing_type(clause.text)
    whole = Statement(type=kind or "fact", text="", start=sentence.start, end=sentence.end)
    if kind is not None:
        return [whole]
    the = _THE.match(text, start)
    own = _OWN.match(text, start) is not None
    naming = None if own else told_naming(text, the.end() if the else start)
    if naming is not None:
        one = _of_naming(naming, sentence, utterance)
        return [replace(one, start=sentence.start, end=sentence.end)]
    found = _plain(clause, utterance, alone=True)
    if found:
        return [replace(found[0], start=sentence.start), *found[1:]]
    return [whole] if kept and len(clause.text.split()) > 2 else []


def _plain(sentence: Sentence, utterance: Utterance, *, alone: bool) -> list[Statement]:
    """What a sentence says of the speaker and of what has a name."""
    anchors = anchors_of(sentence)
    found = self_statements(sentence, anchors, utterance.speaker)
    taken = {item.at for item in found}
    found += [
        Found(naming.at, _of_naming(naming, sentence, utterance))
        for naming in namings(sentence, anchors, alone=alone)
        if naming.at not in taken
    ]
    if not found:
        event = dated_event(sentence, anchors, utterance.at)
        return [event] if event else []
    found.sort(key=lambda item: item.at)
    return _parted(found, sentence)


def _parted(found: list[Found], sentence: Sentence) -> list[Statement]:
    """Statements with the sentence shared out among them, each from its subject to the next."""
    parted = []
    corrects = is_corrected(sentence.text) > 0
    for place, (at, statement) in enumerate(found):
        start = sentence.start + (at if place else 0)
        end = sentence.start + found[place + 1].at if place + 1 < len(found) else sentence.end
        piece = sentence.text[start - sentence.start : end - sentence.start]
        tail = _TAIL.search(piece) if place + 1 < len(found) else None
        end -= len(tail.group()) if tail else 0
        parted.append(
            replace(
                statement,
                start=start,
                end=end,
                corrects=statement.corrects or (corrects and statement.single),
            )
        )
    return parted


def _of_naming(naming: Naming, sentence: Sentence, utterance: Utterance) -> Statement:
    start, end = sentence.start + naming.start, sentence.start + naming.end
    return Statement(
        type="preference" if "favo" in naming.relation.lower() else "fact", text="",
        start=sentence.start + naming.at, end=sentence.end,
        subject=naming.subject if naming.subject is not None else SPEAKER,
        relation=naming.relation, object=utterance.text[start:end],
        single=naming.single,
    )  # fmt: skip


def _finish(statement: Statement, sentence: Sentence, utterance: Utterance) -> Statement:
    """A statement with its words, its times, and whether its speaker vouches for it."""
    span = sentence.text[statement.start - sentence.start : statement.end - sentence.start]
    obj = statement.object
    if obj is not None and FILL in obj:  # a quotation is part of it
        at = sentence.start + sentence.text.find(obj, statement.start - sentence.start)
        obj = utterance.text[at : at + len(obj)]
    hedged = statement.hedged or _is_hedged(sentence, statement)
    begins, ends = statement.valid_from, statement.valid_to
    if statement.type in {"fact", "profile", "event"} and statement.valid_from is None:
        dated = statement.type == "event" or statement.relation in _BEGINS
        begins, ends = held(span, utterance.at, dated=dated)
    if begins is not None and _may_be_to_come(span, begins, utterance.at):
        begins = None
    return replace(
        statement,
        text=utterance.text[statement.start : statement.end],
        object=obj,
        valid_from=begins,
        valid_to=ends,
        hedged=hedged,
    )


def _may_be_to_come(span: str, begins: int, said: int | None) -> bool:
    """Whether a day without a year, said in October to be in November, may be one to come."""
    return said is not None and said - begins > _HALF_A_YEAR_US and not _YEAR.search(span)


def _is_hedged(sentence: Sentence, statement: Statement) -> bool:
    """Whether its speaker does not vouch for a statement: "maybe", "I heard", in its clause."""
    if statement.type == "instruction":
        return False
    text, first = sentence.text, statement.start - sentence.start
    at = text.find(statement.object, first) if statement.object else -1
    if at < 0:
        return _HEDGE.search(text, first) is not None
    clause = max(text.rfind(",", first, at), text.rfind(";", first, at)) + 1
    if clause - first <= _SHORT_LEAD:
        clause = first
    said = statement.object or ""
    return _HEDGE.search(text, clause, at + (len(said) if " " in said else 0)) is not None
