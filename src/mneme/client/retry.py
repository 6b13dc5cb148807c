"""When a request is sent again: only where that cannot do a thing twice.

Pure: it says what to send and how long to wait, and is told what came.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypeVar

from mneme.client.problems import error_of
from mneme.client.wire import Answer, Flow, Lost, Request
from mneme.core.errors import BackendUnavailableError

if TYPE_CHECKING:
    from mneme.core.errors import MnemeError

T = TypeVar("T")
Step = Request | float  # what to send, or seconds to wait
Steps = Generator[Step, Answer | Lost | None, T]

ATTEMPTS = 4
_FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0  # that a server may ask for
_BUSY = frozenset({429, 503})
_OK = range(200, 300)


def persistently(flow: Flow[T]) -> Steps[T]:
    """The steps of a verb: each request until it is answered, or cannot be sent again.

    Sent again is what the server cannot have got (the connection was refused), what it refused to
    take yet (429, or 503, with `Retry-After` of 10 s at most), and a request without an answer if
    it is repeatable; four times in all.

    Raises:
        MnemeError: What the server refused, or BackendUnavailableError if it does not answer.
    """
    try:
        request = next(flow)
        while True:
            answer = yield from _answered(request)
            request = flow.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


def _answered(request: Request) -> Steps[Answer]:
    for attempt in range(1, ATTEMPTS + 1):
        outcome = yield request
        if isinstance(outcome, Answer) and outcome.status in _OK:
            return outcome
        wait_s = wait_before_retry(request, outcome, attempt) if attempt < ATTEMPTS else None
        if wait_s is None:
            raise _failure(request, outcome)
        yield wait_s
    raise AssertionError("the last attempt returns or raises")


def wait_before_retry(
    request: Request, outcome: Answer | Lost | None, attempt: int
) -> float | None:
    """Seconds to wait before a request is sent again; None if it must not be."""
    backoff_s = _FIRST_WAIT_S * 2.0 ** (attempt - 1)
    if isinstance(outcome, Lost):
        return backoff_s if request.repeatable or not outcome.sent else None
    if outcome is None or outcome.status not in _BUSY:
        return None
    asked_s = _seconds(outcome.headers.get("retry-after", ""))
    if asked_s is None or asked_s > LONGEST_WAIT_S:
        return None
    return max(asked_s, backoff_s)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _failure(request: Request, outcome: Answer | Lost | None) -> MnemeError:
    if isinstance(outcome, Answer):
        return error_of(outcome)
    assert outcome is not None
    doubt = "; it may have been done" if outcome.sent and not request.repeatable else ""
    return BackendUnavailableError(f"no answer from the server: {outcome.why}{doubt}")
