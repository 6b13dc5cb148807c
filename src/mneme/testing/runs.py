"""Runs of an agent that books flights, for tests of what is learned from them."""

from __future__ import annotations

from typing import Any


def call(name: str, seen: object = None, **arguments: object) -> dict[str, Any]:
    """One step: a tool, its arguments, what came back."""
    step: dict[str, Any] = {"action": {"name": name, "arguments": arguments}}
    return step if seen is None else step | {"observation": seen}


def booking(origin: str, destination: str, flight: str) -> tuple[str, list[dict[str, Any]]]:
    """A task and the steps of a run that succeeds."""
    return (
        f"Book the cheapest flight from {origin} to {destination}",
        [
            call("search", [{"id": flight, "price": 80}], origin=origin, destination=destination),
            call("reserve", "ok", flight=flight),
            call("pay", "paid", flight=flight),
        ],
    )


def failed_booking(origin: str, destination: str, flight: str) -> tuple[str, list[dict[str, Any]]]:
    """The same kind of task, and a run that pays without a reservation, which fails."""
    task, steps = booking(origin, destination, flight)
    return task, [steps[0], call("pay", "Error: the seat is not reserved", flight=flight)]
