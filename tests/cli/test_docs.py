"""What the README and the docs show is what happens."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mneme.cli.main import VERBS, app
from mneme.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, *sorted((ROOT / "docs" / "integrations").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(page: Path, language: str) -> list[str]:
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [code for name, code in found if name == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    for number, code in enumerate(blocks(page, "python"), start=1):
        if "mneme.engine(" in code:
            pytest.importorskip("torch", reason="the extra local is not installed")
        exec(compile(code, f"{page.name}, example {number}", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for code in blocks(page, "console"):
        for line in code.splitlines():
            prompt, program, *arguments = shlex.split(line)
            assert (prompt, program) == ("$", "mneme")
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, (line, result.output)


def test_the_readme_has_examples_of_both_kinds_and_is_short() -> None:
    readme = ROOT / "README.md"
    assert blocks(readme, "python")
    assert blocks(readme, "console")
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_quickstart_names_every_setting() -> None:
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    named = {name.lower() for name in re.findall(r"`MNEME_(\w+)`", page)}
    assert named == {field.name for field in fields(Settings)}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for requirement in (*project["dependencies"], *extras):
        name = re.split(r"[<>=\[ ]", requirement)[0]
        assert f"`{name}`" in page, name


def test_the_page_of_verbs_is_what_the_verbs_say() -> None:
    source = (ROOT / "tools" / "write_cli_docs.py").read_text(encoding="utf-8")
    tool: dict[str, object] = {"__name__": "tool", "__file__": str(ROOT / "tools" / "x.py")}
    exec(compile(source, "write_cli_docs.py", "exec"), tool)
    page = tool["page"]
    assert callable(page)
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == page(), "run: python tools/write_cli_docs.py"
    assert all(f"### {name}\n" in written for verbs in VERBS.values() for name in verbs)
