"""The tables of docs/parametric.md, each out of one result; "" where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import parametric_results as results
from measuring import RESULTS, load
from parametric_goals import goals
from parametric_results import made_by, table


def figures() -> str:
    rows = [
        (name, goal, "not measured" if found is None else found.text,
         "-" if found is None else "yes" if found.reached else "**no**")
        for name, goal, found in goals()
    ]  # fmt: skip
    return table(["figure", "reach", "measured, worst seed", "reached"], rows)


def erased() -> str:
    found = load("parametric_end_to_end.json")
    if not found:
        return ""
    head = ["seed", "shards", "answered by weights until", "erase returned after",
            "asked meanwhile", "retrained, CPU", "files looked into", "pieces of tensors sought",
            "found"]  # fmt: skip
    rows = [
        (row["seed"], row["shards"], _ms(row["no_longer_answered_ms"]), _ms(row["erase_took_ms"]),
         sum(row["asked_meanwhile"]), ", ".join(f"{s:.1f} s" for s in row["retrained_cpu_s"]),
         row["left"]["files_looked_into"], row["left"]["pieces_looked_for"],
         row["left"]["pieces_in_files"])
        for row in found["erased"]
    ]  # fmt: skip
    note = (
        "From the call of `erase`, while another thread asks for the fact all the time; one "
        "erasure in each shard, then the rest of the 20 in one call. Others used the machine, too; "
        "the times on a calm one are in the first table."
    )
    return table(head, rows) + made_by(found, note)


def _ms(each: Sequence[float]) -> str:
    return ", ".join(f"{ms:.0f}" for ms in each) + " ms"


def locality() -> str:
    found = load("parametric_locality.json")
    if not found:
        return ""
    rows = found["rows"]
    ways = {"routed": "routed", "always_on_replay": "always on, replay",
            "always_on": "always on, no replay"}  # fmt: skip
    made = []
    for way, said in ways.items():
        for count in sorted({row["facts"] for row in rows}):
            own = [row for row in rows if (row["way"], row["facts"]) == (way, count)]
            made.append((
                said, count,
                *(f"{min(r[name] for r in own):.3f}" for name in
                  ("efficacy", "paraphrase", "locality")),
            ))  # fmt: skip
    picture = "![What the base still knows, by facts written](images/parametric-locality.svg)"
    head = ["how it is used", "facts", "efficacy", "held paraphrase", "base's facts still right"]
    note = (
        "Rank 2, worst of three seeds. Always on: one adapter with all the facts; replay, as it is "
        "by default, of prompts near the facts and everyday ones, none of what is asked. Routed: "
        "shards of at most 50."
    )
    return f"{picture}\n\n{table(head, made)}{made_by(found, note)}"


def kills() -> str:
    found = load("parametric_kills.json")
    if not found:
        return ""
    rows = [
        (row["seed"], row["kills"], row["stores"], f"{row['run_s']:.1f} s", f"{row['steps']:.0f}",
         "; ".join(" ".join(map(str, one["checkpoints"])) or "none" for one in row["of_stores"]),
         ", ".join(str(one["went_on_at"]) for one in row["of_stores"]), len(row["wrong"]))
        for row in found["rows"]
    ]  # fmt: skip
    head = ["seed", "kills", "stores", "a whole run", "its steps",
            "steps of the checkpoints that kills left, by store", "the last run went on at",
            "wrong"]  # fmt: skip
    note = f"{found['what']}. A checkpoint every {found['checkpoint_every_s']} s."
    return table(head, rows) + made_by(found, note)


def gpu() -> str:
    made = []
    for path in sorted(RESULTS.glob("parametric_gpu_*.json")):
        found = load(path.name)
        head = ["optimizer", "peak", "over what was there", "floor", "optimizer's state", "steps/s",
                "tokens/s", "a shard", "right", "held"]  # fmt: skip
        rows = [
            (row["optimizer"] + (", recompute" if row["recompute"] else "")
             + (", distilled" if row["distill"] else ""),
             *(_gb(row[f"{of}_bytes"]) for of in ("peak", "over_weights", "floor", "optimizer")),
             f"{row['steps_per_s']:.2f}", f"{row['tokens_per_s']:,.0f}",
             f"{row['shard_s']:.0f} s, {row['steps']:.0f} steps", _share(row, "right_prompts"),
             _share(row, "right_held"))
            for row in found["rows"]
        ]  # fmt: skip
        made.append(f"{_first(found)}\n\n{table(head, rows)}{made_by(found, _served(found))}")
    return "\n\n".join(made)


def _first(found: dict[str, Any]) -> str:
    return (
        f"{found['what'][0].upper()}{found['what'][1:]}: {found['parameters']:,} parameters, "
        f"adapters of rank {found['rank']} with {found['adapter_parameters']:,}, "
        f"{found['facts']} facts. Others used the machine, too (load "
        f"{found['machine']['load_1min_at_start']:.0f} on {found['machine']['cores']} cores), so "
        "that times are rough:"
    )


def _served(found: dict[str, Any]) -> str:
    served = found["serving"]
    sizes = ", ".join(f"{form} {size:,.0f}" for form, size in found["bytes_for_each_fact"].items())
    ways = "; ".join(
        f"{name}: {ms:.1f} and {served['decode_ms'][name]:.1f} ms"
        for name, ms in served["prefill_ms"].items()
    )
    return (
        f"Bytes for each fact: {sizes}. Swap into a slot from memory: "
        f"{served['swap_from_memory_ms']:.2f} ms. A batch of {served['rows']} rows of "
        f"{served['prompt_tokens']} tokens, prefill and one step of decoding, {ways}."
    )


def _share(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:.2f}" if name in row else "-"


def _gb(size: float) -> str:
    return f"{size / 1e9:.3f} GB"


PARTS: dict[str, Callable[[], str]] = {
    "figures": figures,
    "locality": locality,
    "write": results.write,
    "gate": results.gate,
    "route": results.route,
    "serving": results.serving,
    "erased": erased,
    "unlearn": results.as_it_is("unlearn"),
    "merge": results.as_it_is("merge"),
    "externalise": results.externalise,
    "carriers": results.carriers,
    "optimizers": results.optimizers,
    "kills": kills,
    "gpu": gpu,
}
