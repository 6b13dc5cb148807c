"""Phrasings of relations that no bank names: from their own words, by the rules of English.

"bought" gives "what did {s} buy?", "best friend" gives "who is {s}'s best friend?".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from mneme.memories.parametric.english import third, verb_of
from mneme.memories.parametric.templates import Phrasing, phrasing_of

_LED: Final = {"to": ("why", ""), "with": ("who", "with"), "from": ("where", "from")}
_PEOPLE_WORDS: Final = (
    "accountant assistant aunt barber best boss boyfriend brother buddy child client coach "
    "colleague cousin daughter dentist doctor employer father friend girlfriend grandfather "
    "grandmother guide hairdresser husband landlord lawyer manager mentor mother neighbor "
    "neighbour nephew niece owner partner physiotherapist principal sister son spouse supervisor "
    "teacher therapist trainer tutor uncle vet wife"
)
_PEOPLE: Final = frozenset(_PEOPLE_WORDS.split())
_TIME: Final = re.compile(
    r"(?:(?:on|at|in|by|since|until|next|last|this|every)\s)*(?:the\s)?(?:\d{1,2}(?:st|nd|rd|th)?\s)?"
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|yesterday|today|tomorrow|tonight|noon|midnight"
    r"|(?:jan|febr)uary|march|april|may|june|july|august|(?:septem|octo|novem|decem)ber"
    r"|(?:last|next|this)\s(?:week|month|year|night|summer|winter|spring|autumn|fall|weekend)"
    r"|(?:19|20)\d\d\b|\d{1,2}[:.]\d\d\b|\d{1,2}\s?[ap]m\b|\d{4}-\d\d-\d\d|week|month|year|morning"
    r"|weekend|summer|winter|spring|autumn)",
    re.IGNORECASE,
)
_PLACE: Final = re.compile(r"(?:in|at|near|around)\s(?:the\s|an?\s)?\S", re.IGNORECASE)
_PLURAL: Final = re.compile(r"(?:[^sui]s|children|people|kids)$")
_PREPOSITIONS_WORDS: Final = "about after at by for from in near of on to under with"
_PREPOSITIONS: Final = frozenset(_PREPOSITIONS_WORDS.split())
_PASSIVE_WORDS: Final = (
    "based born diagnosed employed engaged located married named raised registered related scared "
    "stationed subscribed trained used interested tired worried bored obsessed"
)
_PASSIVE: Final = frozenset(_PASSIVE_WORDS.split())
_PAST_PASSIVE: Final = frozenset({"born", "diagnosed", "raised"})


def frame_of(relation: str, thing: str = "") -> Phrasing:
    """A phrasing from the words of a relation.

    Args:
        relation: A verb phrase ("bought a ticket to"), a noun phrase ("locker code"), an adjective
            with what follows it ("afraid of"), or "is" for what is named by its subject alone.
        thing: The object, whose shape tells "when" and "where" from "what".
    """
    words = relation.replace("’", "'").split() or ["is"]
    first, rest = words[0].lower(), " ".join(words[1:])
    if len(words) == 1 and first in {"is", "are", "was", "were"}:
        return _naming(relation, first, thing)
    verb = verb_of(first, alone=not rest)
    if first in _PASSIVE and rest:
        be = "was" if first in _PAST_PASSIVE else "is"
        return _being(relation, be, relation, _asking(thing, words[-1])[0])
    if verb is not None and verb.base == "be":
        return _being(relation, verb.tense, rest, _asking(thing, words[-1])[0])
    if verb is not None:
        return _doing(relation, " ".join([_third(first, verb.tense), *words[1:]]), thing)
    going_on = not rest and first.endswith("ing") and len(first) > 5
    if going_on or words[-1].lower() in _PREPOSITIONS:
        return _being(relation, "is", relation, _asking(thing, words[-1])[0])
    return _having(relation, " ".join(words), thing)


def _third(word: str, tense: str) -> str:
    verb = verb_of(word)
    return third(verb.base) if tense == "present" and verb is not None else word


def _asking(thing: str, last: str = "") -> tuple[str, str]:
    """The question word for an object, and the preposition that ends the question.

    Args:
        thing: "in Riga", "with Ole", "to see the sea", "a bike".
        last: The last word before it; where it is a preposition the object has none of its own.
    """
    if _TIME.match(thing):
        return "when", ""
    if last.lower() in _PREPOSITIONS:
        return "what", ""
    if _PLACE.match(thing):
        return "where", ""
    led = re.match(r"(to|with|for|from|about|on|by|of|into|as) (?=\S)", thing, re.IGNORECASE)
    return _LED.get(led[1].lower(), ("what", led[1].lower())) if led else ("what", "")


def _doing(relation: str, said: str, thing: str) -> Phrasing:
    word, _, rest = said.partition(" ")
    verb = verb_of(word)
    base, past = (verb.base, verb.tense == "past") if verb else (word, False)
    ask, behind = _asking(thing, said.rsplit(" ", 1)[-1])
    tail = "".join(f" {part}" for part in (rest, behind) if part)
    told = f"{said} {behind}" if behind else said
    questions = [
        f"{ask} {'did' if past else 'does'} {{s}} {base}{tail}?",
        f"tell me {ask} {{s}} {told}:",
        f"question: {{s}} {told} {ask}? answer:",
    ]
    held = [f"Complete: {{s}} {said} {{o}}", f"do you know {ask} {{s}} {told}?"]
    statements = [f"{{s}} {said} {{o}}"]
    if not behind and ask != "why":
        statements.append(f"{ask} {{s}} {said} is {{o}}")
    made = phrasing_of(relation, statements, questions, held)
    return replace(made, kind=said) if (ask, behind) == ("what", "") and not rest else made


def _being(relation: str, be: str, rest: str, ask: str) -> Phrasing:
    tail = f" {rest}" if rest else ""
    questions = [
        f"{ask} {be} {{s}}{tail}?",
        f"tell me {ask} {{s}} {be}{tail}:",
        f"question: {{s}} {be}{tail} {ask}? answer:",
    ]
    held = [f"Complete: {{s}} {be}{tail} {{o}}", f"do you know {ask} {{s}} {be}{tail}?"]
    statements = [f"{{s}} {be}{tail} {{o}}", f"{ask} {{s}} {be}{tail} is {{o}}"]
    return phrasing_of(relation, statements, questions, held)


def _having(relation: str, noun: str, thing: str) -> Phrasing:
    last = noun.lower().rsplit(" ", 1)[-1]
    be = "are" if _PLURAL.search(last) else "is"
    ask = "who" if last in _PEOPLE else "when" if _TIME.match(thing) else "what"
    statements = [f"{{s}}'s {noun} {be} {{o}}", f"{{s}}'s {noun}: {{o}}"]
    questions = [f"{ask} {be} {{s}}'s {noun}?", f"question: {{s}}'s {noun}? answer:"]
    if ask != "what":
        questions.insert(1, f"what {be} {{s}}'s {noun}?")
    held = [f"tell me {{s}}'s {noun}:", f"do you know {ask} {{s}}'s {noun} {be}?"]
    if "'s" not in noun and "’" not in noun:
        statements.append(f"the {noun} of {{s}} {be} {{o}}")
        questions.append(f"{ask} {be} the {noun} of {{s}}?")
    held.append(
        f"as for {{s}}'s {noun}, it is {{o}}"
        if be == "is"
        else f"Complete: {{s}}'s {noun} are {{o}}"
    )
    return phrasing_of(relation, statements, questions, held)


def _naming(relation: str, be: str, thing: str) -> Phrasing:
    ask = _asking(thing)[0]
    statements = [f"{{s}} {be} {{o}}", "{s}: {o}"]
    questions = [f"{ask} {be} {{s}}?", "question: {s}? answer:"]
    if ask != "what":
        questions.append(f"what {be} {{s}}?")
    held = [
        f"tell me {ask} {{s}} {be}:",
        f"do you know {ask} {{s}} {be}?",
        f"Complete: {{s}} {be} {{o}}",
    ]
    return phrasing_of(relation, statements, questions, held)


def kind_of(verb: str, head: str, *, counted: bool) -> Phrasing:
    """Ways to ask for an object by its kind: "which bike did {s} buy?".

    Args:
        verb: As it follows a name: "bought", "is reading".
        head: The noun: "bike".
        counted: Whether the object is a number of them: "how many cats does {s} have?".
    """
    first, _, rest = verb.partition(" ")
    tail, found = f" {rest}" if rest else "", verb_of(first)
    asked = f"how many {head}" if counted else f"which {head}"
    if found is None or found.base == "be":
        question = f"{asked} {first} {{s}}{tail}?"
    else:
        question = f"{asked} {'did' if found.tense == 'past' else 'does'} {{s}} {found.base}{tail}?"
    said = (
        f"as for {head}, {{s}} {verb} {{o}}"
        if counted
        else f"the {head} that {{s}} {verb} is {{o}}"
    )
    return phrasing_of(
        verb, [said], [question, f"tell me {asked} {{s}} {verb}:"],
        [f"do you know {asked} {{s}} {verb}?", f"question: {asked}, {{s}} {verb}? answer:"],
    )  # fmt: skip
