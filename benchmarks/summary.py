"""Make docs/benchmarks.md out of the tables of the pages that the other scripts fill.

    python benchmarks/summary.py

A block of a page stands between `<!-- name -->` and `<!-- end name -->`.
"""

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"

HEAD = """# Benchmarks

What was measured, with the command that measures it again. What was not reached is marked, and
where others do better is in the tables too. This page is made by `python benchmarks/summary.py`
from the tables of the pages that it links; `make bench` runs every script.

"""
FIRST_TABLE = "the first table"
PARTS = (
    ("Recall", "benchmarks-recall.md", (FIRST_TABLE,)),
    ("Speed and footprint", "benchmarks-speed.md", ("machine", "speed", "footprint")),
    ("Beside other stores", "benchmarks-speed.md", ("peers",)),
    ("Durability", "benchmarks-durability.md", (FIRST_TABLE,)),
    ("Written memory", "memory-types.md", (FIRST_TABLE,)),
    ("Activation memory", "activation.md", ("figures",)),
    ("Parametric memory", "parametric.md", ("figures",)),
    ("Doors", "benchmarks-server.md", (FIRST_TABLE,)),
)


def block(page: str, name: str) -> str:
    """The block of that name, without its markers."""
    if name == FIRST_TABLE:
        found = re.search(r"((?:^\|.*\|\n)+)", page, re.MULTILINE)
    else:
        found = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- end {name} -->", page, re.DOTALL)
    return found[1].strip() if found else ""


def main() -> int:
    text, missing = HEAD, []
    for title, name, blocks in PARTS:
        page = (DOCS / name).read_text("utf-8") if (DOCS / name).exists() else ""
        text += f"## {title}\n\nThe whole, and how it was measured: [{name}]({name}).\n\n"
        for each in blocks:
            found = block(page, each)
            missing += [] if found else [f"{name}: {each}"]
            text += f"{found}\n\n" if found else ""
    PAGE.write_text(text.rstrip() + "\n", encoding="utf-8")
    print("missing: " + ", ".join(missing) if missing else f"wrote {PAGE.name}")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
