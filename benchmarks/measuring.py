"""Clocks, memory, machine facts and spreads: what every speed benchmark here shares.

Wall time is what a user waits; process CPU time (all threads) is what a busy machine cannot blur.
Both are kept. A figure is the median of its repeats, beside the lowest and the highest.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
CALM = 0.5  # others may take this share of the machine in a repeat that counts as calm
RESULTS = REPO / "benchmarks" / "results"


def percentile(values: Iterable[float], percent: float) -> float:
    """The value at `percent`, nearest rank, of any numbers."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def spread(values: Iterable[float]) -> dict[str, Any]:
    """Median, lowest, highest and number of repeats."""
    kept = [float(v) for v in values]
    return {
        "median": statistics.median(kept),
        "min": min(kept),
        "max": max(kept),
        "repeats": len(kept),
    }


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What `work` returned, its wall seconds and its CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def latencies_ms(calls: Iterable[Callable[[], Any]]) -> tuple[list[float], list[float]]:
    """Wall and CPU milliseconds of each call."""
    wall, cpu = [], []
    for call in calls:
        _, w, c = timed(call)
        wall.append(w * 1e3)
        cpu.append(c * 1e3)
    return wall, cpu


def rss_mb() -> float:
    """Resident memory of this process, in MB (1e6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_rss_mb() -> float:
    """Highest resident memory since the start or the last `reset_peak`.

    VmHWM and not ru_maxrss: the latter is inherited from the parent across exec.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("no VmHWM in /proc/self/status")


def reset_peak() -> None:
    """Let the peak start again from now."""
    Path("/proc/self/clear_refs").write_text("5")


def folder_mb(path: str | Path) -> float:
    """Bytes of all files below a folder, in MB (1e6 bytes)."""
    return sum(f.stat().st_size for f in Path(path).rglob("*") if f.is_file()) / 1e6


def load_average() -> float:
    return os.getloadavg()[0]


def busy_s() -> float:
    """CPU seconds that all processes of the machine have used, all cores together."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = (int(f) for f in fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Others:
    """How much of the machine other processes took while our children ran."""

    def __init__(self) -> None:
        self._started, self._busy = time.perf_counter(), busy_s()
        self._own = self._children_s()

    @staticmethod
    def _children_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def share(self) -> float:
        """0 to 1, of all cores together."""
        took = time.perf_counter() - self._started
        others = busy_s() - self._busy - (self._children_s() - self._own)
        return max(0.0, others / took / (os.cpu_count() or 1))


def wait_for_calm(patience_s: float) -> float:
    """Sleep until others leave enough of the machine, or patience ends; what is left of it."""
    started = time.perf_counter()
    while time.perf_counter() - started < patience_s:
        others = Others()
        time.sleep(3)
        if others.share() < CALM:
            break
    return patience_s - (time.perf_counter() - started)


def calmest(tried: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The repeats in which other processes took least; never chosen by what was measured."""
    return sorted(tried, key=lambda one: one["others_share"])[:count]


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def machine_facts() -> dict[str, Any]:
    """What a reader must know to compare: cores, versions, how busy the machine was."""
    import apsw
    import numpy as np

    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "apsw": apsw.apsw_version(),
        "numpy": np.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS", "unset"),
        "load_1min_at_start": round(load_average(), 2),
        "measured_on": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def save(name: str, data: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write a result file; figures are rounded to what the clock can tell."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(_rounded(data), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def load(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """A result file, or {} where it was not made."""
    path = folder / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return value
