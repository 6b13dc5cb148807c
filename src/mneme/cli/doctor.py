"""The verb `doctor`: what is installed, and whether the store and its parts are well."""

from __future__ import annotations

import platform
from importlib import metadata, util
from typing import TYPE_CHECKING, Any

import typer

from mneme.cli import options as opt
from mneme.cli import render
from mneme.cli.status import Status
from mneme.cli.store import opened

if TYPE_CHECKING:
    from mneme.app import MemoryOS

_OPTIONAL = {
    "onnxruntime": ("minilm", "the MiniLM embedder"),
    "tokenizers": ("minilm", "the MiniLM embedder and exact token counts"),
    "sentence_transformers": ("sentence-transformers", "sentence-transformers models"),
    "fastembed": ("fastembed", "fastembed models"),
}


def doctor(
    store: opt.Store = None, namespace: opt.WholeStore = "", as_json: opt.Json = False
) -> None:
    """Tell versions, whether the store and the embedder are well, and what is not installed."""
    findings: dict[str, Any] = {"versions": _versions(), "optional": _optional()}
    with opened(store) as memory:
        findings |= {"store": _store(memory)}
    problems = findings["store"]["problems"]
    if as_json:
        render.print_json(findings | {"ok": not problems})
    else:
        _print_findings(findings)
    if problems:
        raise typer.Exit(Status.DAMAGED)


def _versions() -> dict[str, str]:
    import apsw

    found = {name: metadata.version(name) for name in ("mneme", "numpy", "apsw", "typer")}
    return {"python": platform.python_version(), **found, "sqlite": apsw.sqlite_lib_version()}


def _optional() -> dict[str, dict[str, Any]]:
    """Packages that are not needed, and what each would add."""
    return {
        name: {"installed": util.find_spec(name) is not None, "extra": extra, "for": purpose}
        for name, (extra, purpose) in _OPTIONAL.items()
    }


def _store(memory: MemoryOS) -> dict[str, Any]:
    report = memory.verify()
    return {"stats": memory.stats(), "problems": list(report.problems)}


def _print_findings(findings: dict[str, Any]) -> None:
    render.print_record({"versions": findings["versions"], "store": findings["store"]})
    for name, found in findings["optional"].items():
        state = "installed" if found["installed"] else f"not installed (extra {found['extra']})"
        render.say(f"{name}: {state}, for {found['for']}", dim=not found["installed"])
