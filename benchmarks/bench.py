"""Measure the workflow in a scratch copy of this checkout and print medians; `make bench`.

Cold: `snakemake paper` with the environment present and nothing built. No-op: the same again. Prose: one sentence added
to the discussion. Centre: one key changed in one centre's configuration. Plain: the same computations in one Python
process (benchmarks/plain_process.py). Peak memory: the largest resident set of any job, children included, from the job
records. Overhead of records and seals: within jobs, the time that the jobs of the cold run spent on them as a share of
all their time, from the records; of a call with nothing to do, the time of what the Snakefile does for them. Results
are written to benchmarks/results.json and, as a table, to benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {
    "cold": ("cold `make paper`", 90.0),
    "no-op": ("no-op", 2.5),
    "prose": ("prose edit to HTML, PDF and DOCX", 8.0),
    "centre": ("edit of one centre's configuration", None),
    "plain": ("plain Python process", None),
    "seals": ("seals and environments checked in a no-op", 0.3),
}
SEALS = """
import time
from pathlib import Path
from sorafenib_rfa.records.code_identity import CACHE, CodeIdentity
from sorafenib_rfa.records.environment import Installed
began = time.perf_counter()
from sorafenib_rfa.records.seals import refuse_broken_seals
root = Path.cwd()
refuse_broken_seals(root)
code = CodeIdentity(root, cache=root / CACHE)
scripts = [path.relative_to(root).as_posix() for path in sorted((root / "workflow/scripts").glob("*.py"))]
for script in scripts:
    code.digest(script)  # would be needed without environments too
middle = time.perf_counter()
installed = Installed(cache=root / ".snakemake" / "requirements.json")
for script in scripts:
    installed.behind(code.imports(script))
ended = time.perf_counter()
digests = CodeIdentity(root, cache=root / CACHE)
again = time.perf_counter()
for script in scripts:
    digests.digest(script)
print(ended - began - (time.perf_counter() - again))
"""
"""What the Snakefile does for seals and environments, without the digests of code that it needs in any case."""


def timed(command: list[str], folder: Path) -> float:
    """Return the wall time of a command in seconds; its output is shown if it fails."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": ""}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    elapsed = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return elapsed


def round_of(folder: Path, number: int) -> tuple[dict[str, float], float, float]:
    """Run all scenarios once; return seconds a scenario, peak memory of any job in MB, share of records and seals."""
    snakemake = [str(Path(sys.executable).parent / "snakemake"), "paper", "--quiet", "all"]
    for name in ("results", "logs", ".snakemake", "data/raw/synthetic"):
        shutil.rmtree(folder / name, ignore_errors=True)
    seconds = {"cold": timed(snakemake, folder)}
    runs = [json.loads(p.read_text())["run"] for p in (folder / "results").glob("*/records/[!f]*/*.json")]
    peak = max(run["peak_memory_mb"] for run in runs)
    share = sum(run["seconds_of_records"] for run in runs) / sum(run["seconds"] for run in runs)
    seconds["no-op"] = timed(snakemake, folder)
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-c", SEALS]
    said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    seconds["seals"] = float(said.stdout)
    with (folder / "manuscript" / "_discussion.qmd").open("a", encoding="utf-8") as stream:
        stream.write(f"\nThis sentence was added by the benchmark, round {'abcdefghij'[number % 10]}.\n")
    seconds["prose"] = timed(snakemake, folder)
    site = folder / "config/cohorts/synthetic/sites/us01.yaml"
    content = site.read_text(encoding="utf-8")
    site.write_text(content + '\nthousands: ","\n', encoding="utf-8")
    seconds["centre"] = timed(snakemake, folder)
    site.write_text(content, encoding="utf-8")
    seconds["plain"] = timed([sys.executable, "benchmarks/plain_process.py"], folder)
    return seconds, peak, share


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    measured: dict[str, list[float]] = {name: [] for name in TARGETS}
    peaks, shares = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "copy"
        ignore = shutil.ignore_patterns(
            "results", "logs", ".snakemake", ".git", ".venv", "raw", "__pycache__", ".hypothesis"
        )
        shutil.copytree(ROOT, folder, ignore=ignore)
        for number in range(runs):
            seconds, peak, share = round_of(folder, number)
            peaks.append(peak)
            shares.append(share)
            for name, value in seconds.items():
                measured[name].append(value)
            print(f"round {number + 1}: " + ", ".join(f"{k} {v:.1f} s" for k, v in seconds.items()), flush=True)
    ratios = [cold / plain for cold, plain in zip(measured["cold"], measured["plain"], strict=True)]
    lines = [
        f"Medians of {runs} on {os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()}).",
        "",
        "| what | median | min to max | to reach |",
        "|---|---|---|---|",
    ]
    for name, (label, target) in TARGETS.items():
        values = measured[name]
        goal = f"<= {target:g} s" if target else ""
        lines.append(
            f"| {label} | {statistics.median(values):.2g} s | {min(values):.2g} to {max(values):.2g} s | {goal} |"
            if name == "seals"
            else f"| {label} | {statistics.median(values):.1f} s | {min(values):.1f} to {max(values):.1f} s | {goal} |"
        )
    lines.append(
        f"| cold / plain process | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | <= 1.5 |"
    )
    low, high = min(shares), max(shares)
    lines.append(
        f"| share of records and seals in the time of all jobs | {statistics.median(shares):.1%} "
        f"| {low:.1%} to {high:.1%} | <= 5% |"
    )
    lines.append(f"| peak memory of any job | {max(peaks):.0f} MB | | <= 1000 MB |")
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    here = ROOT / "benchmarks"
    (here / "results.md").write_text(text, encoding="utf-8")
    (here / "results.json").write_text(
        json.dumps({"seconds": measured, "ratio": ratios, "records": shares, "peak_memory_mb": peaks}, indent=1) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
