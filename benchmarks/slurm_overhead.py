"""Measure what a job costs beyond its work, here and on Slurm, in one run; needs slurm-wlm and munge.

Jobs that do nothing, under the shipped profiles: one, and several that do not rest on each other, run here, as single
Slurm jobs and in groups as the profile groups them. The cost of a job is the time that each further one adds; the first
alone also has the start of Snakemake, its turn in the queue and the wait until its end is noticed. The cluster is a
real Slurm of two nodes on this machine (tests/cluster), which share its cores. Medians of the repeats are written to
benchmarks/slurm_overhead.json and, as a table, to benchmarks/slurm_overhead.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.cluster.slurm import Slurm, missing_programs  # noqa: E402
from tests.layered import Layered, layered  # noqa: E402

SNAKEFILE = """
rule all:
    input: expand("out/{{job}}", job=range({jobs}))

rule {rule}:
    output: "out/{{job}}"
    resources: mem_mb=400, runtime=2
    shell: "touch {{output}}"
"""
HERE = ["--workflow-profile", "none", "--profile", f"{ROOT}/profiles/default"]
FORMS = {
    "here": ("on this machine", "short", HERE),
    "slurm": ("Slurm, each job alone", "short", [*HERE, "--profile", f"{ROOT}/profiles/slurm"]),
    "groups": ("Slurm, in groups of the profile", "ingest_site", [*HERE, "--profile", f"{ROOT}/profiles/slurm"]),
}


def seconds(rule: str, jobs: int, profiles: list[str], environment: Layered, cluster: Slurm) -> float:
    """Return the wall time of one call of Snakemake."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Snakefile").write_text(SNAKEFILE.format(rule=rule, jobs=jobs), encoding="utf-8")
        path = os.pathsep.join([str(environment.bin), cluster.environment["PATH"]])
        variables = {**cluster.environment, "PATH": path}
        began = time.perf_counter()
        done = subprocess.run(
            [str(environment.snakemake), "--quiet", *profiles],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - began
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        return took


def main() -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20, help="jobs that do not rest on each other")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if missing := missing_programs():
        print(f"not measured: Slurm is not installed here (no {', '.join(missing)})")
        return 0
    measured = {form: {"one": [], "several": []} for form in FORMS}
    with tempfile.TemporaryDirectory(prefix="slurm-overhead-") as scratch:
        environment = layered(Path(scratch) / "layered", "slurm")
        cluster = Slurm(Path(scratch) / "cluster")
        guard = cluster.guard()
        try:
            cluster.up()
            for _ in range(arguments.repeats):
                for form, (_, rule, profiles) in FORMS.items():
                    for name, jobs in (("one", 1), ("several", arguments.jobs)):
                        measured[form][name].append(seconds(rule, jobs, profiles, environment, cluster))
        finally:
            guard.stdin.close()
            guard.wait(timeout=60)
    rows = {}
    for form, times in measured.items():
        one, several = statistics.median(times["one"]), statistics.median(times["several"])
        rows[form] = {
            "one_seconds": round(one, 2),
            "several_seconds": round(several, 2),
            "seconds_a_further_job": round((several - one) / (arguments.jobs - 1), 2),
            "runs": times,
        }
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    stored = {"machine": machine, "jobs": arguments.jobs, "repeats": arguments.repeats, "forms": rows}
    text = [
        "# What a job costs beyond its work",
        f"Medians of {arguments.repeats} runs; {machine}; Slurm of two nodes on it. Made by `slurm_overhead.py`.",
        "",
        f"| | one job, s | {arguments.jobs} jobs, s | each further job, s |",
        "|---|---|---|---|",
        *(
            f"| {FORMS[form][0]} | {row['one_seconds']:.1f} | {row['several_seconds']:.1f} "
            f"| {row['seconds_a_further_job']:.2f} |"
            for form, row in rows.items()
        ),
    ]
    (ROOT / "benchmarks/slurm_overhead.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    (ROOT / "benchmarks/slurm_overhead.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
