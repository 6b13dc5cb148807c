"""Shards: facts in weights, as true as their texts, and gone with them."""

from __future__ import annotations

import json

import pytest

from mneme import (
    BackendUnavailableError,
    CubeNotFoundError,
    FrozenCubeError,
    InvalidInputError,
    MemCube,
    Namespace,
    VersionConflictError,
)
from mneme.core.rows import JobRow
from mneme.testing.clocks import HandClock
from mneme.testing.shards import BASE, TRAINING, Shelf, files_of, header_of
from mneme.vault.stale import TUNE, facts_of, is_to_build


def waiting(shelf: Shelf, kind: str = TUNE) -> list[JobRow]:
    with shelf.memory.vault.parts.store.read() as tx:
        return [job for job in tx.ledger.jobs() if job.kind == kind]


def test_a_shard_says_what_it_carries_and_for_whom(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2], extra={"gate": {"passed": True}})
    cube = owner.get(row.id)
    assert (cube.kind, cube.type, cube.text, cube.state) == ("parametric", "fact", "", "activated")
    assert (cube.provenance.origin, cube.provenance.method) == ("derived", "trained")
    assert cube.provenance.model == BASE
    assert cube.labels == ("home",)
    files = files_of(*facts[:2])
    assert cube.payload == cube.metadata == {
        "shard": 1, "base": BASE, "carrier": "lora", "form": "bf16", "facts": 2,
        "digest": next(iter(files)).digest, "bytes": sum(file.size for file in files),
        "training": TRAINING, "gate": {"passed": True},
    }  # fmt: skip
    assert [each.id for each in owner.sources(row.id)] == [facts[0].id, facts[1].id]
    assert [each.id for each in owner.derived(facts[1].id)] == [row.id]
    (shard,) = shelf.adapters.shards("alice", BASE)
    assert (shard.row, shard.number) == (row, 1)
    assert shard.source_ids == (facts[0].id, facts[1].id)
    digest, held = shelf.adapters.files_of("alice", row.id)
    assert digest == shard.digest
    assert set(held) == set(files)
    assert shelf.adapters.present([digest, "0" * 64]) == {digest}


def test_taint_and_labels_come_from_the_sources(shelf: Shelf, owner: Namespace) -> None:
    mine = owner.add("A fact of mine.", type="fact", labels=["b"])[0]
    told = owner.add("A tool said so.", role="tool", labels=["a"], expires_at="2027-01-01")[0]
    cube = owner.get(shelf.tune(mine, told).id)
    assert (cube.trust, cube.labels) == ("untrusted", ("a", "b"))
    assert cube.expires_at is None  # one fact that ends does not take the others along


def test_shards_have_numbers_of_their_own_in_each_namespace(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    rows = [shelf.tune(fact) for fact in facts[:3]]
    assert [facts_of(row)["shard"] for row in rows] == [1, 2, 3]
    bob = shelf.memory.namespace("bob").add("A fact of Bob's own.", type="fact")[0]
    assert facts_of(shelf.tune(bob, space="bob"))["shard"] == 1
    owner.erase(rows[1].id)
    assert facts_of(shelf.promise(facts[3]))["shard"] == 2
    assert [s.number for s in shelf.adapters.shards("alice", BASE)] == [1, 3]
    assert shelf.adapters.shards("alice", "c" * 64) == []
    assert shelf.adapters.shards("nobody", BASE) == []
    owner.forget(rows[2].id)
    assert facts_of(shelf.tune(bob_fact(owner)))["shard"] == 4  # 3 can come back


def bob_fact(owner: Namespace) -> MemCube:
    return owner.add("One more fact that stands by itself.", type="fact")[0]


def test_a_promise_is_kept_by_its_job(shelf: Shelf, facts: list[MemCube]) -> None:
    row = shelf.promise(facts[0], facts[1])
    assert (row.state, is_to_build(row)) == ("generated", True)
    assert shelf.usable() == {}
    (job,) = waiting(shelf)
    assert json.loads(job.payload) == {"namespace": "alice", "cube": row.id}
    found, ids, told = shelf.adapters.header_of("alice", row.id)
    assert (found, ids, told["training"]) == (row, (facts[0].id, facts[1].id), TRAINING)
    assert shelf.adapters.files_of("alice", row.id) == ("", [])
    kept = shelf.tune(*facts[:2], into=row.id)
    assert (kept.id, kept.version, kept.state) == (row.id, 2, "activated")
    assert not is_to_build(kept)
    assert waiting(shelf) == []
    assert shelf.adapters.files_of("alice", row.id, 1) == ("", [])
    again = shelf.tune(*facts[:2], into=row.id)
    assert again == kept  # nothing of it is new


def test_a_shard_gets_further_facts_as_its_next_version(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    promised = shelf.promise(*facts[1:4], into=row.id)
    assert (promised.state, is_to_build(promised)) == ("activated", True)
    assert shelf.usable() == {row.id: (facts[0].id, facts[1].id)}  # until it is written
    assert shelf.adapters.header_of("alice", row.id)[1] == tuple(f.id for f in facts[1:4])
    kept = shelf.tune(*facts[1:4], into=row.id)
    assert not is_to_build(kept)
    assert shelf.usable() == {row.id: tuple(f.id for f in facts[1:4])}
    old, new = (shelf.adapters.files_of("alice", row.id, v) for v in (1, kept.version))
    assert old[0] != new[0]
    assert set(old[1]) == set(files_of(*facts[:2]))
    receipt = owner.erase(facts[0].id)  # the files of the first version say it
    assert row.id in receipt.erased


def test_a_shard_that_its_user_archived_meanwhile_stays_so(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(facts[0])
    shelf.promise(*facts[:2], into=row.id)
    owner.archive(row.id)
    assert shelf.tune(*facts[:2], into=row.id).state == "archived"
    assert shelf.usable() == {}
    owner.activate(row.id)
    assert shelf.usable() == {row.id: (facts[0].id, facts[1].id)}


def test_what_is_said_in_part_is_still_said_for_the_rest(
    shelf: Shelf, owner: Namespace, facts: list[MemCube], clock: HandClock
) -> None:
    row = shelf.tune(*facts)
    every = {fact.id for fact in facts}
    ids = [*every, "other"]
    assert shelf.adapters.holds("alice", row, ids) == every
    owner.archive(facts[0].id)
    assert shelf.adapters.holds("alice", row, ids) == every - {facts[0].id}
    owner.update(facts[1].id, labels=["on_request"])
    assert shelf.adapters.holds("alice", row, ids) == every - {facts[0].id, facts[1].id}
    owner.update(facts[2].id, valid_to="2026-01-01")
    assert shelf.adapters.holds("alice", row, ids) == {facts[3].id}
    assert list(shelf.usable()) == [row.id]
    assert shelf.adapters.holds("alice", row, [facts[0].id]) == set()
    assert shelf.adapters.holds("nobody", row, ids) == set()
    owner.archive(row.id)
    assert shelf.adapters.holds("alice", row, ids) == set()
    owner.activate(row.id)
    assert shelf.adapters.holds("alice", row, ids) == {facts[3].id}
    shelf.tune(facts[3], into=row.id)
    assert shelf.adapters.holds("alice", row, ids) == set()  # that adapter is no longer used


def test_a_forgotten_source_hides_its_shard_until_it_is_restored(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    owner.forget(facts[0].id)
    assert shelf.usable() == {}
    assert shelf.adapters.holds("alice", row, [facts[1].id]) == set()
    with pytest.raises(CubeNotFoundError):
        shelf.adapters.files_of("alice", row.id)
    with pytest.raises(CubeNotFoundError):
        shelf.tune(facts[1], into=row.id)
    owner.restore(facts[0].id)
    assert list(shelf.usable()) == [row.id]
    assert shelf.adapters.files_of("alice", row.id)[0] == facts_of(row)["digest"]


def test_a_promise_whose_job_found_it_hidden_is_promised_again(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.promise(facts[0])
    owner.forget(facts[0].id)
    with shelf.memory.vault.parts.store.write() as tx:
        tx.ledger.drop_waiting(f"{TUNE} alice {row.id}")
    owner.restore(facts[0].id)
    assert len(waiting(shelf)) == 1


def test_an_edit_takes_a_shard_out_of_use_and_promises_it_anew(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    edited = owner.update(facts[0].id, text="The lamp in the hall of Orla Finch is blue.")
    cube = owner.get(row.id)
    assert (cube.state, cube.metadata["stale"], cube.metadata["digest"]) == (
        "archived", True, facts_of(row)["digest"]
    )  # fmt: skip
    assert shelf.usable() == {}
    assert shelf.adapters.holds("alice", row, [facts[1].id]) == set()
    assert len(shelf.files()) == len(files_of(*facts[:2]))  # for its history
    assert len(waiting(shelf)) == 1
    with pytest.raises(InvalidInputError, match="promote its sources again"):
        owner.activate(row.id)
    kept = shelf.tune(edited, facts[1], into=row.id)
    assert kept.state == "activated"
    assert "stale" not in facts_of(kept)
    assert list(shelf.usable()) == [row.id]


def test_only_what_a_shard_carries_now_makes_it_stale(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(*facts[:2])
    shelf.tune(facts[1], into=row.id)
    owner.update(facts[0].id, text="Something else about the lamp.")
    assert list(shelf.usable()) == [row.id]
    owner.update(facts[1].id, priority=0.5)  # says what it said
    assert list(shelf.usable()) == [row.id]


def test_what_is_added_later_counts_as_what_was_there_first(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(facts[0])
    shelf.tune(*facts[:3], into=row.id)
    owner.forget(facts[2].id)
    assert shelf.usable() == {}
    owner.restore(facts[2].id)
    assert list(shelf.usable()) == [row.id]
    owner.update(facts[1].id, text="He repairs bicycles.")
    assert shelf.usable() == {}
    assert row.id in owner.erase(facts[2].id).erased


def test_a_fact_says_what_its_metadata_says(shelf: Shelf, owner: Namespace) -> None:
    """Weights are written from subject, relation and object where the metadata has them."""
    told = {"subject": "Orla", "relation": "lives in", "object": "Cork", "seen": 1}
    fact = owner.add("Orla has moved to that town.", type="fact", metadata=told)[0]
    row = shelf.tune(fact)
    owner.update(fact.id, metadata={**told, "seen": 2})
    assert list(shelf.usable()) == [row.id]
    owner.update(fact.id, metadata={**told, "object": "Lund"})
    assert shelf.usable() == {}
    with pytest.raises(VersionConflictError):
        shelf.tune(fact, into=row.id)
    assert shelf.tune(owner.get(fact.id), into=row.id).state == "activated"


def test_a_shard_with_a_fact_whose_time_is_over_is_written_again(
    shelf: Shelf, owner: Namespace, facts: list[MemCube], clock: HandClock
) -> None:
    ends = owner.add("The code of the gate is the word heron.", type="fact", expires_at=_in(clock))
    row = shelf.tune(*facts[:2], ends[0])
    clock.move_s(100)
    assert shelf.adapters.holds("alice", row, [ends[0].id, facts[0].id]) == {facts[0].id}
    shelf.memory.vault.lives.expire_due()
    assert shelf.usable() == {}
    assert len(waiting(shelf)) == 1
    found, ids, _ = shelf.adapters.header_of("alice", row.id)
    assert is_to_build(found)
    assert ids == (facts[0].id, facts[1].id)


def _in(clock: HandClock) -> str:
    from mneme.core.clock import from_us

    return from_us(clock.now_us() + 50_000_000).isoformat()


def test_what_changed_meanwhile_is_not_kept(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.promise(*facts[:2])
    owner.update(facts[0].id, text="Another lamp.")
    with pytest.raises(VersionConflictError):
        shelf.tune(*facts[:2], into=row.id)
    assert shelf.files() == set()
    owner.forget(facts[1].id)
    with pytest.raises(CubeNotFoundError):
        shelf.tune(*facts[1:3])
    frozen = shelf.tune(facts[2])
    owner.freeze(frozen.id)
    with pytest.raises(FrozenCubeError):
        shelf.tune(facts[2], facts[3], into=frozen.id)
    with pytest.raises(FrozenCubeError):
        shelf.promise(facts[2], facts[3], into=frozen.id)
    assert len(shelf.files()) == len(files_of(facts[2]))
    assert list(shelf.usable()) == [frozen.id]


def test_nothing_is_kept_without_its_files(shelf: Shelf, facts: list[MemCube]) -> None:
    files = files_of(facts[0])
    header = header_of(facts[0], digest=next(iter(files)).digest)
    with pytest.raises(BackendUnavailableError, match="not there"):
        shelf.adapters.keep("alice", header, list(files))
    shelf.put(files)
    for wrong in ([], [*files, next(iter(files))], list(files_of(facts[1]))):
        with pytest.raises(InvalidInputError, match="files of one digest"):
            shelf.adapters.keep("alice", header, wrong)
    odd = [file._replace(part="adapter.bin") for file in files][:1]
    with pytest.raises(InvalidInputError, match="safetensors"):
        shelf.adapters.keep("alice", header, odd)
    cut = [file._replace(size=file.size + 1) for file in shelf.put(files)]
    with pytest.raises(BackendUnavailableError, match="not there"):
        shelf.adapters.keep("alice", header, cut)
    assert shelf.usable() == {}
    assert shelf.rows() == set()


def test_only_texts_become_shards(shelf: Shelf, owner: Namespace, facts: list[MemCube]) -> None:
    row = shelf.tune(facts[0])
    with pytest.raises(InvalidInputError, match="no text"):
        shelf.tune(owner.get(row.id))
    with pytest.raises(InvalidInputError, match="give its sources"):
        shelf.promise()
    with pytest.raises(InvalidInputError, match="not a parametric cube"):
        shelf.tune(facts[0], into=facts[1].id)
    with pytest.raises(InvalidInputError, match="not a parametric cube"):
        shelf.adapters.demote("alice", facts[0].id)
    with pytest.raises(InvalidInputError, match="change its sources"):
        owner.update(row.id, text="A text of its own.")


def test_what_is_refused_says_why_and_holds_nothing(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.promise(facts[0])
    gate = {"gate": {"efficacy": 0.5}}
    refused, _ = shelf.adapters.refuse("alice", row.id, "efficacy 0.50 < 0.98", gate)
    assert (refused.id, refused.state) == (row.id, "archived")
    told = facts_of(refused)
    assert (told["refused"], told["gate"], told["digest"]) == (
        "efficacy 0.50 < 0.98", {"efficacy": 0.5}, ""
    )  # fmt: skip
    assert waiting(shelf) == []
    with pytest.raises(InvalidInputError):
        owner.activate(row.id)
    other, _ = shelf.adapters.refuse("alice", header_of(facts[1], digest="d" * 64), "no", gate)
    assert (other.version, other.state, facts_of(other)["digest"]) == (1, "archived", "")
    assert facts_of(other)["shard"] == 2
    assert shelf.usable() == {}
    assert shelf.tune(facts[0], into=row.id).state == "activated"  # another try may pass


def test_a_shard_that_cannot_take_more_facts_stays_as_it_is(
    shelf: Shelf, facts: list[MemCube]
) -> None:
    row = shelf.tune(facts[0])
    shelf.promise(facts[0], facts[1], into=row.id)
    kept, _ = shelf.adapters.refuse("alice", row.id, "it does not fit", {"gate": {"x": 1}})
    assert kept.state == "activated"
    assert not is_to_build(kept)
    assert facts_of(kept)["not_added"] == {"refused": "it does not fit", "gate": {"x": 1}}
    assert shelf.usable() == {row.id: (facts[0].id,)}
    gone, _ = shelf.adapters.refuse("alice", row.id, "a later check")
    assert (gone.state, shelf.usable()) == ("archived", {})


def test_what_is_demoted_loses_all_its_files_and_no_text(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    row = shelf.tune(facts[0])
    shelf.tune(*facts[:2], into=row.id)
    owner.update(row.id, hold=True)
    with pytest.raises(FrozenCubeError, match="held"):
        shelf.adapters.demote("alice", row.id)
    owner.update(row.id, hold=False)
    drops = shelf.adapters.drops()
    demoted, _ = shelf.adapters.demote("alice", row.id)
    assert (demoted.state, facts_of(demoted)["demoted"]) == ("archived", True)
    assert shelf.files() == set()
    assert shelf.adapters.drops() > drops
    assert shelf.adapters.files_of("alice", row.id, 1) == ("", [])
    assert [each.text for each in owner.list().items] == [fact.text for fact in facts]
    with pytest.raises(InvalidInputError, match="demoted"):
        shelf.tune(facts[0], into=row.id)
    assert shelf.files() == set()


def test_a_foreign_adapter_is_an_untrusted_cube_without_sources(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    files = files_of(facts[0], said="foreign")
    header = header_of(digest=next(iter(files)).digest, method="imported")
    row, _ = shelf.adapters.keep("alice", header, shelf.put(files))
    cube = owner.get(row.id)
    assert (cube.trust, cube.state, cube.provenance.method) == (
        "untrusted", "activated", "imported"
    )  # fmt: skip
    assert owner.sources(row.id) == []
    assert shelf.usable() == {row.id: ()}
    files = files_of(facts[0], said="weakened")
    header = header_of(digest=next(iter(files)).digest, method="unlearned", into=row.id)
    weaker, _ = shelf.adapters.keep("alice", header, shelf.put(files))
    assert (weaker.version, weaker.trust, weaker.method) == (2, "untrusted", "unlearned")
    with pytest.raises(InvalidInputError, match="sources"):
        shelf.tune(facts[0], into=row.id)
    for wrong in (header_of(facts[0], method="imported"), header_of(method="trained")):
        with pytest.raises(InvalidInputError, match="sources"):
            shelf.adapters.refuse("alice", wrong, "never")


def test_the_counter_of_a_namespace_rises_with_what_happens_to_its_shards(
    shelf: Shelf, owner: Namespace, facts: list[MemCube]
) -> None:
    assert shelf.adapters.seq("nobody") == 0
    seen = [shelf.adapters.seq("alice")]
    row = shelf.tune(facts[0])
    for change in (
        lambda: owner.archive(row.id),
        lambda: owner.activate(row.id),
        lambda: owner.forget(facts[0].id),
        lambda: owner.restore(facts[0].id),
        lambda: owner.erase(facts[0].id),
    ):
        seen.append(shelf.adapters.seq("alice"))
        change()
    seen.append(shelf.adapters.seq("alice"))
    assert seen == sorted(set(seen))
