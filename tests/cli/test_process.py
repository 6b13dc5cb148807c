"""The command as a process: what it loads, its pipes, its terminal, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from mneme.cli.main import main; main()"]


def mneme(*words: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *words], **options)  # type: ignore[call-overload,no-any-return]


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'apsw', 'rich.progress', 'pydantic', 'mneme.app'}"
    code = (
        "import sys; from mneme.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    lines = "\n".join(f'"Message number {n} of many, {"x" * 200}."' for n in range(600))
    adding = mneme("add", "-", "--batch", "--store", store, stdin=subprocess.PIPE)
    adding.communicate(lines.encode())
    listing = mneme(
        "list", "--limit", "600", "--store", store, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.readline()
    listing.stdout.close()
    listing.wait(timeout=30)
    assert listing.stderr.read() == b""
    listing.stderr.close()


needs_terminal = pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")


def typed(text: str, *words: str, terminals: tuple[str, ...]) -> tuple[int, str]:
    """Exit status and what a terminal shows of a call that has it as some of its streams."""
    master, terminal = os.openpty()
    running = mneme(*words, **dict.fromkeys(terminals, terminal))
    os.close(terminal)
    os.write(master, text.encode())
    shown = b""
    while True:
        try:
            shown += os.read(master, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
    os.close(master)
    return running.wait(timeout=60), shown.decode()


@needs_terminal
def test_a_bar_goes_to_a_terminal_only(tmp_path: Path) -> None:
    source = tmp_path / "talk.jsonl"
    source.write_text("\n".join(f'{{"role": "user", "content": "Hello {n}."}}' for n in range(50)))
    words = ("import", str(source), "--store", str(tmp_path / "store"))
    status, shown = typed("", *words, terminals=("stderr",))
    assert status == 0
    assert "importing talk.jsonl" in shown
    quiet = subprocess.run([*COMMAND, *words], capture_output=True, check=True)
    assert quiet.stderr == b""


@needs_terminal
def test_a_person_is_asked_before_anything_is_erased(tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "store"))
    subprocess.run([*COMMAND, "add", "Tea is green.", *store], check=True, capture_output=True)
    words = ("erase", "--filter", "type=turn", *store)
    status, shown = typed("n\n", *words, terminals=("stdin", "stdout", "stderr"))
    assert status == 1
    assert "cannot be brought back" in shown
    status, shown = typed("y\n", *words, terminals=("stdin", "stdout", "stderr"))
    assert status == 0
    assert "erased: " in shown


@needs_terminal
def test_a_person_may_ask_the_demo(tmp_path: Path) -> None:
    source = tmp_path / "talk.jsonl"
    source.write_text('{"role": "user", "content": "My boat is called Albatross."}\n')
    text = "What is my boat called?\n\n"
    status, shown = typed(text, "demo", str(source), terminals=("stdin", "stdout", "stderr"))
    assert status == 0
    assert "My boat is called Albatross." in shown.replace(text.strip(), "")


def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    running = mneme(
        "add", "-", "--store", str(tmp_path / "store"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=1.5)  # it waits for its stdin
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert b"Traceback" not in errors
