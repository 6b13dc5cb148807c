"""A namespace with a table, on a clock that tests turn."""

from __future__ import annotations

import pytest

from mneme import Namespace
from mneme.app.tables import Table

COLUMNS = {"day": "date", "what": "text", "amount": "real"}
ROWS = [
    {"day": "2026-03-01", "what": "tea", "amount": 3},
    {"day": "2026-03-02", "what": "a train ticket", "amount": 41.5},
    {"day": "2026-03-09", "what": "bread", "amount": 4.25},
]


@pytest.fixture
def expenses(alice: Namespace) -> Table:
    table = alice.table("expenses", columns=COLUMNS, description="What Alice spent")
    assert table.insert(ROWS) == [1, 2, 3]
    return table
