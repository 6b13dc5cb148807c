"""The OpenAPI page: what FastAPI reads from the routes, and what it cannot know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi

from mneme.server.shapes.dialect import describe_dialect
from mneme.server.shapes.fields import ANY_JSON, FILTERS_SCHEMA, JSON_SCHEMA
from mneme.server.shapes.problems import Problem, refusals
from mneme.server.streaming import MEDIA_TYPE as EVENTS

if TYPE_CHECKING:
    from fastapi import FastAPI

Page = dict[str, Any]

OPEN: Final = ("get_health", "get_readiness", "get_openapi")
_TEXT: Final = {"schema": {"type": "string"}}
_EVENT: Final = {
    "schema": {
        "description": "Each event; `data` is JSON.",
        "type": "object",
        "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
        "required": ["event", "data"],
    }
}
_CONTENTS: Final[dict[str, Page]] = {
    "chat": {EVENTS: _EVENT},
    "job_events": {EVENTS: _EVENT},
    "get_metrics": {"text/plain": _TEXT},
    "export_namespace": {"application/x-ndjson": _TEXT},
}
_ONLY: Final = frozenset(_CONTENTS) - {"chat"}  # they never answer with JSON
_PARTS: Final = "#/components/"
_NOT_MODIFIED: Final = {
    "description": "You have this version.",
    "headers": {"ETag": {"description": "The version in quotes.", "schema": {"type": "string"}}},
}
_ABOUT: Final = """\
Memories of namespaces. In a URL the `/` of a namespace is written `~`. Every request carries a key:
`Authorization: Bearer mneme_...`. What is refused is a problem (RFC 9457) whose `error` names the
error of the Python library. Unknown fields and query parameters are refused, never ignored."""


def describe(app: FastAPI) -> None:
    """Have the app describe itself fully; the page is made once."""

    def page() -> Page:
        if app.openapi_schema is None:
            app.openapi_schema = _page(app)
        return app.openapi_schema

    app.openapi = page  # type: ignore[method-assign]


def _page(app: FastAPI) -> Page:
    made = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_ABOUT,
        routes=app.routes,
    )
    schemas = made["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"key": []}]
    made["paths"]["/openapi.json"] = {"get": _own_operation()}
    describe_dialect(made["paths"])
    for methods in made["paths"].values():
        for operation in methods.values():
            _complete(operation)
    refused = {f"Refused{status}": said for status, said in refusals().items()}
    named: dict[str, Page] = {
        f"{_PARTS}schemas/Filters": FILTERS_SCHEMA,
        f"{_PARTS}schemas/Json": ANY_JSON,
    }
    named |= {f"{_PARTS}responses/{name}": said for name, said in refused.items()}
    page: Page = _with_names(made, named)
    page["components"]["schemas"] |= {"Filters": FILTERS_SCHEMA, "Json": JSON_SCHEMA}
    page["components"]["responses"] = refused
    return page


def _own_operation() -> Page:
    ok = {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {}}}}
    return {
        "tags": ["store"],
        "summary": "This page",
        "operationId": "get_openapi",
        "responses": {"200": ok},
    }


def _complete(operation: Page) -> None:
    """What FastAPI cannot know of an operation: who may call it, and bodies that are no JSON."""
    name, answers = operation.get("operationId", ""), operation["responses"]
    if name in OPEN:
        operation["security"] = []
        for status in (401, 403, 413, 429, 507):
            answers.pop(str(status), None)
    if name in _CONTENTS:
        answers["200"]["content"] = answers["200"].get("content", {}) | _CONTENTS[name]
    if name in _ONLY:
        answers["200"]["content"] = _CONTENTS[name]
    if name == "import_file":
        body = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": body}
    elif name == "get_memory":
        answers["304"] = _NOT_MODIFIED
    for parameter in operation.get("parameters", ()):
        _complete_parameter(parameter)


def _complete_parameter(parameter: Page) -> None:
    """No null, which neither a header nor a query can say; filters are JSON."""
    if (parameter["in"], parameter["name"]) == ("query", "filters"):
        parameter.pop("schema")
        parameter["content"] = {"application/json": {"schema": FILTERS_SCHEMA}}
        return
    schema = parameter["schema"]
    if {"type": "null"} in schema.get("anyOf", ()):
        [known] = (each for each in schema.pop("anyOf") if each != {"type": "null"})
        schema.update(known)


def _with_names(value: Any, names: dict[str, Page]) -> Any:  # noqa: ANN401 (JSON)
    """JSON in which parts that have a name are put by reference."""
    if isinstance(value, list):
        return [_with_names(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    for reference, named in names.items():
        if value == named:
            return {"$ref": reference}
    return {key: _with_names(each, names) for key, each in value.items()}
