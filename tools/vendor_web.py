"""Fetch what the console's pages are made of, by name and exact version, and check it.

    python tools/vendor_web.py

`npm pack` fetches each package from the registry that npm is set up for; the package's SHA-512 must
be the one that is written here. The few files that are used lie in the repository, with their
licences, so that neither a user nor a test needs this tool or a network.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "src" / "mneme" / "server" / "console" / "static" / "vendor"
TESTS = ROOT / "tests" / "server" / "console" / "vendor"


class Package(NamedTuple):
    """A package, and which of its files go where.

    name, version: As the registry has them.
    sha512: Of the package, in base64: npm calls it the integrity.
    folder: Where its files go.
    files: From the name in the package to the name in the folder.
    """

    name: str
    version: str
    sha512: str
    folder: Path
    files: dict[str, str]


PACKAGES = (
    Package(
        "htmx.org",
        "2.0.11",
        "Thx/WtpeOQqSrqBCw/A1cwGJGg4UrVa3+sW0GmrM3p4gJgO89ecH4qtbnyzDDWFvBTqjnIMCgELTNt636dtamA==",
        PAGES,
        {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "LICENSE-htmx.txt"},
    ),
    Package(
        "@picocss/pico",
        "2.1.1",
        "kIDugA7Ps4U+2BHxiNHmvgPIQDWPDU4IeU6TNRdvXQM1uZX+FibqDQT2xUOnnO2yq/LUHcwnGlu1hvf4KfXnMg==",
        PAGES,
        {"css/pico.min.css": "pico.min.css", "LICENSE.md": "LICENSE-pico.txt"},
    ),
    Package(
        "axe-core",
        "4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        TESTS,
        {
            "axe.min.js": "axe.min.js",
            "LICENSE": "LICENSE-axe-core.txt",
            "LICENSE-3RD-PARTY.txt": "LICENSE-axe-core-third-party.txt",
        },
    ),
)


def main() -> None:
    """Fetch all packages; says what was written."""
    for package in PACKAGES:
        with tempfile.TemporaryDirectory(prefix="mneme-vendor-") as folder:
            unpack(package, fetch(package, Path(folder)))
        print(f"{package.name} {package.version}: {', '.join(package.files.values())}")


def fetch(package: Package, folder: Path) -> Path:
    """The file of a package, checked.

    Raises:
        SystemExit: It is not the one that is written here.
    """
    named = f"{package.name}@{package.version}"
    subprocess.run(
        ["npm", "pack", "--silent", named], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    [packed] = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    if digest != package.sha512:
        raise SystemExit(f"{named} has the SHA-512 {digest}, not {package.sha512}")
    return packed


def unpack(package: Package, packed: Path) -> None:
    """Write the files that are used."""
    package.folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(packed) as archive:
        for name, written in package.files.items():
            member = archive.extractfile(f"package/{name}")
            assert member is not None, name
            (package.folder / written).write_bytes(member.read())


if __name__ == "__main__":
    main()
