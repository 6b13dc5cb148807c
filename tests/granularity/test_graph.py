"""Names that recur, and links between what speaks of the same."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mneme.memories.plaintext.graph import MOST_LINKS, Node, links, recurring

NAMES = st.frozensets(st.sampled_from("abcdefgh"), max_size=4)


def test_a_name_recurs_if_it_is_sure_and_comes_often_enough() -> None:
    names = [["anna", "today"], ["anna", "anna"], ["today", "oslo"], ["anna", "oslo"]]
    assert recurring(names, frozenset({"anna", "oslo"}), 3) == {"anna": [0, 1, 3]}


def test_rare_names_link_more_strongly_than_common_ones() -> None:
    nodes = [
        Node(frozenset({"oslo", "heron"}), None), Node(frozenset({"heron", "x"}), None),
        Node(frozenset({"oslo", "y"}), None), Node(frozenset({"oslo", "z"}), None),
        *[Node(frozenset({str(n)}), None) for n in range(4)],
    ]  # fmt: skip
    found = links(nodes)
    assert found[0][1] > found[0][2] > 0
    assert found[5] == {}


def test_likeness_links_what_shares_no_name() -> None:
    one = np.array([1, 0], np.float32)
    near = np.array([0.8, 0.6], np.float32)
    far = np.array([0, 1], np.float32)
    nodes = [Node(frozenset(), v) for v in (one, near, far)]
    assert set(links(nodes)[0]) == {1}


@given(st.lists(NAMES, max_size=24))
def test_links_are_symmetric_and_few(names: list[frozenset[str]]) -> None:
    found = links([Node(each, None) for each in names])
    for a, others in enumerate(found):
        assert a not in others
        for b, weight in others.items():
            assert found[b][a] == weight
            assert 0 < weight <= 1 + 1e-9
    assert sum(map(len, found)) <= 2 * MOST_LINKS * len(names)


_LINKS_OF = """
from mneme.memories.plaintext.graph import Node, links
nodes = [Node(frozenset(f"n{(7 * a + b) % 23}" for b in range(9)), None) for a in range(40)]
print([sorted(each.items()) for each in links(nodes)])
"""


def test_links_are_the_same_in_every_process() -> None:
    """Sets come in another order in each process; sums of weights must not."""
    found = {
        subprocess.run(
            [sys.executable, "-c", _LINKS_OF], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in range(4)
    }  # fmt: skip
    assert len(found) == 1
