"""Metrics: counts by route and status that add up, and no word of what was asked."""

from __future__ import annotations

import re

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import Namespace
from mneme.server.metrics import Requests
from mneme.testing.doors import Door

_LINE = re.compile(
    r'(# TYPE \w+ (counter|gauge|histogram))|(\w+(\{(\w+="[^"\\\n]*",?)*\})? [0-9.e+-]+)'
)


def sums(text: str, name: str) -> dict[str, float]:
    found = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_requests_are_counted_by_route_and_status(http: httpx2.Client, door: Door) -> None:
    for query in ("Oslo", "Bergen"):
        http.post("/v1/namespaces/alice/search", json={"query": query})
    http.post("/v1/namespaces/alice/search", json={})
    httpx2.get(f"{door.url}/v1/jobs")
    text = http.get("/metrics").text
    search = 'method="POST",route="/v1/namespaces/{ns}/search",status="%d"'
    counts = sums(text, "mneme_http_requests_total")
    assert (counts[search % 200], counts[search % 422]) == (2, 1)
    assert counts['method="GET",route="other",status="401"'] == 1
    assert 'mneme_http_request_seconds_count{route="/v1/namespaces/{ns}/search"} 3' in text
    assert all(_LINE.fullmatch(line) for line in text.splitlines())


def test_no_namespace_id_or_content_is_told(http: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add("I moved to Oslo in March.", session="secret-session")
    for path in ("memories/" + cube.id, "memories?session=secret-session", "nothing/alice"):
        http.get(f"/v1/namespaces/alice/{path}")
    http.request("ALICE", "/alice")
    text = http.get("/metrics").text
    for told in ("alice", "ALICE", "Oslo", "secret-session", cube.id):
        assert told not in text
    assert 'mneme_store_cubes{state="activated"} 1' in text


@given(st.lists(st.floats(0, 60)))
def test_buckets_only_grow_and_end_at_the_count(seconds: list[float]) -> None:
    requests = Requests()
    for each in seconds:
        requests.enter("GET", "/x", 200, each)
    text = "\n".join(requests.lines())
    buckets = list(sums(text, "mneme_http_request_seconds_bucket").values())
    assert buckets == sorted(buckets)
    assert buckets[-1:] == ([len(seconds)] if seconds else [])
    for labels, count in sums(text, "mneme_http_request_seconds_bucket").items():
        bound = float(labels.split('"')[3])
        assert count == sum(each <= bound for each in seconds)
    if seconds:
        [total] = sums(text, "mneme_http_request_seconds_sum").values()
        assert total == pytest.approx(sum(seconds), abs=1e-5)
