"""Without its extra, a back-end says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
MADE = {
    "minilm": "from mneme.backends.embedders.minilm import OnnxEmbedder as E; E(Path('x'))",
    "sentence-transformers": "from mneme.backends.embedders.sentence_transformers import "
    "SentenceTransformersEmbedder as E; E(Path('x'))",
    "fastembed": "from mneme.backends.embedders.fastembed import FastembedEmbedder as E; E('x')",
}
PROGRAM = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {"onnxruntime", "tokenizers", "sentence_transformers", "fastembed"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from mneme.core.errors import MissingDependencyError
try:
    %s
except MissingDependencyError as error:
    print(error)
"""


@pytest.mark.parametrize("extra", MADE)
def test_the_error_names_the_extra(extra: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM % MADE[extra], str(SOURCES)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"pip install 'mneme[{extra}]'" in found.stdout
