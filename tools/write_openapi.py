"""Write docs/openapi.json from the routes themselves.

Usage: python tools/write_openapi.py [--check]. With --check nothing is written; the exit status is
1 if the file is not what would be written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mneme.server.app import create_app
from mneme.server.service import Service
from mneme.settings import Settings
from mneme.wiring import build

PAGE = Path(__file__).parents[1] / "docs" / "openapi.json"


def page() -> str:
    """The whole file."""
    settings = Settings(worker=False, embedder="none")
    with TemporaryDirectory() as folder, build(Path(folder) / "store", settings=settings) as memory:
        app = create_app(Service(memory=memory, settings=settings))
        return json.dumps(app.openapi(), ensure_ascii=False, indent=1) + "\n"


def main() -> int:
    """Write, or check."""
    made = page()
    if "--check" in sys.argv[1:]:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == made
        if not same:
            print(f"{PAGE.name} is out of date: run python tools/write_openapi.py")
        return 0 if same else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
