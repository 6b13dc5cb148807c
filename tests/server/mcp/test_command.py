"""`mneme mcp` as a process: its pipes, its end, and the configurations that it prints."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mneme.testing.mcp_client import reached, started, talking

COMMAND = [sys.executable, "-m", "mneme", "mcp"]
QUIET = {"MNEME_WORKER": "0", "MNEME_EMBEDDER": "none"}


def environment(**more: str) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **QUIET, **more}


def spoken(*options: str, said: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *options], input=said, capture_output=True, timeout=60, env=environment()
    )


def request(number: int, method: str, **params: object) -> bytes:
    said = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(said).encode() + b"\n"


GREETING = request(
    0,
    "initialize",
    protocolVersion="2025-06-18",
    capabilities={},
    clientInfo={"name": "test", "version": "1"},
) + (b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')


def exchange(
    said: bytes, *options: str, until: set[int]
) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[bytes]]:
    """Lines on stdout until these requests are answered; then stdin ends, and the process."""
    running = subprocess.Popen(
        [*COMMAND, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(said)
    running.stdin.flush()
    lines: list[dict[str, Any]] = []
    while until - {line.get("id") for line in lines}:
        lines.append(json.loads(running.stdout.readline()))  # an end too soon is no JSON
    out, errors = running.communicate(timeout=30)
    return lines, subprocess.CompletedProcess([], running.returncode, out, errors)


def test_stdout_carries_the_protocol_and_nothing_else(tmp_path: Path) -> None:
    said = GREETING + b"no json\n\n" + request(1, "tools/list") + request(2, "no/method")
    lines, done = exchange(said, "--store", str(tmp_path / "s"), until={0, 1, 2})
    assert (done.returncode, done.stdout) == (0, b"")
    assert all(line["jsonrpc"] == "2.0" for line in lines)
    by_id = {line.get("id"): line for line in lines}
    assert len(by_id[1]["result"]["tools"]) == 8
    assert by_id[2]["error"]["code"] in {-32601, -32602}  # release 1 of the SDK says the second
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_though_it_waits_for_a_line(tmp_path: Path, number: int) -> None:
    running = subprocess.Popen(
        [*COMMAND, "--store", str(tmp_path / "s")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(GREETING)
    running.stdin.flush()
    assert b"mneme" in running.stdout.readline()
    running.send_signal(number)
    assert running.wait(timeout=10) == 128 + number
    _, errors = running.communicate()
    assert b"Traceback" not in errors


def test_a_cancelled_call_harms_nothing(tmp_path: Path) -> None:
    """The client gives up on a call at once; the next ones are answered."""
    cancel = {"requestId": 1, "reason": "enough"}
    said = (
        GREETING
        + request(1, "tools/call", name="search_memory", arguments={"query": "tea"})
        + json.dumps(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}
        ).encode()
        + b"\n"
        + request(2, "tools/call", name="add_memory", arguments={"content": "Tea at four."})
        + request(3, "ping")
    )
    lines, done = exchange(said, "--store", str(tmp_path / "s"), until={2, 3})
    assert done.returncode == 0
    [kept] = [line for line in lines if line.get("id") == 2]
    assert kept["result"]["isError"] is False


def test_read_only_offers_nothing_that_writes(tmp_path: Path) -> None:
    command = (*COMMAND, "--store", str(tmp_path / "s"), "--read-only", "-n", "alice")
    with talking(started(*command, env=QUIET)) as talk:
        tools = talk.ask("list_tools")["tools"]
        assert all(tool["annotations"]["readOnlyHint"] for tool in tools)
        assert talk.call("add_memory", content="x")["isError"]
        assert talk.call("search_memory", query="x", namespace="bob")["isError"]


def printed(*options: str, cwd: Path | None = None) -> dict[str, Any]:
    done = subprocess.run(
        [*COMMAND, *options], capture_output=True, timeout=60, env=environment(), cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    config: dict[str, Any] = json.loads(done.stdout)
    return config


@pytest.mark.parametrize("client", ["claude-code", "claude-desktop", "cursor", "vscode"])
def test_a_printed_config_starts_the_server(tmp_path: Path, client: str) -> None:
    config = printed("--print-config", client, "--store", "mine", "-n", "alice", cwd=tmp_path)
    [(top, servers)] = config.items()
    assert top == ("servers" if client == "vscode" else "mcpServers")
    entry = servers["mneme"]
    assert entry.get("type") == ("stdio" if client in {"claude-code", "vscode"} else None)
    assert Path(entry["command"]).is_absolute()
    assert str(tmp_path / "mine") in entry["args"]
    with talking(started(entry["command"], *entry["args"], env=QUIET)) as talk:
        assert "'alice'" in talk.greeting["instructions"]
    assert (tmp_path / "mine").is_dir()


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("claude-code", "Bearer ${MNEME_KEY}"),
        ("cursor", "Bearer ${env:MNEME_KEY}"),
        ("vscode", "Bearer ${input:mneme-key}"),
    ],
)
def test_a_config_for_http_names_no_key(client: str, key: str) -> None:
    config = printed("--print-config", client, "--http", "--port", "9000", "-n", "alice")
    entry = config["servers" if client == "vscode" else "mcpServers"]["mneme"]
    assert entry["url"] == "http://127.0.0.1:9000/mcp"
    assert entry["headers"] == {"Authorization": key, "Mneme-Namespace": "alice"}
    if client == "vscode":
        [asked] = config["inputs"]
        assert (asked["id"], asked["password"]) == ("mneme-key", True)


@pytest.mark.parametrize(
    "options",
    [("--print-config", "claude-desktop", "--http"), ("--http", "--read-only"), ("-n", "a b")],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = spoken(*options, "--store", str(tmp_path / "s"), said=b"")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"mneme: ")


def test_over_http_the_first_key_is_shown_and_lets_in(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "--http", "--port", "0", "--json", "--store", str(tmp_path / "s")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    assert running.stdout is not None
    try:
        lines: list[bytes] = []
        while not lines or lines[-1] not in {b"}\n", b""}:
            lines.append(running.stdout.readline())
        said = json.loads(b"".join(lines))
        assert said["url"].endswith("/mcp")
        with talking(reached(said["url"], {"Authorization": f"Bearer {said['key']}"})) as talk:
            kept = talk.call("add_memory", content="Tea at four.", namespace="alice")
            assert kept["isError"] is False
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 0


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.abc\n"
        "class Gone(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'mcp': raise ModuleNotFoundError(name)\n"
        "import importlib.util as util\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'mcp' else real(name, *more)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from mneme.cli.main import app; app(prog_name='mneme')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "mcp", "--store", str(tmp_path / "s")],
        capture_output=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == 4
    assert b"pip install 'mneme[mcp]'" in done.stderr


def test_the_command_line_does_not_load_the_sdk() -> None:
    code = "import sys, mneme.cli.main; print('mcp' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False"]
