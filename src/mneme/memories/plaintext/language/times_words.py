"""The words of time expressions, and the pieces of patterns made of them.

Everything is lower case: the rules run on lowered text. Months of a few other languages count only
beside a day or a year.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def words(text: str) -> list[str]:
    """The words of a line."""
    return text.split()


_MONTH_NAMES = (
    "january jan januar jänner janvier enero",
    "february feb februar février fevrier febrero",
    "march mar märz maerz mars marzo",
    "april apr avril abril",
    "may mai mayo",
    "june jun juni juin junio",
    "july jul juli juillet julio",
    "august aug août aout agosto",
    "september sept sep septembre septiembre",
    "october oct oktober octobre octubre okt",
    "november nov novembre noviembre",
    "december dec dezember décembre decembre diciembre dez",
)
MONTHS: dict[str, int] = {
    name: number for number, names in enumerate(_MONTH_NAMES, 1) for name in names.split()
}
ENGLISH_MONTHS = words(
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sept sep oct nov dec"
)
# The others are also words or given names, or too short: alone they need "in", "since", ... before.
PLAIN_MONTHS = frozenset(words("january february july september october november december"))

WEEKDAYS: dict[str, int] = {
    name: number
    for number, names in enumerate((
        "monday mon", "tuesday tues tue", "wednesday wed", "thursday thurs thur thu",
        "friday fri", "saturday sat", "sunday sun",
    ))
    for name in names.split()
}  # fmt: skip
FULL_WEEKDAYS = tuple(name for name in WEEKDAYS if name.endswith("day"))

SEASONS: dict[str, int] = {"spring": 0, "summer": 1, "autumn": 2, "fall": 2, "winter": 3}

_UNITS_TO_TWELVE = words("one two three four five six seven eight nine ten eleven twelve")
NUMBERS: dict[str, tuple[int, int]] = {
    **{word: (n, n) for n, word in enumerate(_UNITS_TO_TWELVE, 1)},
    "a": (1, 1), "an": (1, 1), "fifteen": (15, 15), "twenty": (20, 20), "thirty": (30, 30),
    "a dozen": (12, 12), "a couple": (2, 3), "a couple of": (2, 3), "couple": (2, 3),
    "couple of": (2, 3), "a few": (2, 5), "few": (2, 5), "several": (3, 9), "some": (2, 9),
}  # fmt: skip
_ORDINALS = words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
ORDINALS: dict[str, int] = {word: n for n, word in enumerate(_ORDINALS, 1)} | {
    f"{ten}-{word}": base + n
    for ten, base, most in (("twenty", 20, 9), ("thirty", 30, 1))
    for n, word in enumerate(_ORDINALS[:most], 1)
}
ORDINALS["thirtieth"] = 30


def choice(names: Iterable[str]) -> str:
    """A non-capturing group of words, the longest first."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return "(?:" + "|".join(re.escape(name).replace(r"\ ", r"\s{1,3}") for name in ordered) + ")"


def tree(names: Iterable[str]) -> str:
    """A pattern like `choice` of nested prefixes: a place is rejected after a letter or two."""
    return _branch(sorted(set(names)))


def _branch(names: list[str]) -> str:
    if names == [""]:
        return ""
    heads = dict.fromkeys(name[0] for name in names if name)
    parts = [
        re.escape(head) + _branch([name[1:] for name in names if name[:1] == head])
        for head in heads
    ]
    group = parts[0] if len(parts) == 1 and "" not in names else f"(?:{'|'.join(parts)})"
    return group + "?" if "" in names else group
