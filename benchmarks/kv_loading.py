"""Answers when only a part of a long memory is loaded: sentences, and episodes of a conversation.

    python benchmarks/kv_loading.py            # some minutes, one thread

Answers are those of the two judge models in tests/judges: they judge mechanisms, not how much of a
real memory a large model needs. Rivals get the same number of tokens. Turns get vectors of a
stand-in for an embedder: the direction of their topic, with noise; so what is measured is what
comes after an embedder, not how well one finds a topic.

Writes benchmarks/results/kv_loading.json.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer

from measuring import REPO, machine_facts, save
from mneme.backends.engines.local.engine import LocalEngine
from mneme.backends.engines.local.loading import load as load_model
from mneme.core.engine import KV
from mneme.memories.activation.episodes import (
    Episode,
    build_episode,
    cut_episodes,
    medoid,
    place,
)
from mneme.memories.activation.episodes import (
    choose as choose_episodes,
)
from mneme.memories.activation.kv import cut, join, size_of
from mneme.memories.activation.policies.random_choice import Random
from mneme.memories.activation.sentences import Span, choose, index, load, queries_of
from mneme.testing.judges import latest_case, recall_case

SIZES = {"recall": (512, 40), "latest-wins": (256, 24)}  # words, facts: what each can answer from
QUESTIONS, SENTENCE, NEWEST = 8, 8, 32  # the newest: read for the queries, and counted
PARTS = (2, 4, 10)  # one half, a quarter, a tenth
EPISODES, TURNS, TURN, TOPIC_KEYS = 8, 8, 8, 12
SAID = 6  # facts of an episode
NOISE = 0.8  # length of the noise in a vector, beside a topic of length 1
SIZE = 32  # of a vector
SEED = 80_000


class Judge:
    """A small model that answers."""

    def __init__(self, name: str) -> None:
        folder = REPO / "tests" / "judges" / "models" / name
        self.engine = LocalEngine(*load_model(folder, device="cpu"))
        self.words = AutoTokenizer.from_pretrained(folder)
        self.head = self.prefilled([1])

    def prefilled(self, tokens: Sequence[int]) -> KV:
        session = self.engine.session()
        session.feed(tokens)
        return session.cached()

    def says(self, kv: KV, position: int, question: Sequence[int], value: str) -> bool:
        best = int(self.engine.session(kv, position=position).feed(question).argmax())
        return self.words.convert_ids_to_tokens(best) == value


def sentences_of(line: Sequence[str]) -> list[Span]:
    """Of about eight words; none cuts a fact."""
    spans: list[Span] = []
    first = 0
    while first < len(line):
        end = min(first + SENTENCE, len(line))
        end += end < len(line) and line[end - 1][0] == "k" and line[end][0] == "v"
        spans.append((first, end))
        first = end
    return spans


def by_sentences(judge: Judge, make: Any, size: tuple[int, int], cases: int) -> dict[str, Any]:
    right: dict[str, list[bool]] = defaultdict(list)
    read: dict[str, list[float]] = defaultdict(list)
    words, facts = size
    for seed in range(cases):
        case = make(SEED + seed, words=words, facts=facts, questions=QUESTIONS)
        full = judge.prefilled([1, *judge.words.encode(case.text)])
        run, spans = cut(full, 1, words + 1), sentences_of(case.text.split())
        digests = index(run, spans)
        newest = join([judge.head, cut(run, words - NEWEST, words)])
        rng = random.Random(seed)
        for text, value in case.questions:
            question = judge.words.encode(text)
            queries = queries_of(judge.engine, newest, words + 1, question)
            right["all"].append(judge.says(full, words + 1, question, value))
            for part in PARTS:
                budget = words // part
                ways = {
                    "chosen": choose(digests, queries, budget),
                    "chosen by the last word": choose(digests, queries, budget, last_tokens=1),
                    "random": some(rng.sample(spans, len(spans)), budget),
                    "newest": some(list(reversed(spans)), budget),
                    "means": choose_by_means(run, spans, queries, budget),
                }
                for name, taken in ways.items():
                    kv = join([judge.head, load(run, taken, 1).kv])
                    said = judge.says(kv, words + 1, question, value)
                    right[f"{name} 1/{part}"].append(said)
                    extra = digests.size if name.startswith("chosen") else 0
                    extra += 0 if name in {"random", "newest"} else size_of(newest)
                    read[f"{name} 1/{part}"].append((size_of(kv) + extra) / size_of(full))
    return {
        "right": {name: sum(said) / len(said) for name, said in right.items()},
        "read": {name: sum(shares) / len(shares) for name, shares in read.items()},
        "questions": len(right["all"]),
        "index_share": digests.size / size_of(run),
    }


def some(spans: Sequence[Span], budget: int) -> list[Span]:
    """As many as fit, in the order given."""
    taken: list[Span] = []
    for first, end in spans:
        if end - first <= budget - sum(b - a for a, b in taken):
            taken.append((first, end))
    return sorted(taken)


def choose_by_means(
    run: KV, spans: Sequence[Span], queries: Sequence[Tensor], budget: int
) -> list[Span]:
    """The rival of the paper's kind: a mean of keys for each sentence."""
    total = torch.zeros(len(spans))
    for (keys, _), asked in zip(run, queries, strict=True):
        means = torch.stack([keys[:, a:b].mean(1) for a, b in spans], dim=1)
        heads, new, size = asked.shape
        rows = asked.reshape(means.shape[0], heads // means.shape[0] * new, size)
        total += (rows @ means.mT * size**-0.5).softmax(-1).sum(dim=(0, 1))
    order = total.argsort(descending=True).tolist()
    return some([spans[number] for number in order], budget)


class Conversation(NamedTuple):
    """Episodes of turns, each with a vector; and facts by episode."""

    turns: list[list[str]]
    vectors: Tensor
    times: list[float]
    edges: list[range]
    facts: list[list[tuple[str, str]]]
    topics: list[Tensor]


def conversation(seed: int) -> Conversation:
    rng = random.Random(SEED + seed)
    numbers = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(8, SIZE, generator=numbers), dim=-1)
    order = rng.sample(range(8), EPISODES)
    turns, vectors, facts = [], [], []
    for topic in order:
        said = [
            (f"k{key:02d}", f"v{rng.randrange(96):02d}")
            for key in rng.sample(range(topic * TOPIC_KEYS, (topic + 1) * TOPIC_KEYS), SAID)
        ]
        facts.append(said)
        places = dict(zip(sorted(rng.sample(range(TURNS), SAID)), said, strict=True))
        for number in range(TURNS):
            turns.append(turn_of(rng, places.get(number)))
            vectors.append(noisy(directions[topic], numbers))
    edges = [range(at * TURNS, (at + 1) * TURNS) for at in range(EPISODES)]
    times = [60.0 * number for number in range(len(turns))]
    return Conversation(
        turns, torch.stack(vectors), times, edges, facts, [directions[topic] for topic in order]
    )


def turn_of(rng: random.Random, fact: tuple[str, str] | None) -> list[str]:
    line = [f"w{rng.randrange(64):02d}" for _ in range(TURN)]
    if fact is not None:
        at = rng.randrange(TURN - 1)
        line[at : at + 2] = fact
    return line


def noisy(direction: Tensor, numbers: torch.Generator) -> Tensor:
    noise = torch.nn.functional.normalize(torch.randn(SIZE, generator=numbers), dim=-1)
    return torch.nn.functional.normalize(direction + NOISE * noise, dim=-1)


def by_episodes(judge: Judge, cases: int) -> dict[str, Any]:
    right: dict[str, list[bool]] = defaultdict(list)
    found: dict[str, list[bool]] = defaultdict(list)
    for seed in range(cases):
        talk = conversation(seed)
        rng, numbers = random.Random(seed), torch.Generator().manual_seed(seed + 1)
        cuts = cut_episodes(talk.vectors, talk.times)
        found["boundaries"].extend(
            any(cut_.start == edge.start for cut_ in cuts) for edge in talk.edges[1:]
        )
        texts = [judge.words.encode(" ".join(w for t in e for w in talk.turns[t])) for e in cuts]
        whole = judge.prefilled([1, *(token for text in texts for token in text)])
        medoids = torch.stack(
            [talk.vectors[e.start : e.stop][medoid(talk.vectors[e.start : e.stop])] for e in cuts]
        )
        built = {
            (policy, budget): [
                build_episode(
                    judge.engine,
                    judge.head,
                    text,
                    budget,
                    policy=None if policy == "leverage" else Random(seed=seed),
                )
                for text in texts
            ]
            for policy, budget in (("leverage", 999), ("leverage", 32), ("random", 32))
        }
        for number in range(EPISODES):
            key, value = rng.choice(talk.facts[number])
            question = judge.words.encode(f"| ? {key}")
            query = noisy(talk.topics[number], numbers)
            ways = episode_ways(judge, built, medoids, query, rng, whole)
            for name, (kv, position) in ways.items():
                right[name].append(judge.says(kv, position, question, value))
            one = cuts[choose_episodes(medoids, query, 1)[0]]
            found["episode of the question"].append(one.start in talk.edges[number])
    return {
        "right": {name: sum(said) / len(said) for name, said in right.items()},
        "found": {name: sum(said) / len(said) for name, said in found.items()},
        "questions": len(right["all"]),
    }


def episode_ways(
    judge: Judge,
    built: dict[tuple[str, int], list[Episode]],
    medoids: Tensor,
    query: Tensor,
    rng: random.Random,
    whole: KV,
) -> dict[str, tuple[KV, int]]:
    """Pasts of 128 tokens each, or about, and the whole of 512."""

    def placed(kind: tuple[str, int], chosen: Sequence[int]) -> tuple[KV, int]:
        return place(judge.engine, judge.head, [built[kind][at] for at in sorted(chosen)])

    end = whole[0].keys.shape[1]
    everything = range(len(medoids))
    two, four = (choose_episodes(medoids, query, limit) for limit in (2, 4))
    return {
        "all": (whole, end),
        "newest 128 tokens": (join([judge.head, cut(whole, end - 128, end)]), end),
        "2 chosen, whole": placed(("leverage", 999), two),
        "2 random, whole": placed(("leverage", 999), rng.sample(everything, min(2, len(medoids)))),
        "4 chosen, half kept": placed(("leverage", 32), four),
        "4 chosen, random half": placed(("random", 32), four),
        "all episodes, half kept": placed(("leverage", 32), everything),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=30, help="contexts of each judge")
    asked = options.parse_args()
    torch.set_num_threads(1)
    judges = {name: Judge(name) for name in ("recall", "latest-wins")}
    makers = {"recall": recall_case, "latest-wins": latest_case}
    result: dict[str, Any] = {
        "machine": machine_facts(),
        "setting": {
            "words": " / ".join(str(words) for words, _ in SIZES.values()),
            "facts": " / ".join(str(facts) for _, facts in SIZES.values()),
            "sentence": SENTENCE,
            "newest": NEWEST,
        },
        "sentences": {
            name: by_sentences(judge, makers[name], SIZES[name], asked.cases)
            for name, judge in judges.items()
        },
        "episodes": {name: by_episodes(judge, asked.cases) for name, judge in judges.items()},
    }
    for part in ("sentences", "episodes"):
        for name, row in result[part].items():
            print(f"\n{part}, {name}, {row['questions']} questions")
            for way, share in row["right"].items():
                loaded = row.get("read", {}).get(way)
                note = "" if loaded is None else f"  bytes read {loaded:6.1%}"
                print(f"  {way:28s} {share:6.1%}{note}")
            print({k: v for k, v in row.items() if k in {"found", "index_share"}})
    save("kv_loading.json", result)


if __name__ == "__main__":
    main()
