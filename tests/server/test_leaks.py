"""Principals who pry see nothing of one another; benchmarks/doors_leaks.py does it at length."""

import random

import httpx2

from mneme.app.memory import MemoryOS
from mneme.testing.doors import running_door
from mneme.testing.intruders import missing_id, plant

_REQUESTS = 600


def test_no_answer_holds_a_token_of_another(memory: MemoryOS) -> None:
    rng = random.Random(5)
    world = plant(memory, rng, principals=5, tokens=24)
    answered = 0
    with running_door(memory) as door, httpx2.Client(base_url=door.url, timeout=30) as http:
        for _ in range(_REQUESTS):
            who = rng.choice(world.intruders)
            asked = world.pry(rng, who)
            if asked.method == "MCP":
                continue
            raw = {"content": asked.body} if isinstance(asked.body, bytes) else {"json": asked.body}
            answer = http.request(
                asked.method,
                asked.path,
                headers={"Authorization": f"Bearer {who.key}", **asked.headers},
                **({} if asked.body is None else raw),
            )
            world.note(asked, answer.status_code)
            answered += answer.is_success
            assert answer.status_code < 500 or asked.path == "/v1/chat/completions", (asked, answer)
            assert not world.leaked(who, f"{answer.headers}\n{answer.text}"), asked
    assert answered > _REQUESTS / 5


def test_an_owner_reads_what_was_planted(memory: MemoryOS) -> None:
    """Or the test above could not fail."""
    world = plant(memory, random.Random(6), principals=3, tokens=24)
    first, second = world.intruders[:2]
    with running_door(memory) as door, httpx2.Client(base_url=door.url) as http:
        said = http.get(
            f"/v1/namespaces/{first.own[0].replace('/', '~')}/memories",
            headers={"Authorization": f"Bearer {first.key}"},
        ).text
    assert not world.leaked(first, said)
    assert world.leaked(second, said)


def test_a_foreign_id_answers_as_a_missing_one(memory: MemoryOS) -> None:
    rng = random.Random(7)
    world = plant(memory, rng, principals=3, tokens=8)
    spy, owner = world.intruders[1], world.intruders[0]
    [foreign, *_] = world.ids[owner.own[0]]
    nobody = missing_id(rng)
    headers = {"Authorization": f"Bearer {spy.key}"}
    with running_door(memory) as door, httpx2.Client(base_url=door.url, headers=headers) as http:
        for space in (spy.own[0], owner.own[0], "nobody"):
            root = f"/v1/namespaces/{space.replace('/', '~')}"
            for method, tail, body in (
                ("GET", "", None),
                ("GET", "/history", None),
                ("GET", "/sources", None),
                ("PATCH", "", {"text": "Mine now."}),
                ("DELETE", "", None),
                ("POST", "/archive", None),
                ("POST", "/rollback", {"to_version": 1}),
                ("POST", "/restore", None),
            ):
                answers = [
                    http.request(method, f"{root}/memories/{each}{tail}", json=body)
                    for each in (foreign, nobody)
                ]
                said = [(a.status_code, a.text.replace(foreign, nobody)) for a in answers]
                assert said[0] == said[1], (space, method, tail)
                assert said[0][0] in {403, 404}
