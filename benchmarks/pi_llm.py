#!/usr/bin/env python3
"""Last values under interference: 46 keys, each updated up to 400 times (PI-LLM, arXiv:2506.08184).

    python benchmarks/pi_llm.py --data /path/to/pi_llm [--updates 1,2,5,...] [--formats pair,...]

Updates of all keys are interleaved by a seed and go in through the public API, in one of the forms
below. After the drain each key is asked for: "What is the current value of KEY?". Right is a key
whose `recall(...).hits[0].cube.text` holds its last value and no other value that the key ever
had, on word boundaries. A value within the last one ("dog" in "dog rose") is no other, nor is one
that the form itself holds ("current").
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import time
from pathlib import Path

import mneme

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "pi_llm"
UPDATES = (1, 2, 5, 10, 50, 100, 200, 400)
SEED = 20250618
# One update in one turn, or (the last two) 46 of them.
FORMS = {
    "pair": "{key}: {value}",
    "current": "The current value of {key} is {value}.",
    "update": "Update: {key} is now {value}",
    "set": "Set {key} to {value}",
    "line": "{key}: {value}",
    "json": "{key}: {value}",
}
MANY = 46
START = 1_750_000_000


def stream(words: dict[str, list[str]], updates: int, seed: int) -> list[tuple[str, str]]:
    """Updates in order: each key's in the order of its list, the keys interleaved at random."""
    order = [key for key in words for _ in range(updates)]
    random.Random(seed).shuffle(order)
    heads = {key: iter(values) for key, values in words.items()}
    return [(key, next(heads[key])) for key in order]


def turns_of(pairs: list[tuple[str, str]], form: str) -> list[str]:
    if form not in {"line", "json"}:
        return [FORMS[form].format(key=key, value=value) for key, value in pairs]
    turns = []
    for start in range(0, len(pairs), MANY):
        part = pairs[start : start + MANY]
        if form == "line":
            turns.append("; ".join(f"{key}: {value}" for key, value in part))
        else:
            turns += _objects(part)
    return turns


def _objects(part: list[tuple[str, str]]) -> list[str]:
    """JSON objects: a key that comes again begins the next one."""
    objects: list[dict[str, str]] = [{}]
    for key, value in part:
        if key in objects[-1]:
            objects.append({})
        objects[-1][key] = value
    return [json.dumps(each) for each in objects]


def names(text: str, value: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) is not None


def is_right(text: str, key: str, values: list[str], form: str) -> bool:
    """Whether a text holds the last value and no other, but for the words of the form itself."""
    last = values[-1]
    frame = FORMS[form].format(key=key, value="")
    rest = re.sub(rf"(?<!\w){re.escape(last)}(?!\w)", " ", text, flags=re.IGNORECASE)
    others = {value for value in values[:-1] if value != last and not names(frame, value)}
    return names(text, last) and not any(names(rest, value) for value in others)


def run(words: dict[str, list[str]], updates: int, form: str, seed: int) -> dict[str, object]:
    pairs = stream(words, updates, seed)
    turns = turns_of(pairs, form)
    wrong = []
    with tempfile.TemporaryDirectory() as folder, mneme.open(folder) as memory:
        namespace = memory.namespace("pi")
        started = time.perf_counter()
        namespace.add_many(
            {"content": turn, "session": "s", "at": _at(number)}
            for number, turn in enumerate(turns)
        )
        memory.drain()
        written = time.perf_counter() - started
        started = time.perf_counter()
        now = _at(len(turns) + 60)
        for key, values in words.items():
            hits = namespace.recall(f"What is the current value of {key}?", now=now).hits
            first = hits[0].cube.text if hits else ""
            if not is_right(first, key, values[:updates], form):
                wrong.append((key, values[updates - 1], first[:80]))
        asked = time.perf_counter() - started
    return {
        "form": form, "updates": updates, "turns": len(turns), "keys": len(words),
        "right": round(1 - len(wrong) / len(words), 4), "write_s": round(written, 2),
        "ask_ms": round(1000 * asked / len(words), 2), "wrong": wrong[:5],
    }  # fmt: skip


def _at(number: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + 60 * number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--updates", default=",".join(map(str, UPDATES)))
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", action="store_true", help="print wrong keys")
    options = parser.parse_args()
    words = json.loads(next(iter(sorted(options.data.glob("*.json")))).read_text())
    rows = []
    for form in options.forms.split(","):
        for updates in map(int, options.updates.split(",")):
            row = run(words, updates, form, options.seed)
            wrong = row.pop("wrong")
            rows.append(row)
            print(*(f"{key} {value}" for key, value in row.items()), sep="  ", flush=True)
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1) + "\n")
            if options.show and wrong:
                print("   ", wrong)


if __name__ == "__main__":
    main()
