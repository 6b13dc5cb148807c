"""The verb `doctor`: what is installed, and whether the store and its parts are well."""

from __future__ import annotations

import platform
from importlib import util
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.server_doctor import look_at
from mneme.cli.status import Status
from mneme.cli.store import opened
from mneme.core.errors import BackendUnavailableError, ForbiddenError, StoreFullError
from mneme.core.plain import plain

if TYPE_CHECKING:
    from mneme import MemoryOS

_OPTIONAL = {
    "onnxruntime": ("minilm", "the MiniLM embedder"),
    "tokenizers": ("minilm", "the MiniLM embedder and exact token counts"),
    "sentence_transformers": ("sentence-transformers", "sentence-transformers models"),
    "fastembed": ("fastembed", "fastembed models"),
}


def doctor(
    server: Annotated[
        bool, typer.Option("--server", help="Look at a running server instead of a store.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="The server's address.  [default: that of the settings]")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", envvar="MNEME_KEY", help="A key to it.")
    ] = None,
    store: opt.Store = None,
    namespace: opt.WholeStore = "",
    as_json: opt.Json = False,
) -> None:
    """Tell versions, whether the store and the embedder are well, and what is not installed."""
    from mneme.settings import Settings

    settings = Settings.from_environment()
    if server:
        look_at(url or f"http://{settings.serve_host}:{settings.serve_port}", key, as_json=as_json)
        return
    with opened(store) as memory:
        findings: dict[str, Any] = {
            "versions": _versions() | memory.vault.parts.store.facts(),
            "embedder": {"setting": settings.embedder} | _embedder(memory),
            "tokens": "counted" if settings.tokenizer else "estimated, on the high side",
            "store": _store(memory),
            "optional": _optional(),
        }
    damaged = bool(findings["store"]["problems"])
    unavailable = findings["embedder"]["answers"] is False
    if as_json:
        render.print_json(findings | {"ok": not (damaged or unavailable)})
    else:
        _print_findings(findings)
    if damaged or unavailable:
        raise typer.Exit(Status.DAMAGED if damaged else Status.UNAVAILABLE)


def _versions() -> dict[str, str]:
    from importlib import metadata

    found = {name: metadata.version(name) for name in ("mneme", "numpy", "typer")}
    return {"python": platform.python_version(), **found}


def _optional() -> dict[str, dict[str, Any]]:
    """Packages that are not needed, and what each would add."""
    return {
        name: {"installed": util.find_spec(name) is not None, "extra": extra, "for": purpose}
        for name, (extra, purpose) in _OPTIONAL.items()
    }


def _embedder(memory: MemoryOS) -> dict[str, Any]:
    """What makes vectors, and whether it does so now; None for `answers` where there is none."""
    embedding = memory.vault.parts.embedding
    if embedding.embedder is None:
        return {"answers": None, "note": "words alone are searched, not their meaning"}
    try:
        embedding.demand(["Does it answer?"])
    except BackendUnavailableError as error:
        return {"answers": False, "error": str(error)}
    return {"answers": True, "id": embedding.id}


def _store(memory: MemoryOS) -> dict[str, Any]:
    """Whether it takes changes, counts, jobs that wait, and what is wrong with it."""
    stats = plain(memory.stats())
    stats.pop("embedder", None)
    problems = list(memory.verify().problems)
    try:
        with memory.vault.parts.store.write():  # takes the lock and changes nothing
            writable = True
    except (ForbiddenError, StoreFullError) as error:
        problems.append(str(error))
        writable = False
    return {"writable": writable, **stats, "problems": problems}


def _print_findings(findings: dict[str, Any]) -> None:
    optional = findings.pop("optional")
    render.print_record(findings)
    for name, found in optional.items():
        state = "installed" if found["installed"] else f"not installed (extra {found['extra']})"
        render.say(f"{name}: {state}, for {found['for']}", dim=not found["installed"])
    render.say("problems found" if findings["store"]["problems"] else "the store is well")
