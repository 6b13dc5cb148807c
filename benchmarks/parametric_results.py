"""Tables of docs/parametric.md out of the results of single parts; "" where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from measuring import load


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def made_by(found: dict[str, Any], more: str = "") -> str:
    told = found.get("machine", {})
    where = f", on {told['cores']} cores of {told['cpu']}, {told['measured_on']}" if told else ""
    return f"\n\n`{found['command']}`{where}.{' ' + more if more else ''}"


def shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def flat(rows: Sequence[dict[str, Any]], without: Sequence[str] = ()) -> str:
    """Rows as they are in the file: a table for each set of columns."""
    kinds: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        own = {k: v for k, v in row.items() if k not in without and not isinstance(v, dict | list)}
        kinds.setdefault(tuple(own), []).append(own)
    made = []
    for names, own in kinds.items():
        head = [name.replace("_", " ") for name in names]
        made.append(table(head, [[shown(row[name]) for name in names] for row in own]))
    return "\n\n".join(made)


def as_it_is(name: str, *without: str) -> Callable[[], str]:
    def make() -> str:
        found = load(f"parametric_{name}.json")
        if not found:
            return ""
        return flat(found["rows"], without) + made_by(found, f"{found.get('what', '')}")

    return make


def write() -> str:
    found = load("parametric_write.json")
    if not found:
        return ""
    names = ("case", "facts", "wordings", "replayed", "efficacy", "paraphrase", "locality",
             "locality_mean", "bf16_bytes_per_fact", "fp32_bytes_per_fact",
             "cpu_s_per_fact")  # fmt: skip
    return picked(found["rows"], names) + made_by(found, found["what"])


def gate() -> str:
    found = load("parametric_gate.json")
    if not found:
        return ""
    made = []
    for planted in dict.fromkeys(row["planted"] for row in found["rows"]):
        own = [row for row in found["rows"] if row["planted"] == planted]
        failed = dict.fromkeys(row["failed"] or "nothing" for row in own)
        passed = sum(row["passed"] for row in own)
        made.append((planted, f"{passed} of {len(own)}", "; ".join(failed)))
    head = ["planted", "shards that passed", "failed checks"]
    return table(head, made) + made_by(found, "Fresh shards of 50 facts of the judge's world.")


def route() -> str:
    found = load("parametric_route.json")
    if not found:
        return ""
    parts = {name: [row for row in found["rows"] if row["part"] == name]
             for name in ("judge", "everyday", "activations", "speed")}  # fmt: skip
    tables = [
        picked(rows, [name for name in rows[0] if name != "part"])
        for rows in parts.values() if rows
    ]  # fmt: skip
    return "\n\n".join(tables) + made_by(found, found["what"])


def serving() -> str:
    found = load("parametric_serving.json")
    if not found:
        return ""
    rows = [row for row in found["rows"] if "p50_ms" in row]
    made = []
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        cpu = [row["cpu_p50_ms"] for row in own if "cpu_p50_ms" in row]
        made.append((
            what, f"{max(row['p50_ms'] for row in own):.2f}",
            f"{max(row['p95_ms'] for row in own):.2f}", f"{max(cpu):.2f}" if cpu else "-",
        ))  # fmt: skip
    names = [row for row in found["rows"] if "u10_is_bit_identical" in row]
    said = "; ".join(
        f"{what.removeprefix('names ')}: {'as it was' if kept else 'changed'}"
        for what, kept in {row["what"]: row["u10_is_bit_identical"] for row in names}.items()
    )
    note = f"{found['what']}. What became of u10 when u1 was loaded anew: {said}."
    head = ["what", "p50 ms", "p95 ms", "CPU p50 ms"]
    return table(head, made) + made_by(found, note)


def externalise() -> str:
    found = load("parametric_externalise.json")
    if not found:
        return ""
    rows = [{"writer": writer, **figures} for writer, figures in found["worst"].items()]
    return picked(rows, list(rows[0])) + made_by(found, f"{found['what']}; the worst seed.")


def carriers() -> str:
    found = load("parametric_carriers.json")
    if not found:
        return ""
    names = ("carrier", "efficacy", "held_paraphrase", "always_on_locality",
             "near_questions_unchanged", "unseen_subjects_unchanged", "untouched_bit_by_bit",
             "bytes_per_fact_bf16", "write_cpu_s_per_fact", "forward_time_by_base")  # fmt: skip
    return picked(found["worst"], names) + made_by(found, found["what"])


def optimizers() -> str:
    found = load("parametric_optimizers.json")
    if not found:
        return ""
    kinds = [name for name in found["rows"][0] if name.endswith("_bytes")]
    rows = [
        (row["model"], row["trained"], f"{row['weights'] / 1e6:,.1f} M",
         *(size_of(row[kind]) for kind in kinds))
        for row in found["rows"]
    ]  # fmt: skip
    head = ["model", "trained", "weights", *(kind.removesuffix("_bytes") for kind in kinds)]
    more = flat(found["measured"])
    note = f"{found['what']} Counted from shapes; measured, on a block of a model and the judge:"
    return f"{table(head, rows)}{made_by(found, note)}\n\n{more}"


def size_of(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:g}"


def picked(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Some columns of rows, those that a row lacks left empty."""
    more = dict.fromkeys(name for row in rows for name in row if name in names)
    order = [name for name in names if name in more]
    head = [name.replace("_", " ") for name in order]
    return table(head, [[shown(row.get(name)) for name in order] for row in rows])
