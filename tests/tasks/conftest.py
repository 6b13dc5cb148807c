"""A namespace with a task, on a clock that tests turn."""

from __future__ import annotations

import pytest

from mneme import Namespace
from mneme.app.tasks import Task


@pytest.fixture
def trip(alice: Namespace) -> Task:
    """1 dates; 2 travel, after 1, made of 3 flights and 4 pay, after 3; 5 hotel, after 1."""
    task = alice.task("Plan the trip to Oslo", inputs={"people": 2})
    task.add_step("Fix the dates")
    task.add_step("Travel", after=[1])
    task.add_step("Compare flights", parent=2, inputs={"budget": "300 EUR"})
    task.add_step("Pay", parent=2, after=[3])
    task.add_step("Book a hotel", after=[1])
    return task
