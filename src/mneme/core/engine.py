"""What the system asks of an engine: a language model that runs here, or one behind a server.

Tensors are opaque here (`Any`): this module imports no tensor library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    Message = Mapping[str, Any]  # {"role", "content"}


class Layer(NamedTuple):
    """The keys and values of one layer that has a cache of its own.

    keys: [key-value heads, tokens, head size], rotated for the positions at which they were made.
    values: the same shape, save that the head size may differ.
    """

    keys: Any
    values: Any


KV = tuple[Layer, ...]
"""The keys and values of all layers for a run of tokens, in the order in which layers write them.

Layers that share the cache of another layer have none of their own and do not appear.
"""


class Session(Protocol):
    """One prompt in the making: a cache of its own, never shared with another session.

    Attributes:
        position: Position of the next token.
    """

    @property
    def position(self) -> int: ...

    def feed(self, tokens: Sequence[int]) -> Any:  # noqa: ANN401 (a tensor)
        """Run tokens in one forward pass.

        Args:
            tokens: At least one.

        Returns:
            float32 [vocabulary], the logits that follow the last of them.
        """
        ...

    def feed_at(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        visible: Any,  # noqa: ANN401 (a tensor)
    ) -> Any:  # noqa: ANN401
        """Run tokens at chosen positions, each seeing what a mask allows (selective recompute).

        Args:
            tokens: At least one; the last is the last of the prompt.
            positions: Rising, one for each token.
            visible: bool [tokens, cached + tokens]: what each token may attend to.
        """
        ...

    def recorded(self) -> KV:
        """Keys and values of the tokens that were fed, where the session records; read only."""
        ...

    def cached(self) -> KV:
        """Keys and values of all that the session attends to, what was put in included."""
        ...


class Engine(Protocol):
    """A causal language model in this process.

    Attributes:
        fingerprint: SHA-256 in hex over `fields`; keys and values of different fingerprints never
            meet.
        fields: What decides about keys and values, by name: architecture, rope, weights,
            tokenizer, chat_template, adapter, dtype, attention, device, library, layout.
        model: The transformers model.
        window: Most positions of a prompt and its answer.
        slides: Whether a layer attends to a window of the last tokens alone.
        layers: How many layers have a cache of their own.
        device: Where the weights are, such as "cpu" or "cuda:0".
        special: Texts that the tokenizer reads as special tokens, such as "<|im_end|>".
        end: A token that ends an answer; None: the model has none.
        lock: Held during a forward pass. Who changes what a pass computes (an adapter) holds it,
            too; the same thread may take it again.
    """

    @property
    def end(self) -> int | None: ...
    @property
    def lock(self) -> AbstractContextManager[object]: ...

    @property
    def special(self) -> tuple[str, ...]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, str]: ...
    @property
    def model(self) -> Any: ...  # noqa: ANN401
    @property
    def window(self) -> int: ...
    @property
    def slides(self) -> bool: ...
    @property
    def layers(self) -> int: ...
    @property
    def device(self) -> str: ...

    def render(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of the whole prompt, as the chat template puts it, ready for an answer.

        A model without a chat template gets the contents, joined by line ends.

        Raises:
            InvalidInputError: The template refuses the messages.
        """
        ...

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text, without special ones."""
        ...

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without special ones."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        ...

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer."""
        ...

    def session(
        self, past: KV | None = None, *, position: int | None = None, record: bool = False
    ) -> Session:
        """A prompt that begins with tokens whose keys and values are known.

        Args:
            past: Copied into a fresh cache and never changed. Where tokens were left out, all
                layers hold the same number.
            position: Of the next token; None: as many as `past` has tokens.
            record: Whether `recorded` is wanted.
        """
        ...

    def rope(self, layer: int, positions: Sequence[int]) -> tuple[Any, Any]:
        """Cosines and sines by which a layer rotates keys, float32 [positions, rotated size].

        Raises:
            UnsuitedModelError: Its positions are not rotations of fixed frequencies.
        """
        ...

    def observed(self, watch: Callable[[int, Any, Any, Any], None]) -> AbstractContextManager[None]:
        """While it is open, `watch(layer, queries, keys, values)` sees every attention.

        queries: [heads, new tokens, head size]; keys, values: [key-value heads, all, head size];
        both rotated. `layer` counts as in KV.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemotePiece:
    """A piece of a streamed answer of a server.

    Attributes:
        text: What was added; may be empty.
        prompt_tokens: Tokens of the prompt, in the last piece, where the server says it.
        cached_tokens: How many of them came from the server's own cache of prefixes, likewise.
        answer_tokens: Tokens of the answer, likewise.
    """

    text: str
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    answer_tokens: int | None = None


class RemoteEngine(Protocol):
    """A language model behind an OpenAI-compatible server, which keeps its own cache of prefixes.

    Attributes:
        id: Its address and model.
        adapters: Through which it takes adapters while it runs; None: it takes none.
    """

    @property
    def id(self) -> str: ...
    @property
    def adapters(self) -> RemoteAdapters | None: ...

    def stream(self, messages: Sequence[Message], *, max_new_tokens: int) -> Iterator[RemotePiece]:
        """The answer, piece by piece.

        Raises:
            BackendUnavailableError: The server does not answer, refuses, or breaks off.
        """
        ...


class RemoteAdapters(Protocol):
    """The adapters of a server that takes them while it runs.

    Attributes:
        base: What adapters for its model belong to (`memories.parametric.adapter.base_of`).
    """

    @property
    def base(self) -> str: ...
    def engine(self, digest: str, write: Callable[[Path], object]) -> RemoteEngine:
        """The server's model with an adapter on; it is loaded if the server does not have it.

        Args:
            digest: Of the version.
            write: Writes its files into a folder that is not there yet.

        Raises:
            InvalidInputError: The server refuses the adapter.
            BackendUnavailableError: The server does not answer, or takes no adapters.
        """
        ...

    def folder_of(self, digest: str) -> Path:
        """Where the files of an adapter lie for the server."""
        ...

    def forget(self, present: Callable[[set[str]], set[str]]) -> None:
        """Unload what is there no longer, and remove its files.

        Args:
            present: Of some digests, those that still have a row.

        Raises:
            BackendUnavailableError: The server does not answer; it is tried again the next time.
        """
        ...
