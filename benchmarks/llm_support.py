"""How well a false claim about a real turn is told from a true one.

Each sentence of 1,500 turns of LoCoMo's development part is made a claim with itself as the quote:
as it stands, said in the third person, and spoilt in one way: a name, a number or a word exchanged,
a denial put in or taken out, or a sentence of another turn. A spoilt claim that is accepted is not
always false (a stop word exchanged, a denial that denied nothing): the share is an upper bound.

    SHARED=../shared python benchmarks/llm_support.py
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from pathlib import Path

from measuring import REPO, save
from mneme.core.statement import Utterance
from mneme.ingest.extract.by_llm import checked
from mneme.ingest.extract.llm_support import Source

TURNS = 1500
NAME = re.compile(r"(?<=\s)[A-Z][a-z]{3,}")
WORD = re.compile(r"\b[a-z]{5,}\b")
DENIAL = re.compile(r"n't\b|\b(?:not|never|no)\b ")
VERB = re.compile(r"\b(?:is|was|has|are|were|have|can|will)\b")
SELF = {r"I'm|I am": "{} is", r"I've|I have": "{} has", "I": "{}", "my": "{}'s"}


def sentences(rng: random.Random) -> list[tuple[str, str, str]]:
    """Speaker, text of the turn, sentence."""
    folder = Path(os.environ.get("SHARED", REPO.parent / "shared")) / "data" / "locomo"
    found = []
    for talk in json.loads((folder / "locomo_dev.json").read_text(encoding="utf-8")):
        for session in talk["conversation"].values():
            if isinstance(session, list):
                found += [(turn["speaker"], turn["text"]) for turn in session if turn.get("text")]
    rng.shuffle(found)
    return [
        (speaker, text, said.strip())
        for speaker, text in found[:TURNS]
        for said in re.findall(r"[^.!?\n]+[.!]", text)
        if len(said.split()) >= 5
    ]


def third_person(speaker: str, said: str) -> str:
    for words, instead in SELF.items():
        said = re.sub(rf"\b(?:{words})\b", instead.format(speaker), said)
    return said


def exchanged(said: str, pattern: re.Pattern[str], other: str, rng: random.Random) -> str | None:
    found = [match for match in pattern.finditer(said) if match.group() != other]
    if not found:
        return None
    match = rng.choice(found)
    return said[: match.start()] + other + said[match.end() :]


def main() -> None:
    rng = random.Random(1)
    every = sentences(rng)
    names = [name for _, _, said in every for name in NAME.findall(said)]
    words = [word for _, _, said in every for word in WORD.findall(said)]
    seen: dict[str, Counter[bool]] = {}
    for speaker, text, said in every:
        source = Source(Utterance(id="t", text=text, role="user", speaker=speaker, at=None))
        claim = third_person(speaker, said)
        name, word, (other, _, elsewhere) = rng.choice(names), rng.choice(words), rng.choice(every)
        number = str(rng.randrange(100, 1000))
        denied = DENIAL.search(claim)
        claims = {
            "as it stands": said,
            "in the third person": claim,
            "name exchanged": name not in text + speaker and exchanged(claim, NAME, name, rng),
            "number exchanged": exchanged(claim, re.compile(r"\d+"), number, rng),
            "word exchanged": word[:4] not in text.lower() and exchanged(claim, WORD, word, rng),
            "denial taken out": denied and DENIAL.sub("", claim),
            "denial put in": not denied and VERB.search(claim) and VERB.sub(r"\g<0> not", claim, 1),
            "of another turn": elsewhere not in text and third_person(other, elsewhere),
        }
        for kind, spoilt in claims.items():
            if spoilt:
                answer = {"turn": 0, "type": "fact", "text": spoilt, "quote": said}
                seen.setdefault(kind, Counter())[checked(answer, source) is not None] += 1
    result = {kind: {"claims": n.total(), "accepted": n[True]} for kind, n in seen.items()}
    print(json.dumps(result, indent=1))
    save("llm_support.json", result)


if __name__ == "__main__":
    main()
