"""One JSON question to an HTTP server: time limit, retries, and errors that keep the key secret.

Plain `http.client`: no redirects (they could carry the key elsewhere) and no proxies from the
environment.
"""

from __future__ import annotations

import http
import http.client
import json
import time
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from mneme.core.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_RETRIED = frozenset({429, 500, 502, 503, 504})
_LONGEST_PAUSE_S = 8.0
_READ_BYTES = 65_536
_HINTS = {
    401: "check the key",
    403: "check the key",
    404: "check the URL and the model's name",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is, and how patient to be with it.

    `timeout_s` bounds one question, its retries included. Answers of 429 and 5xx are asked again
    at most `retries` times, after pauses that double from `pause_s` (or as the server says).
    """

    url: str
    _: KW_ONLY
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    retries: int = 3
    pause_s: float = 0.5

    def __post_init__(self) -> None:
        if not _is_web_address(self.url):
            raise InvalidInputError(
                "an embedder's URL must be http:// or https:// with a host, and without a user"
            )
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise InvalidInputError("the embedder's key holds characters that no key has")
        if not self.timeout_s > 0:
            raise InvalidInputError("the embedder's time limit must be above 0 seconds")

    def ask(self, path: str, question: Mapping[str, object], *, max_bytes: int) -> object:
        """Post a question to `url` + `path`; the answer, decoded.

        Raises:
            BackendUnavailableError: No answer in time, an error status, more than `max_bytes`,
                or no JSON.
        """
        body = json.dumps(question).encode()
        deadline = time.monotonic() + self.timeout_s
        status, asked_s, data = self._post(path, body, deadline, max_bytes)
        for attempt in range(self.retries):
            pause_s = max(asked_s, min(self.pause_s * 2**attempt, _LONGEST_PAUSE_S))
            if status not in _RETRIED or time.monotonic() + pause_s >= deadline:
                break
            time.sleep(pause_s)
            status, asked_s, data = self._post(path, body, deadline, max_bytes)
        if status != http.HTTPStatus.OK:
            hint = _HINTS.get(status, "see the server's log")
            raise BackendUnavailableError(f"{self._name} answered status {status}; {hint}")
        return self._decoded(data)

    def _post(
        self, path: str, body: bytes, deadline: float, max_bytes: int
    ) -> tuple[int, float, bytes]:
        """Status, seconds that the server asks to wait, body."""
        address = urlsplit(self.url)
        connection = _connection(address, max(deadline - time.monotonic(), 0.001))
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            connection.request("POST", address.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            data = self._read(response, deadline, max_bytes)
            return response.status, _asked_pause(response), data
        except TimeoutError as error:
            raise self._too_slow() from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, BackendUnavailableError):
                raise
            raise BackendUnavailableError(
                f"{self._name} does not answer ({type(error).__name__}); is it running?"
            ) from None  # the cause may quote the request, and with it the key
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse, deadline: float, max_bytes: int) -> bytes:
        data = bytearray()
        while chunk := response.read1(_READ_BYTES):
            data += chunk
            if len(data) > max_bytes:
                raise BackendUnavailableError(
                    f"{self._name} answered more than {max_bytes} bytes; that is no embedding"
                )
            if time.monotonic() > deadline:
                raise self._too_slow()
        return bytes(data)

    def _too_slow(self) -> BackendUnavailableError:
        return BackendUnavailableError(f"{self._name} did not answer in {self.timeout_s:g} s")

    def _decoded(self, data: bytes) -> object:
        try:
            answer: object = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BackendUnavailableError(f"{self._name} answered no valid JSON") from error
        return answer

    @property
    def _name(self) -> str:
        return f"the embedder at {urlsplit(self.url).netloc}"


def _is_web_address(url: str) -> bool:
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


def _connection(address: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    return kind(address.hostname or "", address.port, timeout=timeout_s)


def _asked_pause(response: http.client.HTTPResponse) -> float:
    """Seconds of a `Retry-After` header; 0 without one, or when it is a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
