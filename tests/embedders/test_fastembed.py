"""The fastembed back-end, on files made here under the name of a model that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mneme.backends.embedders.fastembed import FastembedEmbedder
from mneme.core.errors import BackendUnavailableError, InvalidInputError
from mneme.testing.embedder_contract import EmbedderContract

pytest.importorskip("fastembed", reason="NOT TESTED: fastembed is not installed (its extra)")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.embedders.conftest import TinyModel

MODEL, DIM = "sentence-transformers/all-MiniLM-L6-v2", 384


class TestFastembed(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder(
        tmp_path_factory: pytest.TempPathFactory, tiny_model: TinyModel
    ) -> Callable[[], FastembedEmbedder]:
        folder = tmp_path_factory.mktemp("fastembed")
        tiny_model.write(folder, dim=DIM)
        return lambda: FastembedEmbedder(MODEL, folder=folder, threads=1)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        FastembedEmbedder(MODEL, folder=tmp_path / "none")


def test_an_unknown_model_or_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError):
        FastembedEmbedder("nobody/no-such-model", folder=tmp_path)
    with pytest.raises(BackendUnavailableError):
        FastembedEmbedder(MODEL, folder=tmp_path)
