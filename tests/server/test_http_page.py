"""What docs/http.md shows is what happens: its commands are run by a shell, in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx2
import pytest

from mneme.testing.doors import Door

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh run\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CURL = 'curl() { command curl --silent --show-error --fail-with-body "$@"; echo; }\n'


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_page_work_in_order(
    http: httpx2.Client, door: Door, tmp_path: Path
) -> None:
    answer = http.post(
        "/v1/namespaces/alice/memories", json={"content": "I live in Oslo.", "session": "s1"}
    ).json()
    known = {"MNEME": door.url, "KEY": door.key}
    known |= {"ID": answer["cubes"][0]["id"], "JOB": answer["jobs"][0]}
    assert len(BLOCKS) >= 8
    for block in BLOCKS:
        done = subprocess.run(
            ["bash", "-eu", "-c", CURL + block],
            env={"PATH": os.defpath} | known,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (block, done.stdout[-600:], done.stderr)


def test_the_page_names_every_route(http: httpx2.Client) -> None:
    for path in http.get("/openapi.json").json()["paths"]:
        pattern = re.escape(path).replace(r"\{ns\}", r"[\w~]+")
        pattern = pattern.replace(r"\{id\}", r"(\$\w+|\{id\})")
        assert re.search(rf"{pattern}(?![\w/])", PAGE), path
