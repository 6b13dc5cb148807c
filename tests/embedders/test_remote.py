"""OpenAI-compatible and Ollama servers: a real server on this machine, in good and bad moods."""

from __future__ import annotations

import socket
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from mneme.backends.embedders.checked import CheckedEmbedder
from mneme.backends.embedders.endpoint import Endpoint
from mneme.backends.embedders.ollama import ollama_embedder
from mneme.backends.embedders.openai import openai_embedder
from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.testing.embedder_contract import EmbedderContract
from mneme.testing.embedding_server import KEY, EmbeddingServer, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mneme.backends.embedders.remote import RemoteEmbedder

    Make = Callable[..., RemoteEmbedder]

DIM = 16


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddingServer]:
    with running_server(dim=DIM) as server:
        yield server


@pytest.fixture
def server(shared_server: EmbeddingServer) -> EmbeddingServer:
    shared_server.moods.clear()
    shared_server.asked.clear()
    return shared_server


def openai(url: str, *, timeout_s: float = 5.0, pause_s: float = 0.01) -> RemoteEmbedder:
    endpoint = Endpoint(url=url + "/v1", key=KEY, timeout_s=timeout_s, pause_s=pause_s)
    return openai_embedder("small", endpoint)


def ollama(url: str, *, timeout_s: float = 5.0, pause_s: float = 0.01) -> RemoteEmbedder:
    endpoint = Endpoint(url=url, timeout_s=timeout_s, pause_s=pause_s)
    return ollama_embedder("nomic", endpoint)


@pytest.fixture(params=[openai, ollama], ids=["openai", "ollama"])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


class TestOpenAI(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder(shared_server: EmbeddingServer) -> Callable[[], RemoteEmbedder]:
        return lambda: openai(shared_server.url)


class TestOllama(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder(shared_server: EmbeddingServer) -> Callable[[], RemoteEmbedder]:
        return lambda: ollama(shared_server.url)


def test_the_first_call_tells_dimension_and_id(server: EmbeddingServer) -> None:
    assert openai(server.url).id == f"openai@small:{DIM}"
    assert ollama(server.url).id == f"ollama@nomic:{DIM}"
    assert [asked.path for asked in server.asked] == ["/v1/embeddings", "/api/embed"]
    assert server.asked[0].model == "small"


def test_a_known_dimension_is_not_asked_for(server: EmbeddingServer) -> None:
    embedder = openai_embedder("small", Endpoint(url=server.url), known_dim=DIM)
    assert embedder.id == f"openai@small:{DIM}"
    assert server.asked == []


def test_the_key_goes_in_a_header(server: EmbeddingServer) -> None:
    openai(server.url).embed(["hello"])
    assert {asked.headers["Authorization"] for asked in server.asked} == {f"Bearer {KEY}"}


def test_many_texts_go_in_batches(server: EmbeddingServer, make: Make) -> None:
    embedder = make(server.url)
    assert embedder.embed([f"text {n}" for n in range(150)]).shape == (150, DIM)
    assert [len(asked.texts) for asked in server.asked] == [1, 64, 64, 22]


def test_vectors_are_put_in_the_order_of_their_index(server: EmbeddingServer) -> None:
    embedder = openai(server.url)
    right = embedder.embed(["one", "two"])
    server.moods = ["reversed"]
    assert (embedder.embed(["one", "two"]) == right).all()


@pytest.mark.parametrize("status", ["429", "500", "503"])
def test_a_passing_failure_is_asked_again(server: EmbeddingServer, make: Make, status: str) -> None:
    embedder = make(server.url)
    server.moods = [status, "fine"]
    assert embedder.dim == DIM
    wait_s = server.asked[1].at_s - server.asked[0].at_s
    assert (0.9 if status == "429" else 0.005) < wait_s < 3  # 429 came with Retry-After: 1


def test_pauses_double(server: EmbeddingServer, make: Make) -> None:
    server.moods = ["500", "500", "500"]
    assert make(server.url, pause_s=0.05).dim == DIM
    gaps = [b.at_s - a.at_s for a, b in pairwise(server.asked)]
    assert gaps[0] >= 0.05
    assert gaps[1] >= 0.1
    assert gaps[2] >= 0.2


def test_a_lasting_failure_is_an_error_after_all_tries(server: EmbeddingServer, make: Make) -> None:
    server.moods = ["500"] * 9
    with pytest.raises(BackendUnavailableError, match="status 500"):
        make(server.url).embed(["hello"])
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", ["302", "400", "401", "404", "418"])
def test_another_status_is_an_error_at_once_that_hides_the_key(
    server: EmbeddingServer, make: Make, status: str
) -> None:
    server.moods = [status] * 9
    with pytest.raises(BackendUnavailableError, match=f"status {status}") as caught:
        make(server.url).embed(["hello"])
    assert KEY not in _everything(caught.value)
    assert len(server.asked) == 1


WRONG = ["nan", "size", "ragged", "count", "strings", "truncated", "not json", "other json", "huge"]


@pytest.mark.parametrize("mood", [*WRONG, "drop"])
def test_a_wrong_answer_is_an_error_and_the_next_call_is_fine(
    server: EmbeddingServer, make: Make, mood: str
) -> None:
    embedder = CheckedEmbedder(make(server.url))
    assert embedder.dim == DIM
    server.moods = [mood]
    with pytest.raises(BackendUnavailableError):
        embedder.embed(["hello", "world"])
    assert embedder.embed(["hello", "world"]).any()


@pytest.mark.parametrize("mood", ["count", "strings", "other json", "odd items"])
def test_a_wrong_first_answer_tells_no_dimension(server: EmbeddingServer, mood: str) -> None:
    server.moods = [mood]
    embedder = openai(server.url)
    with pytest.raises(BackendUnavailableError):
        embedder.embed(["hello"])
    assert embedder.dim == DIM


@pytest.mark.parametrize("mood", ["slow", "drip"])
def test_a_slow_server_is_left_after_the_time_limit(
    server: EmbeddingServer, make: Make, mood: str
) -> None:
    embedder = make(server.url, timeout_s=0.2)
    assert embedder.dim == DIM
    server.moods = [mood]
    started = time.monotonic()
    with pytest.raises(BackendUnavailableError, match=r"did not answer in 0\.2 s"):
        embedder.embed(["hello", "a longer text"])
    assert time.monotonic() - started < 0.45


def test_retries_end_with_the_time_limit(server: EmbeddingServer, make: Make) -> None:
    server.moods = ["500"] * 9
    with pytest.raises(BackendUnavailableError, match="status 500"):
        make(server.url, timeout_s=0.2, pause_s=0.15).embed(["hello"])
    assert len(server.asked) == 2


def test_a_server_that_is_down_is_an_error_and_making_it_asks_nothing(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    embedder = make(f"http://127.0.0.1:{port}")
    for act in (lambda: embedder.id, lambda: embedder.dim, lambda: embedder.embed(["hello"])):
        with pytest.raises(BackendUnavailableError, match="does not answer") as caught:
            act()
        assert KEY not in _everything(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:11434", "ftp://host", "file:///etc/passwd", "http://", "http://[::1"),
        *("http://host:99999", "http://host:0", "http://host?x=1", "http://host/#x"),
        "http://me:pw@host",
    ],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        Endpoint(url=url)


@pytest.mark.parametrize("key", ["line\r\nbreak", "schlüssel", "\x00"])
def test_a_wrong_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Endpoint(url="http://host", key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_wrong_time_limit_is_refused(timeout_s: float) -> None:
    with pytest.raises(InvalidInputError):
        Endpoint(url="http://host", timeout_s=timeout_s)


def test_an_endpoint_does_not_show_its_key() -> None:
    assert KEY not in repr(Endpoint(url="https://host/v1", key=KEY))


def test_https_is_spoken(server: EmbeddingServer) -> None:
    with pytest.raises(BackendUnavailableError, match="SSLError"):
        openai(server.url.replace("http:", "https:")).embed(["hello"])


def _everything(error: BaseException) -> str:
    """The texts of an error and of what caused it, as a traceback shows them."""
    found: list[str] = []
    following: BaseException | None = error
    while following is not None:
        found.append(repr(following))
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)
    return " ".join(found)
