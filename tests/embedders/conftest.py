"""A sentence model of a few words, written as real files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "moved", "the", "cat", "ok", "a")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class TinyModel:
    """Writes an ONNX graph that looks tokens up in a table, and BERT's tokenizer for its words."""

    words = WORDS

    def rows(self, words: Sequence[str], *, dim: int) -> NDArray[np.float32]:
        table = np.random.default_rng(7).standard_normal((len(WORDS), dim)).astype(np.float32)
        return table[[WORDS.index(word) for word in words]]

    def write(
        self,
        folder: Path,
        *,
        dim: int,
        inputs: Sequence[str] = INPUTS,
        name: str = "model.onnx",
    ) -> None:
        onnx = pytest.importorskip("onnx", reason="onnx is not installed: no graph can be made")
        info, free = onnx.helper.make_tensor_value_info, ["texts", "tokens"]
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
            "tiny",
            [info(given, onnx.TensorProto.INT64, free) for given in inputs],
            [info("last_hidden_state", onnx.TensorProto.FLOAT, [*free, dim])],
            [onnx.numpy_helper.from_array(self.rows(WORDS, dim=dim), "table")],
        )
        opsets = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, folder / name)
        self.write_tokenizer(folder)

    def write_tokenizer(self, folder: Path) -> None:
        tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
        vocabulary = {word: row for row, word in enumerate(WORDS)}
        pipeline = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
        pipeline.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
        pipeline.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        pipeline.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        pipeline.enable_padding(length=128)  # as MiniLM's file says; the embedder turns it off
        pipeline.save(str(folder / "tokenizer.json"))
        settings = {
            "config.json": {"pad_token_id": 0},
            "tokenizer_config.json": {"model_max_length": 128, "pad_token": "[PAD]"},
            "special_tokens_map.json": {"unk_token": "[UNK]", "pad_token": "[PAD]"},
        }
        for name, facts in settings.items():
            (folder / name).write_text(json.dumps(facts))


@pytest.fixture(scope="session")
def tiny_model() -> TinyModel:
    return TinyModel()
