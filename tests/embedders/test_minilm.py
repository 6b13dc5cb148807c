"""The onnxruntime back-end on a small graph that is made here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mneme.backends.embedders.minilm import MAX_TOKENS, OnnxEmbedder
from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.testing.embedder_contract import EmbedderContract

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.embedders.conftest import TinyModel

DIM = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: TinyModel) -> Path:
    made = tmp_path_factory.mktemp("tiny")
    tiny_model.write(made, dim=DIM)
    tiny_model.write(made, dim=DIM, inputs=("input_ids",), name="model_int8.onnx")
    return made


@pytest.mark.parametrize("int8", [False, True])
def test_names_and_inputs(folder: Path, int8: bool) -> None:
    embedder = OnnxEmbedder(folder, int8=int8, threads=1)
    assert embedder.dim == DIM
    assert embedder.id.startswith(f"onnx-{folder.name}{'-int8' if int8 else ''}:")
    assert embedder.embed(["Anna moved"]).any()


class TestTiny(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder(folder: Path) -> Callable[[], OnnxEmbedder]:
        return lambda: OnnxEmbedder(folder, threads=1)


def test_a_vector_is_the_mean_over_the_tokens(folder: Path, tiny_model: TinyModel) -> None:
    embedder = OnnxEmbedder(folder)
    mean = tiny_model.rows(["[CLS]", "the", "cat", "[SEP]"], dim=DIM).mean(axis=0)
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
def test_a_missing_file_is_named(tmp_path: Path, tiny_model: TinyModel, name: str) -> None:
    tiny_model.write(tmp_path, dim=DIM)
    (tmp_path / name).unlink()
    with pytest.raises(InvalidInputError, match=name):
        OnnxEmbedder(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("data", [b"", b"\x00garbage", b"{}"])
def test_a_damaged_file_is_an_error(
    tmp_path: Path, tiny_model: TinyModel, name: str, data: bytes
) -> None:
    tiny_model.write(tmp_path, dim=DIM)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BackendUnavailableError):
        OnnxEmbedder(tmp_path)


def test_a_token_that_the_model_lacks_is_an_error(tmp_path: Path, tiny_model: TinyModel) -> None:
    tiny_model.write(tmp_path, dim=DIM)
    path = tmp_path / "tokenizer.json"
    facts = json.loads(path.read_text("utf-8"))
    facts["model"]["vocab"]["cat"] = 99
    path.write_text(json.dumps(facts))
    with pytest.raises(BackendUnavailableError, match="failed on a text"):
        OnnxEmbedder(tmp_path).embed(["cat"])
