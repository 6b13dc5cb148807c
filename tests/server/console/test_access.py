"""axe-core on every page, light and dark, wide and narrow; nothing is wider than its window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.testing.doors import Door

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
GRAVE = {"serious", "critical"}
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .map(v => ({id: v.id, impact: v.impact, nodes: v.nodes.map(n => n.html.slice(0, 200)
    + " :: " + (n.any[0] || n.all[0] || n.none[0] || {}).message)}))"""
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}


@pytest.fixture(scope="module")
def paths(sample: MemoryOS) -> list[str]:
    """Every page that can be looked at, with something on it."""
    nora = sample.namespace("nora")
    fact = nora.list(types=["fact"], limit=1).items[0]
    edited = nora.add("An old wording of it.", labels=["x"], metadata={"a": {"b": 1}})[0]
    nora.update(edited.id, text="A new wording of it.")
    frozen = nora.add("Frozen.", hold=True)[0]
    nora.freeze(frozen.id)
    hidden = nora.add("Hidden.")[0]
    nora.forget(hidden.id)
    asked = "q=Where+does+Nora+live+now"
    best = nora.search("Where does Nora live now", limit=1)[0].cube.id
    return [
        "/", "/store", "/jobs", "/charts", "/audit", "/keys", "/login", "/n/nora/add",
        "/n/nora/search", f"/n/nora/search?{asked}&type=", f"/n/nora/search?{asked}&why={best}",
        "/n/nora/search?q=x&since=never", "/n/nora/timeline", "/n/nora/timeline?type=fact",
        "/n/nora/playground", f"/n/nora/playground?{asked}", "/n/nora/forgotten",
        f"/n/nora/memories/{fact.id}", f"/n/nora/memories/{edited.id}",
        f"/n/nora/memories/{frozen.id}", f"/n/nora/memories/{edited.id}/edit",
        f"/n/nora/erase?id={edited.id}", "/n/nora/erase?session=2025-09-03-hello",
        "/n/nora/memories/none",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", "wide"), ("dark", "wide"), ("light", "narrow")]
)
def test_no_page_has_a_grave_finding_or_is_wider_than_its_window(
    chromium: Browser, house: Door, paths: list[str], scheme: Literal["light", "dark"], size: str
) -> None:
    width, height = SIZES[size]
    found: list[str] = []
    with chromium.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
        extra_http_headers=house.headers,
        bypass_csp=True,  # axe is put in by the test; the pages run under the policy elsewhere
    ) as context:
        page = context.new_page()
        for path in paths:
            page.goto(house.url + path)
            page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
            found += [f"{path}: {each}" for each in grave(page)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{path} is wider than {width}")
    assert not found, "\n".join(found)


def test_pages_that_forms_answer_with_have_no_grave_finding(
    tab: Page, house: Door, sign_in: Callable[..., None], nora: Namespace
) -> None:
    cube_id = nora.add("To be erased.")[0].id
    sign_in(tab)
    tab.add_init_script(path=AXE)
    tab.goto(f"{house.url}/n/nora/erase?id={cube_id}")
    tab.get_by_label("Type").fill("no")
    tab.get_by_role("button", name="Erase for good").click()
    assert grave(tab) == []
    tab.get_by_label("Type").fill("erase 1")
    tab.get_by_role("button", name="Erase for good").click()
    tab.get_by_role("heading", name="Receipt").wait_for()
    assert grave(tab) == []
    tab.goto(house.url + "/keys")
    tab.get_by_label("Name of its holder").fill("Looked at")
    tab.get_by_label("Namespaces", exact=True).fill("nora")
    tab.get_by_role("button", name="Make the key").click()
    tab.locator("#secret").wait_for()
    assert grave(tab) == []
    tab.goto(house.url + "/audit")
    tab.get_by_role("button", name="Verify").click()
    tab.get_by_text("The store is whole").wait_for()
    assert grave(tab) == []


def grave(page: Page) -> list[str]:
    """What axe finds that is serious or critical."""
    if not page.evaluate("typeof axe === 'object'"):
        page.add_script_tag(path=AXE)
    return [
        f"{each['id']} ({each['impact']}): {node}"
        for each in page.evaluate(RUN)
        if each["impact"] in GRAVE
        for node in each["nodes"][:4]
    ]
