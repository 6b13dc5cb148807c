"""The onnxruntime back-end on a small graph that is made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mneme.backends.embedders.minilm import MAX_TOKENS, OnnxEmbedder
from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.testing.embedder_contract import EmbedderContract

onnx = pytest.importorskip("onnx", reason="onnx is not installed: the graph cannot be made")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")

if TYPE_CHECKING:
    from collections.abc import Callable

DIM = 8
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "anna", "moved", "the", "cat", "ok", "a", "##b")


def write_model(folder: Path, *, inputs: tuple[str, ...], name: str = "model.onnx") -> None:
    """A graph that looks its tokens up in a table and adds what a token's mask says."""
    table = np.random.default_rng(7).standard_normal((len(WORDS), DIM)).astype(np.float32)
    info, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    free = ["texts", "tokens"]
    graph = onnx.helper.make_graph(
        [node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "tiny",
        [info(given, onnx.TensorProto.INT64, free) for given in inputs],
        [info("last_hidden_state", onnx.TensorProto.FLOAT, [*free, DIM])],
        [onnx.numpy_helper.from_array(table, "table")],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model)
    onnx.save(model, folder / name)


def write_tokenizer(folder: Path) -> None:
    vocabulary = {word: row for row, word in enumerate(WORDS)}
    pipeline = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    pipeline.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    pipeline.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    pipeline.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    pipeline.enable_padding(length=128)  # as the real file says; the embedder turns it off
    pipeline.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tiny")
    write_model(made, inputs=("input_ids", "attention_mask", "token_type_ids"))
    write_model(made, inputs=("input_ids",), name="model_int8.onnx")
    write_tokenizer(made)
    return made


@pytest.mark.parametrize("int8", [False, True])
def test_names_and_inputs(folder: Path, int8: bool) -> None:
    embedder = OnnxEmbedder(folder, int8=int8, threads=1)
    assert embedder.dim == DIM
    assert embedder.id.startswith(f"onnx-{folder.name}{'-int8' if int8 else ''}:")
    assert embedder.embed(["Anna moved"]).any()


class TestTiny(EmbedderContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_embedder(cls, folder: Path) -> Callable[[], OnnxEmbedder]:
        return lambda: OnnxEmbedder(folder, threads=1)


def test_a_vector_is_the_mean_over_the_tokens(folder: Path) -> None:
    embedder = OnnxEmbedder(folder)
    table = np.random.default_rng(7).standard_normal((len(WORDS), DIM))
    mean = table[[2, 6, 7, 3]].mean(axis=0)
    np.testing.assert_allclose(
        embedder.embed(["The CAT"])[0], mean / np.linalg.norm(mean), atol=1e-6
    )


def test_a_text_is_cut_at_the_models_length(folder: Path) -> None:
    embedder = OnnxEmbedder(folder)
    start = "cat " * (MAX_TOKENS - 2)
    assert (embedder.embed([start]) == embedder.embed([start + "anna " * 9])).all()


def test_a_mark_of_the_model_in_a_text_is_text(folder: Path) -> None:
    embedder = OnnxEmbedder(folder)
    marked, unknown = embedder.embed(["cat [SEP]", "cat ? ? ?"])
    np.testing.assert_allclose(marked, unknown, atol=1e-6)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, inputs=("input_ids",))
    write_tokenizer(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InvalidInputError, match=name):
        OnnxEmbedder(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("data", [b"", b"\x00garbage", b"{}"])
def test_a_damaged_file_is_an_error(tmp_path: Path, name: str, data: bytes) -> None:
    write_model(tmp_path, inputs=("input_ids",))
    write_tokenizer(tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BackendUnavailableError):
        OnnxEmbedder(tmp_path)


def test_a_token_that_the_model_lacks_is_an_error(tmp_path: Path) -> None:
    write_model(tmp_path, inputs=("input_ids",))
    write_tokenizer(tmp_path)
    path = tmp_path / "tokenizer.json"
    facts = json.loads(path.read_text("utf-8"))
    facts["model"]["vocab"]["cat"] = 99
    path.write_text(json.dumps(facts))
    with pytest.raises(BackendUnavailableError, match="failed on a text"):
        OnnxEmbedder(tmp_path).embed(["cat"])
