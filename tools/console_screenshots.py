"""Take the pictures of the console that docs/console.md shows.

    python tools/console_screenshots.py [FOLDER]

A server with the sample conversation runs on 127.0.0.1 as long as that takes; Debian's Chromium,
driven by Playwright, looks at its pages in light and dark, wide and narrow.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from playwright.sync_api import sync_playwright

import mneme
from mneme.settings import Settings
from mneme.testing.doors import running_door

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from mneme.app.memory import MemoryOS
    from mneme.testing.doors import Door

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 150_000
WIDE, NARROW = (1280, 800), (390, 844)
QUESTION = "Where does Nora live now?"


class Shot(NamedTuple):
    """A picture: its name, the page, how wide, and whether dark."""

    name: str
    path: str
    size: tuple[int, int] = WIDE
    dark: bool = False


def shots_of(cube: str, edited: str, fact: str) -> list[Shot]:
    """The pictures, given ids of a memory, of one with versions, and of a derived one."""
    question = "q=What+is+Tomas+allergic+to%3F"
    asked = "q=Where+does+Nora+live+now%3F&now=2026-03-02"
    return [
        Shot("search", f"/n/nora/search?{question}"),
        Shot("search-dark", f"/n/nora/search?{question}", dark=True),
        Shot("search-narrow", f"/n/nora/search?{question}", NARROW),
        Shot("timeline", "/n/nora/timeline"),
        Shot("timeline-dark", "/n/nora/timeline", dark=True),
        Shot("timeline-narrow", "/n/nora/timeline", NARROW),
        Shot("memory", f"/n/nora/memories/{edited}"),
        Shot("memory-dark", f"/n/nora/memories/{edited}", dark=True),
        Shot("memory-narrow", f"/n/nora/memories/{edited}", NARROW),
        Shot("provenance", f"/n/nora/memories/{fact}"),
        Shot("edit", f"/n/nora/memories/{edited}/edit"),
        Shot("add", "/n/nora/add"),
        Shot("forgotten", "/n/nora/forgotten"),
        Shot("erase", f"/n/nora/erase?id={cube}"),
        Shot("erase-narrow", f"/n/nora/erase?id={cube}", NARROW),
        Shot("playground", f"/n/nora/playground?{asked}&budget=400"),
        Shot("playground-dark", f"/n/nora/playground?{asked}&budget=400", dark=True),
        Shot("playground-narrow", f"/n/nora/playground?{asked}&budget=400", NARROW),
        Shot("store", "/store"),
        Shot("jobs", "/jobs"),
        Shot("charts", "/charts"),
        Shot("charts-dark", "/charts", dark=True),
        Shot("audit", "/audit"),
        Shot("audit-narrow", "/audit", NARROW),
        Shot("keys", "/keys"),
        Shot("keys-narrow", "/keys", NARROW),
        Shot("home", "/"),
        Shot("login", "/login"),
        Shot("login-dark", "/login", NARROW, dark=True),
    ]


KEPT = (
    "search", "search-dark", "search-narrow", "timeline", "memory", "provenance", "erase",
    "playground-dark", "store", "charts", "keys", "login",
)  # fmt: skip


def main() -> None:
    """Take all pictures into a folder that is named, else those that the docs show."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mneme-shots-") as store, sample(store) as memory:
        shots = shots_of(*prepared(memory))
        wanted = [s for s in shots if len(sys.argv) > 1 or s.name in KEPT]
        with running_door(memory) as door, chromium() as browser:
            for shot in wanted:
                take(browser, door, shot, folder / f"console-{shot.name}.png")


@contextmanager
def sample(store: str) -> Iterator[MemoryOS]:
    """A store with the packaged conversation in the namespace nora."""
    settings = Settings(worker=False)
    with mneme.open(store, settings=settings) as memory:
        conversation = resources.files("mneme.cli") / "sample" / "conversation.jsonl"
        with resources.as_file(conversation) as path:
            memory.namespace("nora").import_(path)
        memory.drain(60)
        yield memory


def prepared(memory: MemoryOS) -> tuple[str, str, str]:
    """Ids of a memory that others derive from, of one that was edited, and of a derived one."""
    nora = memory.namespace("nora")
    memory.make_key("reader", namespaces=["nora"], verbs=["read"], expires_at="2099-01-01")
    memory.make_key("agent", namespaces=["nora", "team/*"], verbs=["*"])
    fact = nora.list(types=["fact"], limit=1).items[0]
    edited = nora.search("What is Tomas allergic to?", now="2026-03-02", limit=1)[0].cube
    nora.update(edited.id, text=edited.text.replace("walnuts", "walnuts and hazelnuts"))
    nora.update(edited.id, labels=["health"])
    nora.forget(nora.list(limit=12).items[-1].id)
    for question in ("rye bread", "When did Biscuit come home?", "cello", QUESTION):
        nora.search(question)
    return nora.sources(fact.id)[0].id, edited.id, fact.id


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


def take(browser: Browser, door: Door, shot: Shot, path: Path) -> None:
    """One picture; says its size, and whether a page is wider than its window."""
    with browser.new_context(
        viewport={"width": shot.size[0], "height": shot.size[1]},
        color_scheme="dark" if shot.dark else "light",
        reduced_motion="reduce",
        extra_http_headers={} if shot.path == "/login" else door.headers,
    ) as context:
        page = context.new_page()
        page.goto(door.url + shot.path)
        page.evaluate("document.fonts.ready")
        first_why(page)
        page.screenshot(path=path)
        wide = page.evaluate("document.documentElement.scrollWidth") > shot.size[0]
    size = path.stat().st_size
    told = f"{path.name}: {size / 1000:.0f} kB" + (", TOO WIDE" if wide else "")
    print(told + (", TOO LARGE" if size > MOST_BYTES else ""))


def first_why(page: Page) -> None:
    """Open the explanation of the first hit, where there is one."""
    why = page.locator("details.why > summary").first
    if why.count():
        why.click()


if __name__ == "__main__":
    main()
