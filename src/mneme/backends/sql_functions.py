"""The functions that queries may call, and some of SQLite's made anew where they are costly.

A function runs in one step, which nothing can interrupt. Some of SQLite's own take time that grows
with the product of the lengths of their arguments, or faster (LIKE with many "%"): these are
replaced by ones that do not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mneme.core.errors import QueryRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import apsw

    Scalar = Any  # str, int, float, bytes or None

ALLOWED: Final = frozenset({
    "abs", "avg", "ceil", "ceiling", "char", "coalesce", "concat", "concat_ws", "count",
    "cume_dist", "current_date", "current_time", "current_timestamp", "date", "datetime",
    "dense_rank", "exp", "first_value", "floor", "format", "glob", "group_concat", "hex", "if",
    "ifnull", "iif", "instr", "julianday", "lag", "last_value", "lead", "length", "like", "ln",
    "log", "log10", "log2", "lower", "ltrim", "max", "min", "mod", "nth_value", "ntile", "nullif",
    "octet_length", "percent_rank", "pi", "pow", "power", "printf", "quote", "rank", "replace",
    "round", "row_number", "rtrim", "sign", "sqrt", "strftime", "string_agg", "substr", "substring",
    "sum", "time", "timediff", "total", "trim", "trunc", "typeof", "unicode", "unixepoch", "upper",
})  # fmt: skip
_BLANK = " "
_NOTHING = "(?!)"  # the expression that matches nothing
_MOST_TRIMMED = 64  # different characters that trim may take away
_MOST_WORK = 4_000_000  # characters of text times characters of a pattern's piece
_LONGEST_PATTERN = 1000


def replace_costly(db: apsw.Connection) -> None:
    """Put our own functions in the place of SQLite's."""
    own: dict[str, tuple[Callable[..., Any], int]] = {
        "instr": (_instr, 2),
        "replace": (_replace, 3),
        "trim": (_trimmer("lr"), -1),
        "ltrim": (_trimmer("l"), -1),
        "rtrim": (_trimmer("r"), -1),
        "like": (_like, -1),
        "glob": (_glob, 2),
    }
    for name, (function, arguments) in own.items():
        db.create_scalar_function(name, function, arguments, deterministic=True)


def _text(value: Scalar) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else str(value)


def _instr(text: Scalar, part: Scalar) -> int | None:
    if text is None or part is None:
        return None
    if isinstance(text, bytes) and isinstance(part, bytes):
        return text.find(part) + 1
    return _text(text).find(_text(part)) + 1


def _replace(text: Scalar, old: Scalar, new: Scalar) -> str | None:
    if text is None or old is None or new is None:
        return None
    source, wanted, other = _text(text), _text(old), _text(new)
    if not wanted:
        return source
    most = len(source) + source.count(wanted) * max(0, len(other) - len(wanted))
    if most > _MOST_WORK:
        raise QueryRefusedError("replace would make a text that is too long")
    return source.replace(wanted, other)


def _trimmer(sides: str) -> Callable[..., str | None]:
    def trim(*arguments: Scalar) -> str | None:
        if len(arguments) not in {1, 2}:
            raise QueryRefusedError("trim takes a text and, if you like, characters")
        if arguments[0] is None or arguments[-1] is None:
            return None
        away = set(_text(arguments[1])) if len(arguments) > 1 else {_BLANK}
        if len(away) > _MOST_TRIMMED:
            raise QueryRefusedError(f"trim takes away at most {_MOST_TRIMMED} different characters")
        characters, text = "".join(sorted(away)), _text(arguments[0])
        if "l" in sides:
            text = text.lstrip(characters)
        return text.rstrip(characters) if "r" in sides else text

    return trim


def _like(*arguments: Scalar) -> int | None:
    """`text LIKE pattern`, without regard to the case of ASCII letters."""
    if len(arguments) not in {2, 3}:
        raise QueryRefusedError("like takes a pattern, a text and, if you like, a character")
    if any(argument is None for argument in arguments):
        return None
    escape = _text(arguments[2]) if len(arguments) > 2 else ""
    if len(escape) > 1:
        raise QueryRefusedError("ESCAPE takes one character")
    pieces = _like_pieces(_lower(_text(arguments[0])), _lower(escape))
    return int(_matches(pieces, _lower(_text(arguments[1]))))


def _lower(text: str) -> str:
    return text.lower() if text.isascii() else _ASCII_CAPITALS.sub(_small, text)


_ASCII_CAPITALS = re.compile("[A-Z]+")


def _small(match: re.Match[str]) -> str:
    return match.group().lower()


def _like_pieces(pattern: str, escape: str) -> list[list[str]]:
    """The parts between the "%", each as the regular expressions of its characters."""
    pieces: list[list[str]] = [[]]
    characters = iter(_checked(pattern))
    for character in characters:
        if character == escape:
            pieces[-1].append(re.escape(next(characters, "")))
        elif character == "%":
            pieces.append([])
        else:
            pieces[-1].append("." if character == "_" else re.escape(character))
    return pieces


def _glob(pattern: Scalar, text: Scalar) -> int | None:
    """`text GLOB pattern`, as the shell does it: * ? [abc] [^a-z]."""
    if pattern is None or text is None:
        return None
    pieces: list[list[str]] = [[]]
    characters = iter(_checked(_text(pattern)))
    for character in characters:
        if character == "*":
            pieces.append([])
        elif character == "[":
            pieces[-1].append(_one_of(characters))
        else:
            pieces[-1].append("." if character == "?" else re.escape(character))
    return int(_matches(pieces, _text(text)))


def _one_of(characters: Iterator[str]) -> str:
    """What stands between [ and ], read to its end; without an end it matches nothing."""
    inside: list[str] = []
    for character in characters:
        if character == "]" and inside not in ([], ["^"]):
            break
        inside.append(character)
    else:
        return _NOTHING
    negated = inside[:1] == ["^"]
    ranges = _ranges(inside[negated:])
    listed = "".join(f"{re.escape(one)}-{re.escape(last)}" for one, last in ranges)
    if not listed:
        return "." if negated else _NOTHING
    return f"[{'^' if negated else ''}{listed}]"


def _ranges(inside: list[str]) -> list[tuple[str, str]]:
    """The ranges of a set, as SQLite reads them; one that runs backwards holds nothing."""
    ranges = [("]", "]")] if inside[:1] == ["]"] else []
    at, before = len(ranges), ""
    while at < len(inside):
        if inside[at] == "-" and before and at + 1 < len(inside):
            if before <= inside[at + 1]:
                ranges.append((before, inside[at + 1]))
            at, before = at + 2, ""
            continue
        before = inside[at]
        ranges.append((before, before))
        at += 1
    return ranges


def _checked(pattern: str) -> str:
    if len(pattern) > _LONGEST_PATTERN:
        raise QueryRefusedError(f"a pattern has at most {_LONGEST_PATTERN} characters")
    return pattern


def _matches(pieces: list[list[str]], text: str) -> bool:
    """Whether the pieces stand in a text one after another, the first and last at its ends.

    The leftmost place for each piece is always right, so no place is tried twice.
    """
    if sum(map(len, pieces)) > len(text):
        return False
    if len(pieces) == 1:
        return len(pieces[0]) == len(text) and _at(pieces[0], text, 0)
    first, *middle, last = pieces
    if not _at(first, text, 0) or not _at(last, text, len(text) - len(last)):
        return False
    at, end = len(first), len(text) - len(last)
    if sum(map(len, middle)) * (end - at) > _MOST_WORK:
        raise QueryRefusedError("the pattern takes too long on so long a text")
    for piece in filter(None, middle):
        found = re.compile("".join(piece), re.DOTALL).search(text, at, end)
        if found is None:
            return False
        at = found.end()
    return True


def _at(piece: list[str], text: str, start: int) -> bool:
    return re.compile("".join(piece), re.DOTALL).match(text, start) is not None
