"""ETags: the version of a memory in quotes, and what `If-Match` and `If-None-Match` ask for.

RFC 9110, sections 8.8.3 and 13.1. Pure; nothing is looked up here.
"""

from __future__ import annotations

import re

_TAG = re.compile(r'(W/)?"([!#-~]*)"')


def etag_of(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def matches(header: str, version: int, *, weak: bool = False) -> bool:
    """Whether a header names a version; what is no ETag names none.

    Args:
        header: Of `If-Match` or `If-None-Match`.
        version: The current one.
        weak: Whether `W/"1"` stands for version 1 too: for `If-None-Match`.
    """
    if header.strip() == "*":
        return True
    named = (tag for mark, tag in _TAG.findall(header) if weak or not mark)
    return any(tag == str(version) for tag in named)
