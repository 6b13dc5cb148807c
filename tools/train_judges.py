"""Train the small models of tests/judges from scratch: `recall`, and `latest-wins` from it.

    python tools/train_judges.py FOLDER            # six CPU minutes on one thread
    python tools/train_judges.py FOLDER --check    # only say how they answer

In: nothing but chance. Out: two folders with config, weights (safetensors) and tokenizer.

Two layers can answer `? key` with an induction circuit: layer 0 writes into each token what the
token before it was, layer 1 looks for the place whose predecessor is the key, and copies. Found by
gradient descent alone that takes long, so layer 0 starts with a head that looks back one position
(its biases alone decide, by rope), layer 1 with one that compares on the slow dimensions of rope,
where position hardly matters. Then contexts grow from 20 words to 512.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from mneme.testing.judges import FILLERS, KEYS, VALUES, latest_case, recall_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SHIPPED = Path(__file__).parents[1] / "tests" / "judges" / "models"
PAD, BEGIN, ASK, BAR, FIRST_KEY = 0, 1, 2, 3, 4
FIRST_VALUE = FIRST_KEY + KEYS
FIRST_FILLER = FIRST_VALUE + VALUES
WORDS = FIRST_FILLER + FILLERS
HIDDEN, HEAD, THETA = 128, 64, 1e6
IGNORED = -100  # a place whose next word is not learnt


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the curriculum.

    Attributes:
        words: Longest context; the shortest is a third of it.
        facts: In the longest context.
        steps: At most.
        enough: Running share of right answers that ends the stage; above 1: never.
        rate: Share of the learning rate.
    """

    words: int
    facts: int
    steps: int
    enough: float
    rate: float


RECALL = (
    Stage(20, 6, 150, 0.90, 1.0),
    Stage(40, 10, 150, 0.93, 1.0),
    Stage(80, 16, 150, 0.95, 0.5),
    Stage(160, 24, 150, 0.97, 0.5),
    Stage(320, 32, 150, 0.985, 0.3),
    Stage(512, 40, 120, 2.0, 0.1),
)
LATEST = (
    Stage(48, 12, 400, 2.0, 2.0),
    Stage(128, 32, 500, 2.0, 1.2),
    Stage(288, 64, 500, 2.0, 0.6),
    Stage(320, 72, 250, 2.0, 0.15),
)


def started() -> LlamaForCausalLM:
    """A model whose heads already look where the answer is."""
    config = LlamaConfig(
        vocab_size=WORDS, hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=HEAD, max_position_embeddings=4096,
        tie_word_embeddings=True, attention_bias=True, initializer_range=0.06,
        bos_token_id=BEGIN, eos_token_id=None, pad_token_id=PAD,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
    )  # fmt: skip
    make: Any = LlamaForCausalLM
    model: LlamaForCausalLM = make(config)
    with torch.no_grad():
        model.model.embed_tokens.weight *= 2
        for layer in model.model.layers:
            layer.mlp.down_proj.weight *= 0.1
            layer.self_attn.o_proj.weight *= 0.1
        basis = torch.linalg.qr(torch.randn(HIDDEN, HIDDEN))[0]
        here, before = basis[:, :HEAD].T, basis[:, HEAD:]  # where a word, and its predecessor, lie
        _look_back(model.model.layers[0].self_attn, here, before)
        _match_and_copy(model.model.layers[1].self_attn, here, before)
    return model


def _frequencies() -> Tensor:
    return THETA ** (-torch.arange(HEAD // 2) * 2 / HEAD)


def _look_back(attention: Any, here: Tensor, before: Tensor) -> None:  # noqa: ANN401 (a layer)
    """The first key-value head attends to the token before, and writes it beside the token."""
    strength, turn = 8.0, _frequencies()
    query = strength * torch.cat([torch.cos(turn), -torch.sin(turn)])
    attention.k_proj.bias[: HEAD // 2] = strength
    attention.k_proj.weight[:HEAD] *= 0.1
    attention.v_proj.weight[:HEAD] = here
    for head in (slice(0, HEAD), slice(HEAD, 2 * HEAD)):
        attention.q_proj.bias[head] = query
        attention.q_proj.weight[head] *= 0.1
        attention.o_proj.weight[:, head] = 0.06 * before


def _match_and_copy(attention: Any, here: Tensor, before: Tensor) -> None:  # noqa: ANN401
    """The first key-value head looks for the token whose predecessor is this one; copies it."""
    slow = (_frequencies() < 0.02).float().repeat(2)[:, None] * 2
    attention.k_proj.weight[:HEAD] = slow * before.T
    attention.v_proj.weight[:HEAD] = here
    for head in (slice(0, HEAD), slice(HEAD, 2 * HEAD)):
        attention.q_proj.weight[head] = slow * here
        attention.o_proj.weight[:, head] = 0.3 * here.T


def drawn(rows: int, words: int, facts: int, *, given: int, asked: int) -> tuple[Tensor, Tensor]:
    """Contexts with questions and answers behind them, and what is to be learnt.

    Args:
        rows: Contexts.
        words: Of a context.
        facts: Of a context.
        given: How often each key is given; the last time counts.
        asked: Questions on each context.

    Returns:
        Tokens and labels, each [rows, words + 2 + 3 * asked].
    """
    context = torch.randint(FIRST_FILLER, WORDS, (rows, words))
    keys = torch.rand(rows, KEYS).argsort(1)[:, : facts // given]
    order = torch.rand(rows, facts).argsort(1) % keys.shape[1]
    values = torch.randint(0, VALUES, (rows, facts))
    places = torch.rand(rows, words - facts).argsort(1)[:, :facts].sort(1).values
    places += torch.arange(facts)  # each fact is two words long
    context.scatter_(1, places, keys.gather(1, order) + FIRST_KEY)
    context.scatter_(1, places + 1, values + FIRST_VALUE)
    newest = torch.zeros_like(keys)
    for fact in range(facts):
        newest.scatter_(1, order[:, fact : fact + 1], values[:, fact : fact + 1])
    chosen = torch.rand(rows, keys.shape[1]).argsort(1)[:, :asked]
    key, value = keys.gather(1, chosen) + FIRST_KEY, newest.gather(1, chosen) + FIRST_VALUE
    questions = torch.stack([torch.full_like(key, ASK), key, value], 2).reshape(rows, -1)
    begin, bar = (torch.full((rows, 1), token) for token in (BEGIN, BAR))
    tokens = torch.cat([begin, context, bar, questions], 1)
    labels = torch.full_like(tokens, IGNORED)
    labels[:, words + 4 :: 3] = value
    return tokens, labels


def train(model: LlamaForCausalLM, stages: tuple[Stage, ...], *, given: int, say: str) -> None:
    """Teach a model to answer, stage by stage."""
    peak = 1e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01)
    done = 0
    for stage in stages:
        share = 0.0
        for step in range(stage.steps):
            done += 1
            for group in optimizer.param_groups:
                group["lr"] = peak * stage.rate * min(1.0, done / 30)
            right = _step(model, optimizer, stage, given)
            share = right if step == 0 else 0.95 * share + 0.05 * right
            if step > 25 and share > stage.enough:
                break
        print(f"{say}: up to {stage.words} words, {step + 1} steps, {share:.1%}", flush=True)


def _step(model: LlamaForCausalLM, optimizer: Any, stage: Stage, given: int) -> float:  # noqa: ANN401
    """One step; the share of questions that were answered right."""
    words = int(torch.randint(max(16, stage.words // 3), stage.words + 1, ()))
    facts = max(2 * given, stage.facts * words // stage.words // given * given)
    asked = min(24, facts // given)
    rows = max(4, 2000 // words)
    tokens, labels = drawn(rows, words, facts, given=given, asked=asked)
    moved = torch.arange(tokens.shape[1])[None] + int(torch.randint(0, 1024, ()))
    seen = model.model(input_ids=tokens, position_ids=moved, use_cache=False).last_hidden_state
    there = labels[0, 1:] != IGNORED
    scores = model.lm_head(seen[:, :-1][:, there])
    right = labels[:, 1:][:, there]
    loss: Any = functional.cross_entropy(scores.reshape(-1, WORDS), right.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float((scores.argmax(-1) == right).float().mean())


def check(folder: Path, make: Callable[..., Any], sizes: dict[int, int]) -> dict[int, float]:
    """Share of right answers by words of the context, on cases of `mneme.testing.judges`."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = LlamaForCausalLM.from_pretrained(folder)
    model.eval()
    shares = {}
    for words, facts in sizes.items():
        right: list[bool] = []
        for seed in range(100):
            case = make(seed, words=words, facts=facts, questions=8)
            rows = [[BEGIN, *tokenizer.encode(f"{case.text} {q}")] for q, _ in case.questions]
            with torch.no_grad():
                best = model(torch.tensor(rows), logits_to_keep=1).logits[:, -1].argmax(-1)
            wanted = [tokenizer.convert_tokens_to_ids(value) for _, value in case.questions]
            right += (best == torch.tensor(wanted)).tolist()
        shares[words] = sum(right) / len(right)
    return shares


def kept(model: LlamaForCausalLM, folder: Path) -> None:
    """Write model and tokenizer."""
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SHIPPED / "recall" / name, folder / name)


def main() -> int:
    """Train both, and say how they answer."""
    parser = argparse.ArgumentParser(description="Train the models of tests/judges.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    silence: Any = logging.disable_progress_bar
    silence()
    torch.set_num_threads(1)
    recall, latest = asked.folder / "recall", asked.folder / "latest-wins"
    if not asked.check:
        torch.manual_seed(4)
        model = started()
        train(model, RECALL, given=1, say="recall")
        kept(model, recall)
        train(model, LATEST, given=2, say="latest-wins")
        kept(model, latest)
    print("recall", check(recall, recall_case, {64: 8, 128: 16, 256: 24, 512: 40}))
    print("latest-wins", check(latest, latest_case, {64: 12, 128: 20, 256: 32, 512: 64}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
