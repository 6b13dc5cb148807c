"""A store, the judge, and questions to it: what the benchmarks of parametric memory share."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import mneme
from measuring import REPO
from mneme import Namespace
from mneme.app.memory import MemoryOS
from mneme.core.clock import Clock, SystemClock
from mneme.core.engine import Engine
from mneme.testing.fact_world import WORLD_PHRASINGS, WorldFact, known_facts, new_facts, prompt_of
from mneme.wiring import Outside, build

JUDGE = REPO / "tests" / "judges" / "models" / "facts"
EVERY = range(6)  # wordings of the world


def opened(folder: Path, *, clock: Clock | None = None, **changes: Any) -> MemoryOS:
    """The store in a folder, with the wordings of the judge's world; jobs run when told."""
    folder.mkdir(parents=True, exist_ok=True)
    phrasings = folder / "phrasings.json"
    phrasings.write_text(json.dumps(WORLD_PHRASINGS), encoding="utf-8")
    settings = mneme.Settings(
        **{"worker": False, "embedder": "none", "phrasings": str(phrasings)} | changes
    )
    return build(folder / "store", settings=settings, outside=Outside(clock=clock or SystemClock()))


def judge() -> Engine:
    torch.set_num_threads(1)
    engine: Engine = mneme.engine(JUDGE)
    return engine


def world() -> list[WorldFact]:
    return known_facts(JUDGE)


def fresh(count: int, seed: int) -> list[WorldFact]:
    return new_facts(world(), count, seed=seed)


def told(space: Namespace, facts: Iterable[WorldFact]) -> dict[str, WorldFact]:
    """Each fact as a cube; the facts by its id."""
    return {
        space.add(
            fact.text, type="fact",
            metadata={"subject": fact.subject, "relation": fact.relation, "object": fact.object},
        )[0].id: fact
        for fact in facts
    }  # fmt: skip


def ask(space: Namespace, engine: Engine, question: str) -> mneme.Reply:
    """With room for one token of text: what is known here is known by weights or by the base."""
    return space.chat(question, engine=engine, remember=False, budget_tokens=1, max_new_tokens=3)


def by_weights(reply: mneme.Reply) -> bool:
    return any(item.carrier == "parametric" for item in reply.plan)


class Asked(NamedTuple):
    """Answers to questions about facts.

    right: Share whose answer is the object, whoever gave it.
    weights: Share that weights answered.
    texts: All answers, in order.
    """

    right: float
    weights: float
    texts: tuple[str, ...]


def asked(
    space: Namespace, engine: Engine, facts: Sequence[WorldFact], wordings: Sequence[int] = EVERY
) -> Asked:
    """Ask for each fact in some wordings, by chat."""
    wanted = [fact.object for fact in facts for _ in wordings]
    replies = [ask(space, engine, each) for fact in facts for each in fact.prompts(wordings)]
    right = [reply.text == one for reply, one in zip(replies, wanted, strict=True)]
    return Asked(
        sum(right) / len(right),
        sum(map(by_weights, replies)) / len(replies),
        tuple(reply.text for reply in replies),
    )


def base_logits(
    engine: Engine, facts: Sequence[WorldFact], wordings: Sequence[int] = EVERY
) -> torch.Tensor:
    """What the model says outside of any shard, one prompt at a time: float32 [prompts, words]."""
    prompts = [prompt_of(engine, each) for fact in facts for each in fact.prompts(wordings)]
    with engine.lock:
        return torch.stack([engine.session().feed(prompt) for prompt in prompts])


def base_answers(
    engine: Engine, facts: Sequence[WorldFact], wordings: Sequence[int] = EVERY
) -> list[str]:
    """The first word that the model itself says to each prompt."""
    best = base_logits(engine, facts, wordings).argmax(-1)
    return [engine.decode([int(token)]).strip() for token in best]


def exported(space: Namespace, cube_id: str, version: int | None = None) -> dict[str, bytes]:
    """The files of a version of a shard, by name."""
    with tempfile.TemporaryDirectory() as aside:
        out = space.export_adapter(cube_id, Path(aside, "out"), version=version)
        return {path.name: path.read_bytes() for path in sorted(Path(out).iterdir())}


def weights_of(files: dict[str, bytes]) -> str:
    return hashlib.sha256(files["adapter_model.safetensors"]).hexdigest()


def shards_of(space: Namespace, *, active: bool = True) -> list[mneme.MemCube]:
    """Parametric cubes, the oldest first."""
    found = space.list(limit=200, include_archived=True, kinds=["parametric"]).items
    kept = [cube for cube in found if cube.state == "activated" or not active]
    return sorted(kept, key=lambda cube: (cube.recorded_at, cube.id))
