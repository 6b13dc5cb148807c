"""Adapters on a server that takes them while it runs, against a real one that behaves as vLLM."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from mneme.core.errors import BackendUnavailableError, InvalidInputError

pytest.importorskip("httpx2", reason="the extra llm is not installed")

from mneme.backends.engines.lora_server import LoraServer, name_of
from mneme.memories.parametric.adapter import Adapter
from mneme.memories.parametric.bundle import pack, rows
from mneme.memories.parametric.facts import FactLedger
from mneme.memories.parametric.folder import write_folder
from mneme.memories.parametric.lora import weight_names
from mneme.testing.lora_server import BASE_MODEL, KEY, LoraTestServer, running_lora_server

TALK = [{"role": "user", "content": "where do i live ?"}]
OTHER = "a1" * 32


@pytest.fixture(scope="module")
def shared_server() -> Iterator[LoraTestServer]:
    with running_lora_server() as server:
        yield server


@pytest.fixture
def server(shared_server: LoraTestServer) -> LoraTestServer:
    shared_server.moods.clear()
    shared_server.asked.clear()
    shared_server.adapters.clear()
    shared_server.takes_adapters, shared_server.is_old = True, False
    shared_server.wants_key, shared_server.most_rank = False, 16
    return shared_server


@pytest.fixture
def version(tmp_path: Path) -> tuple[str, Path]:
    """A version's digest and its folder."""
    down, up = weight_names("model.layers.0.mlp.up_proj")
    adapter = Adapter(
        carrier="lora",
        base="b" * 64,
        config={"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["up_proj"]},
        tensors={down: torch.ones(2, 9), up: torch.ones(5, 2)},
    )
    bundle = pack(adapter, FactLedger(), {}, {}, "bf16")
    return bundle.digest, write_folder(bundle.files, rows(bundle), tmp_path / bundle.digest)


def lora(server: LoraTestServer, *, key: str | None = KEY, timeout_s: float = 5.0) -> LoraServer:
    return LoraServer(url=server.url, key=key, timeout_s=timeout_s)


@pytest.mark.parametrize("is_old", [False, True])
def test_an_adapter_is_loaded_used_listed_and_unloaded(
    server: LoraTestServer, version: tuple[str, Path], is_old: bool
) -> None:
    server.is_old = is_old
    digest, folder = version
    there = lora(server)
    assert there.loaded() == set()
    name = there.load(digest, folder)
    assert name == name_of(digest) == f"mneme-{digest[:16]}"
    assert there.loaded() == {name}
    assert server.adapters == {name: str(folder)}
    pieces = list(there.engine(digest).stream(TALK, max_new_tokens=5))
    assert "".join(piece.text for piece in pieces) == name
    there.unload(digest)
    assert there.loaded() == set()
    with pytest.raises(BackendUnavailableError, match="404"):
        list(there.engine(digest).stream(TALK, max_new_tokens=5))


@pytest.mark.parametrize("is_old", [False, True])
def test_to_load_or_unload_twice_is_to_do_it_once(
    server: LoraTestServer, version: tuple[str, Path], is_old: bool
) -> None:
    server.is_old = is_old
    digest, folder = version
    there = lora(server)
    assert [there.load(digest, folder) for _ in range(2)] == [name_of(digest)] * 2
    for _ in range(2):
        there.unload(digest)
    there.unload(OTHER)
    assert there.loaded() == set()


def test_many_at_once_load_it_once(server: LoraTestServer, version: tuple[str, Path]) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: lora(server).load(*version), range(16)))
    assert set(names) == {name_of(version[0])}
    assert len(server.adapters) == 1


def test_names_have_one_width_and_none_begins_another() -> None:
    digests = [f"{number:064x}" for number in (1, 10, 100)] + ["1" * 64, "10" * 32]
    names = [name_of(digest) for digest in digests[3:]]
    assert {len(name) for name in names} == {22}
    assert not any(one != other and other.startswith(one) for one in names for other in names)
    for bad in ("", "u1", "A" * 64, "a" * 63, "a" * 65, "../" + "a" * 61, "a" * 64 + "\n"):
        with pytest.raises(InvalidInputError, match="no digest"):
            name_of(bad)


def test_models_of_others_are_not_listed(server: LoraTestServer) -> None:
    server.adapters |= {"sql-lora": "/x", "mneme-short": "/x", "mneme-" + "a" * 16: "/x"}
    assert lora(server).loaded() == {"mneme-" + "a" * 16}
    assert server.has(BASE_MODEL)


def test_what_the_server_refuses_is_said(
    server: LoraTestServer, version: tuple[str, Path], tmp_path: Path
) -> None:
    digest, folder = version
    with pytest.raises(InvalidInputError, match="No adapter found for"):
        lora(server).load(digest, tmp_path / "nowhere")
    server.most_rank = 1
    with pytest.raises(InvalidInputError, match="rank 2 is greater than max_lora_rank 1"):
        lora(server).load(digest, folder)
    assert server.adapters == {}
    with pytest.raises(InvalidInputError, match="folder"):
        lora(server).load(digest, "")


def test_a_server_that_takes_no_adapters_says_how_to_start_it(
    server: LoraTestServer, version: tuple[str, Path]
) -> None:
    server.takes_adapters = False
    with pytest.raises(BackendUnavailableError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        lora(server).load(*version)
    lora(server).unload(version[0])  # it does not have it: nothing is to be done
    server.adapters[name_of(version[0])] = "/x"  # given at the start
    with pytest.raises(BackendUnavailableError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        lora(server).unload(version[0])
    wrong = LoraServer(url=server.url.removesuffix("/v1"))
    with pytest.raises(BackendUnavailableError, match="/v1 at its end"):
        wrong.load(*version)


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("401", "status 401; check the key"),
        ("403", "status 403; check the key"),
        ("500", "status 500; see the server's log"),
        ("garbage", "no list of models"),
        ("drop", "does not answer"),
        ("endless", "without end"),
    ],
)
def test_a_server_in_a_bad_mood(server: LoraTestServer, mood: str, said: str) -> None:
    server.moods.append(mood)
    with pytest.raises(BackendUnavailableError, match=said) as caught:
        lora(server).loaded()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("mood", ["401", "500", "drop"])
def test_bad_moods_while_loading(
    server: LoraTestServer, version: tuple[str, Path], mood: str
) -> None:
    for ask in (lambda: lora(server).load(*version), lambda: lora(server).unload(version[0])):
        server.moods.append(mood)
        with pytest.raises(BackendUnavailableError) as caught:
            ask()
        assert KEY not in str(caught.value)


def test_the_key_is_sent_and_never_said(server: LoraTestServer, version: tuple[str, Path]) -> None:
    server.wants_key = True
    assert lora(server).load(*version) == name_of(version[0])
    assert server.asked[-1].headers["Authorization"] == f"Bearer {KEY}"
    with pytest.raises(BackendUnavailableError, match="401"):
        lora(server, key=None).loaded()
    server.moods.append("422")  # its words hold the key
    with pytest.raises(InvalidInputError, match=r"no \*\*\*"):
        lora(server).load(OTHER, "/x")
    assert KEY not in repr(lora(server))


def test_a_silent_server_ends_the_wait(server: LoraTestServer) -> None:
    server.moods.append("silent")
    began = time.monotonic()
    with pytest.raises(BackendUnavailableError, match=r"0\.3 s"):
        lora(server, timeout_s=0.3).loaded()
    assert time.monotonic() - began < 5


def test_nobody_there() -> None:
    with pytest.raises(BackendUnavailableError, match="is it running"):
        LoraServer(url="http://127.0.0.1:9/v1", timeout_s=5).loaded()


def test_arguments_that_cannot_be_right() -> None:
    with pytest.raises(InvalidInputError, match="url"):
        LoraServer(url="file:///etc/passwd")
    with pytest.raises(InvalidInputError, match="key"):
        LoraServer(url="http://127.0.0.1:1/v1", key="a\nb")
    with pytest.raises(InvalidInputError, match="timeout_s"):
        LoraServer(url="http://127.0.0.1:1/v1", timeout_s=0)
