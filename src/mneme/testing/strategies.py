"""Hypothesis strategies: what callers may hand in, and what they should not.

`hostile_values` gives anything: wrong types, sizes and encodings, syntax of SQL and FTS5, moments
that do not exist. `sayings` gives texts in many scripts that must come back as they went in.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

SYNTAX = (
    "' OR 1=1 --", '"; DROP TABLE cube; --', "x' UNION SELECT body FROM text --", "text:*",
    "NEAR(a b, 2)", "a AND OR NOT b", '"unclosed', "col:term OR tenant:bob", "^start", "a*", "(((",
    "{a b}: c", "%", "_", "\\", "$.a.b", '$."a"', "metadata.$", "json_extract(1)", "?1", ":ns",
    "../../etc/passwd", "..", "/", "a//b", "a/", "k0", "kffffffffffffffff", "kzz", "k-1", "-1",
    "CON", "~", "\u202e", "\ufeff", "%00", "{{7*7}}", "${HOME}", "*", "NULL", "0", "[]",
)  # fmt: skip
BROKEN_TEXTS = (
    "",
    " ",
    "\n\t",
    "\0",
    "a\0b",
    "\ud800",
    "a\udfffb",
    "\ud83d",
    "\u2028",
    "\x1b[31m",
    "x" * 2_000_000,
)
MOMENTS = (
    datetime(2026, 1, 1),  # noqa: DTZ001 (naive, on purpose)
    datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),
    date.max, date.min, date(2026, 1, 1), "2026-13-01", "2026-02-30", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "10000-01-01", "now", "yesterday", "2026-01-01T25:00", "20260101",
    "2026-W01-1", 0, -1, 1e18, float("nan"),
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), float("-inf"), True, False, 1j,
)  # fmt: skip
SAYINGS = (
    "Ich wohne jetzt in Zürich, Größe 42.", "Ελληνικά: η μέρα", "Привет, мир", "שלום עולם",
    "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก", "我昨天搬到了奥斯陆", "昨日オスロに引っ越しました",
    "어제 오슬로로 이사했어요", "👩‍👩‍👧‍👦 family", "ﬁne ligature", "e\u0301 and é",
    "İstanbul ıssız",
    "‏עברית‏ mixed", "ĳ Ǆ ǆ", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "ｆｕｌｌｗｉｄｔｈ", "ទឹក", "ျမန္မာ", "བོད་ཡིག", "ꆈꌠꉙ",
)  # fmt: skip


def deep(levels: int) -> dict[str, Any]:
    """A mapping within a mapping, `levels` deep."""
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def hostile_values() -> st.SearchStrategy[Any]:
    """Anything that somebody might hand in."""
    plain = st.one_of(
        st.none(),
        st.sampled_from(SYNTAX),
        st.sampled_from(BROKEN_TEXTS),
        st.sampled_from(MOMENTS),
        st.sampled_from(NUMBERS),
        st.text(max_size=20),
        st.binary(max_size=10),
        st.builds(object),
        st.sampled_from([deep(5), deep(40), deep(200), {1: 2}, {"a": {1, 2}}, {"a": object()}]),
    )
    return st.one_of(
        plain,
        st.lists(plain, max_size=3),
        st.tuples(plain, plain),
        st.dictionaries(st.one_of(st.sampled_from(SYNTAX), st.text(max_size=5)), plain, max_size=3),
        filters(),
    )


def filters() -> st.SearchStrategy[Any]:
    """Filters that are nearly right."""
    fields = st.sampled_from(
        ["type", "session", "state", "event_at", "recorded_at", "metadata.a", "metadata.a.b",
         "metadata.", "metadata", "metadata.\"", "speaker", "id", "v.type", "c.ns", *SYNTAX]
    )  # fmt: skip
    operators = st.sampled_from(
        ["eq", "ne", "in", "lt", "lte", "gt", "gte", "exists", "like", "$ne", "or", *SYNTAX[:4]]
    )
    operand = st.one_of(
        st.sampled_from(SYNTAX), st.sampled_from(NUMBERS), st.sampled_from(MOMENTS), st.none(),
        st.lists(st.sampled_from([*SYNTAX, *NUMBERS]), max_size=3),
    )  # fmt: skip
    tests = st.one_of(operand, st.dictionaries(operators, operand, max_size=2))
    return st.dictionaries(fields, tests, max_size=2)


def sayings() -> st.SearchStrategy[str]:
    """Texts with something in them, in many scripts, that a store must keep as they are."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    written = st.text(letters, min_size=1, max_size=200).filter(lambda text: bool(text.strip()))
    return st.one_of(st.sampled_from(SAYINGS), written)
