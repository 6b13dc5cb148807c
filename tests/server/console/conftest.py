"""The packaged conversation behind a real server, and a real browser before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.doors import Door, running_door
from mneme.wiring import Outside, build

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 15_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryOS]:
    """The packaged conversation in the namespace nora, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp("console") / "store"
    outside = Outside(clock=HandClock())
    with build(folder, settings=Settings(worker=False), outside=outside) as memory:
        said = resources.files("mneme.cli") / "sample" / "conversation.jsonl"
        with resources.as_file(said) as path:
            memory.namespace("nora").import_(path)
        memory.drain()
        yield memory
        assert memory.verify().ok


@pytest.fixture
def nora(sample: MemoryOS) -> Namespace:
    return sample.namespace("nora")


@pytest.fixture(scope="module")
def house(sample: MemoryOS) -> Iterator[Door]:
    with running_door(sample) as door:
        yield door


@pytest.fixture
def pages(house: Door) -> Iterator[httpx2.Client]:
    """A client that holds the key of the door and follows nothing."""
    with httpx2.Client(base_url=house.url, headers=house.headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")  # while Playwright runs, no other test can run an event loop
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; tests that need it are skipped without either."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    """A page of a new profile; it fails the test if a script fails or the policy stops one."""
    said: list[str] = []
    with chromium.new_context(viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "console",
            lambda m: said.append(m.text) if "Content Security Policy" in m.text else None,
        )
        yield page
    assert said == []


@pytest.fixture
def sign_in(house: Door) -> Callable[..., None]:
    """Signs a page in as a person does it; with the key of the door, unless another is given."""

    def do(page: Page, key: str = "") -> None:
        page.goto(house.url + "/")
        page.get_by_label("Key").fill(key or house.key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Namespaces").wait_for()

    return do
