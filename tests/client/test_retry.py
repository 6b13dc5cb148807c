"""What is sent again, and what never is: a lost answer stores nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import BackendUnavailableError, ForbiddenError, InvalidInputError
from mneme.app.memory import MemoryOS
from mneme.client import Client
from mneme.client.adding import with_key
from mneme.client.retry import ATTEMPTS, LONGEST_WAIT_S, wait_before_retry
from mneme.client.wire import Answer, Lost, Request
from mneme.testing.bounded_server import BoundedServer, running
from mneme.testing.doors import running_door


class Cutting(BaseHTTPRequestHandler):
    """Stands before a real server: hands requests on, and loses the first answers to them."""

    protocol_version = "HTTP/1.1"
    behind: ClassVar[str] = ""
    losses: ClassVar[int] = 0

    def do_POST(self) -> None:
        import httpx2

        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, BoundedServer)
        self.server.asked.append((self.path, body))
        given = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
        url = self.behind + self.path
        answer = httpx2.request(self.command, url, content=body, headers=given)
        if len(self.server.asked) <= self.losses:
            self.close_connection = True  # no answer
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def do_PATCH(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None: ...


class Cut:
    """A client of a server whose first answers are lost."""

    def __init__(self, client: Client, server: BoundedServer) -> None:
        self.client, self.asked = client, server.asked


@pytest.fixture
def cut(memory: MemoryOS) -> Iterator[Cut]:
    with running_door(memory) as door:
        handler = type("Losing", (Cutting,), {"behind": door.url, "losses": 2})
        with running(BoundedServer(handler, most_requests=50, most_s=30)) as server:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            with Client(url, door.key) as client:
                yield Cut(client, server)


def test_a_lost_answer_to_add_stores_nothing_twice(cut: Cut, memory: MemoryOS) -> None:
    [cube] = cut.client.namespace("a").add("I moved to Oslo.")
    assert len(cut.asked) == 3
    assert memory.namespace("a").list().items == (cube,)


def test_a_lost_answer_to_add_many_stores_nothing_twice(cut: Cut, memory: MemoryOS) -> None:
    items = ["One.", {"role": "user", "content": "Two."}, {"content": "3", "session": "s"}, "One."]
    report = cut.client.namespace("a").add_many(items)
    assert len(cut.asked) == 3
    assert [cube.text for cube in memory.namespace("a").list().items] == [
        "One.",
        "Two.",
        "3",
        "One.",
    ]
    assert len({each.ids for each in report.items}) == 4


def test_where_the_words_are_the_key_no_other_is_made(cut: Cut, memory: MemoryOS) -> None:
    cut.client.namespace("a").add("I moved to Oslo.", session="s", at="2026-03-20")
    assert len(cut.asked) == 3
    assert "idempotency_key" not in json.loads(cut.asked[0][1])
    assert len(memory.namespace("a").list().items) == 1


def test_a_reading_is_asked_again(cut: Cut) -> None:
    assert cut.client.namespace("a").search("Oslo") == []
    assert len(cut.asked) == 3


def test_a_change_is_never_sent_again(cut: Cut, memory: MemoryOS) -> None:
    [cube] = memory.namespace("a").add("I moved to Oslo.")
    with pytest.raises(BackendUnavailableError, match="may have been done"):
        cut.client.namespace("a").update(cube.id, text="I moved to Bergen.")
    assert len(cut.asked) == 1
    assert memory.namespace("a").get(cube.id).version == 2


class Refusing(BaseHTTPRequestHandler):
    """Answers as told."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, dict[str, str], bytes]]] = []

    def do_GET(self) -> None:
        assert isinstance(self.server, BoundedServer)
        status, headers, body = self.answers[min(len(self.server.asked), len(self.answers) - 1)]
        self.server.asked.append(self.path)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def answered(*answers: tuple[int, dict[str, str], bytes]) -> tuple[Any, int]:
    """What `namespaces()` gives or raises, and how often it asked."""
    handler = type("Told", (Refusing,), {"answers": list(answers)})
    with running(BoundedServer(handler, most_requests=50, most_s=30)) as server:
        with Client(f"http://127.0.0.1:{server.server_address[1]}") as client:
            try:
                found: Any = client.namespaces()
            except (BackendUnavailableError, InvalidInputError, ForbiddenError) as error:
                found = error
        return found, len(server.asked)


FINE: tuple[int, dict[str, str], bytes] = (200, {}, b'{"items": ["a"]}')


def test_a_busy_server_is_asked_again_when_it_says_so() -> None:
    busy = (429, {"Retry-After": "0"}, b'{"detail": "too many", "error": "TooManyRequests"}')
    assert answered(busy, busy, FINE) == (["a"], 3)
    error, asked = answered(busy)
    assert isinstance(error, BackendUnavailableError)
    assert (str(error), asked) == ("too many", ATTEMPTS)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((429, {"Retry-After": "3600"}, b"{}"), BackendUnavailableError),
        ((429, {"Retry-After": "soon"}, b"{}"), BackendUnavailableError),
        ((500, {}, b"<html>"), BackendUnavailableError),
        ((404, {}, b"[]"), BackendUnavailableError),
        ((302, {"Location": "/"}, b""), BackendUnavailableError),
        ((413, {}, b""), InvalidInputError),
        ((422, {}, b'{"detail": [{"loc": ["query"]}]}'), InvalidInputError),
        ((403, {}, b'{"detail": "no", "error": "ForbiddenError", "values": {"__x": 1, "n": 2}}'),
         ForbiddenError),
        ((400, {}, b'{"detail": "no", "error": "Iterable"}'), InvalidInputError),
        ((200, {}, b"<html>"), BackendUnavailableError),
    ],
)  # fmt: skip
def test_other_answers_are_final(
    answer: tuple[int, dict[str, str], bytes], kind: type[Exception]
) -> None:
    error, asked = answered(answer, FINE)
    assert type(error) is kind
    assert str(error)
    assert asked == 1


requests = st.builds(Request, method=st.just("POST"), path=st.just("/"), repeatable=st.booleans())
losses = st.builds(Lost, sent=st.booleans(), why=st.just("x"))


@given(requests, losses, st.integers(1, ATTEMPTS))
def test_what_may_have_been_done_is_sent_again_only_if_it_is_repeatable(
    request: Request, lost: Lost, attempt: int
) -> None:
    again = wait_before_retry(request, lost, attempt) is not None
    assert again == (request.repeatable or not lost.sent)


@given(requests, st.integers(100, 599), st.text(max_size=12), st.integers(1, ATTEMPTS))
def test_no_wait_is_longer_than_the_bound(
    request: Request, status: int, after: str, attempt: int
) -> None:
    outcome = Answer(status=status, headers={"retry-after": after})
    wait_s = wait_before_retry(request, outcome, attempt)
    assert wait_s is None or 0 <= wait_s <= LONGEST_WAIT_S
    assert status in {429, 503} or wait_s is None


messages = st.fixed_dictionaries({"content": st.text()}, optional={"at": st.just("2026-01-01")})


@given(st.lists(messages, min_size=1), st.none() | st.just("s"), st.none() | st.just("2026-01-01"))
def test_what_is_repeatable_names_its_request(
    said: list[dict[str, str]], session: str | None, at: str | None
) -> None:
    body, again = with_key(said, {"session": session, "at": at})
    named = "idempotency_key" in body
    by_words = session is not None and all(at or each.get("at") for each in said)
    assert named or again == by_words
    assert not (named and session is not None and any(at or each.get("at") for each in said))
