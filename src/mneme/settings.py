"""What a user may choose, read once. The one place that reads the environment.

Each field may be set as `MNEME_` and its name in capitals: `MNEME_EMBEDDER=none`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mneme.core.errors import InvalidInputError
from mneme.memories.activation.forms import codec_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

PREFIX = "MNEME_"
_MIB = 1 << 20
_MOST_PROCESSES = 64


_ABOVE_0 = (
    "embedder_timeout_s", "llm_timeout_s", "busy_timeout_s", "max_turn_bytes", "adapter_slots",
    "adapter_checkpoint_s", "serve_body_bytes", "serve_timeout_s", "upstream_timeout_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a memory.

    Attributes:
        target: Folder of the store; None for the user's data folder.
        embedder: "static" (shipped, the default), "none" (words alone), "minilm:FOLDER",
            "minilm-int8:FOLDER", "sentence-transformers:FOLDER", "fastembed:NAME",
            "openai:MODEL" or "ollama:MODEL".
        embedder_url: Address of the server, for openai and ollama.
        embedder_key: Its key.
        embedder_timeout_s: How long to wait for its answer.
        embedder_pause_s: How long it is left alone after a failure.
        infer: Whether written memory reads what is added, to make facts of it.
        sleep: Whether a namespace is consolidated after it has been quiet for ten minutes.
        llm: "openai:MODEL" (any server that speaks OpenAI's dialect, by its address),
            "anthropic:MODEL" or "ollama:MODEL"; None: rules alone.
        llm_url: Address of the language model's server; None for the provider's own.
        llm_key: Its key.
        llm_timeout_s: How long one question may take, with all its retries and repairs.
        llm_price_in: Money for a million tokens that it reads.
        llm_price_out: Money for a million tokens that it writes.
        llm_budget_tokens: Most tokens for each kind of work in the life of a store; 0: no limit.
        llm_budget_money: Most money, likewise.
        tokenizer: A Hugging Face tokenizer.json to count tokens with; an estimate without one.
        timezone: Where times without a zone are read, an IANA name.
        actor: Who acts, for the audit log and provenance.
        max_turn_bytes: Limit of one message.
        max_document_bytes: Limit of one document.
        max_metadata_bytes: Limit of one cube's metadata as JSON.
        index_bytes: Memory for indexes; the least used go first.
        busy_timeout_s: How long to wait for another writer of the store.
        worker: Whether a thread of this process runs background jobs.
        kv_block_tokens: Tokens of a block of keys and values.
        kv_form: How keys and values are kept: "raw" (exact), "bf16", "int8", "int4" or "lowrank".
        kv_host_bytes: Memory for blocks in use.
        kv_device_bytes: The same, on an accelerator.
        kv_disk_bytes: Disk for blocks; the least worth go first.
        kv_remote: Address of a Redis server that keeps blocks too, such as redis://127.0.0.1:6379.
        kv_eviction: "gdsf" (cost of computing x uses / bytes) or "lru".
        kv_verify: Share of exact hits that are compared with a full prefill, 0 to 1.
        phrasings: A JSON file of how relations are said and asked for, beside the packaged ones:
            for facts that are written into weights (docs/parametric.md).
        adapter_slots: Shards that are ready in a model at one time.
        adapter_host_bytes: Memory for shards beside those slots.
        adapter_checkpoint_s: Seconds between checkpoints of a shard that is being written.
        learn: Whether feedback changes the weights of the ranking, for each namespace by itself.
        serve_host: Address that `mneme serve` listens on.
        serve_port: Its port; 0: any free one.
        serve_processes: How many processes answer; 0: as many as there are cores to use, 4 at most,
            and one where a model is loaded with them.
        serve_hosts: Further names, separated by commas, that requests may give as their Host.
        serve_origins: Web pages, separated by commas, that may call the server from a browser, such
            as https://app.example.org; its own console may always.
        serve_body_bytes: Limit of one request.
        serve_timeout_s: How long a request may take to come in whole and to be answered; streams
            may go on.
        serve_requests_per_s: Requests of one key in a second, twice as many at once; 0: no limit.
        serve_model: Folder of a model that answers chats in the server's process.
        upstream_url: Address of the server behind `/v1/chat/completions`, such as
            http://127.0.0.1:8000/v1.
        upstream_key: Its key.
        upstream_timeout_s: How long it may be silent.
        proxy_budget_tokens: Of memory that is added to a request for it.
    """

    target: str | None = None
    embedder: str = "static"
    embedder_url: str | None = None
    embedder_key: str | None = None
    embedder_timeout_s: float = 10.0
    embedder_pause_s: float = 5.0
    infer: bool = True
    sleep: bool = True
    llm: str | None = None
    llm_url: str | None = None
    llm_key: str | None = None
    llm_timeout_s: float = 60.0
    llm_price_in: float = 0.0
    llm_price_out: float = 0.0
    llm_budget_tokens: int = 0
    llm_budget_money: float = 0.0
    tokenizer: str | None = None
    timezone: str = "UTC"
    actor: str = "local"
    max_turn_bytes: int = _MIB
    max_document_bytes: int = 64 * _MIB
    max_metadata_bytes: int = 64 * 1024
    index_bytes: int = 1024 * _MIB
    busy_timeout_s: float = 10.0
    worker: bool = True
    kv_block_tokens: int = 64
    kv_form: str = "raw"
    kv_host_bytes: int = 1024 * _MIB
    kv_device_bytes: int = 1024 * _MIB
    kv_disk_bytes: int = 8192 * _MIB
    kv_remote: str | None = None
    kv_eviction: str = "gdsf"
    kv_verify: float = 0.01
    phrasings: str | None = None
    adapter_slots: int = 8
    adapter_host_bytes: int = 256 * _MIB
    adapter_checkpoint_s: float = 30.0
    learn: bool = False
    serve_host: str = "127.0.0.1"
    serve_port: int = 8350
    serve_processes: int = 0
    serve_hosts: str = ""
    serve_origins: str = ""
    serve_body_bytes: int = 72 * _MIB
    serve_timeout_s: float = 60.0
    serve_requests_per_s: float = 500.0
    serve_model: str | None = None
    upstream_url: str | None = None
    upstream_key: str | None = None
    upstream_timeout_s: float = 120.0
    proxy_budget_tokens: int = 1500

    def __post_init__(self) -> None:
        for name in _ABOVE_0:
            if not getattr(self, name) > 0:
                raise InvalidInputError(f"{name} must be above 0, not {getattr(self, name)!r}")
        codec_name(self.kv_form)  # says which there are
        if not 0 <= self.serve_processes <= _MOST_PROCESSES:
            raise InvalidInputError(f"serve_processes is a number from 0 to {_MOST_PROCESSES}")
        if not self.kv_block_tokens > 0:
            raise InvalidInputError("kv_block_tokens must be above 0")
        if not 0 <= self.kv_verify <= 1:
            raise InvalidInputError(f"kv_verify is a share from 0 to 1, not {self.kv_verify!r}")
        if self.kv_eviction not in {"gdsf", "lru"}:
            raise InvalidInputError(f"kv_eviction is gdsf or lru, not {self.kv_eviction!r}")
        _ = self.zone

    def __repr__(self) -> str:
        secret = {
            "embedder_key",
            "llm_key",
            "kv_remote",
            "upstream_key",
        }  # an address may hold a password
        shown = (
            f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.name not in secret
        )
        return f"Settings({', '.join(shown)})"

    @property
    def zone(self) -> tzinfo:
        """Where times without a zone are read."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInputError(
                f"timezone {self.timezone!r} is unknown; use an IANA name such as Europe/Oslo"
            ) from error

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The defaults, changed by what the environment says."""
        environment = os.environ if environment is None else environment
        known = {f.name: f for f in fields(cls)}
        changes: dict[str, Any] = {}
        for variable, value in environment.items():
            name = variable.removeprefix(PREFIX).lower()
            if variable.startswith(PREFIX) and name in known:
                changes[name] = _read(variable, value, known[name].default)
        return replace(cls(), **changes)


def _read(variable: str, value: str, default: object) -> object:
    if isinstance(default, bool):
        if value.lower() not in {"1", "0", "true", "false", "yes", "no"}:
            raise InvalidInputError(f"{variable} must be true or false, not {value!r}")
        return value.lower() in {"1", "true", "yes"}
    if isinstance(default, int | float):
        try:
            return type(default)(value)
        except ValueError as error:
            raise InvalidInputError(f"{variable} must be a number, not {value!r}") from error
    return value
