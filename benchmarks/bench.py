"""Measure the workflow in a scratch copy of this checkout and print medians; `make bench`.

Cold: `snakemake paper` with the environment present and nothing built. No-op: the same again. Prose: one sentence added
to the discussion. Raw: one value changed in one centre's export. Plain: the same computations in one Python process
(benchmarks/plain_process.py). Peak memory: the largest resident set of any job, children included, from the job
records. Results are written to benchmarks/results.json and, as a table, to benchmarks/results.md.
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

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {
    "cold": ("cold `make paper`", 90.0),
    "no-op": ("no-op", 2.5),
    "prose": ("prose edit to HTML, PDF and DOCX", 8.0),
    "raw": ("edit of one raw file", None),
    "plain": ("plain Python process", None),
}


def timed(command: list[str], folder: Path) -> float:
    """Return the wall time of a command in seconds; its output is shown if it fails."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": ""}
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    elapsed = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return elapsed


def round_of(folder: Path, number: int) -> tuple[dict[str, float], float]:
    """Run all scenarios once; return seconds a scenario and the peak memory of any job in MB."""
    snakemake = [str(Path(sys.executable).parent / "snakemake"), "paper", "--quiet", "all"]
    for name in ("results", "logs", ".snakemake", "data/raw/synthetic"):
        shutil.rmtree(folder / name, ignore_errors=True)
    seconds = {"cold": timed(snakemake, folder)}
    seconds["no-op"] = timed(snakemake, folder)
    with (folder / "manuscript" / "_discussion.qmd").open("a", encoding="utf-8") as stream:
        stream.write(f"\nThis sentence was added by the benchmark, round {'abcdefghij'[number % 10]}.\n")
    seconds["prose"] = timed(snakemake, folder)
    records = [json.loads(path.read_text()) for path in (folder / "results").glob("*/records/*/*.json")]
    peak = max(record["peak_memory_mb"] for record in records)
    site = yaml.safe_load((folder / "config/cohorts/synthetic/sites/us01.yaml").read_text(encoding="utf-8"))
    raw = folder / "data" / "raw" / "synthetic" / "us01" / site["tables"]["patients"]["file"]
    content = raw.read_bytes()
    first, second, *rest = content.split(b"\n")
    raw.write_bytes(b"\n".join([first, *rest[:1], second, *rest[1:]]))
    seconds["raw"] = timed(snakemake, folder)
    seconds["plain"] = timed([sys.executable, "benchmarks/plain_process.py"], folder)
    return seconds, peak


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    measured: dict[str, list[float]] = {name: [] for name in TARGETS}
    peaks = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "copy"
        ignore = shutil.ignore_patterns(
            "results", "logs", ".snakemake", ".git", ".venv", "raw", "__pycache__", ".hypothesis"
        )
        shutil.copytree(ROOT, folder, ignore=ignore)
        for number in range(runs):
            seconds, peak = round_of(folder, number)
            peaks.append(peak)
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
            f"| {label} | {statistics.median(values):.1f} s | {min(values):.1f} to {max(values):.1f} s | {goal} |"
        )
    lines.append(
        f"| cold / plain process | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | <= 1.5 |"
    )
    lines.append(f"| peak memory of any job | {max(peaks):.0f} MB | | <= 1000 MB |")
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    here = ROOT / "benchmarks"
    (here / "results.md").write_text(text, encoding="utf-8")
    (here / "results.json").write_text(
        json.dumps({"seconds": measured, "ratio": ratios, "peak_memory_mb": peaks}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
