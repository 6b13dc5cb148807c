"""What several want at once is built once."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mneme.memories.activation.builders import Builders


class Counted:
    """Builds slowly, and counts how often."""

    def __init__(self, error: Exception | None = None) -> None:
        self.times, self.error = 0, error

    def __call__(self) -> str:
        self.times += 1
        time.sleep(0.2)
        if self.error is not None:
            raise self.error
        return f"built {self.times}"


def outcomes(builders: Builders, keys: list[str], build: Counted) -> list[object]:
    together = threading.Barrier(len(keys))

    def ask(key: str) -> object:
        together.wait()
        try:
            return builders.once(key, build)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(keys)) as pool:
        return list(pool.map(ask, keys))


def test_eight_threads_that_want_the_same_cause_one_build(tmp_path: Path) -> None:
    build = Counted()
    assert outcomes(Builders(tmp_path), ["key"] * 8, build) == ["built 1"] * 8
    assert build.times == 1


def test_different_keys_are_built_side_by_side(tmp_path: Path) -> None:
    builders, all_inside = Builders(tmp_path), threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:  # none comes out before all are in
        built = pool.map(lambda key: builders.once(key, lambda: all_inside.wait(30)), "abcd")
        assert sorted(built) == [0, 1, 2, 3]


def test_an_error_goes_to_all_that_wait_and_the_next_builds_anew(tmp_path: Path) -> None:
    builders, build = Builders(tmp_path), Counted(ValueError("no"))
    said = outcomes(builders, ["key"] * 4, build)
    assert [str(each) for each in said] == ["no"] * 4
    assert build.times == 1
    build.error = None
    assert builders.once("key", build) == "built 2"


def test_a_thread_that_is_stopped_leaves_the_build_to_the_others() -> None:
    builders, inside = Builders(), threading.Event()

    def stopped() -> str:
        inside.set()
        time.sleep(0.1)
        raise SystemExit

    def ask() -> None:
        with pytest.raises(SystemExit):
            builders.once("key", stopped)

    thread = threading.Thread(target=ask)
    thread.start()
    inside.wait()
    assert builders.once("key", lambda: "mine") == "mine"
    thread.join()


def test_what_another_has_just_built_is_not_built_again(tmp_path: Path) -> None:
    build = Counted()
    assert Builders(tmp_path).once("key", build, known=lambda: "there") == "there"
    assert build.times == 0


def test_a_build_that_needs_itself_does_not_wait_for_ever() -> None:
    builders = Builders()
    assert builders.once("key", lambda: builders.once("key", lambda: "inner")) == "inner"


PROCESS = """
import sys, time
from pathlib import Path
from mneme.memories.activation.builders import Builders
folder = Path(sys.argv[1])
def build():
    with open(folder / "log", "a") as log:
        log.write("built ")
    time.sleep(1)
    (folder / "result").write_text("result")
    return "result"
def known():
    return (folder / "result").read_text() if (folder / "result").exists() else None
print("ready", flush=True)
sys.stdin.readline()
print(Builders(folder / "locks").once("key", build, known=known))
"""


def running(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_two_processes_cause_one_build_and_leave_no_lock(tmp_path: Path) -> None:
    with running(tmp_path) as one, running(tmp_path) as other:
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate()[0].strip() for process in (one, other)]
    assert said == ["result", "result"]
    assert (tmp_path / "log").read_text() == "built "
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_process_that_died_is_not_waited_for(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        while not (tmp_path / "log").exists():
            time.sleep(0.01)
        process.kill()
    begun = time.monotonic()
    assert Builders(tmp_path / "locks").once("key", lambda: "mine") == "mine"
    assert time.monotonic() - begun < 60  # it would wait for 120


def test_a_process_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    slow, quick = Builders(tmp_path), Builders(tmp_path, wait_s=0.05)
    inside, on = threading.Event(), threading.Event()

    def build() -> str:
        inside.set()
        on.wait()
        return "slow"

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(slow.once, "key", build)
        inside.wait()
        assert quick.once("key", lambda: "quick") == "quick"
        on.set()
        assert result.result() == "slow"


def test_locks_go_from_one_to_the_next(tmp_path: Path) -> None:
    """Locks are removed while others wait for them; still only one has it at a time."""
    inside, most = 0, 0
    lock = threading.Lock()

    def build() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        with lock:
            inside -= 1

    def ask(_: int) -> None:
        for _turn in range(10):
            Builders(tmp_path).once("key", build)  # as if each were another process

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(6)))
    assert most == 1


def test_a_folder_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert Builders(tmp_path / "file" / "locks").once("key", lambda: "mine") == "mine"
