"""How values are written on a page: pure functions, used as filters of the templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mneme.core.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT: Final = "\n\t"
# What turns or hides what stands beside it: shown by its name instead, so that it does neither.
_TURNING: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE: Final = (
    {n: chr(0x2400 + n) for n in range(0x20) if chr(n) not in _KEPT}
    | {0x7F: "\u2421"}
    | {n: f"⟦U+{n:04X}⟧" for n in (*range(0x80, 0xA0), *_TURNING)}
)
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_STEP: Final = 1000


def visible(text: object) -> str:
    """A text whose control characters can be seen and do nothing."""
    return str(text).translate(_VISIBLE)


def preview(text: object, length: int = 160) -> str:
    """The beginning of a text on one line."""
    raw = str(text)
    line = " ".join(raw[: length * 4].split())
    cut = len(line) > length or len(raw) > length * 4
    return visible(line[:length].rstrip() + ("…" if cut else ""))


def moment(at: datetime | None) -> str:
    """A moment to the minute, in UTC."""
    return "unknown" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def exact(at: datetime) -> str:
    """A moment as machines read it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def size(count: float) -> str:
    """Bytes in the unit that fits."""
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def number(value: float) -> str:
    """A count with thin spaces between thousands; a fraction with three digits."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.3f}"


def seconds(value: float | None) -> str:
    """A duration in the unit that fits."""
    if value is None:
        return "not known"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def pretty(value: object) -> str:
    """JSON that a person reads."""
    return visible(json.dumps(plain(value), ensure_ascii=False, indent=2, sort_keys=True))


def plainly(value: object) -> str:
    """A value of a header on one line."""
    if value is None or value == ():
        return "none"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return preview(", ".join(map(str, value)))
    return pretty(value) if isinstance(value, Mapping) else preview(value)


def in_url(path: object) -> str:
    """A namespace or an id as one segment of a URL."""
    return quote(str(path).replace("/", "~"), safe="~@:-_.")


def counted(count: int, one: str, many: str = "") -> str:
    """`1 memory`, `2 memories`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "visible": visible,
    "preview": preview,
    "moment": moment,
    "exact": exact,
    "size": size,
    "number": number,
    "seconds": seconds,
    "pretty": pretty,
    "plainly": plainly,
    "in_url": in_url,
    "counted": counted,
}
