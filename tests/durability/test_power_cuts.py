"""No power cut takes an acknowledged change, and no state after one is corrupt."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mneme.testing.power import SECTOR, Step, after_power_cut

CHILD = Path(__file__).parent / "children" / "power.py"
STATES = 300


def cut_power(folder: Path, seed: int, changes: int, states: int) -> dict[str, Any]:
    words = [sys.executable, *map(str, (CHILD, folder, seed, changes, states))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_power_cut_loses_nothing(tmp_path: Path) -> None:
    assert cut_power(tmp_path, 1, 30, 40)["wrong"] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 16))
def test_many_power_cuts_lose_nothing(tmp_path: Path, seed: int) -> None:
    assert cut_power(tmp_path, seed, 60, STATES)["wrong"] == []


def states_of(steps: list[Step]) -> list[dict[str, bytes]]:
    return [after_power_cut(steps, random.Random(seed)) for seed in range(60)]


OLD, NEW = b"a" * 4 * SECTOR, b"b" * 4 * SECTOR
SYNCED = [Step("make", "f"), Step("write", "f", 0, OLD), Step("sync", "f"), Step("sync folder")]


def test_what_was_synced_stays() -> None:
    assert all(state == {"f": OLD} for state in states_of(SYNCED))


def test_what_was_not_synced_may_stay_go_or_be_torn() -> None:
    found = {state["f"] for state in states_of([*SYNCED, Step("write", "f", 0, NEW)])}
    assert {OLD, NEW} < found
    for each in found:
        sectors = {each[at : at + SECTOR] for at in range(0, len(each), SECTOR)}
        assert sectors <= {b"a" * SECTOR, b"b" * SECTOR}


def test_later_writes_may_stay_without_earlier_ones() -> None:
    steps = [
        *SYNCED,
        Step("write", "f", 0, b"1" * SECTOR),
        Step("write", "f", SECTOR, b"2" * SECTOR),
    ]
    starts = {(state["f"][:1], state["f"][SECTOR : SECTOR + 1]) for state in states_of(steps)}
    assert starts == {(b"a", b"a"), (b"1", b"a"), (b"a", b"2"), (b"1", b"2")}


def test_a_file_may_have_its_size_without_its_bytes() -> None:
    steps = [*SYNCED, Step("write", "f", len(OLD), NEW)]
    assert {len(state["f"]) for state in states_of(steps)} >= {len(OLD), len(OLD + NEW)}
    assert {OLD, OLD + NEW} < {state["f"] for state in states_of(steps)}


def test_a_truncation_may_be_missing() -> None:
    found = {state["f"] for state in states_of([*SYNCED, Step("truncate", "f", 10)])}
    assert found == {OLD, OLD[:10]}


def test_an_entry_of_a_folder_may_be_missing_until_the_folder_is_synced() -> None:
    made = [Step("make", "f"), Step("write", "f", 0, OLD), Step("sync", "f")]
    assert {tuple(state.items()) for state in states_of(made)} == {(), (("f", OLD),)}
    deleted = [*SYNCED, Step("delete", "f")]
    assert {tuple(state.items()) for state in states_of(deleted)} == {(), (("f", OLD),)}
    assert all(state == {} for state in states_of([*deleted, Step("sync folder")]))
