"""A client of language models against a real server on this machine, in good and bad moods."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mneme.backends.llm import anthropic, ollama, openai
from mneme.backends.llm.account import MemoryAccount, Terms
from mneme.backends.llm.client import RemoteModel, Server
from mneme.core.errors import (
    BackendUnavailableError,
    BudgetSpentError,
    InvalidInputError,
    UnfitAnswerError,
)
from mneme.core.rows import Spent
from mneme.testing.language_model_contract import SCHEMA, SYSTEM, LanguageModelContract
from mneme.testing.language_models import ScriptedModel
from mneme.testing.llm_server import KEY, LlmServer, running_llm_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.backends.llm.dialects import Dialect
    from mneme.core.protocols import Answer, LanguageModel

    Make = Callable[..., RemoteModel]

DIALECTS = [openai.DIALECT, anthropic.DIALECT, ollama.DIALECT]


def ask(model: LanguageModel, prompt: str = "one", *, job: str = "test") -> Answer:
    return model.ask(SYSTEM, prompt, SCHEMA, job=job, most_tokens=100)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
class TestRemoteModels(LanguageModelContract):
    @pytest.fixture
    def model(self, server: LlmServer, make: Make, dialect: Dialect) -> RemoteModel:
        return make(server.url, dialect=dialect)


class TestScriptedModel(LanguageModelContract):
    @pytest.fixture
    def model(self) -> ScriptedModel:
        return ScriptedModel()


def test_each_kind_of_server_gets_its_path_key_and_schema(server: LlmServer, make: Make) -> None:
    for dialect in DIALECTS:
        ask(make(server.url, dialect=dialect))
    to_openai, to_anthropic, to_ollama = server.asked
    assert to_openai.path == "/chat/completions"
    assert to_openai.headers["Authorization"] == f"Bearer {KEY}"
    form = to_openai.body["response_format"]["json_schema"]
    assert form["strict"] is True
    assert set(form["schema"]["required"]) == set(SCHEMA["properties"])
    assert form["schema"]["properties"]["note"]["type"] == ["string", "null"]
    assert to_anthropic.path == "/messages"
    assert to_anthropic.headers["x-api-key"] == KEY
    assert to_anthropic.body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert to_ollama.path == "/api/chat"
    assert to_ollama.body["format"] == SCHEMA
    assert to_ollama.body["options"]["num_ctx"] >= 4096


def test_a_long_prompt_gets_a_context_that_holds_it(server: LlmServer, make: Make) -> None:
    ask(make(server.url, dialect=ollama.DIALECT), "word " * 8_000)
    assert server.asked[0].body["options"]["num_ctx"] >= 20_000


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
@pytest.mark.parametrize(
    "mood", ["truncated", "not json", "wrong schema", "cut", "huge", "no choices"]
)
def test_a_wrong_answer_is_repaired(
    server: LlmServer, make: Make, mood: str, dialect: Dialect
) -> None:
    server.moods = [mood, mood]
    answer = ask(make(server.url, dialect=dialect))
    assert answer.calls == 3
    assert len(server.asked) == 3
    last = server.asked[2].body["messages"]
    assert "does not fit the JSON schema" in last[-1]["content"]
    assert SYSTEM in str(server.asked[2].body)


@pytest.mark.parametrize("mood", ["truncated", "not json", "wrong schema", "cut", "huge"])
def test_repair_ends(server: LlmServer, make: Make, mood: str) -> None:
    server.moods = [mood] * 9
    with pytest.raises(UnfitAnswerError, match="after 3 requests"):
        ask(make(server.url))
    assert len(server.asked) == 3


def test_a_fenced_answer_needs_no_repair(server: LlmServer, make: Make) -> None:
    server.moods = ["fenced"]
    assert ask(make(server.url)).calls == 1


@pytest.mark.parametrize("status", ["408", "429", "500", "503", "529"])
def test_a_passing_failure_is_asked_again(server: LlmServer, make: Make, status: str) -> None:
    server.moods, server.retry_after_s = [status], 0.3
    assert ask(make(server.url)).calls == 2
    wait_s = server.asked[1].at_s - server.asked[0].at_s
    assert (0.29 if status == "429" else 0.004) < wait_s < 2


def test_pauses_double(server: LlmServer, make: Make) -> None:
    server.moods = ["500"] * 3
    assert ask(make(server.url, pause_s=0.1)).calls == 4
    gaps = [b.at_s - a.at_s for a, b in pairwise(server.asked)]
    assert gaps[0] >= 0.05  # half of it is chance
    assert gaps[1] >= 0.1
    assert gaps[2] >= 0.2


def test_a_dropped_connection_is_asked_again(server: LlmServer, make: Make) -> None:
    server.moods = ["drop"]
    assert ask(make(server.url)).calls == 2


def test_a_lasting_failure_is_an_error_after_all_tries(server: LlmServer, make: Make) -> None:
    server.moods = ["500"] * 9
    with pytest.raises(BackendUnavailableError, match="status 500"):
        ask(make(server.url))
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", ["302", "401", "404", "418"])
def test_another_status_is_an_error_at_once_that_hides_the_key(
    server: LlmServer, make: Make, status: str
) -> None:
    server.moods = [status] * 9
    with pytest.raises(BackendUnavailableError, match=f"status {status}") as caught:
        ask(make(server.url))
    assert KEY not in _everything(caught.value)
    assert len(server.asked) == 1


def test_a_server_that_knows_less_is_asked_in_other_forms(server: LlmServer, make: Make) -> None:
    server.moods = ["400", "400"]
    model = make(server.url)
    assert ask(model).calls == 3
    assert "response_format" not in server.asked[2].body
    assert "JSON schema" in server.asked[2].body["messages"][0]["content"]
    assert ask(model, "two").calls == 1  # it is remembered


def test_a_form_that_no_server_knows_is_an_error(server: LlmServer, make: Make) -> None:
    server.moods = ["400"] * 9
    with pytest.raises(BackendUnavailableError, match="status 400"):
        ask(make(server.url))
    assert len(server.asked) == 3


@pytest.mark.parametrize("mood", ["silent", "drip"])
def test_a_slow_server_is_left_after_the_time_limit(
    server: LlmServer, make: Make, mood: str
) -> None:
    server.moods = [mood]
    account = MemoryAccount()
    model = make(server.url, timeout_s=1.0, account=account)
    started = time.monotonic()
    with pytest.raises(BackendUnavailableError, match="did not answer in 1 s"):
        ask(model)
    assert time.monotonic() - started < 1.5  # the benchmark holds it to 1.1; this machine may lag
    assert account.spent("test").input_tokens > 0  # it may have been read, and charged for


def test_retries_end_with_the_time_limit(server: LlmServer, make: Make) -> None:
    server.moods = ["500"] * 9
    started = time.monotonic()
    with pytest.raises(BackendUnavailableError):
        ask(make(server.url, timeout_s=0.5, pause_s=0.4))
    assert time.monotonic() - started < 0.75
    assert len(server.asked) == 2


def test_a_pause_longer_than_the_time_limit_is_not_waited_for_and_holds_for_all(
    server: LlmServer, make: Make
) -> None:
    server.moods, server.retry_after_s = ["429"], 60
    model = make(server.url, timeout_s=2.0)
    for prompt in ("one", "two"):
        started = time.monotonic()
        with pytest.raises(BackendUnavailableError, match="left alone"):
            ask(model, prompt)
        assert time.monotonic() - started < 1
    assert len(server.asked) == 1


def test_a_server_that_is_down_is_an_error_and_making_a_model_asks_nothing(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    model = make(f"http://127.0.0.1:{port}")
    assert model.id == "openai:small"
    with pytest.raises(BackendUnavailableError, match="is it running") as caught:
        ask(model)
    assert KEY not in _everything(caught.value)


def test_the_same_question_is_asked_once(server: LlmServer, make: Make) -> None:
    model = make(server.url)
    first, second = ask(model), ask(model)
    assert first.value == second.value
    assert (first.calls, second) == (1, (second.value, 0, 0, 0, 0))
    ask(model, "another")
    assert len(server.asked) == 2
    model.forget_answers()
    assert ask(model).calls == 1


def test_no_more_than_so_many_are_asked_at_once(make: Make) -> None:
    with running_llm_server(moods=["drip"] * 2) as server:
        model = make(server.url, at_once=2, timeout_s=30)
        with ThreadPoolExecutor(6) as pool:
            futures = [pool.submit(ask, model, f"number {n}") for n in range(6)]
            time.sleep(0.3)
            assert len(server.asked) == 2
            assert all(future.result().calls == 1 for future in futures)


def test_a_call_does_not_wait_for_a_place_longer_than_its_time(
    server: LlmServer, make: Make
) -> None:
    server.moods = ["silent"]
    model = make(server.url, at_once=1, timeout_s=0.5)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(ask, model, f"number {n}") for n in range(2)]
        errors = [future.exception() for future in futures]
    assert isinstance(errors[0], BackendUnavailableError)
    assert len(server.asked) <= 2


def test_each_request_is_entered_in_the_account_by_kind_of_work(
    server: LlmServer, make: Make
) -> None:
    account = MemoryAccount()
    model = make(server.url, account=account, terms=Terms(price_in=1.5, price_out=6))
    server.moods = ["500", "truncated"]
    answer = ask(model, job="extract")
    assert account.spent("extract") == Spent(*answer[1:])
    assert account.spent("other") == Spent()
    assert answer.calls == 3
    assert answer.cost >= 1.5 * answer.input_tokens + 6 * answer.output_tokens
    assert answer.cost <= 1.5 * answer.input_tokens + 6 * answer.output_tokens + 3


def test_a_budget_of_tokens_ends_the_work_of_that_kind(server: LlmServer, make: Make) -> None:
    account = MemoryAccount()
    terms = Terms(budget_tokens=3_000)
    for number in range(100):
        try:  # a new client each time, as after a restart
            ask(make(server.url, account=account, terms=terms), f"question {number}")
        except BudgetSpentError:
            break
    spent = account.spent("test")
    assert 3_000 >= spent.input_tokens + spent.output_tokens > 2_000
    with pytest.raises(BudgetSpentError, match="llm_budget_tokens"):
        ask(make(server.url, account=account, terms=terms))
    assert ask(make(server.url, account=account, terms=terms), job="other").calls == 1


def test_a_budget_of_money_ends_the_work(server: LlmServer, make: Make) -> None:
    account = MemoryAccount()
    account.spend("test", Spent(9, 900, 900, 999_900))
    terms = Terms(price_in=1, price_out=10, budget_money=1)
    with pytest.raises(BudgetSpentError, match="llm_budget_money"):
        ask(make(server.url, account=account, terms=terms))
    assert server.asked == []


def test_calls_at_once_do_not_pass_the_budget_together(server: LlmServer, make: Make) -> None:
    account = MemoryAccount()
    model = make(server.url, account=account, terms=Terms(budget_tokens=2_000), at_once=16)

    def try_to_ask(number: int) -> None:
        try:
            ask(model, f"question {number}")
        except BudgetSpentError:
            return

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(try_to_ask, range(64)))
    spent = account.spent("test")
    assert 0 < spent.input_tokens + spent.output_tokens <= 2_000


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:11434", "ftp://host", "file:///etc/passwd", "http://", "http://[::1"),
        *("http://host:99999", "http://host:0", "http://host?x=1", "http://me:pw@host"),
    ],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="llm_url"):
        Server(url)


@pytest.mark.parametrize("key", ["line\r\nbreak", "schlüssel", "\x00"])
def test_a_wrong_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Server("http://host", key=key)
    assert key not in str(caught.value)
    assert KEY not in repr(Server("http://host", key=KEY))


@pytest.mark.parametrize("wrong", [{"price_in": -1}, {"budget_tokens": -5}])
def test_wrong_terms_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Terms(**wrong)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_wrong_time_limit_is_refused(timeout_s: float) -> None:
    with pytest.raises(InvalidInputError):
        Server("http://host", timeout_s=timeout_s)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "httpx2":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from mneme.backends.llm import openai
from mneme.backends.llm.client import RemoteModel, Server
from mneme.core.errors import MissingDependencyError
try:
    model = RemoteModel(openai.DIALECT, "m", Server("http://host"))
    model.ask("a", "b", {}, job="c", most_tokens=1)
except MissingDependencyError as error:
    print(error)
"""


def test_without_the_extra_the_error_names_it() -> None:
    sources = str(Path(__file__).parents[2] / "src")
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, sources], capture_output=True, text=True, check=True
    )
    assert "pip install 'mneme[llm]'" in found.stdout


def test_a_process_that_asked_ends_without_a_word(server: LlmServer) -> None:
    program = (
        "import sys; from mneme.backends.llm import openai\n"
        "from mneme.backends.llm.client import RemoteModel, Server\n"
        "model = RemoteModel(openai.DIALECT, 'm', Server(sys.argv[1]))\n"
        "schema = {'type': 'object', 'properties': {}}\n"
        "print(model.ask('a', 'b', schema, job='c', most_tokens=1).value)\n"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "{}\n", "")


def _everything(error: BaseException) -> str:
    """The texts of an error and of what caused it, as a traceback shows them."""
    found: list[str] = []
    following: BaseException | None = error
    while following is not None:
        found.append(repr(following))
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)
    return " ".join(found)
