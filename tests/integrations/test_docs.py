"""What docs/integrations shows is what happens, with the real libraries and no key."""

from __future__ import annotations

import re
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "integrations"
PAGES = sorted(FOLDER.glob("*.md"))
# What a page's examples import; a page that is not here needs nothing but Mneme.
LIBRARIES = {
    "crewai.md": "crewai",
    "langchain.md": "langchain_core",
    "langgraph.md": "langgraph",
    "llama-index.md": "llama_index",
    "openai-agents.md": "agents",
    "pydantic-ai.md": "pydantic_ai",
}
_BLOCK = re.compile(r"^```python run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = LIBRARIES.get(page.name)
    if library is not None and find_spec(library) is None:
        pytest.skip(f"{library} is not installed; make test-integrations has it")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNEME_WORKER", "0")
    names: dict[str, object] = {"__name__": "example"}
    for number, code in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), start=1):
        exec(compile(code, f"{page.name}, example {number}", "exec"), names)


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_a_page_of_a_framework_shows_an_example_of_about_ten_lines(name: str) -> None:
    if not (FOLDER / name).exists():
        pytest.skip(f"docs/integrations/{name} is not written yet")
    blocks = _BLOCK.findall((FOLDER / name).read_text(encoding="utf-8"))
    assert blocks
    assert len([line for line in blocks[0].splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_front_page_names_every_page() -> None:
    front = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [
        page.name for page in PAGES if page.name not in {*_LINK.findall(front), "README.md"}
    ] == []


def test_nothing_leaves_this_machine() -> None:
    with pytest.raises(ConnectionRefusedError, match=r"example\.com"):
        socket.create_connection(("example.com", 80), timeout=1)
    with pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
