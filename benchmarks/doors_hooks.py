"""What schemathesis is told of Mneme beside the OpenAPI page; doors_schemathesis.py loads it.

JSON Schema cannot say all that makes a request sensible: that an end lies after its beginning, that
what expires does so in the future, or that a key must not revoke itself in the middle of the run.
"""

from __future__ import annotations

import os
import zlib

import schemathesis
from hypothesis import strategies as st

OWN_KEY = os.environ["DOORS_OWN_KEY"]
NAMESPACES = ("alice", "acme~alice")
ORDERED = (("valid_from", "valid_to"), ("since", "until"))


def _moment(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


# From 2030 on: in the future, and no leap second, which Python's datetime does not know.
schemathesis.openapi.format("date-time", st.integers(1_900_000_000, 4_000_000_000).map(_moment))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Two requests in three go to a namespace that holds something."""
    if path_parameters and "ns" in path_parameters:
        chosen = zlib.crc32(str(path_parameters["ns"]).encode()) % 3
        if chosen < len(NAMESPACES):
            path_parameters["ns"] = NAMESPACES[chosen]
    return path_parameters


@schemathesis.hook
def filter_case(context, case):
    """The key of the run is not revoked and gets no other secret."""
    return (case.path_parameters or {}).get("id") != OWN_KEY


@schemathesis.hook
def map_query(context, query):
    """Nobody waits ten minutes for a job."""
    if context.operation.definition.raw.get("operationId") == "job_events":
        return {**(query or {}), "wait_s": 0}
    return query


@schemathesis.hook
def map_body(context, body):
    """Ends lie after beginnings."""
    if isinstance(body, dict):
        for first, last in ORDERED:
            ends = body.get(first), body.get(last)
            if all(isinstance(each, str) for each in ends) and ends[0] >= ends[1]:
                body[first], body[last] = "2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z"
    return body
