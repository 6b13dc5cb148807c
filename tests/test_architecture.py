"""Rules about the shape of the code that no linter checks."""

import subprocess
import sys
from pathlib import Path

import pytest

import mneme

ROOT = Path(mneme.__file__).parent
MAX_LINES = 400


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_grows_past_the_limit(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_importing_mneme_loads_no_numpy_and_no_tensor_library() -> None:
    code = (
        "import sys, mneme; sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_pickle_is_read_or_written() -> None:
    words = ("import pickle", "allow_pickle=True", "torch.load", "marshal.load", "import shelve")
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], path


def test_every_public_name_can_be_loaded() -> None:
    for name in mneme.__all__:
        assert getattr(mneme, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mneme.nothing  # noqa: B018 (the access is the test)
