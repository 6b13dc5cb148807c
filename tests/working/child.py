"""Adds messages until it is killed; prints each number after it is durable."""

from __future__ import annotations

import sys

import mneme
from mneme.settings import Settings

if __name__ == "__main__":
    with mneme.open(sys.argv[1], settings=Settings(worker=False, embedder="none")) as memory:
        work = memory.namespace("alice").context(budget_tokens=300, session="s")
        for number in range(10_000):
            if number % 10 == 0:
                work.note("at", f"message {number}")
            work.add(f"Message {number} tells of stone {number * 7}.")
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
