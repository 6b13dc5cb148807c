"""Adapters on a server that takes them while it runs, as vLLM does.

vLLM started with `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True` has
`/v1/load_lora_adapter` and `/v1/unload_lora_adapter`, and lists what is loaded in `/v1/models`
(docs.vllm.ai, "LoRA Adapters"). An adapter is called by its version's digest, in a name of fixed
width: what has the name has the content, none is the beginning of another, and to load it twice
is to load it once. Requests name it as their model.

Unloading takes the name away at once. The tensors may stay longer in the memory of the server:
vLLM's frontend forgets the name and leaves the worker's copy until others take its place
(vllm-project/vllm issue 54839). After an erasure, restart a server that must not hold them.
"""

from __future__ import annotations

import http
import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from mneme.backends.engines.remote import OpenAIEngine
from mneme.backends.llm.client import is_web_address
from mneme.backends.llm.dialects import bearer
from mneme.backends.llm.transport import NotReachedError, Post, post
from mneme.core.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX: Final = "mneme-"
_DIGITS: Final = 16
_NAME: Final = re.compile(rf"{PREFIX}[0-9a-f]{{{_DIGITS}}}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES: Final = 16 << 20  # of a list of models
_MOST_SAID: Final = 300  # characters of what a server says
_OFF: Final = (
    "does not take adapters while it runs; start vLLM with --enable-lora and "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and check url (it wants /v1 at its end)"
)
_HINTS: Final = {401: "check the key", 403: "check the key, and what it may use"}
_REFUSALS: Final = frozenset({400, 404, 409, 422})


class _Answer(NamedTuple):
    status: int
    body: bytes


def name_of(digest: str) -> str:
    """What a version is called on a server: "mneme-" and 16 hex digits.

    Raises:
        InvalidInputError: It is no digest of a version.
    """
    if not _DIGEST.fullmatch(digest):
        raise InvalidInputError(f"{digest[:80]!r} is no digest of an adapter: 64 hex digits")
    return PREFIX + digest[:_DIGITS]


class LoraServer:
    """Loads, unloads and lists adapters. Making one asks nothing; threads may share it.

    Args:
        url: The server's address, such as http://127.0.0.1:8000/v1.
        key: Its key, if it wants one.
        timeout_s: How long an answer may take; the server reads an adapter before it answers.

    Raises:
        InvalidInputError: An argument cannot be right.
    """

    def __init__(self, *, url: str, key: str | None = None, timeout_s: float = 60.0) -> None:
        if not is_web_address(url):
            raise InvalidInputError(
                "url must be http:// or https:// with a host, and without a user or a query"
            )
        if key is not None and not (key.isascii() and key.isprintable()):
            raise InvalidInputError("key holds characters that no key has")
        if not timeout_s > 0:
            raise InvalidInputError("timeout_s must be above 0")
        self._url, self._key, self._timeout_s = url.rstrip("/"), key, timeout_s

    def __repr__(self) -> str:
        return f"LoraServer({self._url!r})"

    def engine(self, digest: str) -> OpenAIEngine:
        """The server's model with an adapter, as a `RemoteEngine`."""
        return OpenAIEngine(
            name_of(digest), url=self._url, key=self._key, timeout_s=self._timeout_s
        )

    def loaded(self) -> set[str]:
        """Names of the adapters of ours that the server has.

        Raises:
            BackendUnavailableError: It does not answer, or not with a list of models.
        """
        answer = self._ask("GET", "/models")
        if answer.status != http.HTTPStatus.OK:
            raise self._refused(answer)
        try:
            ids = [str(each["id"]) for each in json.loads(answer.body)["data"]]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise self._down(
                "sends no list of models; is it an OpenAI-compatible server?"
            ) from None
        return {name for name in ids if _NAME.fullmatch(name)}

    def load(self, digest: str, folder: str | Path) -> str:
        """Have the server load a version; no harm if it has it.

        Args:
            digest: Of the version.
            folder: With the files that peft opens (`folder.write_folder`), as the server sees it:
                an absolute path on its machine.

        Returns:
            The name under which requests ask for it.

        Raises:
            InvalidInputError: The server refuses the adapter: it finds no files there, or its rank
                is above the server's limit. Says what the server said.
            BackendUnavailableError: The server does not answer, or takes no adapters.
        """
        name = name_of(digest)
        if not str(folder):
            raise InvalidInputError("folder must be where the server finds the adapter's files")
        answer = self._ask("POST", "/load_lora_adapter", lora_name=name, lora_path=str(folder))
        if answer.status == http.HTTPStatus.OK:
            return name
        if answer.status not in _REFUSALS or _is_no_route(answer):
            raise self._refused(answer)
        if name not in self.loaded():  # else: it was there, whatever words say so
            raise InvalidInputError(
                f"the server at {self._host} refuses adapter {name}: {self._said(answer)}"
            )
        return name

    def unload(self, digest: str) -> None:
        """Have the server forget a version; no harm if it does not have it.

        Raises:
            BackendUnavailableError: The server does not answer, or keeps the adapter.
        """
        name = name_of(digest)
        answer = self._ask("POST", "/unload_lora_adapter", lora_name=name)
        if answer.status == http.HTTPStatus.OK:
            return
        if answer.status not in _REFUSALS or name in self.loaded():
            raise self._refused(answer)

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc

    def _ask(self, method: str, path: str, **said: str) -> _Answer:
        request = Post(
            url=self._url + path,
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"}
            | bearer(self._key),
            body=json.dumps(said).encode() if said else b"",
            most_bytes=_MOST_BYTES,
            method=method,
        )
        try:
            found = post(request, deadline=time.monotonic() + self._timeout_s)
        except TimeoutError:
            raise self._down(
                f"did not answer in {self._timeout_s:g} s; see its log, or give it a longer "
                "timeout_s"
            ) from None
        except NotReachedError as error:
            raise self._down(f"does not answer ({error}); is it running?") from None
        if found.body is None:
            raise self._down("sends without end; is it an OpenAI-compatible server?")
        return _Answer(found.status, found.body)

    def _refused(self, answer: _Answer) -> BackendUnavailableError:
        if _is_no_route(answer):
            return self._down(_OFF)
        hint = _HINTS.get(answer.status, "see the server's log")
        return self._down(f"answered status {answer.status}; {hint}")

    def _down(self, what: str) -> BackendUnavailableError:
        return BackendUnavailableError(f"the server at {self._host} {what}")

    def _said(self, answer: _Answer) -> str:
        """The server's reason, without what could be the key."""
        error = _parsed(answer).get("error")
        said = (error if isinstance(error, dict) else _parsed(answer)).get("message")
        text = str(said) if said else f"status {answer.status}"
        if self._key:
            text = text.replace(self._key, "***")
        return "".join(c if c.isprintable() else " " for c in text)[:_MOST_SAID]


def _parsed(answer: _Answer) -> Mapping[str, Any]:
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_no_route(answer: _Answer) -> bool:
    """Whether the server has no such address at all, other than an adapter that it has not."""
    if answer.status == http.HTTPStatus.METHOD_NOT_ALLOWED:
        return True
    said = _parsed(answer)
    return answer.status == http.HTTPStatus.NOT_FOUND and not (
        said.get("error") or "message" in said
    )
