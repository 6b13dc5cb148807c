"""Threads share arenas of memory once the server has said so."""

import subprocess
import sys

import pytest

from mneme.server.arenas import few_arenas

_COUNT = """
import sys, threading
from pathlib import Path
from mneme.server.arenas import few_arenas
if sys.argv[1] == "few":
    assert few_arenas()
kept, gate = [], threading.Barrier(12)
def work():
    gate.wait()
    kept.extend(bytearray(40_000) for _ in range(50))
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
[t.start() for t in threads]
[t.join() for t in threads]
heaps = 0
for line in Path("/proc/self/maps").read_text().splitlines():
    start, end = (int(each, 16) for each in line.split()[0].split("-"))
    small = start % (64 << 20) == 0 and end - start < (64 << 20)
    heaps += small and " rw-p 00000000 00:00 0" in line
print(heaps)
"""


def _heaps(how: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", _COUNT, how], capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


@pytest.mark.skipif(not few_arenas(), reason="the C library has no bound of arenas")
def test_a_server_has_few_arenas() -> None:
    assert _heaps("few") <= 2 < _heaps("many")
