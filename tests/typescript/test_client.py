"""The TypeScript client is what the OpenAPI page says, and works against a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import mneme
from mneme.app.memory import MemoryOS
from mneme.testing.chat_server import running_chat_server
from mneme.testing.doors import Door, running_door

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "typescript"
pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (CLIENT / "node_modules" / ".package-lock.json").exists(),
        reason="run `npm ci` in clients/typescript first",
    ),
]


def run(*command: str, door: Door | None = None) -> subprocess.CompletedProcess[str]:
    """A command in the client's folder, with the address and key of a server."""
    more = {} if door is None else {"MNEME_URL": door.url, "MNEME_KEY": door.key}
    path = {"PATH": os.defpath if shutil.which("node", path=os.defpath) else _path_of_node()}
    return subprocess.run(
        command,
        cwd=CLIENT,
        env={"HOME": tempfile.gettempdir(), **path, **more},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _path_of_node() -> str:
    node = shutil.which("node")
    assert node is not None
    return f"{Path(node).parent}:{os.defpath}"


@pytest.fixture(scope="module")
def built() -> None:
    """The client, its example and its tests as JavaScript."""
    shutil.rmtree(CLIENT / "dist", ignore_errors=True)
    done = run("npm", "run", "--silent", "build-tests")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def door(memory: MemoryOS) -> Iterator[Door]:
    """A server with a model behind it."""
    with running_chat_server() as upstream:
        engine = mneme.remote_engine("small", url=upstream.url)
        memory.attach(engine)
        with running_door(memory, engine=engine) as door:
            yield door
        memory.detach(engine)


def test_the_types_are_those_of_the_openapi_page() -> None:
    done = run("node", "generate.mjs", "--check")
    assert done.returncode == 0, done.stderr


def test_types_fit_strictly() -> None:
    done = run("npm", "run", "--silent", "check")
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("built")
def test_it_works_against_a_real_server(door: Door) -> None:
    done = run("node", "--test", "dist/test/tests/", door=door)
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("built")
def test_the_example_of_the_readme_runs(door: Door) -> None:
    example = (CLIENT / "examples" / "first.ts").read_text(encoding="utf-8")
    assert f"```ts\n{example}```" in (CLIENT / "README.md").read_text(encoding="utf-8")
    assert len(example.strip().splitlines()) <= 11
    done = run("node", "dist/test/examples/first.js", door=door)
    assert done.returncode == 0, done.stderr
    assert "I moved to Oslo in March." in done.stdout
    assert "true no cube 'nothing'" in done.stdout


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (CLIENT / "package-lock.json").read_text(encoding="utf-8")
