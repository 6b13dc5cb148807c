"""After kill -9 the session goes on from what was acknowledged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mneme
from mneme.settings import Settings

CHILD = Path(__file__).parent / "child.py"


def test_a_killed_session_goes_on(tmp_path: Path) -> None:
    words = [sys.executable, str(CHILD), str(tmp_path / "store")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == "60":
                child.kill()
                break
        rest = child.stdout.read().split()
    last = int(rest[-1]) if rest else 60
    with mneme.open(tmp_path / "store", settings=Settings(worker=False, embedder="none")) as memory:
        alice = memory.namespace("alice")
        work = alice.context(budget_tokens=300, session="s")
        turns = alice.list(types=["turn"], limit=1000).items
        texts = [f"Message {n} tells of stone {n * 7}." for n in range(len(turns))]
        assert [cube.text for cube in turns] == texts
        assert len(turns) in {last + 1, last + 2}  # one more may be durable before it was told
        assert work.messages()[-1]["content"] == texts[-1]
        assert work.scratch["at"].startswith("message ")
        assert "stone 21" in alice.recall("Which stone does message 3 tell of?").text
        work.add("And on it goes.")
        assert memory.verify().ok
