"""The sentence-transformers back-end, on a small model made here."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from mneme.backends.embedders.sentence_transformers import SentenceTransformersEmbedder
from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.testing.embedder_contract import EmbedderContract

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="NOT TESTED: sentence-transformers is not installed (its extra)"
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.embedders.conftest import TinyModel

DIM = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: TinyModel) -> Path:
    """A BERT of one layer with random weights, as sentence-transformers saves it."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    place = tmp_path_factory.mktemp("st")
    words = place / "words"
    words.mkdir()
    tiny_model.write_tokenizer(words)
    torch.manual_seed(7)
    shape = {"hidden_size": DIM, "intermediate_size": DIM, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=len(tiny_model.words), num_hidden_layers=1, **shape)
    transformers.BertModel(config).save_pretrained(place / "bert")
    tokenizer = transformers.BertTokenizerFast(tokenizer_file=str(words / "tokenizer.json"))
    tokenizer.save_pretrained(place / "bert")
    sentence_transformers.SentenceTransformer(  # puts mean pooling behind a plain BERT
        str(place / "bert"), device="cpu", prompts={"query": "the ", "document": ""}
    ).save(str(place / "model"))
    return place / "model"


class TestSentenceTransformers(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder(folder: Path) -> Callable[[], SentenceTransformersEmbedder]:
        return lambda: SentenceTransformersEmbedder(folder)


def test_a_question_gets_the_models_prompt(folder: Path) -> None:
    embedder = SentenceTransformersEmbedder(folder)
    asked = embedder.embed(["cat"], query=True)
    assert abs(asked - embedder.embed(["the cat"])).max() < 1e-5
    assert abs(asked - embedder.embed(["cat"])).max() > 1e-3


def test_the_id_follows_the_weights(folder: Path) -> None:
    weights = next(folder.rglob("model.safetensors"))
    before = SentenceTransformersEmbedder(folder).id
    data = weights.read_bytes()
    try:
        changed = bytearray(data)
        changed[-1] ^= 1
        weights.write_bytes(changed)
        assert SentenceTransformersEmbedder(folder).id != before
    finally:
        weights.write_bytes(data)
    assert hashlib.sha256(data).hexdigest() == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        SentenceTransformersEmbedder(tmp_path / "none")


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(json.dumps([]))
    with pytest.raises(BackendUnavailableError):
        SentenceTransformersEmbedder(tmp_path)
