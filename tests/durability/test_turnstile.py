"""Writers of several processes begin one after the other; none of them is left out."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mneme.backends.sqlite.connection import Connections
from mneme.backends.sqlite.turnstile import Turnstile
from mneme.core.errors import BackendUnavailableError


def test_whoever_waits_for_the_store_comes_before_those_who_come_later(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    one, two = (Connections(file, busy_timeout_s=20) for _ in range(2))  # as two processes
    ends = threading.Event()

    def write_without_a_pause() -> None:
        while not ends.is_set():
            with one.writing():
                time.sleep(0.005)

    busy = [threading.Thread(target=write_without_a_pause) for _ in range(4)]
    for thread in busy:
        thread.start()
    slowest_s = 0.0
    for _ in range(30):
        began = time.monotonic()
        with two.writing():
            slowest_s = max(slowest_s, time.monotonic() - began)
    ends.set()
    for thread in busy:
        thread.join()
    one.close()
    two.close()
    assert slowest_s < 5  # of the 20 that are allowed


def test_a_writer_waits_no_longer_than_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    one, two = (Connections(file, busy_timeout_s=0.3) for _ in range(2))
    with one.writing():
        began = time.monotonic()
        with pytest.raises(BackendUnavailableError, match="busy"), two.writing():
            pass
        assert 0.2 < time.monotonic() - began < 5
    with two.writing():  # and then it is its turn
        pass
    one.close()
    two.close()


def test_writers_go_on_without_a_turnstile(tmp_path: Path) -> None:
    first, second = (Turnstile(tmp_path, longest_s=0.05) for _ in range(2))
    with first.passing(), second.passing():  # the second has waited long enough
        pass
    gone = Turnstile(tmp_path / "none", longest_s=0.05)
    with gone.passing():
        gone.close()
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []
