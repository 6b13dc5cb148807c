"""Each page answers, says what it should, and respects the grants of the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.server.console.render import HEADERS
from mneme.testing.doors import Door

QUESTION = {"q": "Where does Nora live now?", "now": "2026-03-02"}
SPACE_PAGES = ("search", "timeline", "playground", "add", "forgotten")
STORE_PAGES = ("/store", "/jobs", "/charts", "/audit", "/keys")


@pytest.fixture
def holder(sample: MemoryOS, house: Door) -> Iterator[Callable[..., httpx2.Client]]:
    """Makes clients that hold keys with some verbs on some namespaces."""
    opened: list[httpx2.Client] = []

    def make(*verbs: str, namespaces: tuple[str, ...] = ("nora",)) -> httpx2.Client:
        key, _ = sample.make_key("holder", namespaces=namespaces, verbs=verbs)
        headers = {"Authorization": f"Bearer {key}"}
        opened.append(httpx2.Client(base_url=house.url, headers=headers, timeout=30))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


def an_id(nora: Namespace) -> str:
    return nora.list(limit=1).items[0].id


@pytest.mark.parametrize("path", ["/", *STORE_PAGES, *(f"/n/nora/{p}" for p in SPACE_PAGES)])
def test_every_page_is_html_under_a_strict_policy(pages: httpx2.Client, path: str) -> None:
    answer = pages.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", *STORE_PAGES, *(f"/n/nora/{p}" for p in SPACE_PAGES)])
def test_no_page_holds_an_inline_script_or_style_or_a_foreign_address(
    pages: httpx2.Client, path: str
) -> None:
    text = pages.get(path).text
    assert not re.search(r"<script(?![^>]*src=)", text)
    assert not re.search(r"\s(style|on\w+)=", text)
    assert "<style" not in text
    assert not re.search(r"(src|href|action)=\"(https?:)?//", text)


def test_what_pages_load_is_there(pages: httpx2.Client) -> None:
    for path in re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", pages.get("/").text):
        assert pages.get(path).status_code == 200, path


def test_the_files_of_others_come_with_their_licences(pages: httpx2.Client) -> None:
    assert "Zero-Clause BSD" in pages.get("/static/vendor/LICENSE-htmx.txt").text
    assert "MIT License" in pages.get("/static/vendor/LICENSE-pico.txt").text


def test_a_namespace_is_chosen(pages: httpx2.Client) -> None:
    text = pages.get("/").text
    assert '<a href="/n/nora/search">nora</a>' in text
    assert pages.get("/", params={"go": "acme/alice"}).headers["location"] == (
        "/n/acme~alice/search"
    )
    assert pages.get("/", params={"go": "no such/../thing"}).status_code == 422


def test_a_search_says_why_it_found_what_it_found(pages: httpx2.Client, nora: Namespace) -> None:
    text = pages.get("/n/nora/search", params={**QUESTION, "limit": 3}).text
    best = nora.search(QUESTION["q"], now=QUESTION["now"], limit=3)[0]
    assert "We live in Porto now!" in text
    assert f"{best.score:.3f}" in text
    assert "3 memories found." in text
    assert "Words in common with the question, against the memory that has most." in text
    every = pages.get("/n/nora/search", params={**QUESTION, "why": best.cube.id}).text
    assert "<code>session_mass</code>" in every
    assert "<code>asks_where</code>" in every


def test_a_search_can_be_narrowed(pages: httpx2.Client) -> None:
    narrowed = pages.get("/n/nora/search", params={**QUESTION, "session": "2025-09-03-hello"})
    assert "We live in Porto now!" not in narrowed.text
    assert "2025-09-03-hello" in narrowed.text
    wrong = pages.get("/n/nora/search", params={**QUESTION, "since": "yesterday-ish"})
    assert wrong.status_code == 422
    assert "ISO 8601" in wrong.text
    assert pages.get("/n/nora/search", params={"q": "x", "limit": 0}).status_code == 422


def test_the_timeline_is_paged_without_gaps_or_repeats(
    pages: httpx2.Client, nora: Namespace
) -> None:
    path, seen = "/n/nora/timeline?limit=150", list[str]()
    while path:
        text = pages.get(path).text
        seen += re.findall(r'class="plain" href="/n/nora/memories/([^"]+)"', text)
        following = re.search(r'rel="next" class="button" href="([^"]+)"', text)
        path = "/n/nora/timeline" + following[1].replace("&amp;", "&") if following else ""
    assert seen == [cube.id for cube in nora.list(limit=1000).items]


def test_the_timeline_is_filtered(pages: httpx2.Client) -> None:
    params = {"role": "assistant", "session": "2025-09-03-hello", "since": "2025-09-01"}
    text = pages.get("/n/nora/timeline", params=params).text
    assert "Metric it is, always." in text
    assert "always answer in metric" not in text
    facts = pages.get("/n/nora/timeline", params={"type": "fact"}).text
    assert '<span class="tag">fact</span>' in facts


def test_a_memory_shows_its_header_its_versions_and_its_provenance(
    pages: httpx2.Client, nora: Namespace
) -> None:
    fact = nora.list(types=["fact"], limit=1).items[0]
    [source] = nora.sources(fact.id)
    text = pages.get(f"/n/nora/memories/{fact.id}").text
    assert fact.content_hash in text
    assert "extracted" in text
    assert text.count(f"/n/nora/memories/{source.id}") >= 2  # in the list and among the sources
    assert '<g class="node self">' in text
    assert fact.id in pages.get(f"/n/nora/memories/{source.id}").text


def test_a_missing_memory_is_a_page_that_says_so(pages: httpx2.Client) -> None:
    answer = pages.get("/n/nora/memories/01a20064-3d87-7000-b40f-07ed9e109e1c")
    assert answer.status_code == 404
    assert "Not found" in answer.text


def test_a_memory_of_another_namespace_is_not_found(
    pages: httpx2.Client, sample: MemoryOS, nora: Namespace
) -> None:
    sample.namespace("other").add("Said elsewhere.")
    mine = pages.get(f"/n/other/memories/{an_id(nora)}")
    none = pages.get("/n/other/memories/01a20064-3d87-7000-b40f-07ed9e109e1c")
    assert mine.status_code == none.status_code == 404


def test_the_playground_shows_what_goes_into_a_prompt(
    pages: httpx2.Client, nora: Namespace
) -> None:
    text = pages.get("/n/nora/playground", params={**QUESTION, "budget": 300}).text
    context = nora.recall(QUESTION["q"], now=QUESTION["now"], budget_tokens=300)
    assert f"{context.tokens} tokens of 300" in text
    assert "We live in Porto now!" in text
    assert all(each.cube_id in text for each in context.citations)
    refused = pages.post("/n/nora/playground", data={"q": "Where?"})
    assert refused.status_code == 422
    assert "no model" in refused.text


def test_the_store_is_shown_by_kind_and_tier(pages: httpx2.Client, sample: MemoryOS) -> None:
    text = pages.get("/store").text
    for title in ("Plaintext", "Activation", "Parametric", "Vectors"):
        assert title in text
    assert f"{sample.stats().counts['versions']}" in text


def test_jobs_show_their_errors(pages: httpx2.Client, sample: MemoryOS) -> None:
    now = sample.vault.parts.clock.now_us()
    with sample.vault.parts.store.write() as tx:
        tx.ledger.enqueue("nonsense", "nonsense", "{}", 1)  # due longest
        job = tx.ledger.lease_job(now, now + 1)
        assert job is not None
        tx.ledger.fail_job(job, state="dead", due_at=now, error="<b>no such job</b>")
    text = pages.get("/jobs", params={"state": "dead"}).text
    assert "nonsense" in text
    assert "&lt;b&gt;no such job&lt;/b&gt;" in text
    assert "nonsense" not in pages.get("/jobs", params={"state": "waiting"}).text


def test_charts_say_the_same_in_tables(pages: httpx2.Client) -> None:
    pages.get("/n/nora/search", params=QUESTION)
    text = pages.get("/charts").text
    assert "Questions per minute in the last 30 minutes" in text
    assert '<th scope="row">Search</th>' in text
    assert '<th scope="row">0 min ago</th>' in text
    assert "How sure recall was" in text


def test_the_audit_log_is_filtered_and_verified(pages: httpx2.Client, sample: MemoryOS) -> None:
    head = sample.audit_head()
    assert head in pages.get("/audit").text
    added = pages.get("/audit", params={"verb": "add", "namespace": "nora"}).text
    assert "make_key</th>" not in added
    assert 'rel="next"' in added
    assert "The store is whole" in pages.post("/audit/verify", data={"head": head}).text
    wrong = pages.post("/audit/verify", data={"head": "f" * 64})
    assert "does not contain the head" in wrong.text


def test_a_key_is_made_rotated_and_revoked(
    pages: httpx2.Client, sample: MemoryOS, house: Door
) -> None:
    form = {"name": "visitor <b>", "namespaces": "nora, acme/*", "verbs": ["read", "add"]}
    made = pages.post("/keys", data=form)
    secret = _secret(made.text)
    [key] = [each for each in sample.list_keys() if each.name == "visitor <b>"]
    assert key.grants[0].namespaces == ("nora", "acme/*")
    assert secret not in pages.get("/keys").text
    assert "visitor &lt;b&gt;" in pages.get("/keys").text
    newer = _secret(pages.post(f"/keys/{key.id}/rotate", data={"overlap_h": "0"}).text)
    assert sample.principal(secret) is None
    assert sample.principal(newer) is not None
    assert pages.post(f"/keys/{key.id}/revoke", data={}).status_code == 422
    assert pages.post(f"/keys/{key.id}/revoke", data={"confirm": "yes"}).status_code == 303
    assert sample.principal(newer) is None


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "", "namespaces": "nora", "verbs": "read"}, "name"),
        ({"name": "x", "namespaces": "a b!", "verbs": "read"}, "no namespace"),
        ({"name": "x", "namespaces": "nora"}, "verbs takes a list"),
        ({"name": "x", "namespaces": "nora", "verbs": "read", "requests_per_s": "many"}, "number"),
        ({"name": "x", "namespaces": "nora", "verbs": "read", "expires_at": "1999-01-01"}, "past"),
    ],
)
def test_a_key_that_cannot_be_made_is_explained(
    pages: httpx2.Client, sample: MemoryOS, form: dict[str, Any], said: str
) -> None:
    before = len(sample.list_keys())
    answer = pages.post("/keys", data=form)
    assert answer.status_code == 422
    assert said in answer.text
    assert len(sample.list_keys()) == before


def _secret(text: str) -> str:
    found = re.search(r"mneme_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", text)
    assert found is not None
    return found[0]


def test_a_reader_is_offered_no_changes_and_is_refused_them(
    holder: Callable[..., httpx2.Client], nora: Namespace
) -> None:
    reader, cube_id = holder("read"), an_id(nora)
    memory = reader.get(f"/n/nora/memories/{cube_id}").text
    for offer in ("Edit</a>", "Archive</button>", "Forget</button>", "Erase …", "Roll back"):
        assert offer not in memory
    for offer in ('href="/store"', 'href="/keys"', 'href="/n/nora/add"', "/forgotten"):
        assert offer not in memory
    before = nora.history(cube_id)
    for path, form in (
        (f"/memories/{cube_id}/edit", {"version": "1", "text": "no"}),
        (f"/memories/{cube_id}/move", {"verb": "archive"}),
        (f"/memories/{cube_id}/rollback", {"to_version": "1"}),
        (f"/memories/{cube_id}/forget", {}),
        ("/restore", {"id": cube_id}),
        ("/erase", {"id": cube_id, "confirm": "erase 1"}),
        ("/add", {"text": "no"}),
        ("/feedback", {"id": cube_id, "used": "true"}),
        ("/playground", {"q": "no"}),
    ):
        assert reader.post(f"/n/nora{path}", data=form).status_code == 403, path
    for path in (f"/memories/{cube_id}/edit", f"/erase?id={cube_id}", "/add", "/forgotten"):
        assert reader.get(f"/n/nora{path}").status_code == 403, path
    for path in STORE_PAGES:
        assert reader.get(path).status_code == 403, path
    assert reader.post("/keys", data={"name": "x"}).status_code == 403
    assert reader.post("/audit/verify").status_code == 403
    assert nora.history(cube_id) == before


def test_a_key_sees_only_its_namespaces(
    holder: Callable[..., httpx2.Client], sample: MemoryOS
) -> None:
    sample.namespace("secret/place").add("A planted token, quixotic-marmalade.")
    reader = holder("read")
    assert "secret/place" not in reader.get("/").text
    there = reader.get("/n/secret~place/search", params={"q": "marmalade"})
    nowhere = reader.get("/n/no~place/search", params={"q": "marmalade"})
    assert there.status_code == nowhere.status_code == 403
    assert "quixotic-marmalade" not in there.text
    assert reader.get("/", params={"go": "secret/place"}).status_code == 403


def test_a_key_that_may_only_add_adds_and_reads_nothing(
    holder: Callable[..., httpx2.Client], sample: MemoryOS
) -> None:
    writer = holder("add", namespaces=("inbox",))
    answer = writer.post("/n/inbox/add", data={"text": "Dropped in the box."})
    assert answer.status_code == 200
    assert "It was added." in answer.text
    assert "Dropped" in sample.namespace("inbox").list(limit=1).items[0].text
    assert writer.get("/n/inbox/timeline").status_code == 403
    assert '<a href="/n/inbox/add">inbox</a>' in writer.get("/").text


def test_pages_that_show_texts_want_the_grant_to_read(
    holder: Callable[..., httpx2.Client], nora: Namespace
) -> None:
    cube_id = an_id(nora)
    blind = holder("add", "update", "forget", "erase", "chat")
    for path in (f"/memories/{cube_id}/edit", f"/erase?id={cube_id}", f"/memories/{cube_id}"):
        assert blind.get(f"/n/nora{path}").status_code == 403, path
    edit = {"version": "9", "text": "no"}
    assert blind.post(f"/n/nora/memories/{cube_id}/edit", data=edit).status_code == 403
    assert blind.post("/n/nora/erase", data={"id": cube_id}).status_code == 403
    assert blind.post("/n/nora/playground", data={"q": "Who?"}).status_code == 403


def test_what_happened_on_a_page_is_in_the_audit_log_under_the_keys_name(
    pages: httpx2.Client, sample: MemoryOS
) -> None:
    pages.post("/n/diary/add", data={"text": "Typed by hand."})
    assert sample.audit()[-1].actor == "root"
    assert sample.audit()[-1].verb == "add"


def test_signing_in_starts_a_session_and_signing_out_ends_it(house: Door) -> None:
    with httpx2.Client(base_url=house.url, timeout=30) as browser:
        assert browser.get("/", headers={"Accept": "text/html"}).headers["location"] == "/login"
        wrong = browser.post("/login", data={"key": "mneme_no"}, headers=own(house))
        assert wrong.status_code == 401
        assert "not known here" in wrong.text
        assert "set-cookie" not in wrong.headers
        good = browser.post("/login", data={"key": f" {house.key}\n"}, headers=own(house))
        assert good.status_code == 303
        cookie = good.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert house.key not in cookie
        assert browser.get("/", headers=own(house)).status_code == 200
        assert browser.post("/logout", headers=own(house)).headers["location"] == "/login"
        shut = browser.get("/", headers={**own(house), "Accept": "text/html"})
        assert shut.headers["location"] == "/login"


def own(door: Door) -> dict[str, str]:
    """What a browser says of a request that comes from a page of the server itself."""
    return {"Origin": door.url, "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example", "/\\evil", "/a\nb"])
def test_nobody_is_sent_elsewhere(pages: httpx2.Client, back: str) -> None:
    answer = pages.post("/theme", data={"theme": "dark", "back": back})
    assert answer.headers["location"] == "/"


def test_a_theme_is_remembered(pages: httpx2.Client) -> None:
    answer = pages.post("/theme", data={"theme": "dark", "back": "/n/nora/search?q=a"})
    assert answer.headers["location"] == "/n/nora/search?q=a"
    assert "mneme_theme=dark" in answer.headers["set-cookie"]
    dark = pages.get("/", headers={"Cookie": "mneme_theme=dark"}).text
    assert '<html lang="en" data-theme="dark">' in dark
    odd = pages.get("/", headers={"Cookie": 'mneme_theme="><script>'}).text
    assert '<html lang="en">' in odd
