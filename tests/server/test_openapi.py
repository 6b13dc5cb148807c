"""The OpenAPI page is what the app says, complete, and its examples are true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mneme import Namespace
from mneme.core.cube import MemCube
from mneme.core.plain import plain
from mneme.server.shapes import examples

ROOT = Path(__file__).parents[2]
PAGE: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, methods in PAGE["paths"].items()
    for method, operation in methods.items()
]
OPEN = {"get_health", "get_readiness", "get_openapi"}
NAMES = {
    "add_batch",
    "add_memory",
    "activate_memory",
    "archive_memory",
    "chat",
    "chat_completions",
    "demote_memory",
    "erase",
    "export_namespace",
    "forget",
    "forget_memory",
    "freeze_memory",
    "get_health",
    "get_job",
    "get_memory",
    "get_metrics",
    "get_openapi",
    "get_readiness",
    "get_stats",
    "give_feedback",
    "import_file",
    "job_events",
    "list_audit",
    "list_jobs",
    "list_keys",
    "list_memories",
    "list_models",
    "list_namespaces",
    "make_key",
    "memory_derived",
    "memory_history",
    "memory_sources",
    "promote",
    "recall",
    "restore_memory",
    "revoke_key",
    "rollback_memory",
    "rotate_key",
    "search",
    "unfreeze_memory",
    "update_memory",
    "whoami",
}


def test_the_file_is_what_the_app_says(http: httpx2.Client) -> None:
    assert http.get("/openapi.json").json() == PAGE, "run python tools/write_openapi.py"


def test_the_page_needs_no_key(http: httpx2.Client) -> None:
    assert http.get("/openapi.json", headers={"Authorization": ""}).status_code == 200


def test_names_of_operations_are_those_that_clients_are_generated_from() -> None:
    assert {each.values[2]["operationId"] for each in OPERATIONS} == NAMES  # type: ignore[index]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_each_operation_says_what_it_does_and_refuses(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    answers = operation["responses"]
    if operation["operationId"] in OPEN:
        assert operation["security"] == []
        assert "401" not in answers
        return
    assert "security" not in operation
    assert PAGE["security"] == [{"key": []}]
    if "default" in answers:
        return
    for status in ("400", "401", "403", "413", "422", "429"):
        refused = answers[status]
        assert refused["$ref"] == f"#/components/responses/Refused{status}"
    if "{id}" in path:
        assert "404" in answers


def test_every_refusal_is_a_problem() -> None:
    for name, refused in PAGE["components"]["responses"].items():
        assert name.startswith("Refused")
        [(kind, content)] = refused["content"].items()
        assert kind == "application/problem+json"
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_references_lead_somewhere() -> None:
    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                _, _, part, name = value["$ref"].split("/")
                assert name in PAGE["components"][part]
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(PAGE)


def shown(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The examples of the body of an operation."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return []
    schema = content["schema"]
    if "$ref" in schema:
        schema = PAGE["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    found: list[dict[str, Any]] = schema.get("examples", [])
    return found


def test_every_json_body_has_an_example() -> None:
    for path, methods in PAGE["paths"].items():
        for operation in methods.values():
            body = operation.get("requestBody", {})
            if body.get("required") and "application/json" in body["content"]:
                assert shown(operation), path


WITHOUT_MODEL = [
    each
    for each in OPERATIONS
    if each.values[0].startswith("/v1/namespaces/") and each.id not in {"promote", "chat"}  # type: ignore[union-attr]
]


@pytest.mark.parametrize(("path", "method", "operation"), WITHOUT_MODEL)
def test_examples_of_bodies_work_as_they_stand(
    http: httpx2.Client, alice: Namespace, path: str, method: str, operation: dict[str, Any]
) -> None:
    for body in shown(operation):
        [cube] = alice.add("I moved to Oslo in March.", session="s1")
        said = json.dumps(body).replace(examples.ID, cube.id)
        at = path.replace("{ns}", "alice").replace("{id}", cube.id)
        answer = http.request(
            method, at, content=said, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in {200, 201, 204}, (at, answer.text)


def test_the_example_of_a_memory_is_one(http: httpx2.Client, alice: Namespace) -> None:
    [cube] = alice.add(examples.CUBE["text"], session="s1", at=examples.CUBE["event_at"])
    assert isinstance(cube, MemCube)
    varying = {"id", "recorded_at", "provenance"}
    made = plain(cube)
    assert set(made) == set(examples.CUBE)
    assert set(made["provenance"]) == set(examples.CUBE["provenance"])
    for name in set(made) - varying:
        assert made[name] == examples.CUBE[name], name
