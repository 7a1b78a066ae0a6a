"""Measure what it costs to hand a job over, on this machine and to a real Slurm on it; part of `make bench`.

The same jobs, each of which only writes a line, run three ways in one go: by Snakemake on this machine, as Slurm jobs
of their own, and as Slurm jobs in groups of the size that profiles/slurm declares. The cost of a job is the wall time
of the run less that of a call with nothing to do, divided by the number of jobs, side by side on two cores as they are.
The cluster is that of the tests (tests/cluster), the profiles are the shipped ones. Results are written to
benchmarks/slurm_overhead.json and, as a table, to benchmarks/slurm_overhead.md; where Slurm is not installed, nothing
is measured and it is said.
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

# a rule that the shipped profile groups, named as the real one, and one that it does not know
SNAKEFILE = """
rule all:
    input: expand("out/{{number}}.txt", number=range({jobs}))

rule {rule}:
    output: "out/{{number}}.txt"
    resources: mem_mb=400, runtime=2
    shell: "echo {{wildcards.number}} > {{output}}"
"""
GROUPED, ALONE = "ingest_site", "write_a_line"
PROFILES = [ROOT / "profiles/default", ROOT / "profiles/slurm", ROOT / "profiles/slurm/site.example.yaml"]


def seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Return the wall time of a command; what it said is shown if it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    elapsed = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return elapsed


def cost_of_a_job(rule: str, jobs: int, command: list[str], environment: dict[str, str]) -> float:
    """Return seconds a job, of `jobs` jobs of a rule, beyond those of a call with nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Snakefile").write_text(SNAKEFILE.format(rule=rule, jobs=jobs), encoding="utf-8")
        busy = seconds(command, folder, environment)
        return (busy - seconds(command, folder, environment)) / jobs


def ways(cluster: Slurm, plugin: Layered) -> dict[str, tuple[str, list[str], dict[str, str]]]:
    """Return rule, command and environment of each way to run the jobs."""
    at_login = plugin.environment()
    at_login |= {"SLURM_CONF": str(cluster.config)}
    at_login["PATH"] = os.pathsep.join([str(plugin.bin), str(cluster.folder / "bin"), os.environ["PATH"]])
    profiles = [str(part) for path in PROFILES for part in ("--profile", path)]
    to_slurm = [str(plugin.snakemake), "--workflow-profile", "none", *profiles]
    here = [str(plugin.snakemake), "--workflow-profile", "none", "--profile", str(PROFILES[0])]
    return {
        "this machine, 2 cores": (ALONE, [*here, "--cores", "2"], at_login),
        "Slurm, a submission each": (ALONE, to_slurm, at_login),
        "Slurm, grouped by the profile": (GROUPED, to_slurm, at_login),
    }


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    missing = missing_programs()
    if missing:
        print(f"not measured: Slurm is not installed, no {', '.join(missing)}")
        return
    measured: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="sorafenib-rfa-bench-") as scratch:
        cluster = Slurm(Path(tempfile.mkdtemp(prefix="sorafenib-rfa-slurm-")))
        guard = cluster.guard()
        try:
            cluster.up()
            chosen = ways(cluster, layered(Path(scratch) / "plugin", "slurm"))
            for _ in range(arguments.runs):
                for name, (rule, command, environment) in chosen.items():
                    measured.setdefault(name, []).append(cost_of_a_job(rule, arguments.jobs, command, environment))
        finally:
            guard.stdin.close()
            guard.wait(timeout=60)
    lines = [
        f"Seconds a job beyond a call with nothing to do; medians of {arguments.runs} runs of {arguments.jobs} jobs "
        f"that write a line each, in one go on {os.cpu_count()} cores ({platform.machine()}, Python "
        f"{platform.python_version()}), Slurm with two nodes of two cores on the same two.",
        "",
        "| how | s a job | min to max |",
        "|---|---:|---:|",
        *(
            f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} to {max(values):.2f} |"
            for name, values in measured.items()
        ),
    ]
    stored = ROOT / "benchmarks" / "slurm_overhead.json"
    content = {"jobs": arguments.jobs, "seconds_a_job": measured}
    stored.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    stored.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
