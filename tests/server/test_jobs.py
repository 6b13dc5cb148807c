"""Ids of jobs: answerable after the job is done, and useless to others."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx2
import pytest

from mneme import Namespace
from mneme.app.memory import MemoryOS

ALICE = "/v1/namespaces/alice/memories"


def add(http: httpx2.Client, path: str = ALICE, text: str = "I moved to Oslo in March.") -> str:
    answer = http.post(path, json={"content": text})
    [job] = answer.json()["jobs"]
    return str(job)


def reader(memory: MemoryOS, *namespaces: str) -> dict[str, str]:
    key, _ = memory.make_key("reader", namespaces=list(namespaces), verbs=["read"])
    return {"Authorization": f"Bearer {key}"}


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_a_job_waits_and_is_done(http: httpx2.Client, memory: MemoryOS) -> None:
    job = add(http)
    [listed] = [each for each in http.get("/v1/jobs").json()["items"] if each["id"] == job]
    assert listed == http.get(f"/v1/jobs/{job}").json()
    assert (listed["state"], listed["namespace"]) == ("waiting", "alice")
    memory.drain()
    done = http.get(f"/v1/jobs/{job}").json()
    assert (done["state"], done["namespace"], done["id"]) == ("done", "alice", job)


def test_a_made_up_a_changed_and_a_foreign_id_answer_alike(
    http: httpx2.Client, memory: MemoryOS
) -> None:
    job = add(http)
    raw = base64.urlsafe_b64decode(job + "=" * (-len(job) % 4))
    changed = raw.replace(b'"alice"', b'"bobby"')
    ids = [
        "nothing", "x" * 2000, "ä", "%00", "..", job[:-1], job + "A",
        base64.urlsafe_b64encode(changed).rstrip(b"=").decode(),
        base64.urlsafe_b64encode(bytes(16) + raw[16:]).rstrip(b"=").decode(),
    ]  # fmt: skip
    bob = reader(memory, "bobby")
    answers = [http.get(f"/v1/jobs/{each}", headers=bob) for each in [job, *ids[:3], *ids[5:]]]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    memory.drain()
    assert http.get(f"/v1/jobs/{job}", headers=bob).text == answers[0].text
    assert http.get(f"/v1/jobs/{job}/events", headers=bob).text == answers[0].text


def test_jobs_are_listed_for_those_who_may_read_their_namespace(
    http: httpx2.Client, memory: MemoryOS
) -> None:
    job = add(http)
    add(http, "/v1/namespaces/bob/memories")

    def seen(headers: dict[str, str]) -> list[str]:
        return [each["namespace"] for each in http.get("/v1/jobs", headers=headers).json()["items"]]

    assert seen(reader(memory, "alice")) == ["alice"]
    assert seen(reader(memory, "carol")) == []
    assert sorted(seen(reader(memory, "*"))) == ["alice", "bob"]
    assert http.get(f"/v1/jobs/{job}", headers=reader(memory, "alice")).status_code == 200


def test_upkeep_of_the_store_is_shown_to_its_admin_alone(
    http: httpx2.Client, memory: MemoryOS, alice: Namespace
) -> None:
    alice.add("Gone soon.", expires_at="2030-01-01", infer="none")
    [job] = http.get("/v1/jobs").json()["items"]
    assert (job["kind"], job["namespace"]) == ("expire", None)
    everywhere = reader(memory, "*")
    assert http.get("/v1/jobs", headers=everywhere).json()["items"] == []
    assert http.get(f"/v1/jobs/{job['id']}", headers=everywhere).status_code == 404


def test_a_number_that_is_used_again_is_not_taken_for_the_job_that_had_it(
    http: httpx2.Client, memory: MemoryOS
) -> None:
    first = add(http)
    memory.drain()
    with memory.vault.parts.store.write() as tx:
        for row in tx.ledger.jobs():
            tx.ledger.finish_job(row)
    other = add(http, "/v1/namespaces/bob/memories")
    assert http.get(f"/v1/jobs/{other}").json()["state"] == "waiting"
    assert http.get(f"/v1/jobs/{first}").json()["state"] == "done"
    memory.drain()
    with memory.vault.parts.store.write() as tx:
        for row in tx.ledger.jobs():
            tx.ledger.finish_job(row)
    again = add(http, text="I moved to Bergen in May.")
    assert http.get(f"/v1/jobs/{again}").json()["state"] == "waiting"
    assert http.get(f"/v1/jobs/{first}").json()["state"] == "done"


def test_a_job_that_failed_and_waits_again_is_still_the_same(
    http: httpx2.Client, memory: MemoryOS
) -> None:
    job = add(http)
    clock = memory.vault.parts.clock
    with memory.vault.parts.store.write() as tx:
        row = tx.ledger.lease_job(clock.now_us(), clock.now_us() + 10**9)
        assert row is not None
    assert http.get(f"/v1/jobs/{job}").json()["state"] == "running"
    with memory.vault.parts.store.write() as tx:
        later = clock.now_us() + 10**9
        tx.ledger.fail_job(row, state="waiting", due_at=later, error="BackendUnavailableError: no")
    shown = http.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], shown["tries"]) == ("waiting", 1)
    assert shown["error"] == "BackendUnavailableError: no"


def test_events_of_a_job_end_with_it(http: httpx2.Client, memory: MemoryOS) -> None:
    job = add(http)
    with http.stream("GET", f"/v1/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        pieces = answer.iter_text()
        text = next(pieces)
        memory.drain()
        text += "".join(pieces)
    assert [each["state"] for each in events(text)] == ["waiting", "done"]
    assert [each["state"] for each in events(http.get(f"/v1/jobs/{job}/events").text)] == ["done"]


@pytest.mark.parametrize("wait_s", ["0", "1"])
def test_events_end_when_nobody_wants_to_wait_longer(http: httpx2.Client, wait_s: str) -> None:
    job = add(http)
    answer = http.get(f"/v1/jobs/{job}/events", params={"wait_s": wait_s})
    assert [each["state"] for each in events(answer.text)] == ["waiting"]
    assert http.get(f"/v1/jobs/{job}/events", params={"wait_s": 4000}).status_code == 422
