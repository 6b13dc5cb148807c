"""`mneme doctor --server`: whether a server answers, whom it lets in, and what to do if not."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from mneme.cli import render
from mneme.cli.status import Status
from mneme.core.clock import SystemClock, from_us
from mneme.core.errors import InvalidInputError, MissingDependencyError

if TYPE_CHECKING:
    import httpx2

_TIMEOUT_S = 5.0
_SKEW_S = 5.0
_SOON = timedelta(days=7)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def look_at(url: str, key: str | None, *, as_json: bool) -> None:
    """Ask a server how it is, print it, and end with a status that says so.

    Raises:
        InvalidInputError: It is no address.
        MissingDependencyError: What asks is not installed.
    """
    if find_spec("httpx2") is None:
        raise MissingDependencyError("httpx2", "client", "asking a server")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInputError(f"{url!r:.80} is no address; use such as http://127.0.0.1:8350")
    found = _findings(url.rstrip("/"), key)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        found["advice"].append("keys and memories travel in clear text: put TLS before the server")
    found["tls"] = parts.scheme == "https"
    found["ok"] = not found["advice"]
    if as_json:
        render.print_json(found)
    else:
        _print(found)
    if not found["up"]:
        raise typer.Exit(Status.UNAVAILABLE)
    if not found["ok"]:
        raise typer.Exit(Status.REFUSED)


def _findings(url: str, key: str | None) -> dict[str, Any]:
    import httpx2

    found: dict[str, Any] = {"url": url, "up": False, "advice": []}
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with httpx2.Client(base_url=url, timeout=_TIMEOUT_S, headers=headers) as client:
            _ask(client, key, found)
    except (httpx2.HTTPError, ValueError) as error:
        found["advice"].append(f"{_why(error)} ({type(error).__name__})")
    return found


def _ask(client: httpx2.Client, key: str | None, found: dict[str, Any]) -> None:
    health = client.get("/healthz")
    advice = found["advice"]
    if health.status_code == 421:
        advice.append("it does not go by that name: set MNEME_SERVE_HOSTS where it runs")
        return
    if health.status_code != 200 or health.json() != {"status": "ok"}:
        advice.append(f"what answers there is no Mneme (status {health.status_code})")
        return
    found["up"] = True
    _look_at_clock(health.headers.get("date"), found)
    found["version"] = client.get("/openapi.json").json()["info"]["version"]
    own = metadata.version("mneme")
    if found["version"] != own:
        advice.append(f"the server is version {found['version']}, this command is {own}")
    if key is None:
        found["key"] = "not given"
        advice.append("give --key, or MNEME_KEY, to see whether a key is good")
    else:
        _look_at_key(client.get("/v1/me"), found)


def _look_at_clock(date: str | None, found: dict[str, Any]) -> None:
    if date is None:
        return
    skew_s = (parsedate_to_datetime(date) - _now()).total_seconds()
    found["clock_skew_s"] = round(skew_s, 1)
    if abs(skew_s) > _SKEW_S:
        found["advice"].append(
            f"its clock and this one differ by {abs(skew_s):.0f} s: set them by NTP, or keys end "
            "at other times than you think"
        )


def _look_at_key(answer: httpx2.Response, found: dict[str, Any]) -> None:
    if answer.status_code == 401:
        found["key"] = "refused"
        found["advice"].append(
            "the key is unknown, expired, revoked or of another store: `mneme keys list` shows "
            "those there are, where the server runs"
        )
    elif answer.status_code == 429:
        found["key"] = "too often"
        found["advice"].append("the key is used more often than it may be: see --requests-per-s")
    elif answer.status_code != 200:
        found["key"] = f"status {answer.status_code}"
        found["advice"].append(f"the server cannot tell of the key: {answer.text[:200]}")
    else:
        _tell_of_key(answer.json(), found)


def _tell_of_key(me: dict[str, Any], found: dict[str, Any]) -> None:
    found["key"] = "good"
    found["limits"] = me["limits"]
    found["holder"] = {name: me[name] for name in ("id", "name", "grants", "expires_at")}
    if me["expires_at"] is not None:
        ends = datetime.fromisoformat(me["expires_at"])
        if ends - _now() < _SOON:
            found["advice"].append(f"the key ends at {me['expires_at']}: make another in time")


def _why(error: Exception) -> str:
    said = str(error).lower()
    if "certificate" in said or "ssl" in said:
        return f"its certificate is not trusted here, or it speaks no TLS: {error}"
    if "timed out" in said or "timeout" in type(error).__name__.lower():
        return f"it does not answer within {_TIMEOUT_S:g} s: look at its log"
    if "connect" in type(error).__name__.lower():
        return "nothing listens there: start it with `mneme serve`, or give its --url"
    return f"what answers there is no Mneme: {error}"


def _now() -> datetime:
    return from_us(SystemClock().now_us())


def _print(found: dict[str, Any]) -> None:
    advice = found.pop("advice")
    render.print_record(found)
    for each in advice:
        render.say(f"- {each}", fg="yellow")
    if not advice:
        render.say("the server is well")
