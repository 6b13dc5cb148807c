"""Every benchmark, one after another; what needs data that is not there says so and goes on.

Run by `make bench`. The results are JSON under benchmarks/results, the tables and plots in docs.
"""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = (
    ["recall_table.py"],
    ["speed.py"],
    ["footprint.py"],
    ["peers.py"],
    ["embedders.py"],
    ["plot_speed.py"],
    ["amst.py", "--out", str(HERE / "results" / "amst.json")],
    ["pi_llm.py", "--out", str(HERE / "results" / "pi_llm.json")],
    ["supersession.py", "--out", str(HERE / "results" / "supersession.json")],
    ["llm_faults.py"],
    ["consolidation.py"],
    ["granularity.py"],
    ["experience.py"],
    ["bandit.py"],
    ["working.py"],
    ["tasks_and_tables.py"],
    ["memory_types.py"],
    ["kv_exact.py"],
    ["kv_chats.py"],
    ["kv_ttft.py"],
    ["kv_tiers.py"],
    ["kv_codecs.py"],
    ["kv_judges.py"],
    ["kv_compose.py"],
    ["kv_policies.py"],
    ["kv_eviction.py"],
    ["kv_loading.py"],
    ["activation_page.py"],
    ["parametric_write.py"],
    ["parametric_phrasings.py"],
    ["parametric_gate.py"],
    ["parametric_route.py"],
    ["parametric_serving.py"],
    ["parametric_unlearn.py"],
    ["parametric_merge.py"],
    ["parametric_externalise.py"],
    ["parametric_carriers.py"],
    ["parametric_optimizers.py"],
    ["parametric_end_to_end.py"],
    ["parametric_kills.py"],
    ["parametric_picture.py"],
    ["parametric_gpu.py", "--layers", "2", "--words", "8192", "--facts", "6", "--steps", "8",
     "--batch", "8", "--recompute", "--device", "cpu", "--speed-only", "--repeats", "5"],
    ["parametric_page.py"],
    ["summary.py"],
)  # fmt: skip


def main() -> int:
    failed = []
    for script in SCRIPTS:
        started = time.monotonic()
        print(f"== {' '.join(script)}", flush=True)
        if subprocess.run([sys.executable, str(HERE / script[0]), *script[1:]]).returncode:
            failed.append(script[0])
        print(f"== {time.monotonic() - started:.0f} s", flush=True)
    print("failed: " + ", ".join(failed) if failed else "all ran")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
