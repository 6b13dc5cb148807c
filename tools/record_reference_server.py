"""Record what the reference memory server answers, for tests/server/mcp/test_reference.py.

Usage: npm install @modelcontextprotocol/server-memory
       python tools/record_reference_server.py PATH_TO/mcp-server-memory

Plays the calls of `calls()` to the real server, through the SDK's client on stdio, and writes each
call with its result to tests/server/mcp/reference_calls.jsonl.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from mneme.testing.mcp_client import Talk, started, talking

PAGE = Path(__file__).parents[1] / "tests" / "server" / "mcp" / "reference_calls.jsonl"
RANDOM_CALLS = 250
NAMES = ["Ana", "ana", "Bo Li", "Ünal 🎻", "", "Northwind"]
TYPES = ["person", "company", ""]
SAID = [
    "plays the cello",
    "Plays the CELLO on Sundays",
    "likes: tea",
    "",
    "łódź\nsecond line",
    '"q"',
]
QUERIES = ["", "cello", "LI", "ünal", "łÓ", ":", "z"]
KINDS = ["works_at", "knows", ""]


def entity(name: str, kind: str, *said: str) -> dict[str, Any]:
    """An entity as it travels."""
    return {"name": name, "entityType": kind, "observations": list(said)}


def relation(start: str, end: str, kind: str) -> dict[str, str]:
    """A relation as it travels."""
    return {"from": start, "to": end, "relationType": kind}


def written_calls() -> list[tuple[str, dict[str, Any]]]:
    """Calls whose corner cases are known."""
    ana = entity("Ana", "person", "plays the cello", "lives in Turku")
    works = relation("Ana", "Northwind", "works_at")
    twice = {"entityName": "Ana", "contents": ["likes tea", "likes tea", "lives in Turku"]}
    return [
        ("read_graph", {}),
        ("create_entities", {"entities": []}),
        ("create_entities", {"entities": [ana, entity("Northwind", "company")]}),
        ("create_entities", {"entities": [ana, entity("Bo Li", "person", "x", "x", "")]}),
        ("create_entities", {"entities": [entity("Twin", "a", "1"), entity("Twin", "b", "2")]}),
        ("create_entities", {"entities": [entity("", "", "")]}),
        ("create_entities", {"entities": [{**ana, "name": "Extra", "colour": "red"}]}),
        ("create_relations", {"relations": []}),
        ("create_relations", {"relations": [works, works, relation("Ana", "Nobody", "knows")]}),
        ("create_relations", {"relations": [works, relation("Northwind", "Ana", "employs")]}),
        ("create_relations", {"relations": [relation("", "", "")]}),
        ("read_graph", {}),
        (
            "add_observations",
            {"observations": [twice, {"entityName": "Ana", "contents": ["likes tea", "sings"]}]},
        ),
        ("add_observations", {"observations": [{"entityName": "Twin", "contents": ["3"]}]}),
        (
            "add_observations",
            {
                "observations": [
                    {"entityName": "Bo Li", "contents": ["lost"]},
                    {"entityName": "Missing", "contents": ["x"]},
                ]
            },
        ),
        ("add_observations", {"observations": [{"entityName": "Bo Li", "contents": []}]}),
        ("add_observations", {"observations": []}),
        ("open_nodes", {"names": ["Bo Li", "Twin", "Missing"]}),
        ("open_nodes", {"names": []}),
        ("search_nodes", {"query": "CELLO"}),
        ("search_nodes", {"query": ""}),
        ("search_nodes", {"query": "nothing at all"}),
        ("search_nodes", {"query": "company"}),
        (
            "delete_observations",
            {"deletions": [{"entityName": "Ana", "observations": ["likes tea", "never said"]}]},
        ),
        ("delete_observations", {"deletions": [{"entityName": "Missing", "observations": ["x"]}]}),
        ("delete_observations", {"deletions": [{"entityName": "Bo Li", "observations": ["x"]}]}),
        ("delete_observations", {"deletions": []}),
        ("read_graph", {}),
        ("delete_relations", {"relations": [works, relation("a", "b", "c")]}),
        ("delete_relations", {"relations": [works]}),
        ("delete_entities", {"entityNames": ["Twin", "Missing"]}),
        ("delete_entities", {"entityNames": ["Twin"]}),
        ("delete_entities", {"entityNames": ["Nobody"]}),
        ("delete_entities", {"entityNames": []}),
        ("create_entities", {"entities": [entity("Twin", "c", "again")]}),
        ("read_graph", {"more": 1}),
        ("read_graph", {}),
        ("create_entities", {}),
        ("create_entities", {"entities": [{"name": "No type"}]}),
        ("create_entities", {"entities": "Ana"}),
        ("open_nodes", {"names": [1]}),
        ("search_nodes", {"query": None}),
        ("delete_entities", {"entityNames": "Ana"}),
        ("read_graph", {}),
    ]


def random_call(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Any call, out of few names, so that they meet."""

    def some(values: list[str]) -> list[str]:
        return chance.choices(values, k=chance.randrange(4))

    def entities() -> list[dict[str, Any]]:
        return [entity(n, chance.choice(TYPES), *some(SAID)) for n in some(NAMES)]

    def relations() -> list[dict[str, str]]:
        return [relation(n, chance.choice(NAMES), chance.choice(KINDS)) for n in some(NAMES)]

    def of_entities(key: str) -> list[dict[str, Any]]:
        return [{"entityName": n, key: some(SAID)} for n in some(NAMES)]

    calls: dict[str, Any] = {
        "create_entities": lambda: {"entities": entities()},
        "create_relations": lambda: {"relations": relations()},
        "add_observations": lambda: {"observations": of_entities("contents")},
        "delete_entities": lambda: {"entityNames": some(NAMES)[:1]},
        "delete_observations": lambda: {"deletions": of_entities("observations")},
        "delete_relations": lambda: {"relations": relations()},
        "read_graph": dict,
        "search_nodes": lambda: {
            "query": chance.choice(["", "cello", "LI", "ünal", "łÓ", ":", "z"])
        },
        "open_nodes": lambda: {"names": some(NAMES)},
    }
    name = chance.choice(list(calls))
    return name, calls[name]()


def calls(seed: int = 6) -> list[tuple[str, dict[str, Any]]]:
    """The written calls, then random ones."""
    chance = random.Random(seed)
    return [*written_calls(), *(random_call(chance) for _ in range(RANDOM_CALLS))]


def result_of(talk: Talk, tool: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a call gave; of a refused input only that it was refused.

    The text is left out where it is what both servers mostly write: the structured result, or the
    one list in it, as JSON with an indent of 2.
    """
    result = talk.call(tool, **given)
    [block] = result["content"]
    text, structured = block["text"], result.get("structuredContent")
    if result.get("isError"):
        refused = "validation error" in text.lower() or "InvalidInputError" in text
        return {"failed": "input" if refused else text}
    usual = (structured, *structured.values()) if structured else ()
    if text in [json.dumps(each, ensure_ascii=False, indent=2) for each in usual]:
        return {"gives": structured}
    return {"gives": structured, "text": text}


def main() -> int:
    """Play and write."""
    with tempfile.TemporaryDirectory() as folder:
        env = {"MEMORY_FILE_PATH": str(Path(folder) / "memory.jsonl")}
        with talking(started(sys.argv[1], env=env)) as talk:
            said = [
                {"tool": tool, "given": given, "result": result_of(talk, tool, given)}
                for tool, given in calls()
            ]
            tools = {
                tool["name"]: {
                    "annotations": tool["annotations"],
                    "required": sorted(tool["inputSchema"].get("required", [])),
                    "gives": sorted(tool["outputSchema"]["properties"]),
                }
                for tool in talk.ask("list_tools")["tools"]
            }
            head = {"server": talk.greeting["serverInfo"], "tools": tools}
    lines = [json.dumps(each, ensure_ascii=False) for each in [head, *said]]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(said)} calls, {sum('failed' in each['result'] for each in said)} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
