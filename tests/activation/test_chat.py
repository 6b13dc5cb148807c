"""Promote, chat and demote through the public verbs, with a model that really answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra local")

import mneme
from mneme import InvalidInputError, MemCube, Namespace, Reply, StoreFullError
from mneme.app.memory import MemoryOS
from mneme.core.engine import Engine
from mneme.testing.blobs import MemoryBlobs
from mneme.testing.judges import Case, recall_case

Opened = Callable[..., AbstractContextManager[MemoryOS]]

CASE = recall_case(1, words=150, facts=12, questions=6)
OTHER = recall_case(2, words=150, facts=12, questions=6)


def ask(space: Namespace, engine: Engine, question: str, **more: object) -> Reply:
    return space.chat(question, engine=engine, max_new_tokens=1, **({"remember": False} | more))  # type: ignore[arg-type]


def promoted(
    memory: MemoryOS, engine: Engine, text: str = CASE.text, **how: object
) -> tuple[Namespace, list[MemCube], MemCube]:
    """A namespace, a document in it, and what carries that."""
    alice = memory.namespace("alice")
    book = alice.add(text, type="document")
    (cube,) = alice.promote(book[0].id, to="activation", engine=engine, **how)  # type: ignore[arg-type]
    return alice, book, cube


def right(space: Namespace, engine: Engine, case: Case = CASE) -> int:
    return sum(ask(space, engine, q).text == value for q, value in case.questions)


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "store" / "activation").rglob("*-*") if path.is_file()]


def test_a_promoted_document_answers_without_its_prefill(
    opened: Opened, recall_engine: Engine
) -> None:
    with opened(recall_engine, kv_verify=1.0) as memory:
        alice, book, cube = promoted(memory, recall_engine)
        assert (cube.kind, cube.state) == ("activation", "activated")
        assert cube.payload == cube.metadata
        assert [source.id for source in alice.sources(cube.id)] == [book[0].id]
        for question, value in CASE.questions:
            reply = ask(alice, recall_engine, question)
            assert reply.text == value
            (item,) = reply.plan
            assert (item.carrier, item.cube_id) == ("activation", cube.id)
            assert reply.timings.hit_tokens == item.tokens == 151
            assert reply.timings.verified is True
            assert reply.timings.tokens_by_tier == {"host": 151}
        assert memory.stats().ledger["hit_tokens"] == 151 * len(CASE.questions)


def test_the_next_process_finds_it_on_disk(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        _alice, _book, _ = promoted(memory, recall_engine)
    with opened(recall_engine) as memory:
        reply = ask(memory.namespace("alice"), recall_engine, CASE.questions[0][0])
        assert reply.timings.tokens_by_tier == {"disk": 151}
        assert right(memory.namespace("alice"), recall_engine) == len(CASE.questions)


def test_without_a_promotion_the_text_answers(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        book = alice.add(CASE.text, type="document")
        reply = ask(alice, recall_engine, CASE.questions[0][0])
        assert reply.text == CASE.questions[0][1]
        assert [(item.carrier, item.cube_id) for item in reply.plan] == [("text", book[0].id)]
        assert reply.timings.hit_tokens == 0
        assert reply.context.hits


def test_another_namespace_has_nothing_of_it(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice, bob = memory.namespace("alice"), memory.namespace("bob")
        book = alice.add(CASE.text, type="document")
        alice.promote(book[0].id, to="activation", engine=recall_engine)
        assert right(bob, recall_engine) == 0
        bob.add(CASE.text, type="document")
        reply = ask(bob, recall_engine, CASE.questions[0][0])
        assert reply.timings.hit_tokens == 0  # the same text, but another salt


def test_an_edit_reaches_the_next_answer(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    question, value = CASE.questions[0]
    key = question.rpartition(" ")[2]
    changed = "v00" if value != "v00" else "v01"
    with opened(recall_engine) as memory:
        alice, book, cube = promoted(memory, recall_engine)
        before = {path.name for path in files(tmp_path)}
        alice.update(book[0].id, text=CASE.text.replace(f"{key} {value}", f"{key} {changed}"))
        assert not files(tmp_path)
        reply = ask(alice, recall_engine, question)
        assert (reply.text, reply.timings.hit_tokens) == (changed, 0)
        assert alice.get(cube.id).state == "archived"
        memory.drain()  # the job builds it again
        reply = ask(alice, recall_engine, question)
        assert (reply.text, reply.timings.hit_tokens) == (changed, 151)
        assert alice.get(cube.id).version > cube.version
        assert not before & {path.name for path in files(tmp_path)} - before
        alice.rollback(book[0].id, to_version=1)
        reply = ask(alice, recall_engine, question)
        assert (reply.text, reply.timings.hit_tokens) == (value, 0)


def test_an_erasure_leaves_no_block_no_file_and_no_hit(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    with opened(recall_engine) as memory:
        alice, book, cube = promoted(memory, recall_engine)
        assert right(alice, recall_engine) == len(CASE.questions)
        receipt = alice.erase(book[0].id)
        assert set(receipt.erased) == {book[0].id, cube.id}
        assert receipt.rows["block"] == 3
        assert receipt.checked["files_found"] == receipt.checked["found"] == 0
        assert receipt.complete
        assert not files(tmp_path)
        assert memory.stats().bytes.get("activation host", 0) == 0
        assert right(alice, recall_engine) == 0
        assert ask(alice, recall_engine, CASE.questions[0][0]).timings.hit_tokens == 0


def test_forgetting_hides_it_and_restoring_brings_it_back(
    opened: Opened, recall_engine: Engine
) -> None:
    with opened(recall_engine) as memory:
        alice, book, _ = promoted(memory, recall_engine)
        alice.forget(book[0].id)
        assert right(alice, recall_engine) == 0
        alice.restore(book[0].id)
        reply = ask(alice, recall_engine, CASE.questions[0][0])
        assert (reply.text, reply.timings.hit_tokens) == (CASE.questions[0][1], 151)
        alice.archive(book[0].id)
        assert ask(alice, recall_engine, CASE.questions[0][0]).plan == ()


def test_demoting_drops_the_carrier_and_keeps_the_text(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    with opened(recall_engine) as memory:
        alice, book, _ = promoted(memory, recall_engine)
        alice.demote(book[0].id)
        assert not files(tmp_path)
        reply = ask(alice, recall_engine, CASE.questions[0][0])
        assert [item.carrier for item in reply.plan] == ["text"]
        assert reply.text == CASE.questions[0][1]
        with pytest.raises(InvalidInputError, match="no carrier"):
            alice.demote(book[0].id)
        (again,) = alice.promote(book[0].id, to="activation", engine=recall_engine)
        alice.demote(again.id)
        assert not files(tmp_path)


def test_several_documents_are_found_together_from_the_second_question_on(
    opened: Opened, recall_engine: Engine
) -> None:
    with opened(recall_engine, kv_verify=1.0) as memory:
        alice = memory.namespace("alice")
        one = alice.add(CASE.text, type="document")
        two = alice.add("w01 w02 " + OTHER.text, type="document")
        alice.promote([one[0].id, two[0].id], to="activation", engine=recall_engine)
        first = ask(alice, recall_engine, "| ? k01")
        assert first.timings.hit_tokens == 151
        assert [item.carrier for item in first.plan] == ["activation", "text"]
        assert first.timings.stored_tokens == first.plan[1].tokens > 0
        second = ask(alice, recall_engine, "| ? k02")
        assert second.timings.hit_tokens == 151 + first.timings.stored_tokens
        assert [item.carrier for item in second.plan] == ["activation", "activation"]
        assert second.timings.verified
        alice.erase(one[0].id)  # what was computed after it has seen it
        third = ask(alice, recall_engine, "| ? k02")
        assert third.timings.hit_tokens == len(two[0].text.split()) + 1


def test_turns_of_one_call_are_promoted_together(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        turns = [alice.add(f"k0{n} v1{n} w01", session="s")[0] for n in range(4)]
        made = alice.promote(filters={"type": "turn"}, to="activation", engine=recall_engine)
        assert len(made) == 1
        assert [cube.id for cube in alice.sources(made[0].id)] == [turn.id for turn in turns]
        reply = ask(alice, recall_engine, "| ? k02")
        assert reply.text == "v12"
        assert reply.plan[0].sources == tuple(turn.id for turn in turns)


def test_sections_of_a_promoted_document_are_not_said_twice(
    opened: Opened, recall_engine: Engine
) -> None:
    text = f"# One\n\n{CASE.text}\n\n# Two\n\n{OTHER.text}"
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        cubes = alice.add(text, type="document")
        assert len(cubes) == 3
        made = alice.promote(filters={"type": "document"}, to="activation", engine=recall_engine)
        assert [alice.sources(cube.id)[0].id for cube in made] == [cubes[0].id]
        reply = ask(alice, recall_engine, CASE.questions[0][0])
        assert [item.carrier for item in reply.plan] == ["activation"]


def test_an_exchange_is_remembered(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        alice.add(CASE.text, type="document")
        question, value = CASE.questions[0]
        reply = ask(alice, recall_engine, question, session="s", remember=True)
        assert reply.session == "s"
        kept = alice.list(session="s").items
        assert [(cube.role, cube.text) for cube in kept] == [
            ("user", question), ("assistant", value),
        ]  # fmt: skip


def test_pieces_of_an_answer_are_told_as_they_come(opened: Opened, recall_engine: Engine) -> None:
    pieces: list[str] = []
    with opened(recall_engine) as memory:
        reply = memory.namespace("alice").chat(
            "k01 v02", engine=recall_engine, max_new_tokens=5, remember=False, note=pieces.append
        )
        assert "".join(pieces).strip() == reply.text
        assert len(pieces) == reply.timings.answer_tokens == 5
        assert reply.timings.first_decode_s is not None


def test_many_chats_leave_what_is_stored_as_it_is(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    with opened(recall_engine) as memory:
        alice, _book, cube = promoted(memory, recall_engine)
        before = {path.name: path.read_bytes() for path in files(tmp_path)}
        for number in range(60):
            ask(alice, recall_engine, CASE.questions[number % 6][0])
        assert {path.name: path.read_bytes() for path in files(tmp_path)} == before
        assert alice.get(cube.id).version == 1
        assert memory.stats().counts["blocks"] == len(before)


def test_a_promise_is_kept_by_a_job(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice, _book, cube = promoted(memory, recall_engine, wait=False)
        assert cube.state == "generated"
        assert ask(alice, recall_engine, "| ? k01").timings.hit_tokens == 0
        memory.drain()
        assert alice.get(cube.id).state == "activated"
        assert ask(alice, recall_engine, "| ? k01").timings.hit_tokens == 151


def test_a_job_waits_for_its_engine(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        _alice, _book, cube = promoted(memory, recall_engine, wait=False)
    with opened() as memory:
        memory.drain()
        assert memory.namespace("alice").get(cube.id).state == "generated"
        assert memory.stats().jobs.get("dead", 0) == 0
        memory.attach(recall_engine)
        memory.drain()
        assert memory.namespace("alice").get(cube.id).state == "activated"


@pytest.mark.parametrize("codec", ["bf16", "int8", "int4"])
def test_smaller_forms_answer_too(opened: Opened, recall_engine: Engine, codec: str) -> None:
    with opened(recall_engine) as memory:
        alice, _book, cube = promoted(memory, recall_engine, codec=codec)
        assert cube.metadata["form"] == codec
        assert 0 < cube.metadata["error"] < 0.5
        reply = ask(alice, recall_engine, CASE.questions[0][0])
        assert reply.timings.hit_tokens == 151
        assert right(alice, recall_engine) >= len(CASE.questions) - 1


def test_a_thinned_memory_answers_too(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        book = alice.add(CASE.text, type="document")
        (cube,) = alice.promote(
            book[0].id, to="activation", engine=recall_engine, policy="leverage", keep=0.7
        )
        assert cube.provenance.method == "thinned"
        reply = ask(alice, recall_engine, CASE.questions[0][0])
        assert reply.timings.hit_tokens == 151
        assert reply.timings.verified is None  # an approximation is not held against the truth
        assert right(alice, recall_engine) >= len(CASE.questions) - 1


def test_one_build_for_eight_that_ask(opened: Opened, recall_engine: Engine) -> None:
    built = []
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        book = alice.add(CASE.text, type="document")
        real = memory._engines.get(recall_engine).memory.engine.session

        def session(*args: Any, **more: Any) -> Any:  # noqa: ANN401
            if more.get("record"):
                built.append(threading.get_ident())
            return real(*args, **more)

        engine = _Counting(recall_engine, session)
        memory.detach(recall_engine)
        memory.attach(engine)
        made: list[str] = []

        def promote() -> None:
            made.extend(
                cube.id for cube in alice.promote(book[0].id, to="activation", engine=engine)
            )

        threads = [threading.Thread(target=promote) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 8
        assert len(set(made)) == 1
        assert sum(session is not None for session in built) < 8


def test_one_of_eight_that_ask_at_once_computes_the_head(
    opened: Opened, recall_engine: Engine
) -> None:
    fed: list[int] = []

    def session(*args: Any, **more: Any) -> Any:  # noqa: ANN401
        made = recall_engine.session(*args, **more)
        feed = made.feed

        def counted(tokens: Sequence[int]) -> Any:  # noqa: ANN401
            fed.append(len(tokens))
            return feed(tokens)

        made.feed = counted  # type: ignore[method-assign]
        return made

    engine = _Counting(recall_engine, session)
    with opened(kv_verify=0.0) as memory:
        memory.attach(engine)
        alice = memory.namespace("alice")
        ids = [alice.add(case.text, type="document")[0].id for case in (CASE, OTHER)]
        alice.promote(ids, to="activation", engine=engine)
        fed.clear()
        replies: list[Reply] = []

        def chat() -> None:
            replies.append(ask(alice, engine, OTHER.questions[0][0]))

        threads = [threading.Thread(target=chat) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [reply.text for reply in replies] == [OTHER.questions[0][1]] * 8
    assert [tokens for tokens in fed if tokens > 10] == [150]
    assert sorted(reply.timings.hit_tokens for reply in replies) == [151] + [301] * 7


class _Counting:
    """An engine that counts how often it starts to record."""

    def __init__(self, engine: Engine, session: Callable[..., Any]) -> None:
        self._engine = engine
        self.session = session

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._engine, name)


# -- what goes wrong


def test_a_damaged_file_is_computed_again(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    with opened(recall_engine) as memory:
        alice, _book, _ = promoted(memory, recall_engine)
    for number in range(3):
        path = sorted(files(tmp_path))[number]
        data = bytearray(path.read_bytes())
        data[-7] ^= 1
        path.write_bytes(data)
        with opened(recall_engine) as memory:
            alice = memory.namespace("alice")
            reply = ask(alice, recall_engine, CASE.questions[0][0])
            assert reply.text == CASE.questions[0][1]
            assert reply.timings.hit_tokens < 151
            assert reply.timings.stored_tokens == 151 - reply.timings.hit_tokens
            assert ask(alice, recall_engine, CASE.questions[1][0]).timings.hit_tokens == 151


def test_missing_files_are_computed_again(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    with opened(recall_engine) as memory:
        alice, _book, _ = promoted(memory, recall_engine)
    for path in files(tmp_path):
        path.unlink()
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        reply = ask(alice, recall_engine, CASE.questions[0][0])
        assert (reply.text, reply.timings.hit_tokens) == (CASE.questions[0][1], 0)
        assert [item.carrier for item in reply.plan] == ["text"]
        assert right(alice, recall_engine) == len(CASE.questions)


class _Full(MemoryBlobs):
    """A place without room."""

    full = True

    def put(self, blobs: Mapping[str, bytes]) -> None:
        if self.full:
            raise StoreFullError("no room; make some")
        super().put(blobs)


def test_a_full_disk_costs_no_answer(opened: Opened, recall_engine: Engine) -> None:
    blobs = _Full()
    with opened(recall_engine, blobs=(blobs,)) as memory:
        alice = memory.namespace("alice")
        one = alice.add(CASE.text, type="document")
        with pytest.raises(StoreFullError):
            alice.promote(one[0].id, to="activation", engine=recall_engine)
        assert right(alice, recall_engine) == len(CASE.questions)
        blobs.full = False
        two = alice.add("w01 " + OTHER.text, type="document")
        alice.promote([one[0].id, two[0].id], to="activation", engine=recall_engine)
        blobs.full = True
        reply = ask(alice, recall_engine, OTHER.questions[0][0])
        assert reply.timings.stored_tokens == 0
        assert any("not kept" in each for each in reply.timings.failed)


def test_more_than_the_budget_of_disk_is_refused(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine, kv_disk_bytes=1000) as memory:
        alice = memory.namespace("alice")
        book = alice.add(CASE.text, type="document")
        with pytest.raises(StoreFullError, match="kv_disk_bytes"):
            alice.promote(book[0].id, to="activation", engine=recall_engine)
        assert right(alice, recall_engine) == len(CASE.questions)


def test_the_budget_of_disk_is_kept_by_dropping_others(
    opened: Opened, recall_engine: Engine, tmp_path: Path
) -> None:
    budget = 700_000
    with opened(recall_engine, kv_disk_bytes=budget) as memory:
        alice = memory.namespace("alice")
        for number in range(4):
            case = recall_case(10 + number, words=150, facts=12, questions=1)
            book = alice.add(case.text, type="document")
            alice.promote(book[0].id, to="activation", engine=recall_engine)
            assert sum(path.stat().st_size for path in files(tmp_path)) <= budget
        assert ask(alice, recall_engine, "| ? k01").timings.hit_tokens > 0


def test_text_beyond_the_window_is_refused(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        book = alice.add("w01 " * 5000, type="document")
        with pytest.raises(InvalidInputError, match="sections"):
            alice.promote(book[0].id, to="activation", engine=recall_engine)
        with pytest.raises(InvalidInputError, match="tokens"):
            alice.chat("w01 " * 5000, engine=recall_engine)


def test_a_wrong_order_is_refused(opened: Opened, recall_engine: Engine) -> None:
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        cube = alice.add("k01 v01")[0].id
        promote = alice.promote

        def refused(error: type[Exception], match: str, **more: object) -> None:
            given = {"to": "activation", "engine": recall_engine} | more
            with pytest.raises(error, match=match):
                promote(cube, **given)  # type: ignore[arg-type]

        refused(InvalidInputError, "parametric", to="weights")
        refused(InvalidInputError, "activation", to="disk")
        refused(InvalidInputError, "codec", codec="int3")
        refused(InvalidInputError, "policy", keep=0.5)
        refused(InvalidInputError, "leverage", policy="levrage", keep=0.5)
        refused(InvalidInputError, "keep", policy="leverage", keep=0.0)
        refused(InvalidInputError, "mneme.engine", engine="gpt")
        refused(mneme.UnknownArgumentError, "codec", codex="int8")
        with pytest.raises(InvalidInputError, match="either"):
            promote(to="activation", engine=recall_engine)
        with pytest.raises(mneme.CubeNotFoundError):
            promote("01a1ff0f-a880-7000-8197-83a1c4d84c11", to="activation", engine=recall_engine)
        (made,) = promote(cube, to="activation", engine=recall_engine)
        with pytest.raises(InvalidInputError, match="source"):
            promote(made.id, to="activation", engine=recall_engine)


def test_a_wrong_question_is_refused(opened: Opened, recall_engine: Engine) -> None:
    wrong: Sequence[tuple[Any, dict[str, Any]]] = (
        ([], {}),
        ("", {}),
        (3, {}),
        ([{"role": "assistant", "content": "Hi"}], {}),
        ([{"role": "narrator", "content": "Hi"}], {}),
        ("Hi", {"max_new_tokens": 0}),
        ("Hi", {"budget_tokens": -1}),
    )
    with opened(recall_engine) as memory:
        alice = memory.namespace("alice")
        for messages, more in wrong:
            with pytest.raises(InvalidInputError):
                alice.chat(messages, engine=recall_engine, **more)
        assert not alice.list().items


def test_an_engine_has_to_be_attached(opened: Opened, recall_engine: Engine) -> None:
    with opened() as memory:
        alice = memory.namespace("alice")
        alice.add("k01 v01")
        with pytest.raises(InvalidInputError, match="attach"):
            alice.chat("| ? k01", engine=recall_engine)
        memory.attach(recall_engine)
        memory.attach(recall_engine)
        assert ask(alice, recall_engine, "| ? k01").text == "v01"
        memory.detach(recall_engine)
        with pytest.raises(InvalidInputError, match="attach"):
            alice.chat("| ? k01", engine=recall_engine)
