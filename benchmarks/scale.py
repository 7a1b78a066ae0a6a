"""Measure the cohort path, from raw exports to weighted estimates, at growing numbers of patients; `make bench-scale`.

For each decade a synthetic cohort `scale` is written into a scratch copy of this checkout: sixteen centres at every
decade, so that the number of jobs is the same, in the four shipped CSV dialects, with patients, ablations, dosing
intervals, imaging and baseline laboratory values, and with errors at the shipped rates. Then Snakemake runs the real
rules on two cores: `ingest_site`, `clean_cohort`, `build_adam`, `estimate_flow`, `estimate_baseline` (propensity score,
overlap weights, balance) and `estimate_efficacy` (weighted Kaplan-Meier curves, weighted Cox models with robust
variance). The plan is the shipped one but for its bootstrap, which is left out, and with it the weighted restricted
means, whose intervals rest on it.

Wall time is that of the Snakemake call, its own start included. Memory is sampled every 0.2 s: the resident sets of
Snakemake and of all it started, added up (pages that processes share count in each, so the sum is an upper limit), and
the largest sum within one job. CPU and peak memory of each job are those of its record. The growth exponent is the
slope of log wall time over log patients; as every run pays the same start, that of the last two decades is given too.
Results: benchmarks/scale.json and, as tables, benchmarks/scale.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

ROOT = Path(__file__).resolve().parent.parent
COHORT = "scale"
CORES = 2
SEED = 20_140_915
MODULES = ["treatment", "ablations", "imaging", "labs"]
ENDPOINTS = ["RFS", "TTR", "OS"]
TARGETS = [f"results/{COHORT}/ard/parts/{part}.parquet" for part in ("flow", "baseline", "efficacy")]
LIMIT_SECONDS, LIMIT_MB, LIMIT_EXPONENT = 600, 8192, 1.1
SAMPLED_EVERY = 0.2
NOT_IN_IT = (
    "adverse events and laboratory values after the ablation, Excel workbooks, parts of the ARD other than flow, "
    "baseline and efficacy, the bootstrap, exhibits and paper"
)


def write_configuration(folder: Path) -> None:
    """Declare the cohort in a copy of the repository: centres in the shipped dialects, the shipped eligibility."""
    from sorafenib_rfa.simulate.scale import REGISTRY_TABLES, scale_sites

    shipped, own = folder / "config/cohorts/synthetic", folder / "config/cohorts" / COHORT
    (own / "sites").mkdir(parents=True)
    cohort = yaml.safe_load((shipped / "cohort.yaml").read_text(encoding="utf-8"))
    cohort |= {"title": "Synthetic registry of a benchmark", "raw": f"data/raw/{COHORT}", "modules": MODULES}
    cohort |= {"endpoints": ENDPOINTS, "notebooks": [], "figures": [], "tables": []}
    _write(own / "cohort.yaml", cohort)
    _write(own / "plan.yaml", {"bootstrap_resamples": 0})
    for site, model in scale_sites().items():
        declared = yaml.safe_load((shipped / "sites" / f"{model}.yaml").read_text(encoding="utf-8"))
        declared["tables"] = {name: table for name, table in declared["tables"].items() if name in REGISTRY_TABLES}
        _write(own / "sites" / f"{site}.yaml", declared)


def _write(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


def write_exports(folder: Path, patients: int, registries: list[int]) -> None:
    """Write raw exports of some of the registries."""
    from sorafenib_rfa.simulate import load_parameters
    from sorafenib_rfa.simulate.scale import write_scale_exports

    parameters = load_parameters(ROOT / "config/cohorts/synthetic/simulation.yaml")
    write_scale_exports(parameters, folder, patients=patients, seed=SEED, registries=registries)


def resident(process: psutil.Process) -> tuple[float, float]:
    """Return the resident sets of a process and its descendants in MB: all together, and the largest job's."""

    def of(one: psutil.Process) -> float:
        try:
            return float(one.memory_info().rss) / 2**20
        except psutil.NoSuchProcess:
            return 0.0

    def family(one: psutil.Process) -> list[psutil.Process]:
        try:
            return [one, *one.children(recursive=True)]
        except psutil.NoSuchProcess:
            return [one]

    try:
        jobs = process.children()
    except psutil.NoSuchProcess:
        jobs = []
    sizes = [sum(map(of, family(job))) for job in jobs]
    return of(process) + sum(sizes), max(sizes, default=0.0)


def run(folder: Path) -> dict[str, float]:
    """Run the path; return seconds, CPU seconds and peak memory in MB."""
    command = [str(Path(sys.executable).parent / "snakemake"), *TARGETS, "--cores", str(CORES)]
    command += ["--config", f"cohort={COHORT}", "--quiet", "progress", "rules"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": ""}
    said = folder / "snakemake.log"
    before = os.times()
    started = time.perf_counter()
    with said.open("wb") as log:
        call = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        process, together, largest = psutil.Process(call.pid), 0.0, 0.0
        while call.poll() is None:
            every, one = resident(process)
            together, largest = max(together, every), max(largest, one)
            time.sleep(SAMPLED_EVERY)
    seconds = time.perf_counter() - started
    after = os.times()
    if call.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{said.read_text(encoding='utf-8')[-4000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": together, "peak_of_a_job_mb": largest}


def rules(folder: Path) -> dict[str, dict[str, float]]:
    """Return seconds, CPU seconds and peak memory of each rule, from the records of its jobs."""
    found: dict[str, dict[str, float]] = {}
    for path in sorted((folder / "results" / COHORT / "records").glob("*/*.json")):
        ran = json.loads(path.read_text(encoding="utf-8"))["run"]
        rule = found.setdefault(path.parent.name, {"jobs": 0, "seconds": 0.0, "longest": 0.0, "peak_mb": 0.0})
        rule["jobs"] += 1
        rule["seconds"] += ran["seconds"]
        rule["longest"] = max(rule["longest"], ran["seconds"])
        rule["peak_mb"] = max(rule["peak_mb"], ran["peak_memory_mb"])
    return found


def measure(patients: int, scratch: Path, exports: Path | None) -> dict[str, Any]:
    """Measure one decade in a copy of its own, with exports made before where `exports` has them."""
    folder = scratch / str(patients)
    ignore = shutil.ignore_patterns(
        "results", "logs", ".snakemake", ".git", ".venv", "raw", "__pycache__", ".hypothesis"
    )
    shutil.copytree(ROOT, folder, ignore=ignore)
    write_configuration(folder)
    raw = folder / "data/raw" / COHORT
    started = time.perf_counter()
    if exports is None:
        with ProcessPoolExecutor(CORES) as pool:
            list(pool.map(write_exports, [raw] * 2, [patients] * 2, [[0, 1], [2, 3]]))
    else:
        shutil.copytree(exports / str(patients), raw)
    made = None if exports else time.perf_counter() - started
    measured = {"patients": patients, "raw_mb": _megabytes(raw), "seconds_of_simulation": made, **run(folder)}
    measured |= {"results_mb": _megabytes(folder / "results"), "rules": rules(folder)}
    shutil.rmtree(folder)
    return measured


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def exponent(decades: list[dict[str, Any]], of: str) -> float:
    """Return the slope of the logarithm of a quantity over the logarithm of the number of patients."""
    sizes = [math.log10(each["patients"]) for each in decades]
    return float(np.polyfit(sizes, [math.log10(each[of]) for each in decades], 1)[0])


def table(decades: list[dict[str, Any]], note: str) -> list[str]:
    """Return the lines of benchmarks/scale.md."""
    largest = decades[-1]
    lines = [
        f"Cohort path on {CORES} cores of {os.cpu_count()} ({platform.machine()}, Python {platform.python_version()}). "
        "Synthetic data; `make bench-scale`. Load is that of others as a run began: where they want the cores too, "
        "wall time is longer than on an idle machine." + (f" {note}" if note else ""),
        "",
        "| patients | raw, MB | wall, s | CPU, s | peak memory, all processes, MB | largest job, MB | load |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for d in decades:
        cells = [
            f"{d[name]:,.0f}"
            for name in ("patients", "raw_mb", "seconds", "cpu_seconds", "peak_mb", "peak_of_a_job_mb")
        ]
        lines.append(f"| {' | '.join(cells)} | {d['load_before']:.1f} |")
    lines.append("")
    if len(decades) > 1:
        wall, cpu = (
            f"{exponent(decades, of):.2f} over all decades, {exponent(decades[-2:], of):.2f} over the last two"
            for of in ("seconds", "cpu_seconds")
        )
        lines += [f"Growth exponent of wall time: {wall}; of CPU time: {cpu}. Limit: {LIMIT_EXPONENT}.", ""]
    lines += [
        f"Limits for 1,000,000 patients: {LIMIT_SECONDS} s and {LIMIT_MB:,} MB.",
        "",
        f"Rules at {largest['patients']:,} patients:",
        "",
        "| rule | jobs | seconds, all jobs | longest job, s | largest job, MB |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| `{name}` | {rule['jobs']} | {rule['seconds']:,.1f} | {rule['longest']:,.1f} | {rule['peak_mb']:,.0f} |"
            for name, rule in sorted(largest["rules"].items())
        ),
        "",
        f"Not in it: {NOT_IN_IT}. Peak memory of all processes is a sum of resident sets sampled every "
        f"{SAMPLED_EVERY} s; pages that processes share are counted in each.",
    ]
    return lines


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, nargs="+", default=[10**3, 10**4, 10**5, 10**6])
    parser.add_argument("--scratch", type=Path, default=None, help="folder for the copies (default: a temporary one)")
    parser.add_argument("--exports", type=Path, help="exports made before, by decade: <folder>/<patients>/<site>/")
    parser.add_argument("--note", default="", help="what a reader should know of the machine while it was measured")
    parser.add_argument("--keep", action="store_true", help="add to the decades that are stored, in place of their own")
    options = parser.parse_args()
    stored = ROOT / "benchmarks" / "scale.json"
    decades = {d["patients"]: d for d in json.loads(stored.read_text())["decades"]} if options.keep else {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        for patients in options.patients:
            load = os.getloadavg()[0]
            decades[patients] = measure(patients, Path(scratch), options.exports) | {"load_before": load}
            found = decades[patients]
            print(f"{patients:,}: {found['seconds']:.1f} s, {found['peak_mb']:,.0f} MB", flush=True)
    measured = [decades[patients] for patients in sorted(decades)]
    machine = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "note": options.note,
    }
    stored.write_text(json.dumps({"machine": machine, "decades": measured}, indent=1) + "\n", encoding="utf-8")
    lines = table(measured, options.note)
    stored.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
