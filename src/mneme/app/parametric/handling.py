"""What is done with single adapters: read back, moved, merged, compared, weakened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mneme.app.parametric.promoting import training_of
from mneme.core.errors import InvalidInputError
from mneme.memories.parametric.facts import FactLedger
from mneme.transform.text_to_adapter import Fresh, keep_unproven
from mneme.vault.adapter_writer import IMPORTED
from mneme.vault.draft import Tuned
from mneme.vault.stale import facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mneme.app.parametric.models import Models
    from mneme.core.cube import MemCube
    from mneme.core.engine import Engine
    from mneme.core.rows import VersionRow
    from mneme.memories.parametric.compare import AdapterDiff
    from mneme.memories.parametric.externalise import Externalised
    from mneme.memories.parametric.training import Lesson
    from mneme.memories.parametric.unlearn.damage import Damage
    from mneme.vault.vault import Vault


def parametric(vault: Vault, path: str, cube_id: str) -> VersionRow:
    """A parametric cube.

    Raises:
        CubeNotFoundError: No readable cube of that id.
        InvalidInputError: It is of another kind.
    """
    row = vault.reader.header(path, cube_id)
    if row.kind != "parametric":
        raise InvalidInputError(f"cube {cube_id!r} is {row.kind}, not a parametric cube")
    return row


def externalised(
    models: Models, path: str, row: VersionRow, engine: Engine, questions: Sequence[str]
) -> Externalised:
    """What an adapter says, checked against its ledger."""
    from mneme.memories.parametric.externalise import externalise
    from mneme.memories.parametric.writers import build_carrier

    held = models.weights(engine).unpacked(path, row.id)
    applied = build_carrier(held.adapter.carrier).apply(engine, held.adapter)
    try:
        return externalise(engine, applied, held.ledger, bank=models.bank, questions=questions)
    finally:
        applied.close()


def imported(models: Models, path: str, folder: Path, engine: Engine) -> MemCube:
    """A foreign adapter as an untrusted cube that nothing is routed to.

    What another store exported keeps its ledger, to be read back by; a stranger's has none.
    """
    from mneme.memories.parametric.bundle import Bundle, rows, unpack
    from mneme.memories.parametric.folder import read_folder
    from mneme.memories.parametric.foreign import foreign_adapter, origin

    weights = models.weights(engine)
    source = read_folder(folder)
    adapter = foreign_adapter(engine, source)
    ledger = FactLedger()
    if isinstance(source, Bundle):
        ledger = unpack(source.files, rows(source), base=weights.base).ledger
    header = Tuned(
        sources=(), base=weights.base, carrier=adapter.carrier, form="fp32", facts=len(ledger),
        method=IMPORTED, extra=origin(source),
    )  # fmt: skip
    row, text = keep_unproven(models.vault, path, adapter, ledger, header)
    return models.vault.reader.show(path, row, text)


def merged(
    models: Models,
    path: str,
    parts: Sequence[VersionRow],
    engine: Engine,
    how: str,
    training: object,
) -> MemCube:
    """One shard of several, through the gate; the parts are archived."""
    from mneme.memories.parametric.merge import HOW, merge

    settings = training_of(training)
    weights, shards = models.weights(engine), models.shards(engine)
    held = [weights.unpacked(path, row.id) for row in parts]
    ledger = FactLedger(tuple(entry for each in held for entry in each.ledger.entries))
    if not len(ledger):
        raise InvalidInputError("what has no ledger cannot be merged: nothing could prove it")
    if how not in HOW:
        raise InvalidInputError(f"how takes one of {', '.join(HOW)}, not {how!r:.80}")
    rank = None if training is None or how == "cat" else settings.rank
    adapters = [each.adapter for each in held]
    adapter = merge(adapters, how, rank=rank, seed=settings.seed)  # type: ignore[arg-type]
    ids = [row.id for row in parts]
    place = shards.place(path, ids)
    row, text = models.tuner(engine).keep(
        place, Fresh(adapter, ledger, {}, "merged", {"of": ids, "how": how}), settings
    )
    for each in ids:
        models.vault.lives.transit(path, each, "archive")
    models.let_go(path)
    return models.vault.reader.show(path, row, text)


def compared(
    models: Models, path: str, row: VersionRow, versions: tuple[int, int], engine: Engine
) -> AdapterDiff:
    """What is otherwise in the second of two versions."""
    from mneme.memories.parametric.compare import Side, diff

    sides = []
    for version in versions:
        held = models.weights(engine).unpacked(path, row.id, version)
        figures = {
            c["name"]: c["value"] for c in held.gate.get("checks", ()) if c["value"] is not None
        }
        sides.append(Side(held.ledger, held.adapter, figures))
    return diff(*sides)


class Weakening(NamedTuple):
    """What an adapter shall say less of, what it shall go on saying, and by which method."""

    statements: Sequence[Mapping[str, str]]
    retain: Sequence[Mapping[str, str]]
    method: str


def unlearned(
    models: Models, path: str, row: VersionRow, engine: Engine, wanted: Weakening
) -> MemCube:
    """The next version of an adapter that says less of some statements; approximate."""
    from mneme.memories.parametric.course import unrelated_prompts
    from mneme.memories.parametric.unlearn import build_unlearner
    from mneme.memories.parametric.unlearn.damage import damage

    if facts_of(row).get("facts") and row.method != IMPORTED:
        raise InvalidInputError(
            "this shard was written from texts of this memory: erase the text, and it is written "
            "again without it, exactly"
        )
    plugin = build_unlearner(wanted.method)
    weights = models.weights(engine)
    held = weights.unpacked(path, row.id)
    forget = _lessons(engine, wanted.statements, name="statements")
    kept = _lessons(engine, wanted.retain, name="retain")
    done = plugin.unlearn(engine, held.adapter, forget, kept, seed=0)
    probes = unrelated_prompts(engine)
    measured = damage(engine, held.adapter, done.adapter, forget, kept, probes)
    header = Tuned(
        sources=(), base=weights.base, carrier=done.adapter.carrier, form="fp32",
        cube_id=row.id, method=IMPORTED, facts=len(held.ledger),
        extra={"approximate": True, "unlearner": wanted.method, "damage": damage_in(measured),
            "figures": dict(done.figures)},
    )  # fmt: skip
    after, text = keep_unproven(models.vault, path, done.adapter, held.ledger, header)
    models.let_go(path)
    return models.vault.reader.show(path, after, text)


def _lessons(engine: Engine, said: Sequence[Mapping[str, str]], *, name: str) -> tuple[Lesson, ...]:
    from mneme.memories.parametric.course import answer_tokens, prompt_tokens
    from mneme.memories.parametric.training import Lesson

    lessons = []
    for number, each in enumerate(said):
        prompt, answer = each.get("prompt"), each.get("answer")
        if not isinstance(prompt, str) or not isinstance(answer, str):
            raise InvalidInputError(f"{name} takes a list of {{'prompt', 'answer'}}")
        lessons.append(Lesson(prompt_tokens(engine, prompt), answer_tokens(engine, answer), number))
    if not lessons:
        raise InvalidInputError(f"{name} must not be empty")
    return tuple(lessons)


def figures_of(gate: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a gate's report, by name of the check."""
    checks = gate.get("checks", ())
    return {each["name"]: each["value"] for each in checks if each.get("value") is not None}


def damage_in(measured: Damage) -> dict[str, Any]:
    """What an unlearner did, as JSON."""
    return {
        "label": measured.label,
        "before": measured.before._asdict(),
        "after": measured.after._asdict(),
        "logp": measured.logp,
        "never_logp": measured.never_logp,
        "relearned": measured.relearned,
    }
