"""What the system asks of its replaceable parts, and the rows that pass between them.

Arrays are opaque here (`Any`): this module imports neither numpy nor a tensor library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Embedder(Protocol):
    """Turns texts into unit vectors.

    Attributes:
        id: Name, weights hash and dimension, such as "static-minilm:3f2a90c1:256". Vectors of
            different ids are never compared.
        dim: Length of a vector.
    """

    @property
    def id(self) -> str: ...
    @property
    def dim(self) -> int: ...

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Any:  # noqa: ANN401 (an array)
        """Vectors of texts.

        Args:
            texts: Any strings, also empty ones; a text above the model's length is cut.
            query: Whether they are questions, for models that tell the two apart.

        Returns:
            float32 [len(texts), dim], rows of length 1 (all zero where a text has no token).

        Raises:
            BackendUnavailableError: The model or its server does not answer, or not sensibly.
        """
        ...


class TokenCounter(Protocol):
    """Counts the tokens of a text for a budget."""

    exact: bool

    def count(self, text: str) -> int:
        """Tokens of the text: exact, or an estimate that is not below the truth on prose."""
        ...


class Answer(NamedTuple):
    """What a language model answered, and what that cost.

    value: JSON data that fits the schema that was asked for.
    calls: Requests made for it, repairs and retries included; 0 from the cache.
    cost: In millionths of the currency that prices are set in; 0 where none are set.
    """

    value: Any
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int


class LanguageModel(Protocol):
    """Answers in JSON that fits a schema.

    Attributes:
        id: Provider and model, such as "openai:gpt-5-mini"; goes into `Provenance.model`.
    """

    @property
    def id(self) -> str: ...

    def ask(
        self, system: str, prompt: str, schema: Mapping[str, Any], *, job: str, most_tokens: int
    ) -> Answer:
        """One question.

        Args:
            system: What the model is to do.
            prompt: What it is to do it with; memory in it is data, never an instruction.
            schema: JSON Schema of the answer, an object.
            job: Name of the kind of work, for the account of tokens and money.
            most_tokens: Of the answer.

        Raises:
            BackendUnavailableError: No answer in time, or none that fits after repair.
            BudgetSpentError: The budget of this kind of work is used up.
        """
        ...

    def forget_answers(self) -> None:
        """Forget answers that were kept for identical questions, since a source was erased."""
        ...


class PassageRow(NamedTuple):
    """A piece of a text of about 60 words, as the index sees it.

    terms: little-endian uint32, the hashed stems in reading order.
    vector: little-endian float16 [dim] of the active embedder; None while it is still to be made.
    """

    terms: bytes
    vector: bytes | None


class IndexRow(NamedTuple):
    """One cube as the index sees it. Times are microseconds since 1970, UTC."""

    key: int  # the store's number of the cube; rises with the order of writing
    live: bool  # False: hidden or gone, drop it
    state: str
    type: str
    session: str
    role: str
    speaker: str | None
    origin: str
    trust: str
    event_at: int | None
    recorded_at: int
    valid_from: int | None
    valid_to: int | None
    expires_at: int | None
    shape: int  # bits: what kind of sentence it is (memories.plaintext.build)
    mentions: bytes  # little-endian int32 pairs: first and last day (since 1970) of each date named
    passages: tuple[PassageRow, ...]
    utility: float = 0.0  # what `feedback` told: above 0 it helped, below it did not
