"""mem0's configuration: what of it Mneme can do, and a clear refusal of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mneme.client import Client
from mneme.core.errors import InvalidInputError
from mneme.settings import Settings
from mneme.wiring import open_memory

if TYPE_CHECKING:
    from mneme.app.memory import MemoryOS

ROOT = "mem0"
_LLMS = ("openai", "anthropic", "ollama")
_EMBEDDERS = {
    "openai": "openai",
    "ollama": "ollama",
    "huggingface": "sentence-transformers",
    "fastembed": "fastembed",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where memories are kept.

    Attributes:
        store: An open memory, or a client of a server.
        root: Below it lie the namespaces of users, agents and runs.
    """

    store: MemoryOS | Client
    root: str


def opened(config: Mapping[str, Any] | None) -> Place:
    """Open what a configuration names.

    Raises:
        InvalidInputError: It asks for what Mneme does not have.
    """
    known = _given(config, "a configuration", ("vector_store", "llm", "embedder", "version"))
    if known.get("version", "v1.1") != "v1.1":
        raise InvalidInputError("version is v1.1; results always have its shape")
    kept = _kept(known.get("vector_store"))
    root = str(kept.get("collection_name", ROOT))
    if "url" in kept:
        if "llm" in known or "embedder" in known:
            raise InvalidInputError("behind a url the server has its own llm and embedder")
        return Place(Client(kept["url"], key=kept.get("key")), root)
    settings = Settings.from_environment()
    if "llm" in known:
        settings = replace(settings, **_llm(known["llm"]))
    if "embedder" in known:
        settings = replace(settings, **_embedder(known["embedder"]))
    return Place(open_memory(kept.get("path"), settings=settings), root)


def _kept(value: object) -> dict[str, Any]:
    """The configuration of the store."""
    provider, config = _provider(value, "vector_store", default="mneme")
    if provider != "mneme":
        raise InvalidInputError(
            f"vector_store {provider!r} is not used: Mneme keeps memories itself. Leave it out, or "
            "give {'provider': 'mneme', 'config': {'path': FOLDER}} or {'url': ..., 'key': ...}"
        )
    return _given(config, "vector_store.config", ("path", "url", "key", "collection_name"))


def _llm(value: object) -> dict[str, Any]:
    provider, config = _provider(value, "llm", default="openai")
    if provider not in _LLMS:
        raise InvalidInputError(f"llm {provider!r} is unknown; Mneme has {', '.join(_LLMS)}")
    url = f"{provider}_base_url"
    known = _given(config, "llm.config", ("model", "api_key", url))
    if "model" not in known:
        raise InvalidInputError("llm.config needs a 'model'")
    return {
        "llm": f"{provider}:{known['model']}",
        "llm_key": known.get("api_key"),
        "llm_url": known.get(url),
    }


def _embedder(value: object) -> dict[str, Any]:
    provider, config = _provider(value, "embedder", default="openai")
    if provider not in _EMBEDDERS:
        raise InvalidInputError(
            f"embedder {provider!r} is unknown; Mneme has {', '.join(_EMBEDDERS)}, and one of its "
            "own if it is left out"
        )
    url = f"{provider}_base_url"
    known = _given(config, "embedder.config", ("model", "api_key", url))
    if "model" not in known:
        raise InvalidInputError("embedder.config needs a 'model'")
    return {
        "embedder": f"{_EMBEDDERS[provider]}:{known['model']}",
        "embedder_key": known.get("api_key"),
        "embedder_url": known.get(url),
    }


def _provider(value: object, name: str, *, default: str) -> tuple[str, object]:
    known = _given(value, name, ("provider", "config"))
    return str(known.get("provider", default)), known.get("config")


def _given(value: object, what: str, names: tuple[str, ...]) -> dict[str, Any]:
    """What was given of some names; a name that Mneme has no use for is refused."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{what} takes a dict, not {type(value).__name__}")
    found = {str(name): each for name, each in value.items() if each is not None}
    for name in found:
        if name not in names:
            raise InvalidInputError(
                f"{what} has {name!r}, which Mneme does not do; it takes {', '.join(names)}"
            )
    return found
