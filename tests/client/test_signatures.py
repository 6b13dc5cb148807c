"""The client's verbs are the library's: names, arguments, defaults, kinds and annotations."""

import inspect
from typing import Any

import pytest

from mneme import MemoryOS, Namespace
from mneme.client import AsyncClient, AsyncRemoteNamespace, Client, RemoteNamespace
from mneme.client.client import ServerVerbs
from mneme.client.models import ModelVerbs
from mneme.client.namespace import NamespaceVerbs
from mneme.client.verbs import verb

# The server has its own model; what is told while it works stays there.
LEFT_OUT = {
    "import_": {"progress"},
    "chat": {"engine", "note", "adapters"},
    "promote": {"engine", "progress"},
}
VERBS = sorted(
    name
    for kind in (NamespaceVerbs, ModelVerbs)
    for name, value in vars(kind).items()
    if isinstance(value, verb)
)


def signature(call: Any) -> inspect.Signature:  # noqa: ANN401 (a verb, or a method)
    return inspect.signature(getattr(call, "__wrapped__", call))


def arguments(call: object) -> list[inspect.Parameter]:
    return [each for each in signature(call).parameters.values() if each.name != "self"]


def result_of(call: object) -> str:
    shown = str(signature(call).return_annotation)
    return shown.replace("Hits", "list[Hit]").replace("Cubes", "list[MemCube]")


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_the_librarys(name: str) -> None:
    theirs = [
        each
        for each in arguments(getattr(Namespace, name))
        if each.name not in LEFT_OUT.get(name, ())
    ]
    for kind in (RemoteNamespace, AsyncRemoteNamespace):
        assert arguments(inspect.getattr_static(kind, name)) == theirs
    ours = inspect.getattr_static(RemoteNamespace, name)
    assert result_of(ours) == f"Flow[{result_of(getattr(Namespace, name))}]"


@pytest.mark.parametrize("name", ["namespaces", "stats", "audit"])
def test_a_verb_of_the_server_is_the_memorys(name: str) -> None:
    assert arguments(vars(ServerVerbs)[name]) == arguments(getattr(MemoryOS, name))


def test_what_every_program_uses_is_there() -> None:
    assert set(VERBS) >= {
        "activate", "add", "add_many", "archive", "chat", "demote", "derived", "erase", "export",
        "feedback", "forget", "freeze", "get", "history", "import_", "list", "preview_erase",
        "promote", "recall", "restore", "rollback", "search", "sources", "unfreeze", "update",
    }  # fmt: skip


def test_a_bound_verb_shows_what_a_caller_gives_and_gets() -> None:
    with Client("http://127.0.0.1:1") as client:
        shown = str(inspect.signature(client.namespace("a").get))
    assert shown.startswith("(id: 'str', *, version")
    assert "self" not in shown
    assert shown.endswith("-> 'MemCube'")
    assert RemoteNamespace.get.__doc__ == NamespaceVerbs.get.__doc__ == "One version of a cube."


def test_both_clients_are_made_alike() -> None:
    assert inspect.signature(Client) == inspect.signature(AsyncClient)
