"""Blobs in a real Redis server, and in servers that fail."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mneme.backends.blobs.redis import RedisBlobs
from mneme.core.errors import BackendUnavailableError, InvalidInputError, StoreFullError
from mneme.testing.blob_contract import NAMES, BlobStoreContract, got

redis = pytest.importorskip("redis")

SERVER = shutil.which("redis-server")
needs_server = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def running(folder: Path, *options: str, port: int | None = None) -> Iterator[str]:
    """A server without persistence, and its address."""
    port = port or free_port()
    said = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(
        [str(SERVER), *said, "--dir", str(folder), *options], stdout=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if SERVER is None:
        pytest.skip("redis-server is not installed")
    with running(tmp_path_factory.mktemp("redis")) as url:
        yield url


class TestRedisBlobs(BlobStoreContract):
    @pytest.fixture
    def store(self, url: str) -> Iterator[RedisBlobs]:
        blobs = RedisBlobs(url, store="s[1]*", timeout_s=20)
        blobs.drop(list(blobs.names()))
        yield blobs
        blobs.close()


@contextmanager
def blobs_at(url: str, *, timeout_s: float = 0.5, rest_s: float = 60) -> Iterator[RedisBlobs]:
    blobs = RedisBlobs(url, store="here", timeout_s=timeout_s, rest_s=rest_s)
    try:
        yield blobs
    finally:
        blobs.close()


def test_two_stores_in_one_server_never_see_each_other(url: str) -> None:
    with blobs_at(url, timeout_s=20) as mine:
        other = RedisBlobs(url, store="here:too", timeout_s=20)
        mine.put({"a": b"mine"})
        other.put({"a": b"other", "b": b"other"})
        assert got(mine, ["a", "b"]) == [b"mine", None]
        assert set(mine.names()) == {"a"}
        assert mine.total_bytes() == 4
        mine.drop(["a", "b"])
        assert got(other, ["a", "b"]) == [b"other", b"other"]
        other.close()


def test_what_is_no_string_there_is_no_blob(url: str) -> None:
    with redis.Redis.from_url(url) as client, blobs_at(url, timeout_s=20) as blobs:
        client.lpush("mneme:here:list", "x")
        client.set("mneme:here:no/name", "x")
        blobs.put({"a": b"data"})
        assert got(blobs, ["list", "a"]) == [None, b"data"]
        assert set(blobs.names()) == {"a", "list"}
        client.delete("mneme:here:list", "mneme:here:no/name")


def write_ten_mb(blobs: RedisBlobs) -> None:
    for number in range(20):
        blobs.put({f"{number}": b"x" * 500_000})


@needs_server
def test_a_full_server_says_so_and_goes_on(tmp_path: Path) -> None:
    limits = ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]
    with running(tmp_path, *limits) as url, blobs_at(url, timeout_s=20) as blobs:
        blobs.put({"a": b"small"})
        with pytest.raises(StoreFullError, match="maxmemory"):
            write_ten_mb(blobs)
        assert got(blobs, ["a"]) == [b"small"]  # it is not left alone: it answers


@needs_server
def test_a_server_that_wants_a_password_is_unavailable_without_it(tmp_path: Path) -> None:
    with running(tmp_path, "--requirepass", "secret") as url:
        with blobs_at(url, timeout_s=20) as blobs, pytest.raises(BackendUnavailableError):
            blobs.get(["a"])
        with blobs_at(url, timeout_s=20) as blobs, pytest.raises(BackendUnavailableError):
            blobs.put({"a": b""})
        with blobs_at(url.replace("//", "//:secret@"), timeout_s=20) as blobs:
            blobs.put({"a": b"data"})
            assert got(blobs, ["a"]) == [b"data"]


@needs_server
def test_a_server_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with running(tmp_path) as url:
        blobs = RedisBlobs(url, store="here", timeout_s=5, rest_s=0.2)
        blobs.put({"a": b"data"})
    with pytest.raises(BackendUnavailableError):
        blobs.get(["a"])
    with running(tmp_path, port=int(url.rpartition(":")[2])):
        time.sleep(0.2)
        assert got(blobs, ["a"]) == [None]  # it kept nothing
        blobs.close()


def test_a_server_that_ended_an_idle_connection_is_no_failure(url: str) -> None:
    with redis.Redis.from_url(url) as client, blobs_at(url, timeout_s=20) as blobs:
        blobs.put({"a": b"data"})
        client.client_kill_filter(_type="normal", skipme=True)
        assert got(blobs, ["a"]) == [b"data"]


def test_many_threads_at_once(url: str) -> None:
    with blobs_at(url, timeout_s=20) as blobs, ThreadPoolExecutor(20) as pool:

        def write_and_read(number: int) -> bool:
            blobs.put({f"t{number}": bytes([number]) * 1000})
            return got(blobs, [f"t{number}"]) == [bytes([number]) * 1000]

        assert all(pool.map(write_and_read, range(100)))


Mood = Callable[[socket.socket], None]


def hang(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


def cut(connection: socket.socket) -> None:
    connection.recv(10)


def drip(connection: socket.socket) -> None:
    """Never late by itself: a byte of a long answer every now and then."""
    connection.recv(1000)
    connection.sendall(b"$100000\r\n")
    while True:
        time.sleep(0.05)
        connection.sendall(b"x")


def rubbish(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n<html></html>")
    hang(connection)


@contextmanager
def strange_server(mood: Mood) -> Iterator[tuple[str, list[float]]]:
    """A server that answers wrongly, and the times at which it was asked."""
    asked: list[float] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # clients that give up are what the tests are about
            mood(connection)

    def accept() -> None:
        while True:
            try:
                connection = listening.accept()[0]
            except OSError:
                return
            asked.append(time.monotonic())
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{listening.getsockname()[1]}", asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("mood", [hang, cut, drip, rubbish])
def test_a_server_that_answers_wrongly_costs_little_and_only_once(mood: Mood) -> None:
    with strange_server(mood) as (url, asked), blobs_at(url) as blobs:
        begun = time.monotonic()
        with pytest.raises(BackendUnavailableError):
            blobs.get(NAMES)
        first = time.monotonic() - begun
        assert first < 5
        times = len(asked)
        begun = time.monotonic()
        for _ in range(20):
            with pytest.raises(BackendUnavailableError, match="left alone"):
                blobs.put({"a": b"x"})
        assert time.monotonic() - begun < 0.5
        assert len(asked) == times


@pytest.mark.parametrize("mood", [hang, drip])
def test_threads_that_were_given_up_end(mood: Mood) -> None:
    with strange_server(mood) as (url, _), blobs_at(url, rest_s=0) as blobs:
        for _ in range(3):
            with pytest.raises(BackendUnavailableError):
                blobs.get(["a"])
        blobs.close()
        until = time.monotonic() + 10
        while _alive() and time.monotonic() < until:
            time.sleep(0.02)
        assert not _alive()


def _alive() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("mneme-redis")]


@pytest.mark.parametrize(
    "call",
    [
        lambda blobs: blobs.put({"a": b"x"}),
        lambda blobs: blobs.get(["a"]),
        lambda blobs: blobs.drop(["a"]),
        lambda blobs: list(blobs.names()),
        lambda blobs: blobs.total_bytes(),
    ],
)
def test_every_call_to_a_server_that_refuses_is_unavailable(
    call: Callable[[RedisBlobs], object],
) -> None:
    with (
        blobs_at(f"redis://127.0.0.1:{free_port()}") as blobs,
        pytest.raises(BackendUnavailableError, match="remote"),
    ):
        call(blobs)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1", "redis://host:notaport", "127.0.0.1:6379"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="redis://"):
        RedisBlobs(url, store="here")


def test_an_error_does_not_tell_the_password() -> None:
    with (
        blobs_at(f"redis://user:hidden@127.0.0.1:{free_port()}") as blobs,
        pytest.raises(BackendUnavailableError) as error,
    ):
        blobs.get(["a"])
    assert "hidden" not in str(error.value)


def test_a_blob_beyond_the_limit_is_refused_before_it_is_sent() -> None:
    with (
        blobs_at(f"redis://127.0.0.1:{free_port()}") as blobs,
        pytest.raises(StoreFullError, match="takes up to"),
    ):
        blobs.put({"a": bytes(257 << 20)})


def test_a_closed_one_is_unavailable() -> None:
    blobs = RedisBlobs("redis://127.0.0.1:1", store="here")
    blobs.close()
    with pytest.raises(BackendUnavailableError, match="closed"):
        blobs.get(["a"])
