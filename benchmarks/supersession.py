#!/usr/bin/env python3
"""Precision and recall of retirements on our own short dialogues (benchmarks/dialogues).

    python benchmarks/supersession.py [--show] [--out results.json] [--rules]

Each dialogue is a namespace; its turns go in one after another and are read before the next one. A
turn is retired if a fact that was taken from it has ended (`valid_to`); `gone` says which turns
should be, `gone_text` which facts by their words. `--rules` asks the rules alone, by slots, without
a store. The rules were tuned on the sets `supersession` and, after its first run, on
`supersession_unseen`: figures for regressions, not for the world. Nothing was tuned on
`supersession_fresh`. A wrong retirement is worse than a miss: precision comes first.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import mneme
from mneme.core.statement import Statement, Utterance
from mneme.ingest.extract.rules import read, slot_of
from mneme.ingest.extract.rules_slots import same_object

DIALOGUES = Path(__file__).parent / "dialogues"
TYPES = ["fact", "preference", "instruction", "event", "profile", "procedure"]


def by_store(turns: list[str]) -> set[tuple[int, str]]:
    """The turns, and the words, of the facts that have ended."""
    ended = set()
    with tempfile.TemporaryDirectory() as folder, mneme.open(folder) as memory:
        namespace = memory.namespace("talk")
        ids = []
        for number, turn in enumerate(turns):
            at = f"2026-07-{number + 1:02}T12:00:00Z"
            ids.append(namespace.add(turn, session="s", at=at)[0].id)
            memory.drain()
        cursor = None
        while True:
            page = namespace.list(types=TYPES, include_archived=True, cursor=cursor)
            for cube in page.items:
                if cube.valid_to is not None:
                    ended |= {(ids.index(s.cube_id), cube.text) for s in cube.provenance.sources}
            cursor = page.next_cursor
            if cursor is None:
                return ended


def by_rules(turns: list[str]) -> set[tuple[int, str]]:
    """The same from readings alone: what a plain reconciliation by slots would end."""
    known: list[tuple[int, Statement]] = []
    ended: set[tuple[int, str]] = set()
    said: list[Utterance] = []
    for number, turn in enumerate(turns):
        utterance = Utterance(id=str(number), text=turn, role="user", speaker=None, at=None)
        for statement in read(utterance, said[-4:]).statements:
            for place, old in known:
                if _ends(statement, old):
                    ended.add((place, old.text))
            known.append((number, statement))
        said.append(utterance)
    return ended


def _ends(new: Statement, old: Statement) -> bool:
    slot = slot_of(new)
    if new.hedged or old.ends or slot is None or slot != slot_of(old):
        return False
    if new.ends:
        return new.object is None or same_object(new.object, old.object)
    return (new.single or new.corrects) and not same_object(new.object, old.object)


def judge(dialogue: dict[str, Any], ended: set[tuple[int, str]]) -> tuple[int, int, int]:
    """Right, wrong and missed retirements."""
    if "gone_text" in dialogue:
        wanted, got = set(dialogue["gone_text"]), {text for _, text in ended}
        return len(wanted & got), len(got - wanted), len(wanted - got)
    turns, places = set(dialogue["gone"]), {place for place, _ in ended}
    return len(turns & places), len(places - turns), len(turns - places)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rules", action="store_true", help="the rules alone, without a store")
    parser.add_argument("--show", action="store_true", help="print what went wrong")
    parser.add_argument("--set", default="supersession", help="a file of dialogues/")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    dialogues = json.loads((DIALOGUES / f"{options.set}.json").read_text())
    right, wrong, missed = 0, 0, 0
    kinds: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for dialogue in dialogues:
        ended = (by_rules if options.rules else by_store)(dialogue["turns"])
        counts = judge(dialogue, ended)
        right, wrong, missed = right + counts[0], wrong + counts[1], missed + counts[2]
        kinds[dialogue["kind"]] += 1
        if counts[1] or counts[2]:
            failed[dialogue["kind"]] += 1
            if options.show:
                print("WRONG" if counts[1] else "missed", dialogue["turns"], sorted(ended))
    result = {
        "dialogues": len(dialogues),
        "retirements": right + missed,
        "precision": round(right / max(1, right + wrong), 4),
        "recall": round(right / max(1, right + missed), 4),
        "wrong": wrong,
        "missed": missed,
        "failed_by_kind": {kind: f"{failed[kind]} of {kinds[kind]}" for kind in kinds},
    }
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
