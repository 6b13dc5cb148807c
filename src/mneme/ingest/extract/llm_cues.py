"""Words by which a claim is held against its source, in the larger European languages and others.

They decide only what is refused or marked: what is missing here costs a true claim, or a mark.
"""

from __future__ import annotations

import re
from typing import Final

from mneme.memories.plaintext.language.terms import tokens_of
from mneme.memories.plaintext.language.times_words import NUMBERS, ORDINALS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SPEAKERS: Final = _words(
    "user speaker nutzer nutzerin benutzer benutzerin utilisateur utilisatrice usuario usuaria "
    "utente utilizador gebruiker bruker brukeren användare användaren bruger brugeren пользователь "
    "用户 用戶 ユーザー 사용자"
)
SPEAKERS_UNSPACED: Final = re.compile("用户|用戶|ユーザー|사용자")
# Articles and the like, which a claim may add: English ones are among the stop words.
ADDED: Final = _words(
    "der die das den dem des ein eine einen einem einer sein seine seinen ihr ihre le la les l un "
    "une des du son sa ses el los las una unos su sus il lo gli i suo sua suoi o os as um uma seu "
    "de het een zijn haar en ei et det hans hennes sin sitt sine ett его её ее"
)
# Words that a claim may add in English, since they say nothing of their own.
NEUTRAL: Final = _words("named called name currently also themselves")
# A sentence with one of these says something else when its words change places.
ORDERED: Final = _words(
    "than over instead rather before after from versus vs als statt lieber que plutôt antes di che "
    "än enn dan liever чем вместо"
)
NAME: Final = re.compile(r"[^\W\d_][\w'’-]*")
_DENIALS: Final = _words(
    "no not never none nobody nothing neither nor without cannot hardly nowhere cant dont didnt "
    "doesnt isnt wasnt arent wont nicht kein keine keinen keinem keiner nie niemals ohne ne pas "
    "jamais sans nunca sin tampoco non mai senza não nem sem ikke aldri ingen inte aldrig inga "
    "niet geen nooit не нет никогда без nie nigdy"
)
_DENIALS_UNSPACED: Final = re.compile(r"[不没沒無无未非]|ない|ません|なかっ|않|없|못|아니")
_OPENING_NO: Final = re.compile(
    r"^\W*(?:no|nope|nah|nein|non|nei|nej|nee|нет)\s*[,.!:;–-]", re.IGNORECASE
)
THIRD_PERSON: Final = re.compile(
    r"^\W*(?:he|she|they|his|her|their|er|il|elle|él|ella|han|hun|hon|hij|zij|он|она|они|"
    r"(?-i:[A-Z][\w'’-]+(?:\s(?:and\s)?[A-Z][\w'’-]+)*)\s(?:is|was|are|were|has|had|does|did|will|"
    r"would|can|could|wants?|(?-i:[a-z]+(?:s|ed))))\b",
    re.IGNORECASE,
)
FIRST_PERSON: Final = _words(
    "i me my mine myself we us our ours i'm i've i'd i'll im ive ich mich mir mein meine meinen "
    "meiner meinem wir uns unser unsere je j moi mon ma mes nous notre nos yo mí mi mis nosotros "
    "nuestro nuestra io mio mia noi eu meu minha nós jeg meg min mitt mine vi oss vår jag mig mitt "
    "ik mij mijn wij ons onze я меня мне мой моя мы нас наш"
)
TO_READERS: Final = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,40}"
    r"\b(?:instructions?|rules?|prompts?|guidelines|polic(?:y|ies)|above|schema)\b"
    r"|\b(?:system|developer)\s(?:prompt|message|override)\b|<\/?\s?(?:system|instructions?|s)\s?>"
    r"|^\W*(?:system|assistant|developer)\s?:|\[/?inst\]|<\|"
    r"|\byou are now (?:an?|in|the|my|free|dan)\b"
    r"|\bact as\b[^.!?\n]{0,30}\b(?:admin|root|system|developer|unrestricted)"
    r"|\b(?:note|message|instructions?|attention|order)s?\s(?:to|for)\s(?:the\s)?"
    r"(?:reader|ai|model|assistant|llm|extractor|memory)"
    r"|\b(?:add|record|store|extract|write|output|insert|save)\b[^.!?\n]{0,30}"
    r"\b(?:facts?|statements?|json|to (?:the |your )?memory|in (?:the |your )?memory)\b"
    r"|\b(?:ignoriere|vergiss|ignorez?|oubliez?|ignora|olvida|dimentica)\b[^.!?\n]{0,40}"
    r"\b(?:anweisung\w*|regeln?|instructions?|règles?|instrucciones|reglas|istruzioni|regole)\b",
    re.IGNORECASE | re.MULTILINE,
)
HEDGES: Final = re.compile(
    r"\b(?:might|(?-i:may)|maybe|perhaps|possibly|probably|could|if|guess|suppose|apparently|"
    r"supposedly|rumou?r\w*|heard|reportedly|allegedly|unsure|not sure|think(?:ing)?|considering|"
    r"vielleicht|wahrscheinlich|angeblich|könnte|würde|falls|peut-être|probablement|quizás?|"
    r"tal vez|forse|talvez|kanskje|kanske|måske|misschien|возможно|может)\b"
    r"|也许|可能|かもしれ|たぶん",
    re.IGNORECASE,
)
CORRECTIONS: Final = re.compile(
    r"\b(?:no|nope|actually|wrong|incorrect|correct(?:ion)?|mistake\w*|meant|sorry|rather|instead|"
    r"not|isn't|wasn't|don't|didn't|nein|falsch|sondern|doch|non|pas|erreur|faux|sino|error|"
    r"equivo\w+|sbagliat\w+|nei|feil|fel|nej|fout|нет|ошиб\w+)\b|不是|違",
    re.IGNORECASE,
)
ENDINGS: Final = re.compile(
    r"\b(?:no longer|not\b.{0,40}\b(?:any ?more|any longer)|any ?more|left|quit|stopped|ended|over|"
    r"gave up|given up|cancel\w*|sold|used to|former\w*|ex|broke up|moved (?:out|away)|resigned|"
    r"nicht mehr|gekündigt|aufgehört|ne\b.{0,40}\bplus|quitté|arrêté|ya no|dejé|non\b.{0,30}\bpiù|"
    r"ikke lenger|inte längre|niet meer|больше не)\b|不再|もう.{0,20}ない",
    re.IGNORECASE,
)


def denials(text: str) -> int:
    """How often a text says that something is not so."""
    text = _OPENING_NO.sub("", text).replace("\u2019", "'")
    words = sum(word in _DENIALS or word.endswith("n't") for word in tokens_of(text))
    return words + len(_DENIALS_UNSPACED.findall(text))


NUMBER_WORDS: Final = frozenset(
    word for word, (least, most) in NUMBERS.items() if least == most and word not in {"a", "an"}
) | frozenset(ORDINALS)


def _same_numbers() -> dict[str, tuple[str, ...]]:
    """From "two" to "2" and back."""
    words = {w: str(NUMBERS[w][0]) for w in NUMBERS if w in NUMBER_WORDS and " " not in w}
    back = {digits: (word,) for word, digits in words.items()}
    return {**{word: (digits,) for word, digits in words.items()}, **back}


SAME_NUMBER: Final = _same_numbers()
