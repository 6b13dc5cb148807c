"""The pure parts of the pages: differences, graphs, signals, charts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mneme import Namespace
from mneme.server.console import signals
from mneme.server.console.charts import HEIGHT, WIDTH, bars_of, saved_of
from mneme.server.console.diff import difference, shortened
from mneme.server.console.display import number, seconds, size
from mneme.server.console.graph import STEPS, graph_of
from mneme.server.console.store import kinds_of
from mneme.server.console.watch import Asked, by_minute, histogram, quantile

texts = st.text(alphabet="ab \n.é", max_size=60)


@given(texts, texts)
def test_a_difference_holds_both_texts(old: str, new: str) -> None:
    pieces = difference(old, new)
    assert "".join(p.text for p in pieces if p.change != "in") == old
    assert "".join(p.text for p in pieces if p.change != "out") == new


@given(texts)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert all(piece.change == "kept" for piece in difference(text, text))


def test_a_difference_of_long_texts_takes_no_minute() -> None:
    old = " ".join(f"word{n}" for n in range(60_000))
    new = " ".join(f"other{n}" for n in range(60_000))
    began_s = time.monotonic()
    pieces = difference(old, new)
    assert time.monotonic() - began_s < 10
    assert [piece.change for piece in pieces] == ["out", "in"]


def test_long_parts_that_are_alike_are_shortened() -> None:
    same = "same words. " * 200
    changes = [p.change for p in shortened(difference(same + "old", same + "new"))]
    assert changes == ["kept", "left", "kept", "out", "in"]


def test_every_signal_has_a_sentence(nora: Namespace) -> None:
    known = {name for group in signals.GROUPS.values() for name in group}
    for mode in ("hybrid", "lexical"):
        for question in ("Where does Nora live now?", "What did I say on 3 September 2025?"):
            for hit in nora.search(question, mode=mode, explain=True):
                assert hit.scores is not None
                unknown = set(hit.scores) - known - {"passage"}
                assert not unknown
                told = {row.name for _, rows in signals.grouped(hit.scores, {}) for row in rows}
                assert told == set(hit.scores) & known


def test_bars_compare_with_the_largest_that_is_shown() -> None:
    tops = signals.tops_of([{"cover": 0.5, "dense": -0.8}, {"cover": 0.25, "dense": 0.2}])
    rows = {row.name: row.share for row in signals.telling({"cover": 0.25, "dense": -0.8}, tops)}
    assert rows == {"cover": 0.5, "dense": 1.0}


def test_a_graph_goes_some_steps_each_way(nora: Namespace) -> None:
    fact = nora.list(types=["fact"], limit=1).items[0]
    [source] = nora.sources(fact.id)
    graph = graph_of(source, nora.sources, nora.derived)
    at = {box.cube.id: box for box in graph.boxes}
    assert at[source.id].is_self
    assert at[fact.id].x > at[source.id].x
    assert [branch.cube.id for branch in graph.derived.further if branch.cube.id == fact.id]
    assert all(0 <= box.x < graph.width and 0 <= box.y < graph.height for box in graph.boxes)
    back = graph_of(fact, nora.sources, nora.derived)
    assert [branch.cube.id for branch in back.sources.further] == [source.id]


def test_a_graph_of_many_is_cut_and_says_so(nora: Namespace) -> None:
    cubes = nora.list(limit=100).items
    graph = graph_of(cubes[0], lambda _: (), lambda i: cubes[1:] if i == cubes[0].id else ())
    assert len(graph.boxes) == 40
    assert graph.derived.more == len(cubes) - 40
    assert STEPS == 2


def test_a_graph_with_a_cycle_ends(nora: Namespace) -> None:
    one, two = nora.list(limit=2).items
    other = {one.id: [two], two.id: [one]}
    graph = graph_of(one, lambda _: (), lambda i: other[i])
    assert len(graph.boxes) == 2


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_bars_stay_on_the_chart(values: list[float]) -> None:
    for bar in bars_of([str(n) for n in range(len(values))], values):
        assert 0 <= bar.x <= WIDTH
        assert -0.1 <= bar.y <= HEIGHT
        assert bar.y + bar.height <= HEIGHT + 0.2


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_quantile_is_not_exceeded_by_its_share(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    below = [value for value in values if value < found]
    assert len(below) < share * len(values) + 1e-9


def test_requests_are_counted_by_minute() -> None:
    asked = [Asked("search", at, 0.1) for at in (0.0, 61.0, 100.0, 119.0)]
    assert by_minute(asked, 120.0, 2) == [1, 2] or sum(by_minute(asked, 120.0, 2)) == 3
    assert by_minute(asked, 119.5, 3) == [0, 1, 3]


@given(st.lists(st.floats(0, 1)))
def test_a_histogram_loses_nothing(values: list[float]) -> None:
    assert sum(histogram(values, 10)) == len(values)


def test_kinds_hold_the_bytes_of_their_tiers() -> None:
    sizes = {"text": 10, "index": 20, "vector": 30, "activation disk": 5, "activation host": 7}
    found = {
        kind: (total, {t.name: t.bytes for t in tiers}) for kind, total, tiers in kinds_of(sizes)
    }
    assert found["Plaintext"] == (60, {"Texts": 10, "Index rows": 20, "Vectors": 30})
    assert found["Activation"] == (12, {"Disk": 5, "Host": 7})
    assert found["Parametric"] == (0, {})


def test_what_was_saved_is_read_from_the_ledger() -> None:
    saved = saved_of({"requests": 2, "prompt_tokens": 100, "hit_tokens": 75, "hit_tokens_disk": 75})
    assert saved.share == 0.75
    assert saved.tiers == [("disk", 75)]
    assert saved_of({}).share == 0


@pytest.mark.parametrize(
    ("given", "shown"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")]
)
def test_bytes_are_read_easily(given: float, shown: str) -> None:
    assert size(given) == shown


def test_numbers_are_read_easily() -> None:
    assert number(1234567) == "1\u202f234\u202f567"
    assert number(0.12345) == "0.123"
    assert (seconds(0.0123), seconds(2), seconds(None)) == ("12.3 ms", "2.00 s", "not known")
