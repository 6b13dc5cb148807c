"""Text of options becomes arguments of calls."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from mneme.cli.options import given, read_filters, read_metadata


def test_what_was_not_given_is_left_to_the_call() -> None:
    assert given(limit=None, mode="dense", hold=False) == {"mode": "dense", "hold": False}


@pytest.mark.parametrize(
    ("values", "filters"),
    [
        (None, None),
        (["type=fact"], {"type": "fact"}),
        (["speaker=Ann = Bo"], {"speaker": "Ann = Bo"}),
        (["role!=tool"], {"role": {"ne": "tool"}}),
        (["event_at >=2026-01-01"], {"event_at": {"gte": "2026-01-01"}}),
        (["event_at>=2026", "event_at<2027"], {"event_at": {"gte": "2026", "lt": "2027"}}),
        (["metadata.n>3", "metadata.ok=true"], {"metadata.n": {"gt": 3}, "metadata.ok": True}),
        (["metadata.place=Oslo"], {"metadata.place": "Oslo"}),
        (["session=7"], {"session": "7"}),
        (['{"type": {"in": ["fact", "note"]}}'], {"type": {"in": ["fact", "note"]}}),
    ],
)
def test_filters(values: list[str] | None, filters: dict[str, Any] | None) -> None:
    assert read_filters(values) == filters


@pytest.mark.parametrize(
    "values", [["type"], ["{"], ["{} x"], ['{"type": 1', "x"], ["type=a", "type=b"], ["[1]=2"]]
)
def test_filters_that_say_nothing_are_wrong_usage(values: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        read_filters(values)


def test_metadata() -> None:
    assert read_metadata(None) is None
    assert read_metadata(["place=Oslo", "n=3", "list=[1]"]) == {
        "place": "Oslo",
        "n": 3,
        "list": "[1]",
    }
    assert read_metadata(['{"deep": {"x": 1}}', "n=1"]) == {"deep": {"x": 1}, "n": 1}


@pytest.mark.parametrize("value", ["place", "{no json"])
def test_metadata_that_says_nothing_is_wrong_usage(value: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_metadata([value])
