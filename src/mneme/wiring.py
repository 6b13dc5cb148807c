"""Settings to a ready system: the one place that names back-ends."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from mneme.app.activation.attached import KVSettings
from mneme.app.memory import MemoryOS
from mneme.app.parametric.settings import AdapterSettings
from mneme.backends.blobs.folder import FolderBlobs
from mneme.backends.embedders.checked import CheckedEmbedder
from mneme.backends.query_door import SqliteQueryDoor
from mneme.backends.sqlite.store import SqliteStore
from mneme.backends.sqlite.upkeep import sync
from mneme.core.clock import SystemClock
from mneme.core.errors import ForbiddenError, InvalidInputError, MissingDependencyError
from mneme.core.ids import IdMaker
from mneme.core.strict import strict
from mneme.core.tokens import EstimatedCounter
from mneme.ingest.reader import Limits
from mneme.settings import Settings
from mneme.vault.account import StoreAccount
from mneme.vault.embedding import Embedding
from mneme.vault.parts import Parts
from mneme.vault.sweep import space_of
from mneme.vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mneme.backends.llm.account import Account
    from mneme.core.clock import Clock
    from mneme.core.engine import Engine, RemoteEngine
    from mneme.core.protocols import Embedder, LanguageModel, TokenCounter
    from mneme.core.store import BlobStore, Store

_log = getLogger(__name__)
_SECRET = "secret"  # the name under which a store keeps the key of its hashes
_SECRET_BYTES = 32
_ACTIVATION = "activation"  # the folder of blocks within that of a store
_PARAMETRIC, _RUNS = "parametric", "runs"  # that of adapters, and that of their checkpoints
_REMOTE = ("openai", "ollama")
_LLM_PACKAGES = ("httpx2", "fastjsonschema")
_ENGINE_PACKAGES = ("torch", "transformers", "safetensors", "accelerate", "xxhash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What comes from outside of the system and may be replaced, so that tests can turn it.

    Attributes:
        clock: The time.
        random_bytes: Chance.
        vfs: SQLite's name of the disk; None for the checksumming one.
        embedder: Used instead of what the settings name.
        inline: Whether writes wait for that embedder's vectors.
        model: Used instead of the language model that the settings name.
        blobs: Where files of blocks lie, instead of where the settings say, the nearest first.
        adapters: Where files of adapters lie, instead of beside the store.
    """

    clock: Clock = field(default_factory=SystemClock)
    random_bytes: Callable[[int], bytes] = os.urandom
    vfs: str | None = None
    embedder: Embedder | None = None
    inline: bool = True
    model: LanguageModel | None = None
    blobs: tuple[BlobStore, ...] | None = None
    adapters: BlobStore | None = None


def build(
    target: str | Path | None = None,
    *,
    settings: Settings | None = None,
    outside: Outside | None = None,
) -> MemoryOS:
    """Open a memory.

    Args:
        target: A folder, made if it is not there; else what the settings say.
        settings: Else what the environment says.
        outside: Clock, chance, disk and embedder.

    Raises:
        MissingDependencyError: The target or the embedder needs what is not installed.
        ForbiddenError: The folder cannot be made or written.
        StoreCorruptError: What is in the folder is not a whole store.
    """
    settings = Settings.from_environment() if settings is None else settings
    outside = Outside() if outside is None else outside
    embedder, inline = _embedder(settings, outside)
    counter = _counter(settings)
    store = SqliteStore(
        _folder(target if target is not None else settings.target),
        busy_timeout_s=settings.busy_timeout_s,
        vfs=outside.vfs,
    )
    clock = outside.clock
    near = _adapters_in(store.folder)
    parts = Parts(
        store=store,
        clock=clock,
        ids=IdMaker(clock, outside.random_bytes),
        random_bytes=outside.random_bytes,
        embedding=Embedding(
            None if embedder is None else CheckedEmbedder(embedder),
            clock,
            inline=inline,
            pause_s=settings.embedder_pause_s,
        ),
        owner=settings.actor,
        secret=_secret(store, outside.random_bytes),
        blobs=_blobs(settings, store, outside.random_bytes)
        if outside.blobs is None
        else outside.blobs,
        adapters=near if outside.adapters is None else outside.adapters,
        adapters_in=_adapters_in,
    )
    vault = Vault(parts, index_bytes=settings.index_bytes)
    vault.blocks.tidy()
    model = outside.model or _language_model(settings, StoreAccount(store))
    limits = Limits(
        turn_bytes=settings.max_turn_bytes,
        document_bytes=settings.max_document_bytes,
        metadata_bytes=settings.max_metadata_bytes,
        zone=settings.zone,
        infer=settings.infer,
        has_llm=model is not None,
    )
    return MemoryOS(
        vault, counter=counter, door=SqliteQueryDoor(), limits=limits,
        kv=_kv(settings, store.folder), adapters=_adapters(settings, store.folder),
        with_worker=settings.worker, model=model, learn=settings.learn, sleeps=settings.sleep,
    )  # fmt: skip


def _blobs(
    settings: Settings, store: SqliteStore, random_bytes: Callable[[int], bytes]
) -> tuple[BlobStore, ...]:
    """Where files of blocks lie: beside the store, and on a server if there is one."""
    near = FolderBlobs(store.folder / _ACTIVATION)
    if settings.kv_remote is None:
        return (near,)
    from mneme.backends.blobs.redis import RedisBlobs

    return (near, RedisBlobs(settings.kv_remote, store=space_of(store, random_bytes)))


def _adapters_in(folder: Path) -> BlobStore:
    """Where files of adapters lie: beside the store. They are synced: to make them anew is dear."""
    return FolderBlobs(folder / _PARAMETRIC, durable=True)


def block_folder(folder: str | Path) -> BlobStore:
    """A folder for files of blocks that belongs to no store, to measure with."""
    return FolderBlobs(Path(folder))


def _kv(settings: Settings, folder: Path) -> KVSettings:
    return KVSettings(
        folder=folder / _ACTIVATION,
        block_tokens=settings.kv_block_tokens,
        form=settings.kv_form,
        host_bytes=settings.kv_host_bytes,
        device_bytes=settings.kv_device_bytes,
        disk_bytes=settings.kv_disk_bytes,
        eviction=settings.kv_eviction,
        verify=settings.kv_verify,
    )


def _adapters(settings: Settings, folder: Path) -> AdapterSettings:
    return AdapterSettings(
        folder=folder / _RUNS,
        phrasings=settings.phrasings,
        slots=settings.adapter_slots,
        host_bytes=settings.adapter_host_bytes,
        checkpoint_s=settings.adapter_checkpoint_s,
    )


def _folder(target: str | Path | None) -> Path:
    if target is None:
        import platformdirs

        target = platformdirs.user_data_path("mneme") / "memory"
    if isinstance(target, str) and "://" in target:
        if target.startswith(("postgresql://", "postgres://")):
            raise MissingDependencyError("psycopg", "postgres", "a PostgreSQL store")
        raise InvalidInputError(f"{target!r} is no folder; give a path")
    folder = Path(target).expanduser()
    if folder.is_file():
        raise InvalidInputError(f"{folder} is a file; give a folder for the store")
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in new:
            sync(each.parent)  # else a power cut may take the folder with all that is in it
    except OSError as error:
        raise ForbiddenError(f"cannot make {folder}: {error.strerror}") from error
    return folder


def _secret(store: Store, random_bytes: Callable[[int], bytes]) -> bytes:
    with store.read() as tx:
        secret = tx.ledger.meta(_SECRET)
    if secret is None:
        with store.write() as tx:
            secret = tx.ledger.meta(_SECRET) or random_bytes(_SECRET_BYTES).hex()
            tx.ledger.set_meta(_SECRET, secret)
    return bytes.fromhex(secret)


def _counter(settings: Settings) -> TokenCounter:
    if settings.tokenizer is None:
        return EstimatedCounter()
    from mneme.backends.tokenizers import TokenizerCounter

    return TokenizerCounter(settings.tokenizer)


def _embedder(settings: Settings, outside: Outside) -> tuple[Embedder | None, bool]:
    """The embedder, and whether writes wait for it."""
    if outside.embedder is not None:
        return outside.embedder, outside.inline
    name, _, argument = settings.embedder.partition(":")
    if name in _REMOTE and argument:
        return _remote(name, argument, settings), False
    return local_embedder(name, argument, settings.embedder), True


def local_embedder(name: str, argument: str, spec: str) -> Embedder | None:
    """One that needs no server; None for "none"."""
    if spec == "none":
        _log.warning("no embedder: searches see words alone, not what they mean")
        return None
    if spec == "static":
        from mneme.backends.embedders.static import StaticEmbedder

        return StaticEmbedder()
    if name in {"minilm", "minilm-int8"} and argument:
        from mneme.backends.embedders.minilm import OnnxEmbedder

        return OnnxEmbedder(Path(argument), int8=name == "minilm-int8")
    if name == "sentence-transformers" and argument:
        from mneme.backends.embedders.sentence_transformers import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(Path(argument))
    if name == "fastembed" and argument:
        from mneme.backends.embedders.fastembed import FastembedEmbedder

        return FastembedEmbedder(argument)
    raise InvalidInputError(
        f"embedder {spec!r} is unknown; use static, none, minilm:FOLDER, minilm-int8:FOLDER, "
        "sentence-transformers:FOLDER, fastembed:NAME, openai:MODEL or ollama:MODEL"
    )


def _remote(name: str, model: str, settings: Settings) -> Embedder:
    from mneme.backends.embedders import ollama, openai
    from mneme.backends.embedders.endpoint import Endpoint

    default = openai.DEFAULT_URL if name == "openai" else ollama.DEFAULT_URL
    endpoint = Endpoint(
        settings.embedder_url or default,
        key=settings.embedder_key,
        timeout_s=settings.embedder_timeout_s,
    )
    make = openai.openai_embedder if name == "openai" else ollama.ollama_embedder
    return make(model, endpoint)


def _language_model(settings: Settings, account: Account | None = None) -> LanguageModel | None:
    """The language model that the settings name, if any; its packages load with the first call."""
    if settings.llm is None:
        return None
    for package in _LLM_PACKAGES:
        if find_spec(package) is None:
            raise MissingDependencyError(package, "llm", "a language model")
    from mneme.backends.llm import anthropic, ollama, openai
    from mneme.backends.llm.account import Terms
    from mneme.backends.llm.client import RemoteModel, Server

    name, _, model = settings.llm.partition(":")
    dialects = {"openai": openai.DIALECT, "anthropic": anthropic.DIALECT, "ollama": ollama.DIALECT}
    if name not in dialects or not model:
        raise InvalidInputError(
            f"llm {settings.llm!r} is unknown; use openai:MODEL, anthropic:MODEL or ollama:MODEL"
        )
    terms = Terms(
        price_in=settings.llm_price_in,
        price_out=settings.llm_price_out,
        budget_tokens=settings.llm_budget_tokens,
        budget_money=settings.llm_budget_money,
    )
    url = settings.llm_url or dialects[name].url
    server = Server(url, key=settings.llm_key, timeout_s=settings.llm_timeout_s)
    return RemoteModel(dialects[name], model, server, terms=terms, account=account)


@strict
def open_memory(target: str | Path | None = None, *, settings: Settings | None = None) -> MemoryOS:
    """Open a memory: a folder, made if it is not there. A context manager.

    Args:
        target: The folder; else `Settings.target`, else the user's data folder.
        settings: Else read from the environment.

    Raises:
        MissingDependencyError: The target or the embedder needs what is not installed.
        ForbiddenError: The folder cannot be made or written.
        StoreCorruptError: What is in the folder is not a whole store.
    """
    return build(target, settings=settings)


@strict
def remote_engine(
    model: str,
    *,
    url: str,
    key: str | None = None,
    timeout_s: float = 60.0,
    base: str | None = None,
    adapters: str | Path | None = None,
) -> RemoteEngine:
    """A language model behind an OpenAI-compatible server, such as vLLM or SGLang.

    With `base` and `adapters`, questions that shards were proven to answer are answered by the
    server with the shard loaded; it must take adapters while it runs, as vLLM does with
    `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True.

    Args:
        model: The model's name, as the server knows it.
        url: The server's address, such as http://127.0.0.1:8000/v1.
        key: Its key, if it wants one.
        timeout_s: How long it may be silent.
        base: What its model is: `metadata["base"]` of the shards that were written for it.
        adapters: A folder for their files, which the server sees at the same path.

    Raises:
        InvalidInputError: An argument cannot be right.
        MissingDependencyError: The extra `llm` is not installed.
    """
    for package in _LLM_PACKAGES:
        if find_spec(package) is None:
            raise MissingDependencyError(package, "llm", "an engine behind a server")
    from mneme.backends.engines.remote import OpenAIEngine

    if base is None and adapters is None:
        return OpenAIEngine(model, url=url, key=key, timeout_s=timeout_s)
    if base is None or adapters is None:
        raise InvalidInputError("base and adapters go together: give both, or none")
    from mneme.backends.engines.lora_engine import LoraEngine, ServerAdapters
    from mneme.backends.engines.lora_server import LoraServer

    server = LoraServer(url=url, key=key, timeout_s=timeout_s)
    worn = ServerAdapters(server, base, adapters)
    return LoraEngine(model, worn, url=url, key=key, timeout_s=timeout_s)


@strict
def open_engine(
    path: str | Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    attention: str | None = None,
    chunk_tokens: int | None = None,
) -> Engine:
    """Load a causal language model of transformers, whose keys and values can be memory.

    Args:
        path: Its folder: config.json, *.safetensors and a tokenizer. Nothing is fetched, no code of
            the model's is run, and nothing is unpickled.
        device: None: "cuda" where there is one, else "cpu".
        dtype: Such as "float32" or "bfloat16"; None: as the weights were saved.
        attention: Such as "sdpa" or "eager"; None: what the model prefers.
        chunk_tokens: Most tokens of one forward pass, which bounds the memory that a long prompt
            takes; None: no limit.

    Raises:
        MissingDependencyError: The extra `local` is not installed.
        InvalidInputError: There is no model that loads, or an argument is unknown.
        UnsuitedModelError: The model's keys and values cannot be kept; says why.
    """
    for package in _ENGINE_PACKAGES:
        if find_spec(package) is None:
            raise MissingDependencyError(package, "local", "a local model")
    from mneme.backends.engines.local.engine import LocalEngine
    from mneme.backends.engines.local.loading import load

    model, tokenizer = load(path, device=device, dtype=dtype, attention=attention)
    return LocalEngine(model, tokenizer, chunk_tokens=chunk_tokens)
