"""The rows that pass between the vault and its store. Times are microseconds since 1970, UTC."""

from __future__ import annotations

from typing import Final, NamedTuple


class Namespace(NamedTuple):
    """A namespace's number and the counter that rises with every change in it."""

    number: int
    seq: int


class VersionRow(NamedTuple):
    """One version of one cube: the header, without the text.

    metadata, labels and sources are canonical JSON, or None where there is nothing to say;
    sources is a list of [cube id, version, start, end].
    """

    key: int
    version: int
    text_version: int  # the version that holds the text of this one
    id: str
    kind: str
    type: str
    state: str
    prior_state: str | None  # where a forgotten cube goes back to
    session: str
    role: str
    speaker: str | None
    metadata: str | None
    labels: str | None
    event_at: int | None
    recorded_at: int
    valid_from: int | None
    valid_to: int | None
    expires_at: int | None
    priority: float | None
    hold: int
    origin: str
    method: str
    actor: str | None
    model: str | None
    trust: str
    sources: str | None


class Shown(NamedTuple):
    """A version with all that a hit shows: its text, the spans of its passages, its uses."""

    row: VersionRow
    text: str
    spans: bytes
    uses: int


class TextRow(NamedTuple):
    """A text, the secret that keys its hashes, and its index entry.

    spans: little-endian int32 triples, one for each passage: start, end, number of terms.
    terms: little-endian uint32 of all passages, one after another.
    vectors: little-endian float16 [passages, dim] of `embedder`; None while still to be made.
    """

    key: int
    version: int
    body: str
    salt: bytes
    shape: int
    mentions: bytes
    spans: bytes
    terms: bytes
    embedder: int | None
    vectors: bytes | None


class AuditRow(NamedTuple):
    """One entry of the audit chain; `digest` is keyed by a salt that erasure destroys."""

    number: int
    at: int
    verb: str
    actor: str
    namespace: str
    cube_id: str
    version: int
    digest: str
    hash: str


class JobRow(NamedTuple):
    """One piece of background work."""

    number: int
    kind: str
    unique_key: str  # two waiting jobs never share one
    payload: str  # JSON: ids and numbers, never content
    state: str  # waiting, running, dead
    tries: int
    due_at: int
    lease_until: int | None
    error: str | None


class ClaimRow(NamedTuple):
    """What an extracted cube says of one of the cubes that it was taken from.

    spans: canonical JSON of the cube's sources, a list of [cube id, version, start, end].
    """

    parent: int
    child: int
    parent_id: str
    state: str
    valid_from: int | None
    valid_to: int | None
    expires_at: int | None
    spans: str | None


class BlockRow(NamedTuple):
    """A run of at most 64 tokens of a prompt whose keys and values are kept.

    key: 32 bytes, of all tokens up to its last one (memories.activation.keys), in all forms.
    parent: the key of the full block before it, or the root of its chain.
    form: how it is kept: "raw", "int8", ... and what was left out of it; "" is no form.
    tokens: little-endian uint32.
    start: the position of its first token.
    size: of the file, in bytes.
    checksum: 16 bytes, of the file.
    cost_s: seconds that it took to compute.
    """

    number: int  # 0: not written yet
    engine: str  # the fingerprint
    key: bytes
    parent: bytes
    form: str
    tokens: bytes
    start: int
    size: int
    checksum: bytes
    cost_s: float
    uses: int = 0
    used_at: int = 0

    @property
    def name(self) -> str:
        """The name of its file, the same in every tier below memory."""
        return f"{self.key.hex()}-{self.form}"


class DecisionRow(NamedTuple):
    """One cube that was shown for a question, and whether it helped.

    query: a hash that only this store can make; the same for all that was shown together.
    place: 1 for the best.
    signals: canonical JSON of the signals that the ranking learns from.
    """

    key: int
    at: int
    query: bytes
    place: int
    reward: float
    signals: str


class Spent(NamedTuple):
    """What language models cost; cost in millionths of the currency of the prices."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0


class Selection(NamedTuple):
    """Which current cubes of a namespace are meant; None leaves a field open.

    said: Of plaintext, only what users wrote.
    """

    types: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = ("plaintext",)
    states: tuple[str, ...] = ()
    session: str | None = None
    conditions: tuple[Condition, ...] = ()
    now: int = 0  # hides what expired by then
    said: bool = False


class Condition(NamedTuple):
    """One test of one field: `field` and `op` come from a closed grammar (core.filters)."""

    field: str
    key: str | None  # of metadata
    op: str
    value: object


class AdapterFile(NamedTuple):
    """One file of one version of an adapter.

    digest: 64 hex digits over all files of the version; names it.
    part: The file's own name, such as "adapter_model.safetensors".
    checksum: SHA-256 of the file, 32 bytes.
    """

    digest: str
    part: str
    size: int
    checksum: bytes

    @property
    def name(self) -> str:
        """The name of its blob."""
        return f"{self.digest}-{self.part}"


TENSORS: Final = ".safetensors"  # the ending of files that hold no texts
_ENDINGS: Final = (TENSORS, ".json", ".jsonl")  # of parts of adapters; no form of a block


def is_adapter_file(name: str) -> bool:
    """Whether a blob is a file of an adapter by its name, not a block."""
    return name.endswith(_ENDINGS)
