"""A person's tasks, in a real browser: with the mouse, and some by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.errors import CubeNotFoundError
from mneme.testing.doors import Door

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SignIn = Callable[..., None]
QUESTION = "What is Tomas allergic to?"
MOST_TABS = 60


def press_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus bears a name, as whoever has no mouse does."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate(_NAME) == name:
            shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert shown != "none", f"the focus on {name!r} cannot be seen"
            return
    raise AssertionError(f"{name!r} is not reached within {MOST_TABS} presses of Tab")


_NAME = """() => { const e = document.activeElement;
  const label = e.labels && e.labels[0] ? e.labels[0].textContent : "";
  return (e.getAttribute("aria-label") || label || e.textContent || "").trim() }"""


def kept(nora: Namespace, text: str, session: str = "tasks") -> str:
    """The id of a new memory."""
    return nora.add(text, session=session)[0].id


def test_sign_in_and_choose_a_namespace(tab: Page, house: Door) -> None:
    tab.goto(house.url + "/n/nora/search")
    assert tab.url == house.url + "/login"
    tab.get_by_label("Key").fill("mneme_wrong")
    tab.get_by_role("button", name="Sign in").click()
    assert "not known here" in tab.get_by_role("alert").inner_text()
    tab.get_by_label("Key").fill(house.key)
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_role("link", name="nora", exact=True).click()
    tab.get_by_role("heading", name="Search").wait_for()
    assert house.key not in tab.url
    [cookie] = [c for c in tab.context.cookies() if c["name"] == "mneme_session"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    tab.get_by_role("button", name="Sign out").click()
    tab.goto(house.url + "/n/nora/search")
    assert tab.url == house.url + "/login"


def test_find_a_memory_and_read_why_it_was_found(tab: Page, house: Door, sign_in: SignIn) -> None:
    sign_in(tab)
    tab.goto(house.url + "/n/nora/search")
    tab.get_by_label("Question or words").fill(QUESTION)
    tab.get_by_role("button", name="Search").click()
    tab.get_by_text("I am allergic to walnuts").first.wait_for()
    assert "10 memories found." in tab.get_by_role("status").inner_text()
    assert "Tomas+allergic" in tab.url.replace("%20", "+")  # the page can be kept and come back to
    first = tab.locator("article").first
    first.get_by_text("Why was it found?").click()
    table = first.get_by_role("table", name="What tells most")
    assert "lexical_rel" in table.inner_text()
    assert "Words in common with the question" in table.inner_text()
    first.get_by_role("link", name=re.compile("^All .* signals$")).click()
    tab.get_by_role("table", name="What kind of question").wait_for()


def test_page_the_timeline(tab: Page, house: Door, sign_in: SignIn, nora: Namespace) -> None:
    sign_in(tab)
    tab.goto(house.url + "/n/nora/timeline")
    assert tab.get_by_role("heading", name="2025-09-03-hello").is_visible()
    seen: list[str] = []
    while True:
        seen += [link.get_attribute("href") or "" for link in tab.locator("a.plain").all()]
        following = tab.get_by_role("link", name="Next page")
        if not following.count():
            break
        following.click()
        tab.wait_for_load_state()
    ids = [href.rsplit("/", 1)[1] for href in seen]
    assert ids == [cube.id for cube in nora.list(limit=1000).items]
    tab.get_by_role("link", name="First page").click()
    assert tab.get_by_role("heading", name="2025-09-03-hello").is_visible()


def test_edit_a_memory_see_the_difference_and_roll_back(
    tab: Page, house: Door, sign_in: SignIn, nora: Namespace
) -> None:
    cube_id = kept(nora, "The spare key is under the red pot.")
    sign_in(tab)
    tab.goto(f"{house.url}/n/nora/memories/{cube_id}")
    tab.get_by_role("link", name="Edit", exact=True).click()
    tab.get_by_label("Text", exact=True).fill("The spare key is under the blue pot.")
    tab.get_by_role("button", name="Save").click()
    tab.get_by_role("heading", name="Version 2", level=3).wait_for()
    assert tab.locator("del").first.inner_text() == "red"
    assert tab.locator("ins").first.inner_text() == "blue"
    tab.get_by_role("button", name="Roll back to version 1").click()
    tab.get_by_role("heading", name="Version 3", level=3).wait_for()
    assert nora.get(cube_id).text == "The spare key is under the red pot."


def test_a_conflict_is_shown_to_who_was_second(
    tab: Page, house: Door, sign_in: SignIn, nora: Namespace
) -> None:
    cube_id = kept(nora, "Meet at noon.")
    sign_in(tab)
    tab.goto(f"{house.url}/n/nora/memories/{cube_id}/edit")
    nora.update(cube_id, text="Meet at one.")
    tab.get_by_label("Text", exact=True).fill("Meet at two.")
    tab.get_by_role("button", name="Save").click()
    assert "Somebody else was first" in tab.get_by_role("alert").inner_text()
    assert nora.get(cube_id).text == "Meet at one."
    tab.get_by_role("button", name="Save").click()
    tab.get_by_role("heading", name="Version 3", level=3).wait_for()
    assert nora.get(cube_id).text == "Meet at two."


def test_follow_provenance(tab: Page, house: Door, sign_in: SignIn, nora: Namespace) -> None:
    fact = nora.list(types=["fact"], limit=1).items[0]
    [source] = nora.sources(fact.id)
    sign_in(tab)
    tab.goto(f"{house.url}/n/nora/memories/{fact.id}")
    assert tab.locator("svg.graph .node").count() >= 2
    tab.locator(".trees").get_by_role("link").first.click()
    tab.wait_for_url(f"**/{source.id}")
    tab.locator(".trees").get_by_role("link", name=fact.text[:40]).first.click()
    tab.wait_for_url(f"**/{fact.id}")


def test_forget_and_restore(tab: Page, house: Door, sign_in: SignIn, nora: Namespace) -> None:
    cube_id = kept(nora, "Something to be hidden for a while.")
    sign_in(tab)
    tab.goto(f"{house.url}/n/nora/memories/{cube_id}")
    tab.get_by_role("button", name="Forget").click()
    assert "hidden now" in tab.get_by_role("status").inner_text()
    with pytest.raises(CubeNotFoundError):
        nora.get(cube_id)
    tab.get_by_role("button", name=f"Restore {cube_id}").click()
    tab.wait_for_url(f"**/{cube_id}")
    assert nora.get(cube_id).text == "Something to be hidden for a while."


def test_erase_with_a_preview_and_a_receipt(
    tab: Page, house: Door, sign_in: SignIn, sample: MemoryOS, nora: Namespace
) -> None:
    cube_id = kept(nora, "My sister Ingrid lives in Tromso and works at the harbour.")
    sample.drain()
    going = nora.preview_erase(cube_id)
    sign_in(tab)
    tab.goto(f"{house.url}/n/nora/memories/{cube_id}")
    tab.get_by_role("link", name="Erase …").click()
    assert tab.get_by_role("row").count() == len(going) + 1
    tab.get_by_label(re.compile("^Type")).fill("yes")
    tab.get_by_role("button", name="Erase for good").click()
    assert "Nothing was erased" in tab.get_by_role("alert").inner_text()
    tab.get_by_label(re.compile("^Type")).fill(f"erase {len(going)}")
    tab.get_by_role("button", name="Erase for good").click()
    tab.get_by_role("heading", name="Receipt").wait_for()
    assert cube_id in tab.content()
    assert "0 found" in tab.content()
    with pytest.raises(CubeNotFoundError):
        nora.get(cube_id)


def test_make_a_key_and_see_less_with_it(tab: Page, house: Door, sign_in: SignIn) -> None:
    sign_in(tab)
    tab.get_by_role("link", name="Keys").click()
    tab.get_by_label("Name of its holder").fill("Visitor")
    tab.get_by_label("Namespaces", exact=True).fill("nora")
    tab.get_by_role("button", name="Make the key").click()
    secret = tab.locator("#secret").inner_text()
    tab.get_by_role("button", name="Sign out").click()
    sign_in(tab, secret)
    assert tab.get_by_text("Visitor").is_visible()
    assert not tab.get_by_role("link", name="Keys").count()
    assert not tab.get_by_role("link", name="Audit log").count()
    tab.get_by_role("link", name="nora", exact=True).click()
    assert not tab.get_by_role("link", name="Add", exact=True).count()
    tab.goto(house.url + "/keys")
    assert "Not allowed" in tab.get_by_role("heading", level=1).inner_text()


def test_ask_in_the_playground(tab: Page, house: Door, sign_in: SignIn) -> None:
    sign_in(tab)
    tab.goto(house.url + "/n/nora/playground")
    tab.get_by_label("Question", exact=True).fill(QUESTION)
    slider = tab.get_by_role("slider")
    slider.focus()
    for _ in range(10):
        slider.press("ArrowLeft")
    assert tab.locator("output").inner_text() == "500"
    tab.get_by_role("button", name="Recall").click()
    tab.get_by_role("heading", name="Citations").wait_for()
    assert "of 500" in tab.locator("#status").inner_text()
    assert "walnuts" in tab.locator("pre.context").inner_text()
    tab.locator(".citations").get_by_role("link").first.click()
    tab.get_by_role("heading", name="Provenance").wait_for()


def test_switch_to_dark_and_back(tab: Page, house: Door, sign_in: SignIn) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    sign_in(tab)
    light = tab.evaluate(background)
    tab.get_by_role("button", name="Dark").click()
    tab.get_by_role("button", name="Light").wait_for()
    tab.wait_for_load_state()
    dark = tab.evaluate(background)
    assert light != dark
    tab.goto(house.url + "/n/nora/timeline?role=user")
    assert tab.evaluate(background) == dark
    tab.get_by_role("button", name="Light").click()
    tab.get_by_role("button", name="Dark").wait_for()
    tab.wait_for_load_state()
    assert tab.url.endswith("/n/nora/timeline?role=user")
    assert tab.evaluate(background) == light


def test_a_dark_system_gets_dark_pages_with_the_same_colours(
    tab: Page, house: Door, sign_in: SignIn
) -> None:
    names = """() => { const s = getComputedStyle(document.documentElement);
      return ["--pico-background-color", "--pico-color", "--pico-primary", "--panel", "--ins",
        "--warn", "--danger", "--pico-range-thumb-color"].map(n => s.getPropertyValue(n)) }"""
    sign_in(tab)
    tab.get_by_role("button", name="Dark").click()
    tab.get_by_role("button", name="Light").wait_for()
    tab.wait_for_load_state()  # styles are there, too
    chosen = tab.evaluate(names)
    tab.context.clear_cookies(name="mneme_theme")
    tab.emulate_media(color_scheme="dark")
    tab.reload()
    assert tab.evaluate(names) == chosen


def test_jobs_renew_themselves(tab: Page, house: Door, sign_in: SignIn, sample: MemoryOS) -> None:
    sign_in(tab)
    tab.goto(house.url + "/jobs")
    assert not tab.get_by_text("later-kind").count()
    far = sample.vault.parts.clock.now_us() + 10**15
    with sample.vault.parts.store.write() as tx:
        tx.ledger.enqueue("later-kind", "later-kind", "{}", far)
    tab.get_by_text("later-kind").wait_for()


def test_add_a_memory_by_hand(tab: Page, house: Door, sign_in: SignIn, nora: Namespace) -> None:
    sign_in(tab)
    tab.goto(house.url + "/n/nora/add")
    tab.get_by_label("Text").fill("Line one\nline two")
    tab.get_by_role("button", name="Add").click()
    tab.get_by_role("heading", name="Header").wait_for()
    assert nora.get(tab.url.rsplit("/", 1)[1]).text == "Line one\nline two"


def test_keyboard_sign_in_search_and_open(tab: Page, house: Door) -> None:
    tab.goto(house.url + "/login")
    tab.keyboard.type(house.key)  # the field has the focus
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Namespaces").wait_for()
    press_to(tab, "Skip to the content")
    tab.keyboard.press("Enter")
    press_to(tab, "nora")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Search").wait_for()
    press_to(tab, "Question or words")
    tab.keyboard.type(QUESTION)
    tab.keyboard.press("Enter")
    tab.get_by_text("I am allergic to walnuts").first.wait_for()
    press_to(tab, "Open memory 1")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Provenance").wait_for()


def test_keyboard_edit_and_roll_back(
    tab: Page, house: Door, sign_in: SignIn, nora: Namespace
) -> None:
    cube_id = kept(nora, "Bins on Tuesday.")
    sign_in(tab)
    tab.goto(f"{house.url}/n/nora/memories/{cube_id}")
    press_to(tab, "Edit")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Edit").wait_for()
    press_to(tab, "Text")
    tab.keyboard.press("Control+A")
    tab.keyboard.type("Bins on Wednesday.")
    press_to(tab, "Save")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Version 2", level=3).wait_for()
    press_to(tab, "Roll back to version 1")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Version 3", level=3).wait_for()
    assert nora.get(cube_id).text == "Bins on Tuesday."


def test_keyboard_erase(tab: Page, house: Door, sign_in: SignIn, nora: Namespace) -> None:
    cube_id = kept(nora, "Gone by keys alone.")
    sign_in(tab)
    tab.goto(f"{house.url}/n/nora/memories/{cube_id}")
    press_to(tab, "Erase …")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Erase").wait_for()
    press_to(tab, "Type erase 1 to confirm")
    tab.keyboard.type("erase 1")
    tab.keyboard.press("Enter")
    tab.get_by_role("heading", name="Receipt").wait_for()


def test_reading_works_without_javascript(chromium: Browser, house: Door) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(house.url + "/")
        page.get_by_label("Key").fill(house.key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="nora", exact=True).click()
        page.get_by_label("Question or words").fill(QUESTION)
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Open memory 1", exact=True).click()
        assert "allergic to walnuts" in page.content()
        page.get_by_role("link", name="Playground").click()
        page.get_by_label("Question", exact=True).fill(QUESTION)
        page.get_by_role("button", name="Recall").click()
        assert "walnuts" in page.locator("pre.context").inner_text()
        page.get_by_role("button", name="Dark").click()
        page.get_by_role("button", name="Light").click()
