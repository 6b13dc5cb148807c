"""What stands before every door: names, pages, keys and sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from mneme import InvalidInputError, Namespace
from mneme.app.memory import MemoryOS
from mneme.server.guard.hosts import Hosts
from mneme.server.sessions import COOKIE, Sessions
from mneme.settings import Settings
from mneme.testing.clocks import HandClock
from mneme.testing.doors import Door, running_door

LIST = "/v1/namespaces/alice/memories"
APP = "https://app.example.org"


def problem(answer: httpx2.Response) -> dict[str, Any]:
    """The problem that an answer is."""
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said["status"] == answer.status_code
    return said


@pytest.fixture
def strict_door(memory: MemoryOS) -> Iterator[Door]:
    settings = Settings(
        serve_hosts="memory.example.org",
        serve_origins=APP,
        serve_body_bytes=2000,
        serve_timeout_s=60,
    )
    with running_door(memory, settings=settings) as door:
        yield door


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:80", "Memory.Example.org"])
def test_known_names_are_answered(strict_door: Door, host: str) -> None:
    assert httpx2.get(strict_door.url + "/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.", 421),
        ("memory.example.org.evil", 421),
        ("192.0.2.7", 421),
        ("", 400),
        ("local host", 400),
        ("localhost:8350:1", 400),
        ("user@localhost", 400),
    ],
)
def test_a_name_that_pages_were_led_to_is_refused(
    strict_door: Door, host: str, status: int
) -> None:
    for path in ("/healthz", LIST):
        headers = strict_door.headers | {"Host": host}
        assert problem(httpx2.get(strict_door.url + path, headers=headers))["status"] == status


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", APP + ":1"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_pages_are_refused_even_with_a_key(
    strict_door: Door, origin: str, method: str
) -> None:
    headers = strict_door.headers | {
        "Origin": origin, "Access-Control-Request-Method": "POST",
    }  # fmt: skip
    answer = httpx2.request(method, strict_door.url + LIST, headers=headers)
    assert problem(answer)["status"] == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_that_is_named_may_call(strict_door: Door) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    before = httpx2.options(strict_door.url + LIST, headers={"Origin": APP} | asked)
    assert before.status_code == 204
    assert before.headers["access-control-allow-headers"] == "authorization"
    assert "POST" in before.headers["access-control-allow-methods"]
    for headers, status in ((strict_door.headers, 200), ({}, 401)):
        answer = httpx2.get(strict_door.url + LIST, headers=headers | {"Origin": APP})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == APP
        assert "access-control-allow-credentials" not in answer.headers


def test_its_own_pages_may_call(strict_door: Door) -> None:
    headers = strict_door.headers | {"Origin": strict_door.url}
    assert httpx2.get(strict_door.url + LIST, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"serve_hosts": "http://memory.example.org"},
        {"serve_hosts": "a b"},
        {"serve_origins": "app.example.org"},
        {"serve_origins": "*"},
        {"serve_origins": "https://app.example.org/page"},
    ],
)
def test_settings_that_name_no_host_or_origin_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        Hosts(Settings(**wrong))  # type: ignore[arg-type]


def test_every_answer_has_headers_for_browsers(door: Door) -> None:
    for path in ("/healthz", LIST, "/nothing", "/login"):
        headers = httpx2.get(door.url + path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"]
        if headers.get("content-type", "").startswith("text/html"):
            assert "default-src" in headers["content-security-policy"]
            assert "'unsafe-eval'" not in headers["content-security-policy"]


# --- keys and sessions


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer mneme_{key}",
    ],
)
def test_what_is_no_good_key_is_refused(door: Door, given: str) -> None:
    headers = {"Authorization": given.format(key=door.key)}
    answer = httpx2.get(door.url + LIST, headers=headers)
    assert problem(answer)["status"] == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_principal_is_never_named_by_the_request(
    memory: MemoryOS, alice: Namespace, door: Door
) -> None:
    alice.add("I moved to Oslo in March.")
    bob, _ = memory.make_key("bob", namespaces=["bob"])
    claims = {"X-Principal": "root", "X-User": "root", "X-Forwarded-User": "root"}
    answer = httpx2.get(
        door.url + LIST + "?principal=root&actor=root",
        headers={"Authorization": f"Bearer {bob}"} | claims,
    )
    assert answer.status_code in {403, 422}
    assert "Oslo" not in answer.text


@pytest.fixture
def cookie(memory: MemoryOS, door: Door) -> str:
    """A Cookie header of whoever signed in with the key of the door."""
    with httpx2.Client() as browser:
        signed = browser.post(door.url + "/login", data={"key": door.key})
    assert signed.status_code == 303
    said = signed.headers["set-cookie"]
    assert "HttpOnly" in said
    assert "samesite=strict" in said.lower()
    assert door.key not in said
    return str(said.split(";")[0])


def test_a_session_reads_and_writes_for_pages_of_ours_alone(door: Door, cookie: str) -> None:
    body = {"content": "I moved to Oslo in March."}

    def post(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.post(
            door.url + LIST, json=body, headers={"Cookie": cookie} | named
        ).status_code

    assert httpx2.get(door.url + LIST, headers={"Cookie": cookie}).status_code == 200
    assert post() == 401  # nothing says that a page of ours asked
    assert post(Sec_Fetch_Site="cross-site") == 401
    assert post(Sec_Fetch_Site="same-site") == 401
    assert post(Sec_Fetch_Site="none") == 401
    assert post(Origin="http://127.0.0.1:1") == 403
    assert post(Sec_Fetch_Site="same-site", Origin=door.url) == 401
    assert post(Sec_Fetch_Site="same-origin") == 201
    assert post(Origin=door.url) == 201
    listed = httpx2.get(door.url + LIST, headers={"Cookie": cookie, "Sec-Fetch-Site": "same-site"})
    assert listed.status_code == 401  # a script of another port


def test_a_bad_key_is_not_made_up_for_by_a_session(door: Door, cookie: str) -> None:
    headers = {"Cookie": cookie, "Authorization": "Bearer mneme_nothing"}
    assert httpx2.get(door.url + LIST, headers=headers).status_code == 401


def test_a_session_ends_with_its_key(memory: MemoryOS, clock: HandClock, door: Door) -> None:
    sessions = Sessions(memory, lasts_s=100)
    text, key = memory.make_key("bob", namespaces=["bob"])
    assert sessions.start("mneme_nothing") is None
    first, second, third = (sessions.start(text) for _ in range(3))
    assert first
    assert second
    assert third
    assert len({first, second, third}) == 3
    known = sessions.principal(first)
    assert known is not None
    assert known.name == "bob"
    sessions.end(first)
    assert sessions.principal(first) is None
    memory.rotate_key(key.id, overlap_s=10)
    assert sessions.principal(second) is not None
    clock.move_s(11)
    assert sessions.principal(second) is None  # signed in with a secret that has ended
    newest, _ = memory.rotate_key(key.id)
    fourth = sessions.start(newest)
    assert fourth
    memory.revoke_key(key.id)
    assert sessions.principal(fourth) is None
    other = sessions.start(door.key)
    assert other
    clock.move_s(101)
    assert sessions.principal(other) is None
    assert sessions.principal("\ud800 unknown") is None


def test_sessions_are_bounded(memory: MemoryOS) -> None:
    text, _ = memory.make_key("bob", namespaces=["bob"])
    sessions = Sessions(memory, most=3)
    started = [sessions.start(text) or "" for _ in range(10)]
    assert len(sessions) == 3
    assert [sessions.principal(each) is not None for each in started[-4:]] == [
        False,
        True,
        True,
        True,
    ]


def test_a_browser_without_a_session_is_sent_to_sign_in(door: Door) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml"}
    sent = httpx2.get(door.url + "/", headers=browser)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")
    for path in (LIST, "/mcp", "/metrics", "/v1"):
        assert httpx2.get(door.url + path, headers=browser).status_code == 401
    assert httpx2.post(door.url + "/", headers=browser).status_code == 401
    assert httpx2.get(door.url + "/", headers={"Cookie": f"{COOKIE}=made-up"}).status_code == 401


def test_a_cookie_is_for_https_alone_where_a_proxy_speaks_it(door: Door) -> None:
    for headers, expected in (({}, False), ({"X-Forwarded-Proto": "https"}, True)):
        signed = httpx2.post(door.url + "/login", data={"key": door.key}, headers=headers)
        assert ("; secure" in signed.headers["set-cookie"].lower()) is expected
