"""Facts to prompts: the ways of asking that a fact is written with, and those kept for the proof.

In: facts, a bank of phrasings, and which texts the model can read. Out: the entries of a ledger,
and the facts that stay text, each with the reason. No prompt of the entries asks for two objects.
No tensor library is needed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from mneme.memories.parametric.english import head_of, is_counted
from mneme.memories.parametric.facts import SELF, Entry, Fact
from mneme.memories.parametric.frames import kind_of
from mneme.memories.parametric.paraphrases import paraphrased
from mneme.memories.parametric.templates import Phrasing, capital, plain, prompt_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mneme.core.protocols import LanguageModel
    from mneme.memories.parametric.phrasings import Bank

FEWEST_PROMPTS: Final = 2
_FURTHER: Final = 2  # questions by each further name of a subject
_UNREAD: Final = "the model does not know every word of it"
_NO_ANSWER: Final = re.compile(
    r"(?:that|which|who|whom|whose|where|when|while|because|and|but|or|it|them|this|these|those|him"
    r"|he|she|they|back|around|out|up|off|over|away|down|along|rid|so|too)\b",
    re.IGNORECASE,
)
_UNASKED: Final = "its object says nothing by itself, so that no question has it as its answer"
_ALIKE: Final = (
    "another fact has the same subject and relation, and no question tells the two apart"
)
_MUTE: Final = "no prompt for it could be made of words that the model knows"


class Synthesis(NamedTuple):
    """What can be written, and what stays text and why."""

    entries: list[Entry]
    left_out: list[tuple[Fact, str]]


def entries_of(
    facts: Sequence[Fact],
    bank: Bank,
    *,
    known: Callable[[str], bool],
    capital: bool = True,
    model: LanguageModel | None = None,
) -> Synthesis:
    """The prompts of each fact.

    Args:
        facts: Those of one shard; in their order.
        bank: Says how relations are asked for.
        known: Whether the model can read a text: knows all of its words.
        capital: Whether prompts begin with a capital; where the model does not know the word with
            one they do not.
        model: Asked for paraphrases; without one, and where it fails, the bank's alone are used.

    Returns:
        Entries with two prompts or more (a statement cut before its object counts), or with one
        that is the fact's own text, cut; no prompt stands in two entries with different objects.
    """
    left_out: list[tuple[Fact, str]] = []
    drafts: list[Entry] = []
    words = _Words(known, capital)
    for fact, crowded in _told_apart(facts, bank):
        if _NO_ANSWER.match(fact.object):
            left_out.append((fact, _UNASKED))
        elif not known(fact.object):
            left_out.append((fact, _UNREAD))
        elif crowded is None:
            left_out.append((fact, _ALIKE))
        else:
            drafts.append(_draft(fact, bank, words, crowded=crowded))
    if model is not None:
        drafts = [_with(draft, more, words) for draft, more in paraphrased(model, drafts, bank)]
    entries = []
    for draft in _unambiguous(drafts):
        entry = _finished(draft, words)
        if entry.prompts:
            entries.append(entry)
        else:
            left_out.append((draft.fact, _MUTE if not draft.prompts else _ALIKE))
    return Synthesis(entries, left_out)


def spoken(fact: Fact) -> str:
    """The subject as a question names it: "my sister" where the text says so of "sister"."""
    return names_of(fact)[0]


def names_of(fact: Fact) -> list[str]:
    """The subject in the words in which one may ask for it, the likeliest first.

    "Alex's sister" of whom a text says "my sister" is named in both ways, "Locker code" of a list
    of pairs is "the locker code" and "my locker code".
    """
    subject = fact.subject.strip()
    whose = re.match(r".+?['’]s (?=\S)", subject)
    kin = subject[whose.end() :] if whose else ""
    for name, others in ((subject, []), (kin, [subject])):
        said = re.search(rf"\b(my|our|the)\s+{re.escape(name)}(?!\w)", fact.text, re.IGNORECASE)
        if name and said:
            return [f"{said[1].lower()} {name}", *others]
    lead = re.match(r"(My|Our|The)\s", subject)
    if lead:
        return [f"{lead[1].lower()}{subject[lead.end() - 1 :]}"]
    if fact.subject != SELF and re.match(rf"{re.escape(subject)}\s*[:=]", fact.text):
        low = subject if subject[1:2].isupper() else subject[:1].lower() + subject[1:]
        return [f"the {low}", f"my {low}"]
    return [subject]


def phrasing_for(fact: Fact, bank: Bank) -> Phrasing:
    """How the bank asks for a fact; the words of a relation are as the fact's text has them."""
    said = re.search(re.escape(fact.relation), fact.text, re.IGNORECASE)
    words = said.group() if said and len(fact.relation.split()) > 1 else fact.relation
    return bank.of(words, fact.object)


class _Words(NamedTuple):
    """What the model can read, and how prompts begin."""

    known: Callable[[str], bool]
    capital: bool

    def spelled(self, text: str, *, both: bool = False) -> list[str]:
        """A prompt as it is used: with a capital, or without; `both`: a question in both ways."""
        tries = [capital(text), text] if self.capital else [text]
        found = [each for each in dict.fromkeys(tries) if self.known(each)]
        return found if both else found[:1]


def _told_apart(facts: Sequence[Fact], bank: Bank) -> list[tuple[Fact, bool | None]]:
    """Each fact, and whether its slot holds another object; None: and nothing tells the two."""
    slots: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        slots[_slot(fact, bank)].append(fact)
    found: list[tuple[Fact, bool | None]] = []
    for fact in facts:
        here = plain(fact.object)
        rivals = [each for each in slots[_slot(fact, bank)] if plain(each.object) != here]
        told = head_of(fact.object) not in {None, *(head_of(each.object) for each in rivals)}
        kind = phrasing_for(fact, bank).kind
        found.append((fact, None if rivals and not (told and kind) else bool(rivals)))
    return found


def _slot(fact: Fact, bank: Bank) -> tuple[str, str]:
    return plain(spoken(fact)), bank.of(fact.relation, fact.object).relation.lower()


def _draft(fact: Fact, bank: Bank, words: _Words, *, crowded: bool) -> Entry:
    """All prompts of a fact; by its kind alone, where others fill the same slot."""
    phrasing, head = phrasing_for(fact, bank), head_of(fact.object)
    used = [] if crowded else [phrasing]
    if phrasing.kind and head:
        used.append(kind_of(phrasing.kind, head, counted=is_counted(fact.object)))
    own = fact.subject == SELF
    prompts = [each for one in used for each in _made(one.said_of(own=own), fact, words)]
    held = [each for one in used for each in _made(one.held_of(own=own), fact, words)]
    once = {plain(each): each for each in reversed(held)}  # in one spelling, as it comes first
    return Entry(
        fact=fact, prompts=tuple(dict.fromkeys(prompts)), held=tuple(reversed(once.values()))
    )


def _made(templates: Sequence[str], fact: Fact, words: _Words) -> list[str]:
    """Prompts of templates; by further names of the subject, the first questions alone."""
    found: list[str] = []
    for number, name in enumerate(names_of(fact)):
        questions = [each for each in templates if "{o}" not in each]
        for template in questions[:_FURTHER] if number else templates:
            prompt = prompt_of(template, name, fact.object)
            if prompt and not gives_away(prompt, fact.object):
                found += words.spelled(prompt, both=template.endswith("?"))
    return found


def gives_away(prompt: str, thing: str) -> bool:
    """Whether a prompt has the object among its words."""
    return f" {plain(thing)} " in f" {plain(prompt)} "


def _with(draft: Entry, more: Sequence[str], words: _Words) -> Entry:
    """A draft with paraphrases of a language model; every third of them is held back."""
    fresh = [text for each in more for text in words.spelled(each)]
    held = fresh[2::3]
    return replace(
        draft,
        prompts=(*draft.prompts, *(each for each in fresh if each not in held)),
        held=(*draft.held, *held),
    )


def _unambiguous(drafts: Sequence[Entry]) -> list[Entry]:
    """Without prompts that would ask for two objects, and held ones that are written."""
    asks: dict[str, set[str]] = defaultdict(set)
    for draft in drafts:
        for prompt in (*draft.prompts, *draft.held):
            asks[plain(prompt)].add(plain(draft.fact.object))
    written = {plain(prompt) for draft in drafts for prompt in draft.prompts}

    def clear(prompt: str) -> bool:
        return len(asks[plain(prompt)]) == 1

    return [
        replace(
            draft,
            prompts=tuple(filter(clear, draft.prompts)),
            held=tuple(each for each in draft.held if clear(each) and plain(each) not in written),
        )
        for draft in drafts
    ]


def _finished(draft: Entry, words: _Words) -> Entry:
    """An entry with its own text, cut, where the bank has too few prompts."""
    prompts = draft.prompts
    if len({plain(each) for each in prompts}) < FEWEST_PROMPTS:
        own = cut_before(draft.fact.text, draft.fact.object)
        prompts = tuple(dict.fromkeys([*prompts, *(words.spelled(own) if own else ())]))
    return replace(draft, prompts=prompts)


def cut_before(text: str, thing: str) -> str | None:
    """What stands before the object in a text that ends with it; None: it ends otherwise."""
    said = " ".join(text.split()).rstrip(" .!\"”’'")
    bare = " ".join(thing.split()).rstrip(" .!\"”’'")
    if not bare or not said.lower().endswith(bare.lower()):
        return None
    head = said[: len(said) - len(bare)]
    whole = head.strip() != "" and not head[-1].isalnum() and not gives_away(head, bare)
    return head.rstrip() if whole else None
