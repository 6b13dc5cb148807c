"""A language model behind a server, as `core.protocols.LanguageModel`.

One question may take several requests: a server that is busy or fails is asked again after a pause,
and an answer that does not fit its schema is sent back for repair, both a set number of times. All
of it together ends with the time-out. Each request is entered in the account before the next.
"""

from __future__ import annotations

import hashlib
import http
import json
import time
from dataclasses import KW_ONLY, dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mneme.backends.llm.account import MemoryAccount, Purse, Terms, added
from mneme.backends.llm.dialects import Question
from mneme.backends.llm.pace import Pace, asked_pause
from mneme.backends.llm.schemas import Kept, UnfitError, read
from mneme.backends.llm.transport import NotReachedError, Post, Received, post
from mneme.core.errors import BackendUnavailableError, InvalidInputError, UnfitAnswerError
from mneme.core.protocols import Answer
from mneme.core.rows import Spent
from mneme.core.tokens import EstimatedCounter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mneme.backends.llm.account import Account
    from mneme.backends.llm.dialects import Dialect, Said

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_OTHER_FORM = frozenset({400, 422})
_TO_NOTICE = 0.03  # share of the time-out that is left for ending a call
_MOST_BYTES = 2 << 20  # of an answer
_LONGEST_WRONG = 8_000  # characters of a wrong answer that are sent back for repair
_HINTS = {401: "check llm_key", 403: "check llm_key", 404: "check llm_url and the model's name"}
_COUNTER = EstimatedCounter()


@dataclass(frozen=True, slots=True)
class Server:
    """Where a language model is, and how patient to be with it.

    Attributes:
        url: Address, without the path of a question.
        key: Its key.
        timeout_s: Bounds one question, all its requests and pauses included.
        retries: How often a server that fails is asked again.
        repairs: How often an answer that does not fit is sent back.
        at_once: Most requests on their way at a time.
        pause_s: Before the first retry; it doubles, with chance in it.
    """

    url: str
    _: KW_ONLY
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    retries: int = 3
    repairs: int = 2
    at_once: int = 4
    pause_s: float = 0.5

    def __post_init__(self) -> None:
        if not is_web_address(self.url):
            raise InvalidInputError(
                "llm_url must be http:// or https:// with a host, and without a user"
            )
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise InvalidInputError("llm_key holds characters that no key has")
        if not self.timeout_s > 0:
            raise InvalidInputError("llm_timeout_s must be above 0")


class RemoteModel:
    """Asks a server. Making one asks nothing; several threads may use it at once.

    Args:
        dialect: How to speak to it.
        model: The model's name, as the server knows it.
        server: Where it is.
        terms: Prices and budgets.
        account: Where costs are entered; without one they are forgotten with the process.
    """

    def __init__(
        self,
        dialect: Dialect,
        model: str,
        server: Server,
        *,
        terms: Terms | None = None,
        account: Account | None = None,
    ) -> None:
        self._dialect, self._model, self._server = dialect, model, server
        self._purse = Purse(account or MemoryAccount(), terms or Terms())
        self._pace = Pace(at_once=server.at_once, pause_s=server.pause_s)
        self._kept, self._lock = Kept(), Lock()
        own = urlsplit(server.url).hostname == urlsplit(dialect.url).hostname
        self._form = 0 if own else min(1, dialect.forms - 1)

    @property
    def id(self) -> str:
        """Kind of server and model."""
        return f"{self._dialect.name}:{self._model}"

    def ask(
        self, system: str, prompt: str, schema: Mapping[str, Any], *, job: str, most_tokens: int
    ) -> Answer:
        if most_tokens < 1:
            raise InvalidInputError("most_tokens must be above 0")
        deadline = time.monotonic() + self._server.timeout_s * (1 - _TO_NOTICE)
        key = _key(system, prompt, json.dumps(schema, sort_keys=True), str(most_tokens))
        with self._lock:
            known = self._kept.get(key)
        if known is not None:
            return Answer(known, 0, 0, 0, 0)
        question = Question(system=system, prompt=prompt, schema=schema, most_tokens=most_tokens)
        with self._pace.place(deadline):
            value, spent = _Asking(self, question, job, deadline).run()
        with self._lock:
            self._kept.put(key, value)
        return Answer(value, *spent)

    def forget_answers(self) -> None:
        """Keep no answer of before: what it was made of may have been erased."""
        with self._lock:
            self._kept.clear()


class _Asking:
    """One question on its way, with what it cost so far."""

    def __init__(self, model: RemoteModel, question: Question, job: str, deadline: float) -> None:
        self._of, self._question, self._job = model, question, job
        self._deadline = deadline
        self._spent = Spent()
        self._failures = self._unfit = 0

    def run(self) -> tuple[Any, Spent]:
        """The value, and what it cost.

        Raises:
            BackendUnavailableError: There is none.
        """
        while True:
            self._of._pace.wait(self._failures, self._deadline)
            tokens = self._input_tokens()
            with self._of._purse.set_aside(self._job, tokens, self._question.most_tokens):
                try:
                    value = self._tried(tokens)
                except UnfitError as error:
                    self._note_unfit(str(error))
                    continue
            if value is not None:
                return value, self._spent

    def _tried(self, input_tokens: int) -> Any | None:  # noqa: ANN401 (JSON data)
        """The value after one request; None where it is worth another."""
        received = self._sent(input_tokens)
        if received is None or received.status in _AGAIN:
            self._note_failure(received)
            return None
        if received.status == http.HTTPStatus.OK:
            return self._value(received, input_tokens)
        self._enter(0, 0)
        if received.status in _OTHER_FORM and self._of._form + 1 < self._of._dialect.forms:
            self._of._form += 1
            return None
        hint = _HINTS.get(received.status, "see the server's log")
        raise self._down(f"answered status {received.status}; {hint}")

    def _sent(self, input_tokens: int) -> Received | None:
        """What came back; None if there was no connection."""
        server, dialect = self._of._server, self._of._dialect
        body = dialect.body(self._of._model, self._question, self._of._form)
        request = Post(
            url=server.url.rstrip("/") + dialect.path,
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"}
            | dialect.headers(server.key),
            body=json.dumps(body).encode(),
            most_bytes=_MOST_BYTES,
        )
        try:
            return post(request, deadline=self._deadline)
        except TimeoutError:
            self._enter(input_tokens, 0)  # it may have been read, and charged for
            raise self._down(f"did not answer in {server.timeout_s:g} s") from None
        except NotReachedError as error:
            self._enter(0, 0)
            if self._failures >= server.retries:
                raise self._down(f"does not answer ({error}); is it running?") from None
            return None

    def _input_tokens(self) -> int:
        """Tokens that are sent, by estimate."""
        asked = self._question
        parts = (asked.system, asked.prompt, str(asked.schema), asked.wrong or "")
        return _COUNTER.count("\n".join(parts))

    def _note_failure(self, received: Received | None) -> None:
        self._failures += 1
        if received is None:
            return  # entered already
        self._enter(0, 0)
        if (asked_s := asked_pause(received.headers)) > 0:
            self._of._pace.hold(asked_s)
        if self._failures > self._of._server.retries:
            raise self._down(f"answered status {received.status}, also when asked again")

    def _value(self, received: Received, input_tokens: int) -> Any:  # noqa: ANN401 (JSON data)
        if received.body is None:
            self._enter(input_tokens, self._question.most_tokens)
            raise UnfitError(f"longer than {_MOST_BYTES} bytes")
        said = self._said(received.body, input_tokens)
        try:
            return read(said.text, self._question.schema)
        except UnfitError:
            short = said.text[:_LONGEST_WRONG]
            self._question = replace(self._question, wrong=None if said.cut else short)
            if said.cut:
                raise UnfitError("it was cut off: give the same in fewer words") from None
            raise

    def _said(self, body: bytes, input_tokens: int) -> Said:
        """What the server's model said, entered in the account."""
        try:
            said = self._of._dialect.said(json.loads(body))
        except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
            self._enter(input_tokens, 0)
            self._question = replace(self._question, wrong=None)
            raise UnfitError(f"not the answer of a server of kind {self._of.id}") from None
        counted = said.input_tokens, said.output_tokens
        self._enter(
            input_tokens if counted[0] is None else counted[0],
            _COUNTER.count(said.text) if counted[1] is None else counted[1],
        )
        return said

    def _note_unfit(self, reason: str) -> None:
        self._unfit += 1
        if self._unfit > self._of._server.repairs:
            raise UnfitAnswerError(
                f"{self._name} gave no answer that fits after {self._unfit} requests: {reason}"
            )
        self._question = replace(self._question, reason=reason)

    def _enter(self, input_tokens: int, output_tokens: int) -> None:
        spent = self._of._purse.pay(self._job, input_tokens, output_tokens)
        self._spent = added(self._spent, spent)

    def _down(self, what: str) -> BackendUnavailableError:
        return BackendUnavailableError(f"{self._name} {what}")

    @property
    def _name(self) -> str:
        return f"the language model at {urlsplit(self._of._server.url).netloc}"


def _key(*parts: str) -> str:
    lengths = " ".join(str(len(part)) for part in parts)
    whole = "\n".join((lengths, *parts))
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def is_web_address(url: str) -> bool:
    """Whether it is http or https, with a host and without a user or a query."""
    try:
        address = urlsplit(url)
        return (
            address.scheme in {"http", "https"}
            and bool(address.hostname)
            and "@" not in address.netloc
            and address.port != 0
            and not (address.query or address.fragment)
        )
    except ValueError:
        return False
