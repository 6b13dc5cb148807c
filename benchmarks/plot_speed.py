"""Turn benchmarks/results/{speed,footprint,peers}.json into tables and plots.

    python benchmarks/plot_speed.py

Out: what stands between `<!-- name -->` and `<!-- end name -->` in docs/benchmarks-speed.md
is written anew, and docs/benchmarks/*.svg (needs matplotlib, of the dependency group `bench`).
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import measuring

DOC = measuring.REPO / "docs" / "benchmarks-speed.md"
PLOTS = measuring.REPO / "docs" / "benchmarks"
SIZES = {"search_2k": 2_000, "search_10k": 10_000, "search_100k": 100_000}

ORDER = (
    "single_add",
    "search_2k",
    "search_10k",
    "search_100k",
    "search_100_spaces",
    "locomo",
)

SYSTEMS = (
    "mneme",
    "mem0-qdrant",
    "mem0-faiss",
    "langgraph-sqlite",
    "langgraph-inmemory",
    "chroma",
    "floor-numpy",
    "floor-fts5",
    "floor-both",
)

Cells = list[list[str]]


def number(value: float) -> str:
    """Three figures, thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ranged(figure: dict[str, Any], scale: float = 1.0) -> str:
    """Median, and the range of the repeats."""
    low, high = number(figure["min"] * scale), number(figure["max"] * scale)
    return f"{number(figure['median'] * scale)} ({low} to {high})"


def table(head: list[str], rows: Cells) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def verdict(value: float, target: float, *, at_least: bool = False) -> str:
    good = value >= target if at_least else value <= target
    return "yes" if good else "**no**"


def speed_table(speed: dict[str, Any]) -> str:
    rows: Cells = []
    found = speed.get("rows", {})
    for name, target in (("bulk_10k", 4000), ("bulk_100k", 3000)):
        if name in found:
            rows.append(_bulk_row(name, found[name], target))
    if "single_add" in found:
        rows.append(_latency_row("single durable add, p50 ms", found["single_add"], "p50_ms", 2))
    limits = {"search_2k": 6, "search_10k": 12, "search_100k": 45, "search_100_spaces": 6}
    for name, target in limits.items():
        if name in found:
            label = f"{name.replace('_', ' ')}, hybrid, p95 ms"
            rows.append(_latency_row(label, found[name], "p95_ms", target))
    return table(["what", "Mneme", "reach", "reached", "by hand", "times the floor"], rows)


def _bulk_row(name: str, row: dict[str, Any], target: float) -> list[str]:
    ours, hand = row["mneme"]["per_s"], row["hand"]["per_s"]
    label = f"{name.replace('_', ' ')}, turns/s, embedder included"
    reached = verdict(ours["median"], target, at_least=True)
    ratio = f"{hand['median'] / ours['median']:.1f}"
    return [label, ranged(ours), f">= {target:,}", reached, ranged(hand), ratio]


def _latency_row(label: str, row: dict[str, Any], key: str, target: float) -> list[str]:
    ours, hand = row["mneme"][key], row["hand"][key]
    reached = verdict(ours["median"], target)
    ratio = f"{ours['median'] / hand['median']:.1f}"
    return [label, ranged(ours), f"<= {target}", reached, ranged(hand), ratio]


def detail_table(speed: dict[str, Any]) -> str:
    """Every latency measured: wall and CPU, Mneme's modes and each floor."""
    names = {
        "mneme": "Mneme",
        "mneme_lexical": "Mneme, mode lexical",
        "mneme_dense": "Mneme, mode dense",
        "mneme_cold": "Mneme, first search of each namespace",
        "mneme_again": "Mneme, third round",
        "hand": "by hand",
        "scan": "numpy exact scan alone",
        "words": "FTS5 alone, one namespace in the file",
        "words_apart": "FTS5 alone, a table for each namespace",
        "fdatasync": "4 KiB written and fdatasync, nothing else",
    }
    rows = []
    for row in ORDER:
        figures = speed.get("rows", {}).get(row, {})
        for key, label in names.items():
            if isinstance(figures.get(key), dict) and "p50_ms" in figures[key]:
                f = figures[key]
                cells = [ranged(f[k]) for k in ("p50_ms", "p95_ms", "cpu_p50_ms", "cpu_p95_ms")]
                rows.append([row.replace("_", " "), label, *cells])
    head = ["row", "what", "p50 ms", "p95 ms", "CPU p50 ms", "CPU p95 ms"]
    return table(head, rows)


def bulk_table(speed: dict[str, Any]) -> str:
    rows = []
    for row in ("bulk_10k", "bulk_100k"):
        labels = {"mneme": "Mneme", "hand": "by hand: rows, vectors, FTS5, embedder"}
        labels["raw"] = "rows and vectors alone, no index, no embedder"
        for key, label in labels.items():
            f = speed.get("rows", {}).get(row, {}).get(key)
            if f:
                disk = ranged(f["disk_mb"]) if "disk_mb" in f else "-"
                cells = [ranged(f["per_s"]), ranged(f["cpu_us_each"]), disk]
                rows.append([row.replace("_", " "), label, *cells])
    return table(["row", "what", "turns/s", "CPU microseconds a turn", "MB on disk"], rows)


def footprint_table(found: dict[str, Any]) -> str:
    head = ["what", "Mneme", "reach", "reached", "floor"]
    rows = _start_rows(found.get("start", {})) + _memory_rows(found.get("memory", {}))
    if packages := found.get("packages"):
        count, size = packages["packages"], packages["installed_mb"]
        table_mb = number(packages["table_mb"])
        largest = sorted(packages["largest_mb"].items(), key=lambda pair: -pair[1])
        base = ", ".join(f"{n} {number(mb)}" for n, mb in largest[:3])
        rows += [
            ["packages that the wheel brings", str(count), "<= 16", verdict(count, 16), "-"],
            [
                f"size, the table ({table_mb} MB) apart", f"{number(size)} MB", "<= 110 MB",
                verdict(size, 110), f"of it {base}",
            ],
        ]  # fmt: skip
    return table(head, rows)


def _start_rows(start: dict[str, Any]) -> Cells:
    lines = (
        ("`import mneme`, inside a started Python", "import_s", 0.1, None),
        ("`mneme --help`, whole process", "help_s", 0.4, "bare_python_s"),
        ("open 10k turns + first search, fresh", "open_and_search_s", 1, "hand_open_and_search_s"),
    )
    rows = []
    for label, key, target, floor in lines if start else ():
        f = start[key]
        beside = f"{number(start[floor]['median'])} s" if floor else "-"
        if floor:
            beside += " (bare Python)" if "bare" in floor else " (by hand)"
        cell = f"{number(f['median'])} s (best {number(f['min'])})"
        rows.append([label, cell, f"<= {target} s", verdict(f["median"], target), beside])
    return rows


def _memory_rows(memory: dict[str, Any]) -> Cells:
    rows = []
    for label, part in (("searching", "searching"), ("adding, peak", "adding")) if memory else ():
        f = max((memory[part][k] for k in memory[part]), key=lambda f: f["median"])
        floor = f"{number(memory['hand_mb']['median'])} MB (by hand)" if part != "adding" else "-"
        cells = [f"{ranged(f)} MB", "<= 400 MB", verdict(f["median"], 400), floor]
        rows.append([f"memory above Python at 100k, {label}", *cells])
    return rows


def peers_table(found: dict[str, Any]) -> str:
    columns = {
        "recall@10": ("recall_at_10", 100),
        "add, one at a time/s": ("add_per_s", 1),
        "add, p50 ms": ("add_p50_ms", 1),
        "batch add/s": ("batch_per_s", 1),
        "search p50 ms": ("search_p50_ms", 1),
        "search p95 ms": ("search_p95_ms", 1),
        "memory MB": ("rss_growth_mb", 1),
        "disk MB": ("disk_mb", 1),
        "open s": ("reopen_s", 1),
    }
    rows = []
    for name, f in in_order(found):
        if "error" in f:
            rows.append([name, "did not run", *["-"] * (len(columns) + 1)])
            continue
        cells = [
            number(f[key]["median"] * scale) if key in f else "-" for key, scale in columns.values()
        ]
        cells[0] += " (in sample)" if f["recall_in_sample"] else ""
        rows.append([name, *cells, durable(f), str(f.get("packages", "-"))])
    return table(["system", *columns, "syncs per add", "packages"], rows)


def in_order(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Systems with their figures: Mneme, the peers, the floors."""
    held = found.get("systems", {})
    return [(name, held[name]) for name in SYSTEMS if name in held]


def durable(figures: dict[str, Any]) -> str:
    """Whether an add survives a kill, and what it asks the disk to keep."""
    if figures["survives_kill"] is not True:
        return "none; gone with the process"
    syncs = figures.get("syncs_per_add")
    if syncs is None:
        return "survives a kill"
    files = [f"{name} {number(count)}" for name, count in syncs.items() if not _beside(name)]
    return ", ".join(files) or "none"


def _beside(name: str) -> bool:
    return name == "(folder)" or name.endswith("-journal")


def spread_table(found: dict[str, Any]) -> str:
    """The peers' figures with their range and CPU time."""
    keys = ("add_p50_ms", "add_cpu_ms", "batch_per_s", "batch_cpu_ms", "search_p50_ms")
    keys += ("search_p95_ms", "search_cpu_p50_ms", "others_share")
    rows = [
        [name, *(ranged(f[key]) if key in f else "-" for key in keys)]
        for name, f in in_order(found)
        if "error" not in f
    ]
    return table(["system", *(key.replace("_", " ") for key in keys)], rows)


def machine_line(facts: dict[str, Any]) -> str:
    return (
        f"{facts['cores']} cores ({facts['cpu']}), {facts['system']}, Python {facts['python']}, "
        f"SQLite {facts['sqlite']}, numpy {facts['numpy']}, OMP_NUM_THREADS={facts['threads']}; "
        f"load at the start {facts['load_1min_at_start']}; {facts['measured_on']}."
    )


def others_line(speed: dict[str, Any]) -> str:
    """How much of the machine others took, row by row."""
    shares = {
        row.replace("_", " "): f["others_share"]
        for row, f in speed["rows"].items()
        if "others_share" in f
    }
    parts = [f"{row} {f['median']:.0%}" for row, f in shares.items()]
    return (
        "Taken by other processes meanwhile (median of the repeats kept): " + ", ".join(parts) + "."
    )


def fill(text: str, parts: dict[str, str]) -> str:
    """Put each part between its two marker lines."""
    for name, body in parts.items():
        marks = rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)"
        text = re.sub(marks, lambda m, b=body: f"{m[1]}{b}\n{m[2]}", text, flags=re.DOTALL)
    return text


def plot_search(speed: dict[str, Any], target: Path) -> None:
    """p95 by number of turns."""
    import matplotlib.pyplot as plt

    lines = {
        "mneme": "Mneme, hybrid",
        "hand": "by hand: numpy scan + FTS5",
        "words": "FTS5 alone",
        "scan": "numpy scan alone",
    }
    rows = {size: speed["rows"][name] for name, size in SIZES.items() if name in speed["rows"]}
    figure, axes = plt.subplots(figsize=(6.4, 4))
    for key, label in lines.items():
        held = {size: row[key]["p95_ms"] for size, row in rows.items() if key in row}
        medians = [f["median"] for f in held.values()]
        errors = [[f["median"] - f["min"] for f in held.values()]]
        errors.append([f["max"] - f["median"] for f in held.values()])
        axes.errorbar(list(held), medians, yerr=errors, marker="o", capsize=3, label=label)
    axes.plot(list(SIZES.values()), [6, 12, 45], "k_", markersize=16, label="to reach")
    axes.set(xscale="log", yscale="log", xlabel="turns in the namespace", ylabel="p95, ms")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(frameon=False)
    finish(figure, target)


def plot_peers(found: dict[str, Any], target: Path) -> None:
    """Four bars for each system; the better end is named."""
    import matplotlib.pyplot as plt

    systems = {n: f for n, f in in_order(found) if "error" not in f}
    panels = {
        "recall@10, % (more is better)": ("recall_at_10", 100, "linear"),
        "search p50, ms (less)": ("search_p50_ms", 1, "log"),
        "single adds/s (more)": ("add_per_s", 1, "log"),
        "memory, MB (less)": ("rss_growth_mb", 1, "linear"),
    }
    figure, grid = plt.subplots(1, 4, figsize=(12, 3.6), sharey=True)
    names = list(systems)[::-1]
    for axes, (title, (key, scale, kind)) in zip(grid, panels.items(), strict=True):
        values = [systems[n][key]["median"] * scale for n in names]
        colours = ["C1" if n == "mneme" else "C7" if n.startswith("floor") else "C0" for n in names]
        bars = axes.barh(names, values, color=colours)
        labels = [number(v) for v in values]
        if key == "recall_at_10":
            seen = [systems[n]["recall_in_sample"] for n in names]
            labels = [f"{v} in sample" if s else v for v, s in zip(labels, seen, strict=True)]
        axes.bar_label(bars, labels, padding=2, fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set_xscale(kind)
        axes.margins(x=0.45)
        axes.spines[["top", "right"]].set_visible(False)
    finish(figure, target)


def finish(figure: Any, target: Path) -> None:
    """Save without dates or random ids, so that the same figures give the same file."""
    import matplotlib.pyplot as plt

    target.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    with plt.rc_context({"svg.hashsalt": "mneme"}):
        figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
    text = "\n".join(line.rstrip() for line in target.read_text(encoding="utf-8").splitlines())
    target.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--doc", type=Path, default=DOC)
    parser.add_argument("--plots", type=Path, default=PLOTS)
    parser.add_argument("--no-plots", action="store_true")
    args = parser.parse_args()
    speed, footprint, peers = (
        measuring.load(f"{name}.json") for name in ("speed", "footprint", "peers")
    )
    parts: dict[str, str] = {}
    if speed:
        parts |= {"speed": speed_table(speed), "bulk": bulk_table(speed)}
        parts |= {"latencies": detail_table(speed), "machine": machine_line(speed["machine"])}
        parts["others"] = others_line(speed)
    if footprint:
        parts["footprint"] = footprint_table(footprint)
    if peers:
        parts |= {"peers": peers_table(peers), "peers spread": spread_table(peers)}
    args.doc.write_text(fill(args.doc.read_text(encoding="utf-8"), parts), encoding="utf-8")
    if not args.no_plots:
        if "search_2k" in speed.get("rows", {}):
            plot_search(speed, args.plots / "search.svg")
        if peers:
            plot_peers(peers, args.plots / "peers.svg")


if __name__ == "__main__":
    main()
