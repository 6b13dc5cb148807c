"""Random histories of adds, updates and erasures, and every byte of the folder after each erasure.

python erasures.py FOLDER SEED HISTORIES prints JSON: the erasures, and where bytes survived.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from mneme import MnemeError
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.wiring import Outside, build

SETTINGS = Settings(worker=False)
SIZES = (10, 60, 300, 900, 1200, 2000, 4000, 9000, 100_000)


def text_of(chance: random.Random, word: str, sizes: tuple[int, ...]) -> str:
    size = max(len(word), int(chance.choice(sizes) * (0.5 + chance.random())))
    parts = [word]
    left = size - len(word)
    while left > 0:
        parts.append(chance.choice((f"{chance.random()} plain", word)))
        left -= len(parts[-1]) + 1
    return " ".join(parts)


def betrayals(memory: MemoryOS, word: str, texts: list[str]) -> dict[str, bytes]:
    """Bytes that must not be found: the word in two encodings, and vectors of the whole texts."""
    found = {"utf-8": word.encode(), "utf-16": word.encode("utf-16-le")}
    for number, text in enumerate(texts):
        if len(text) < 400:  # one passage: its vector is that of the text
            vector = memory.vault.parts.embedding.demand([text])[0]
            found[f"float16 {number}"] = vector.astype("<f2").tobytes()[:24]
            found[f"float32 {number}"] = struct.pack("<6f", *vector[:6])
    return found


def history(folder: Path, seed: int) -> tuple[int, list[str]]:
    """One store's life; its erasures, and what was found after them."""
    chance = random.Random(seed)
    sizes = tuple(chance.sample(SIZES, chance.choice((1, 2, 4))))
    memory = build(folder, settings=SETTINGS, outside=Outside(clock=HandClock()))
    texts: dict[str, list[str]] = {}
    words: dict[str, str] = {}
    erasures, wrong = 0, []
    alice = memory.namespace("alice")
    for number in range(chance.choice((20, 60, 150))):
        act = chance.random()
        some = chance.choice(list(texts)) if texts else ""
        word = f"w{number}q{chance.getrandbits(64):x}"
        if not texts or act < 0.55:
            also = word if chance.random() < 0.2 else "s"
            text = text_of(chance, word, sizes)
            cube = alice.add(text, session=also, speaker=also, metadata={"note": also})[0]
            texts[cube.id], words[cube.id] = [cube.text], word
        elif act < 0.8:
            word = words[some]
            text = text_of(chance, word, sizes)
            try:
                alice.update(some, text=text)
                texts[some].append(text)
            except MnemeError:
                continue
        elif act < 0.85:
            alice.search(words[some])
        else:
            doomed = chance.sample(list(texts), min(len(texts), chance.choice((1, 1, 3))))
            receipt = alice.erase(doomed)
            erasures += 1
            found = bytes_of(folder)
            if receipt.pending or receipt.checked["found"]:
                wrong.append(f"receipt {receipt.pending} {receipt.checked} (seed {seed})")
            for each in doomed:
                for what, piece in betrayals(memory, words.pop(each), texts.pop(each)).items():
                    wrong += [
                        f"{what} in {name} at {match.start()} (seed {seed}, step {number})"
                        for name, data in found.items()
                        for match in re.finditer(re.escape(piece), data)
                    ]
    memory.close()
    return erasures, wrong


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The files' bytes; read by another process, since closing a file here drops SQLite's locks."""
    files = [file for file in folder.iterdir() if file.is_file()]
    return {
        file.name: subprocess.run(["cat", str(file)], capture_output=True, check=True).stdout
        for file in files
    }


def main(folder: Path, seed: int, histories: int) -> dict[str, object]:
    erasures, wrong = 0, []
    for number in range(histories):
        home = folder / "store"
        shutil.rmtree(home, ignore_errors=True)
        done, found = history(home, seed * 10_000 + number)
        erasures += done
        wrong += found
    return {"histories": histories, "erasures": erasures, "wrong": wrong}


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(where), *map(int, numbers))))
