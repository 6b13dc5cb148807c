"""How relations are asked for: exact wordings, and the words that give a relation away.

In: the templates of a bank of phrasings. Out: the relations that a question in normal form asks
for. A question that is no template word by word still counts if its words of content are those of
one template at the same places (before the subject, after it, or of it), in the same mood; further
words may only say which kind of thing is asked for ("which town"), and must be the relation's own.
So a word that the template lacks ("not", "before", "if", "sister") is enough for a question not to
be known, and a question that two relations claim is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mneme.memories.parametric.normal import (
    OPENERS,
    OWN,
    PAST,
    PRESENT,
    SUBJECT,
    Tokens,
    template_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PLACED_WORDS: Final = (
    "in at for from with on to by of about as into near after than and or that it"
)
_PLACED: Final = frozenset(_PLACED_WORDS.split())
_LIGHT_WORDS: Final = "do did have had get make take go come give question answer name"
_LIGHT: Final = frozenset(_LIGHT_WORDS.split())
_MODAL_WORDS: Final = "should would could can will shall may might must not never no cannot ever"
_MOOD: Final = PAST | frozenset(_MODAL_WORDS.split())
_DONE: Final = frozenset({"do", "did", "have", "had"})  # behind the subject, it is what one does
_OPEN: Final = frozenset({"what", "which"})
_MANNER: Final = frozenset({"how", "why", "when"})


class Asking(Protocol):
    """How a relation is said and asked for: templates with {s} and {o}; `own_`: with "I"."""

    @property
    def relation(self) -> str: ...
    @property
    def synonyms(self) -> Sequence[str]: ...
    @property
    def statements(self) -> Sequence[str]: ...
    @property
    def questions(self) -> Sequence[str]: ...
    @property
    def held(self) -> Sequence[str]: ...
    @property
    def own_statements(self) -> Sequence[str]: ...
    @property
    def own_questions(self) -> Sequence[str]: ...
    @property
    def own_held(self) -> Sequence[str]: ...


class Placed(NamedTuple):
    """A word, and where it stands: "before" the subject, "after" it, or "of" it."""

    word: str
    place: str


class _Form(NamedTuple):
    """What a question or a template is recognised by.

    placed: Its words of content.
    kinds: Those of them that say which kind of thing is asked for: "which animal ...".
    small: Its prepositions and the like, "of" before an owner left out.
    mood: Its words that make it past, possible, wished for or denied.
    opener: Its question word, or "".
    """

    placed: frozenset[Placed]
    kinds: frozenset[Placed]
    small: frozenset[str]
    mood: frozenset[str]
    opener: str


@dataclass(slots=True)
class _Known:
    """What the templates of one relation use."""

    placed: set[Placed] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    openers: set[str] = field(default_factory=set)
    forms: set[_Form] = field(default_factory=set)
    either: set[str] = field(default_factory=set)

    def add(self, asked: Tokens) -> None:
        form = _form(asked)
        self.placed |= form.placed
        self.words |= set(asked)
        self.openers.add(form.opener)
        if "or" in asked[1:-1]:  # "instrument or sport": the object is one of them, who knows which
            at = asked.index("or", 1)
            self.either |= {asked[at - 1], asked[at + 1]}
        if any(each.word not in _LIGHT for each in form.placed):
            self.forms.add(form)

    def explains(self, asked: Tokens) -> bool:
        """Whether a template says the same, and each further word only the kind of thing."""
        found = _form(asked)
        return (
            found.placed <= self.placed
            and not any(each.word in self.either for each in found.placed)
            and any(_is_kin(found, form) for form in self.forms)
            and self._is_of_its_time(asked)
            and self._opens(found)
        )

    def _is_of_its_time(self, asked: Tokens) -> bool:
        """Whether a relation that is past is not asked for as present."""
        return not PRESENT & set(asked) or not self.words & PAST or bool(self.words & PRESENT)

    def _opens(self, found: _Form) -> bool:
        """Whether it asks for such a thing: for a place, a person, a time."""
        owned = any(each.place == "of" for each in found.placed)
        return not found.opener or found.opener in self.openers or (found.opener in _OPEN and owned)


def _is_kin(found: _Form, form: _Form) -> bool:
    """Whether a question has the words of a template, save for the kind of thing, and its mood."""
    return (
        form.placed <= found.placed
        and found.placed - form.placed <= found.kinds
        and found.small <= form.small
        and found.mood <= form.mood
        and (found.opener not in _MANNER or found.opener == form.opener)
    )


def _form(asked: Tokens) -> _Form:
    spots = range(len(asked))
    small = {asked[at] for at in spots if asked[at] in _PLACED and not _is_owned(asked, at)}
    kinds = [Placed(asked[at], "of") for at in spots if at and _is_class(asked, at)]
    return _Form(
        placed=frozenset(placed_in(asked)),
        kinds=frozenset(kinds),
        small=frozenset(small),
        mood=_MOOD & set(asked),
        opener=asked[0] if asked and asked[0] in OPENERS else "",
    )


def _is_owned(asked: Tokens, at: int) -> bool:
    """Whether an "of" says whose: "the job of Anna"."""
    return asked[at] == "of" and asked[at + 1 : at + 2] == (SUBJECT,)


class Cues:
    """Relations by how they are asked for.

    Args:
        shared: Others that also count, and are never changed from here.
    """

    def __init__(self, shared: Cues | None = None) -> None:
        self._shared = shared
        self._exact: dict[Tokens, set[str]] = defaultdict(set)
        self._known: dict[str, _Known] = {}
        self._with: dict[Placed, set[str]] = defaultdict(set)

    def __contains__(self, relation: str) -> bool:
        return relation in self._known or (self._shared is not None and relation in self._shared)

    def add(self, relation: str, asking: Asking) -> None:
        """A relation, also one of which no fact is known: it competes for questions.

        Args:
            relation: What `exact` and `near` call it; again is no error.
            asking: Its templates.
        """
        if relation in self:
            return
        known = self._known[relation] = _Known()
        for template in _templates(asking):
            self._exact[template].add(relation)
            known.add(template)
        for template in _named(asking.synonyms):
            if not known.either & set(template):
                self._exact[template].add(relation)
                known.add(template)
        for placed in known.placed:
            self._with[placed].add(relation)

    def exact(self, asked: Tokens) -> frozenset[str]:
        """The relations that have this very wording."""
        found = frozenset(self._exact.get(asked, ()))
        return found if self._shared is None else found | self._shared.exact(asked)

    def near(self, asked: Tokens) -> frozenset[str]:
        """The relations that explain each word of it; a question, or a thing of hers."""
        placed = placed_in(asked)
        opens = bool(asked) and asked[0] in OPENERS
        if not placed or not (opens or all(each.place == "of" for each in placed)):
            return frozenset()
        if len(placed) > len(set(placed)):  # "his mother's mother"
            return frozenset()
        relations = set.intersection(*(self._with.get(each, set()) for each in placed))
        found = frozenset(r for r in relations if self._known[r].explains(asked))
        return found if self._shared is None else found | self._shared.near(asked)


def placed_in(asked: Tokens) -> list[Placed]:
    """The words of content with their places.

    "the job of Anna", "Anna's job" and "which job does Anna" place "job" alike: of her.
    """
    spots = [at for at, word in enumerate(asked) if word == SUBJECT]
    found = []
    for at, word in enumerate(asked):
        does = word in _DONE and bool(spots) and spots[0] < at
        if does or (at and word in OPENERS) or not _is_bare(word):
            found.append(Placed(word, _place(asked, at, spots)))
    return found


def _is_bare(word: str) -> bool:
    """Whether it says nothing by itself."""
    return word in {SUBJECT, OWN} or word in OPENERS | PRESENT | PAST | _PLACED


def _place(asked: Tokens, at: int, spots: Sequence[int]) -> str:
    before = [spot for spot in spots if spot < at]
    if before:
        return "of" if asked[before[-1] + 1] == OWN else "after"
    if not spots:
        return "before"
    if asked[spots[0] - 1] == "of" or _is_class(asked, at):
        return "of"
    return "before"


def _is_class(asked: Tokens, at: int) -> bool:
    """Whether a word says which kind of thing is asked for: "which animal does Anna own"."""
    if asked[0] not in _OPEN or any(_is_bare(word) for word in asked[1 : at + 1]):
        return False
    return asked[-1] != SUBJECT  # else it may be what is done: "which company employs Anna"


def _templates(asking: Asking) -> Iterable[Tokens]:
    """Those that ask: what says the object first, or goes on behind it, is none."""
    told = (*asking.statements, *asking.questions, *asking.held)
    own = (*asking.own_statements, *asking.own_questions, *asking.own_held)
    forms = [template_of(text, own=False) for text in told if _ends_with_object(text)]
    forms += [template_of(text, own=True) for text in own if _ends_with_object(text)]
    return [form for form in forms if SUBJECT in form]


def _ends_with_object(text: str) -> bool:
    return not text.partition("{o}")[2].strip(" .")


def _named(synonyms: Iterable[str]) -> Iterable[Tokens]:
    """What other names of a relation make: "what is Anna's home town", "Anna is based in"."""
    for name in synonyms:
        words = name.split()
        if words[-1] not in _PLACED:
            yield template_of(f"what is {{s}}'s {name}", own=False)
        elif words[0].endswith(("ed", "ing")):
            yield template_of(f"{{s}} is {name}", own=False)
        else:
            yield template_of(f"{{s}} {name}", own=False)
