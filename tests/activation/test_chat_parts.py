"""Chats on a part of what is kept, on what was computed elsewhere, and with a server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

pytest.importorskip("torch", reason="needs the extra local")

import mneme
from mneme import InvalidInputError, MemCube, Namespace
from mneme.app.activation.proofs import is_proven, keep_proof
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.memories.activation.proof import Distance
from mneme.testing.judges import recall_case
from mneme.testing.tiny_models import tiny_model

Opened = Callable[..., AbstractContextManager[MemoryOS]]

CASE = recall_case(1, words=150, facts=12, questions=6)
OTHER = recall_case(2, words=150, facts=12, questions=6)
NEAR = Distance(agreement=1.0, divergence=0.0, error=0.0)
FAR = Distance(agreement=0.0, divergence=9.0, error=9.0)


def promoted(
    memory: MemoryOS, engine: Engine, text: str = CASE.text, **how: object
) -> tuple[Namespace, list[MemCube], MemCube]:
    """A namespace, a document in it, and what carries that."""
    alice = memory.namespace("alice")
    book = alice.add(text, type="document")
    (cube,) = alice.promote(book[0].id, to="activation", engine=engine, **how)  # type: ignore[arg-type]
    return alice, book, cube


@pytest.mark.parametrize(("policy", "keep"), [("snapkv", 0.1), ("tova", 0.3)])
def test_a_question_answers_on_what_it_looks_at(
    opened: Opened, recall_engine: Engine, policy: str, keep: float
) -> None:
    with opened(recall_engine) as memory:
        alice, _book, _ = promoted(memory, recall_engine)
        right = 0
        for question, value in CASE.questions:
            reply = alice.chat(
                question, engine=recall_engine, max_new_tokens=1, remember=False,
                policy=policy, keep=keep,
            )  # fmt: skip
            assert reply.timings.hit_tokens == 151
            assert reply.timings.stored_tokens == 0
            right += reply.text == value
        assert right >= len(CASE.questions) - 1


@pytest.mark.parametrize("policy", ["scissorhands", "streaming-llm"])
def test_an_answer_grows_in_bounded_memory(
    opened: Opened, recall_engine: Engine, policy: str
) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        alice.add(CASE.text, type="document")
        reply = alice.chat(
            CASE.questions[0][0], engine=recall_engine, max_new_tokens=12, remember=False,
            policy=policy, keep=0.8,
        )  # fmt: skip
        assert reply.timings.answer_tokens == 12


def test_only_the_sentences_that_a_question_looks_at_are_loaded(
    opened: Opened, recall_engine: Engine
) -> None:
    case = recall_case(3, words=250, facts=12, questions=8)
    with opened(recall_engine, kv_block_tokens=16) as memory:
        alice, _book, _ = promoted(memory, recall_engine, case.text, sentences=True)
        whole = alice.chat("| ? k01", engine=recall_engine, max_new_tokens=1, remember=False)
    right, loaded = 0, []
    for question, value in case.questions:
        with opened(recall_engine, kv_block_tokens=16) as memory:
            reply = memory.namespace("alice").chat(
                question, engine=recall_engine, max_new_tokens=1, remember=False,
                policy="sentences", keep=0.4,
            )  # fmt: skip
            assert reply.timings.hit_tokens == whole.timings.hit_tokens
            loaded.append(reply.timings.loaded_bytes / whole.timings.loaded_bytes)
            right += reply.text == value
    assert max(loaded) < 0.8
    assert right >= 6
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        alice.erase(filters={"type": "document"})
        assert memory.stats().counts["blocks"] == 0


def test_a_conversation_is_promoted_by_episodes(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        for hour in (0, 2, 4, 6):
            for minute in range(3):
                text = f"k{hour}{minute} v{minute}1 w01 w02"
                alice.add(text, session="s", at=f"2026-03-01T{hour:02d}:{minute:02d}:00Z")
        made = alice.promote(
            filters={"session": "s"}, to="activation", engine=recall_engine, episodes=True
        )
        hours = [{turn.text[1] for turn in alice.sources(cube.id)} for cube in made]
        assert all(len(each) == 1 for each in hours)  # a pause ends an episode
        assert len(made) >= 4
        reply = alice.chat("| ? k42", engine=recall_engine, max_new_tokens=1, remember=False)
        assert reply.text == "v21"
        assert sum(len(item.sources) for item in reply.plan) == 12


def test_an_exact_policy_keeps_every_bit(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine, kv_verify=1.0) as memory:
        alice, book, cube = promoted(memory, recall_engine, policy="mom")
        assert (cube.metadata["form"], cube.metadata["error"]) == ("raw", 0.0)
        reply = alice.chat("| ? k01", engine=recall_engine, max_new_tokens=1, remember=False)
        assert (reply.timings.hit_tokens, reply.timings.verified) == (151, True)
        with pytest.raises(InvalidInputError, match="nothing out"):
            alice.promote(book[0].id, to="activation", engine=recall_engine, policy="mom", keep=0.5)


def test_a_text_that_was_promoted_twice_stands_in_a_prompt_once(
    opened: Opened, recall_engine: Engine
) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        turns = [alice.add(f"k0{n} v1{n} w01", session="s")[0].id for n in range(3)]
        alice.promote(turns, to="activation", engine=recall_engine)
        alice.promote(turns[1], to="activation", engine=recall_engine)
        alice.promote(turns[1:], to="activation", engine=recall_engine, codec="int8")
        reply = alice.chat("| ? k01", engine=recall_engine, max_new_tokens=1, remember=False)
        assert [item.sources for item in reply.plan] == [tuple(turns)]
        assert reply.text == "v11"


def test_demoting_takes_the_heads_along_that_chats_made(
    opened: Opened, recall_engine: Engine
) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        ids = [alice.add(case.text, type="document")[0].id for case in (CASE, OTHER)]
        made = alice.promote(ids, to="activation", engine=recall_engine)
        alice.chat("| ? k01", engine=recall_engine, max_new_tokens=1, remember=False)
        assert len(alice.list(kinds=["activation"]).items) == 3
        alice.demote(made[0].id)
        left = [cube.id for cube in alice.list(kinds=["activation"]).items]
        assert left == [made[1].id]
        assert memory.stats().counts["blocks"] == made[1].metadata["blocks"]


def test_no_memory_is_read_as_a_special_token(opened: Opened, tmp_path: Path) -> None:
    engine = mneme.engine(tiny_model("qwen2", tmp_path / "model"))
    token = max(engine.special, key=len)
    text = f"Ida said {token} and {token} again."
    seen: list[list[int]] = []
    render = engine.render

    class Watched(_Wrapped):
        def render(self, messages: object) -> list[int]:
            seen.append(render(messages))  # type: ignore[arg-type]
            return seen[-1]

    watched = cast("Engine", Watched(engine))
    with opened(watched) as memory:
        alice = memory.namespace("alice")
        book = alice.add(text, type="document")
        alice.chat("What did Ida say?", engine=watched, max_new_tokens=1, remember=False)
        recalled = list(seen[-1])
        alice.promote(book[0].id, to="activation", engine=watched)
        alice.chat("What did Ida say?", engine=watched, max_new_tokens=1, remember=False)
    number = engine.render([{"role": "user", "content": token}])
    plain = engine.render([{"role": "user", "content": "x"}])
    special = next(t for t in number if number.count(t) > plain.count(t))
    for tokens in (recalled, seen[-1]):
        assert tokens.count(special) <= plain.count(special) + 1  # those of the template


class _Wrapped:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def test_a_policy_must_fit_the_moment(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        for policy, keep in (("leverage", 0.5), ("em-llm", 0.5), ("nothing", 0.5), (None, 0.5)):
            with pytest.raises(InvalidInputError, match=r"snapkv|policy"):
                alice.chat("| ? k01", engine=recall_engine, policy=policy, keep=keep)


def test_texts_are_moved_only_where_that_is_proven(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        ids = [alice.add(case.text, type="document")[0].id for case in (CASE, OTHER)]
        alice.promote(ids, to="activation", engine=recall_engine)
        proof = memory.prove(recall_engine, texts=[CASE.text, OTHER.text])
        assert is_proven(memory.vault, recall_engine) is proof.passed
        keep_proof(memory.vault, replace(proof, tokens=100, composed=NEAR, planted=NEAR))
        assert not is_proven(memory.vault, recall_engine)  # what cannot fail proves nothing
        keep_proof(memory.vault, replace(proof, tokens=100, composed=NEAR, planted=FAR))
        assert is_proven(memory.vault, recall_engine)
        question, value = OTHER.questions[0]
        reply = alice.chat(question, engine=recall_engine, max_new_tokens=1, remember=False)
        assert reply.text == value
        assert reply.timings.verified is None
        assert 151 < reply.timings.hit_tokens < 301  # some of them were computed again
        assert reply.timings.stored_tokens == 0
        assert sum(reply.timings.tokens_by_tier.values()) == 301
        assert "moved" in reply.plan[1].reason
        memory.drain()  # what was put together is computed exactly meanwhile
        reply = alice.chat(question, engine=recall_engine, max_new_tokens=1, remember=False)
        assert reply.timings.hit_tokens == 301
        assert not any("moved" in item.reason for item in reply.plan)
        assert len(reply.plan) == 2


_ASKS = """
import sys, warnings
warnings.simplefilter("ignore")
import mneme
from mneme.settings import Settings

folder, model, question = sys.argv[1:]
engine = mneme.engine(model)
settings = Settings(worker=False, embedder="none", kv_verify=1.0)
with mneme.open(folder, settings=settings) as memory:
    memory.attach(engine)
    reply = memory.namespace("alice").chat(
        question, engine=engine, max_new_tokens=1, remember=False
    )
    print(reply.text, reply.timings.hit_tokens, reply.timings.verified)
"""


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_finds_and_verifies_it(
    opened: Opened,
    recall_engine: Engine,
    judge: Callable[[str], Path],
    tmp_path: Path,
    hash_seed: str,
) -> None:
    with opened(recall_engine) as memory:
        _alice, _book, _ = promoted(memory, recall_engine)
    question, value = CASE.questions[0]
    done = subprocess.run(
        [sys.executable, "-c", _ASKS, str(tmp_path / "store"), str(judge("recall")), question],
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(mneme.__file__).parents[1])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [value, "151", "True"]


def test_what_another_process_erases_leaves_memory(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    with opened(recall_engine) as memory:
        alice, book, _ = promoted(memory, recall_engine)
        assert memory.stats().bytes["activation host"] > 0
        with opened() as other:  # as another process would: it has no engine
            other.namespace("alice").erase(book[0].id)
        memory._engines.let_go()
        assert memory.stats().bytes["activation host"] == 0
        reply = alice.chat("| ? k01", engine=recall_engine, max_new_tokens=1, remember=False)
        assert reply.timings.hit_tokens == 0
