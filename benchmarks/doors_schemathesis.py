"""Every route of the HTTP door under schemathesis, all checks, against a real server with a key.

Usage: python benchmarks/doors_schemathesis.py [--minutes 30] [--seed N] [--only operationId ...]

Writes benchmarks/results/doors_schemathesis.json; the exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mneme.core.engine import RemotePiece
from mneme.memories.activation.policies import build_policy
from mneme.settings import Settings
from mneme.testing.doors import running_door
from mneme.testing.embedders import HashEmbedder
from mneme.testing.language_models import ScriptedModel
from mneme.wiring import Outside, build

HERE = Path(__file__).parent
RESULT = HERE / "results" / "doors_schemathesis.json"
SAID = ("I moved to Oslo in March.", "I like green tea.", "My cat is called Mia.")

# Why more statuses than schemathesis expects are right for requests that fit their schema.
CONFIG = """
[checks]
# 412: an If-Match that names another version. 422: what no schema can say, below.
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412"]
# 406 and others as schemathesis has them; 412 comes before a body is looked at.
negative_data_rejection.expected-statuses = [
  "400", "401", "403", "404", "405", "406", "409", "412", "413", "414",
  "415", "422", "429"]
"""
# operationId: why a request that fits its schema may be refused with 422.
BEYOND_SCHEMA = {
    "import_file": "any bytes fit the schema of a file; few are one",
    "promote": "which carrier and policy a model can take, the model says",
    "chat": "which policy a model can take, the model says; the last message is the user's",
    "list_memories": "a URL has a limit of bytes, for all its parameters together (414)",
    "chat_completions": "what a conversation may be, the model says",
    "give_feedback": "`used` names ids among those that were shown",
    "rollback_memory": "which versions a memory has, the memory says",
    "demote_memory": "a memory without carriers has none to drop",
    "add_memory": "`expires_at` lies ahead: a moment that an answer gave has passed by now",
    "make_key": "the same",
    "update_memory": "all fields null change nothing; types have rules of their own",
}


class Echo:
    """A model behind a server that says the question again: `core.engine.RemoteEngine`."""

    id = "echo:model"
    adapters = None

    def stream(self, messages: Any, *, max_new_tokens: int) -> Iterator[RemotePiece]:
        words = str(messages[-1]["content"]).split()[: min(max_new_tokens, 8)]
        yield from (RemotePiece(text=word + " ") for word in words)
        yield RemotePiece(text="", prompt_tokens=8, cached_tokens=0, answer_tokens=len(words))


def main() -> int:
    """Run it, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--examples", type=int)
    chosen = parser.parse_args()
    outside = Outside(embedder=HashEmbedder(32), model=ScriptedModel())
    settings = Settings(embedder="none", serve_requests_per_s=0)
    with (
        TemporaryDirectory() as folder,
        build(Path(folder) / "store", settings=settings, outside=outside) as memory,
    ):
        build_policy("leverage")  # imports torch once, for half a minute: no request waits for it
        engine = Echo()
        memory.attach(engine)
        for path in ("alice", "acme/alice"):
            for text in SAID:
                memory.namespace(path).add(text, session="s1")
        with running_door(memory, settings=settings, engine=engine) as door:
            status, seconds = run(door, Path(folder), chosen)
        report = json.loads((Path(folder) / "report.json").read_text())
        sound = memory.verify().ok
    result = summary(report, status, seconds, chosen) | {"store_verified": sound}
    if not chosen.only:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return 0 if result["failures"] == 0 and status == 0 and sound else 1


def run(door: Any, folder: Path, chosen: argparse.Namespace) -> tuple[int, float]:
    """Run schemathesis in a process of its own; its exit status and how long it took."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG + "".join(map(beyond_schema, BEYOND_SCHEMA)))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run",
        door.url + "/openapi.json",
        "--header", f"Authorization: Bearer {door.key}", "--checks", "all", "--phases",
        "examples,coverage,fuzzing,stateful", "--max-time", str(int(chosen.minutes * 60)),
        "--workers", str(chosen.workers), "--request-timeout", "30", "--continue-on-failure",
        "--report", "json", "--report-json-path", str(folder / "report.json"),
        "--suppress-health-check", "all", "--warnings", "off",
    ]  # fmt: skip
    command += ["--seed", str(chosen.seed)] if chosen.seed is not None else []
    command += ["--max-examples", str(chosen.examples)] if chosen.examples else []
    for name in chosen.only:
        command += ["--include-operation-id", name]
    own = door.key.split("_")[1]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "doors_hooks", "DOORS_OWN_KEY": own,
        "PYTHONPATH": f"{HERE}:{HERE.parent / 'src'}",
    }  # fmt: skip
    begun = time.monotonic()
    done = subprocess.run(command, env=environment, cwd=folder, check=False)
    return done.returncode, time.monotonic() - begun


def beyond_schema(operation: str) -> str:
    """The section of an operation of which a schema cannot say all."""
    return f"""
[[operations]]
include-operation-id = "{operation}"  # {BEYOND_SCHEMA[operation]}
checks.positive_data_acceptance.expected-statuses = [
  "2xx", "3xx", "400", "401", "403", "404", "409", "412", "414", "422"]
"""


def summary(
    report: dict[str, Any], status: int, seconds: float, chosen: argparse.Namespace
) -> dict[str, Any]:
    """The figures of a run."""
    return {
        "schemathesis": report["schemathesis_version"],
        "minutes": chosen.minutes,
        "seconds": round(seconds),
        "seed": report["seed"],
        "exit_status": status,
        "operations": report["operations"],
        "phases": report["phases"],
        "test_cases": report["test_cases"],
        "failures": report["test_cases"]["unique_failures"],
        "errors": report["errors"],
        "422_allowed_where": BEYOND_SCHEMA,
    }


if __name__ == "__main__":
    sys.exit(main())
