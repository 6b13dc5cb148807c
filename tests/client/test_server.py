"""What concerns the whole server, who may ask, and both ways to call."""

import asyncio
import sys
from pathlib import Path

import pytest

import mneme
from mneme import (
    BackendUnavailableError,
    CubeNotFoundError,
    ForbiddenError,
    InvalidInputError,
    MissingDependencyError,
)
from mneme.app.memory import MemoryOS
from mneme.client import AsyncClient, AsyncRemoteNamespace, Client, RemoteNamespace
from mneme.testing.chat_server import KEY, running_chat_server
from mneme.testing.doors import Door, running_door


def test_the_whole_server(client: Client, memory: MemoryOS) -> None:
    client.namespace("acme/alice").add("I moved to Oslo.")
    client.namespace(("acme", "bob")).add("I play the cello.")
    assert client.namespaces() == memory.namespaces() == ["acme/alice", "acme/bob"]
    assert client.namespaces("acme/b") == ["acme/bob"]
    assert client.stats().counts == memory.stats().counts
    assert client.audit() == memory.audit()
    assert client.audit(since="2100-01-01") == []


def test_every_page_of_the_audit_is_read(client: Client, memory: MemoryOS) -> None:
    memory.namespace("a").add_many(f"Number {n}." for n in range(2100))
    assert client.audit() == memory.audit()


def test_a_key_opens_what_it_grants_and_nothing_else(door: Door, memory: MemoryOS) -> None:
    key, _ = memory.make_key("bob", namespaces=["bob"], verbs=["read"])
    with Client(door.url, key) as client:
        assert client.namespace("bob").list().items == ()
        for refused in (
            lambda: client.namespace("bob").add("x"),
            lambda: client.namespace("alice").list(),
            client.stats,
            client.audit,
        ):
            with pytest.raises(ForbiddenError):
                refused()
    for wrong in (None, "mneme_000000000000_" + "x" * 43):
        with Client(door.url, wrong) as client, pytest.raises(ForbiddenError, match="key"):
            client.namespaces()


async def _talk(door: Door, file: Path) -> None:
    async with AsyncClient(door.url, door.key) as client:
        space = client.namespace("acme/alice")
        kept = await asyncio.gather(*(space.add(f"Number {n}.") for n in range(8)))
        assert {cubes[0].text for cubes in kept} == {f"Number {n}." for n in range(8)}
        assert (await space.add_many(f"More {n}." for n in range(300))).added == 300
        assert len((await space.list(limit=1000)).items) == 308
        with pytest.raises(CubeNotFoundError):
            await space.get("none")
        assert await space.export(file) == 308
        assert (await client.namespace("copy").import_(file)).added == 308
        assert await client.namespaces() == ["acme/alice", "copy"]
        assert repr(space) == "AsyncRemoteNamespace('acme/alice')"
        assert isinstance(space, AsyncRemoteNamespace)


def test_the_same_verbs_as_coroutines(door: Door, tmp_path: Path) -> None:
    asyncio.run(_talk(door, tmp_path / "out.mneme"))


def test_what_is_no_server_of_mneme_is_said(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:1", timeout_s=2) as client:
        with pytest.raises(BackendUnavailableError, match="no answer"):
            client.namespaces()
        assert repr(client) == "Client('http://127.0.0.1:1')"
        space = client.namespace("a")
        assert isinstance(space, RemoteNamespace)
        with pytest.raises(BackendUnavailableError):
            space.export(tmp_path / "out.mneme")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("127.0.0.1:8350", {}),
        (7, {}),
        ("http://127.0.0.1:1", {"key": "two\nlines"}),
        ("http://127.0.0.1:1", {"timeout_s": 0}),
        ("http://127.0.0.1:1", {"timeout_s": "long"}),
    ],
)
def test_a_client_is_made_of_sensible_values(url: str, more: dict[str, object]) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(InvalidInputError):
            kind(url, **more)  # type: ignore[arg-type]
    with Client("http://127.0.0.1:1") as client, pytest.raises(InvalidInputError):
        client.namespace("no space")


def test_a_server_without_a_model_says_so(client: Client) -> None:
    space = client.namespace("a")
    [cube] = space.add("I moved to Oslo.")
    with pytest.raises(BackendUnavailableError, match="model"):
        space.chat("Where do I live?")
    with pytest.raises(BackendUnavailableError, match="model"):
        space.promote(cube.id, to="activation")
    with pytest.raises(InvalidInputError, match="carrier"):
        space.demote(cube.id)


def test_the_servers_model_answers_from_memory(memory: MemoryOS) -> None:
    with running_chat_server() as server:
        engine = mneme.remote_engine("small", url=server.url, key=KEY)
        memory.attach(engine)
        with running_door(memory, engine=engine) as door, Client(door.url, door.key) as client:
            space = client.namespace("acme/alice")
            [book] = space.add("Refunds are paid within thirty days. " * 12, type="document")
            [carrier] = space.promote([book.id], to="activation")
            assert (carrier.kind, carrier.payload) == ("activation", carrier.metadata)
            reply = space.chat("When are refunds paid?", session="s1")
            assert isinstance(reply, mneme.Reply)
            assert (reply.text, reply.session) != ("", None)
            assert [each.cube_id for each in reply.plan] == [carrier.id]
            assert [each.role for each in space.list(session="s1").items] == ["user", "assistant"]
            space.demote(book.id)


def test_without_httpx2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    for kind in (Client, AsyncClient):
        with pytest.raises(MissingDependencyError, match=r"mneme\[client\]"):
            kind("http://127.0.0.1:1")


def test_a_key_is_never_shown(door: Door) -> None:
    with Client(door.url, door.key) as client:
        assert door.key not in repr(client) + repr(client.namespace("a"))
    with Client(door.url, "mneme_wrong") as client, pytest.raises(ForbiddenError) as refused:
        client.namespaces()
    assert "mneme_wrong" not in str(refused.value)
