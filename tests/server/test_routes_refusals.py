"""What the HTTP door refuses, and how: always a problem, never a 500, nothing repeated."""

from __future__ import annotations

import json
import re

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mneme import Namespace
from mneme.server.shapes.fields import TEXT, Text

ALICE = "/v1/namespaces/alice"
MEMORIES = ALICE + "/memories"
JSON = {"Content-Type": "application/json"}


def refused(answer: httpx2.Response, status: int, error: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert error is None or said["error"] == error
    return str(said["detail"])


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"content": "x"', b"\xff\xfe", b"[" * 50_000, b'{"priority": ' + b"9" * 6000 + b"}"],
)
def test_what_is_no_json_is_a_bad_request(http: httpx2.Client, body: bytes) -> None:
    refused(http.post(MEMORIES, content=body, headers=JSON), 400, "InvalidInputError")


@pytest.mark.parametrize(
    "body",
    [
        b'{"content": "x\\u0000"}',
        b'{"content": "x\\ud800"}',
        b'{"content": "x", "\\ud800": 1}',
        b'{"content": "x", "metadata": {"a": NaN}}',
        b'{"content": "x", "metadata": {"a": 1e999}}',
        b'{"content": "x", "metadata": {"a": 99999999999999999999}}',
        b'{"content": "x", "metadata": {"\\u0000": 1}}',
        b'{"content": "x", "priority": Infinity}',
        b'{"content": "x", "metadata": ' + b'{"a":' * 700 + b"1" + b"}" * 701,
        b'{"content": "x", "metadata": ' + b"[" * 700 + b"]" * 700 + b"}",
        b'{"content": "x", "metadata": [1]}',
        b'{"content": " "}',
        b'{"content": []}',
        b'{"content": [7]}',
        b'{"content": {"role": "user"}}',
        b'{"content": {"content": "x", "colour": 1}}',
        b'{"content": {"content": ["x"]}}',
        b'{"content": "x", "labels": 0}',
        b'{"content": "x", "hold": "yes"}',
        b'{"content": "x", "at": "soon"}',
        b"[]",
        b'"x"',
        b"null",
        b"",
    ],
)
def test_what_does_not_fit_is_unprocessable_and_keeps_nothing(
    http: httpx2.Client, alice: Namespace, body: bytes
) -> None:
    refused(http.post(MEMORIES, content=body, headers=JSON), 422)
    assert alice.list().items == ()


def test_an_unknown_field_is_refused_and_the_nearest_named(http: httpx2.Client) -> None:
    for path, body, near in (
        ("memories", {"content": "x", "sesion": "s1"}, "session"),
        ("search", {"query": "x", "sesion": "s1"}, "session"),
        ("forget", {"targets": "x"}, "target"),
    ):
        said = refused(http.post(f"{ALICE}/{path}", json=body), 422, "UnknownArgumentError")
        assert f"did you mean {near!r}?" in said


def test_an_unknown_query_parameter_is_refused_and_the_nearest_named(http: httpx2.Client) -> None:
    said = refused(http.get(MEMORIES, params={"limits": 3}), 422, "UnknownArgumentError")
    assert "did you mean 'limit'?" in said
    refused(http.post(f"{ALICE}/search?limit=3", json={"query": "x"}), 422)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=5.0", "limit=%205", "limit=1_0", "limit=",
        "limit=1&limit=2",
        "limit=9999999999999999999999", "include_archived=yes", "include_archived=1", "type=tea",
        "session=", "session=%00", "cursor=k", "cursor=zzz", "filters=[]", "filters={", "filters=",
        "filters={%22type%22:NaN}", "filters={%22colour%22:1}", "filters=" + "[" * 9000,
    ],
)  # fmt: skip
def test_bad_queries_are_unprocessable(http: httpx2.Client, query: str) -> None:
    refused(http.get(f"{MEMORIES}?{query}"), 422)


def test_the_words_of_a_refusal_do_not_repeat_what_was_sent(http: httpx2.Client) -> None:
    secret = "correct horse battery staple"
    for body in ({"content": {"text": secret}}, {"content": "x", "priority": secret}):
        answer = http.post(MEMORIES, json=body)
        assert answer.status_code == 422
        assert secret not in answer.text


def test_routes_that_are_not_there_are_problems_too(http: httpx2.Client) -> None:
    refused(http.get("/v1/nothing"), 404, "NotFound")
    refused(http.get("/v1/namespaces/alice/nothing/at/all"), 404)
    refused(http.get("/v1/namespaces/a%2Fb/memories"), 404)


def test_another_method_names_those_that_the_route_takes(http: httpx2.Client) -> None:
    answer = http.put(f"{MEMORIES}/x")
    refused(answer, 405)
    assert answer.headers["allow"] == "GET, PATCH, DELETE"
    assert http.delete(MEMORIES).headers["allow"] == "GET, POST"
    assert http.request("TRACE", f"{ALICE}/search").headers["allow"] == "POST"


@pytest.mark.parametrize("ns", ["a~", "~a", "a~~b", "a b", "%00", "ä", "a" * 513])
def test_what_is_no_namespace_is_refused(http: httpx2.Client, ns: str) -> None:
    refused(http.get(f"/v1/namespaces/{ns}/memories"), 422, "InvalidInputError")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(
    ["query", "content", "target", "filters", "limit", "metadata", "hits_or_ids", "used", "to",
     "items", "messages", "to_version", "text", "types", "since", "session"]
)  # fmt: skip
routes = st.sampled_from(
    ["memories", "batch", "search", "recall", "feedback", "forget", "erase", "promote", "chat",
     "memories/x/rollback"]
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(route=routes, body=st.dictionaries(names, junk, max_size=4) | junk)
def test_no_json_makes_the_server_fail(http: httpx2.Client, route: str, body: object) -> None:
    answer = http.post(f"{ALICE}/{route}", content=json.dumps(body), headers=JSON)
    assert answer.status_code < 500 or answer.json()["error"] == "BackendUnavailableError"
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        {"query": "x", "types": [0] * 100_000},
        {"query": "x", "filters": {"type": {"in": [0] * 2000}}},
        {"query": "x", **{f"field {n}": n for n in range(2000)}},
    ],
)
def test_many_faults_are_answered_in_few_words(
    http: httpx2.Client, body: dict[str, object]
) -> None:
    assert len(http.post(f"{ALICE}/search", json=body).content) < 1000


@pytest.mark.parametrize("point", range(0, 0x3100, 0x100))
def test_a_text_fits_the_schema_just_when_the_library_takes_it(point: int) -> None:
    fits = TypeAdapter(Text)
    for character in map(chr, range(point, point + 0x100)):
        taken = bool(character.strip()) and character != "\0"
        assert bool(re.match(TEXT, character)) == taken
        try:
            fits.validate_python(character)
        except ValidationError:
            assert not taken
        else:
            assert taken
