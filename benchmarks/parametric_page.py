"""Write the generated parts of docs/parametric.md out of benchmarks/results/parametric_*.json.

    python benchmarks/parametric_page.py

A part stands between `<!-- name -->` and `<!-- end name -->`; what stands around it stays. A result
that is not there is told as such. The tables themselves are made in parametric_tables.py.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from measuring import REPO
from parametric_tables import PARTS

PAGE = REPO / "docs" / "parametric.md"


def filled(page: str) -> tuple[str, list[str]]:
    """The page with its parts made anew, and the names of parts without a result."""
    missing = []
    for name, make in PARTS.items():
        text = make()
        missing += [] if text else [name]
        text = text or f"Not measured yet (`python benchmarks/parametric_{name}.py`)."
        marked = f"<!-- {name} -->\n{text.strip()}\n<!-- end {name} -->"
        pattern = rf"<!-- {name} -->\n.*?<!-- end {name} -->"
        page, count = re.subn(pattern, lambda _, new=marked: new, page, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE.name} has no place for {name}")
    return page, missing


def main(page: Path = PAGE) -> int:
    text, missing = filled(page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
    print("missing: " + ", ".join(missing) if missing else f"wrote {page.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
