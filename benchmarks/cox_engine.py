"""Measure Cox fits per second: this package's engine against lifelines, scikit-survival, `survival` and R.

    python benchmarks/cox_engine.py [--sizes 128 2000 200000] [--out benchmarks]

All engines get the same data (8 covariates, months with ties, half censored, Efron ties) in memory; imports, reading
and Rscript's start are not counted. The coefficients are compared, so that nothing is fast by being wrong. An engine
that is not installed is left out, and the reason printed. Writes cox_engine.json and cox_engine.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from sorafenib_rfa.stats.cox import CoxDesign, cox_fit

COVARIATES = 8
NAMES = [f"x{j}" for j in range(1, COVARIATES + 1)]
SECONDS = 2.0  # at most, per engine and size, beyond the first fit

R_SCRIPT = r"""
suppressPackageStartupMessages(library(survival))
a <- commandArgs(trailingOnly = TRUE)
n <- as.integer(a[2]); budget <- as.numeric(a[3]); p <- as.integer(a[4])
d <- as.data.frame(matrix(readBin(a[1], "double", n * (p + 2)), n))
names(d) <- c("time", "event", paste0("x", 1:p))
median_ms <- function(f) {
  f()
  spent <- c(); begun <- proc.time()[["elapsed"]]
  batch <- if (n <= 5000) 20 else 1 # the clock ticks in milliseconds
  while (length(spent) < 3 || proc.time()[["elapsed"]] - begun < budget) {
    t <- proc.time()[["elapsed"]]
    for (i in seq_len(batch)) f()
    spent <- c(spent, (proc.time()[["elapsed"]] - t) / batch)
    if (length(spent) >= 3 && sum(spent) * batch > budget) break
  }
  1000 * median(spent)
}
form <- as.formula(paste("Surv(time, event) ~", paste0("x", 1:p, collapse = " + ")))
x <- as.matrix(d[, -(1:2)]); y <- Surv(d$time, d$event); control <- coxph.control()
core <- function() coxph.fit(x, y, NULL, NULL, NULL, control, NULL, "efron", NULL, resid = FALSE)
cat(median_ms(function() coxph(form, d)), median_ms(core), format(coef(coxph(form, d)), digits = 15), sep = "\n")
cat("\n", R.version.string, " survival ", as.character(packageVersion("survival")), "\n", sep = "")
"""


def simulate(n: int) -> pd.DataFrame:
    """Return n people: months in tenths (ties), half censored, 8 covariates of which 3 are binary."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, COVARIATES))
    x[:, :3] = x[:, :3] > 0
    failure = rng.exponential(24 * np.exp(-x @ np.linspace(0.4, -0.3, COVARIATES)))
    censoring = rng.exponential(24, n)
    time_months = np.maximum(np.round(np.minimum(failure, censoring), 1), 0.1)
    frame = pd.DataFrame(x, columns=NAMES)
    return frame.assign(time=time_months, event=(failure <= censoring).astype(int))


def median_ms(run: Callable[[], object]) -> float:
    """Return the median wall time of a fit in milliseconds."""
    run()
    spent: list[float] = []
    while len(spent) < 3 or (sum(spent) < SECONDS and len(spent) < 500):
        begun = time.perf_counter()
        run()
        spent.append(time.perf_counter() - begun)
        if sum(spent) > 4 * SECONDS:
            break
    return 1000 * float(np.median(spent))


def measure(frame: pd.DataFrame) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """Return the time of each engine in ms, its largest difference in coefficients from ours, and who is absent."""
    x, months, event = frame[NAMES].to_numpy(), frame["time"].to_numpy(), frame["event"].to_numpy()
    times: dict[str, float] = {}
    apart: dict[str, float] = {}
    absent: dict[str, str] = {}
    ours = cox_fit(x, months, event)

    def add(name: str, run: Callable[[], object], coefficients: Callable[[], np.ndarray]) -> None:
        times[name] = median_ms(run)
        apart[name] = float(np.abs(np.asarray(coefficients()) - ours.coef).max())

    add("this package, cox_fit", lambda: cox_fit(x, months, event), lambda: ours.coef)
    add(
        "this package, with robust variance",
        lambda: cox_fit(x, months, event, robust=True),
        lambda: cox_fit(x, months, event, robust=True).coef,
    )
    design = CoxDesign.prepare(x, months, event)
    drawn = np.random.default_rng(1).multinomial(len(frame), np.full(len(frame), 1 / len(frame)))
    times["this package, one bootstrap refit"] = median_ms(
        lambda: design.coefficients(multiplicity=drawn, init=ours.coef)
    )
    try:
        from lifelines import CoxPHFitter

        columns = frame[[*NAMES, "time", "event"]]
        add(
            "lifelines",
            lambda: CoxPHFitter().fit(columns, "time", "event"),
            lambda: CoxPHFitter().fit(columns, "time", "event").params_[NAMES].to_numpy(),
        )
    except ImportError as missing:
        absent["lifelines"] = str(missing)
    try:
        from sksurv.linear_model import CoxPHSurvivalAnalysis
        from sksurv.util import Surv

        outcome = Surv.from_arrays(event == 1, months)
        add(
            "scikit-survival",
            lambda: CoxPHSurvivalAnalysis(ties="efron").fit(x, outcome),
            lambda: CoxPHSurvivalAnalysis(ties="efron").fit(x, outcome).coef_,
        )
    except ImportError as missing:
        absent["scikit-survival"] = str(missing)
    try:
        import survival

        formula = f"Surv(time, event) ~ {' + '.join(NAMES)}"
        data = {name: frame[name].to_numpy() for name in frame}
        add(
            "survival (PyPI)",
            lambda: survival.coxph(formula, data),
            lambda: np.asarray(survival.coxph(formula, data).coefficients, dtype=float),
        )
    except ImportError as missing:
        absent["survival (PyPI)"] = str(missing)
    rscript = shutil.which("Rscript")
    if rscript is None:
        absent["R"] = "Rscript is not on PATH"
    else:
        with tempfile.TemporaryDirectory() as folder:
            binary, script = Path(folder) / "data.bin", Path(folder) / "time.R"
            frame[["time", "event", *NAMES]].to_numpy(dtype=float).T.tofile(binary)
            script.write_text(R_SCRIPT)
            lines = subprocess.run(
                [rscript, "--vanilla", str(script), str(binary), str(len(frame)), str(SECONDS), str(COVARIATES)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split("\n")
        times["R coxph"], times["R coxph.fit (no formula, no residuals)"] = float(lines[0]), float(lines[1])
        apart["R coxph"] = float(np.abs(np.array(lines[2 : 2 + COVARIATES], dtype=float) - ours.coef).max())
    return times, apart, absent


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 2000, 200_000])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    results = {}
    for n in args.sizes:
        times, apart, absent = measure(simulate(n))
        results[str(n)] = {"median_ms": times, "largest_coefficient_difference": apart, "absent": absent}
        for name, reason in absent.items():
            print(f"n={n}: {name} left out: {reason}")
        for name, milliseconds in times.items():
            print(f"n={n:>7} {name:<40} {milliseconds:10.2f} ms {1000 / milliseconds:10.1f} fits/s")
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, NumPy {version('numpy')}"
    args.out.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "covariates": COVARIATES, "results": results}
    (args.out / "cox_engine.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    text = table(results, machine)
    print("\n" + text)
    (args.out / "cox_engine.md").write_text(text, encoding="utf-8")


def table(results: dict[str, dict], machine: str) -> str:
    """Return the measurements as a Markdown table."""
    engines = list(dict.fromkeys(name for r in results.values() for name in r["median_ms"]))
    lines = [
        f"Median milliseconds per Cox fit, {COVARIATES} covariates, Efron ties ({machine}).",
        "",
        "| engine | " + " | ".join(f"n = {int(n):,}" for n in results) + " |",
        "|---|" + "---:|" * len(results),
    ]
    for name in engines:
        cells = [r["median_ms"].get(name) for r in results.values()]
        lines.append(f"| {name} | " + " | ".join("" if c is None else f"{c:,.2f}" for c in cells) + " |")
    ours = "this package, cox_fit"
    for engine, words in (
        ("lifelines", "as fast as lifelines; to reach at n = 128 to 2,000: 20"),
        ("R coxph", "as fast as R's `coxph`; to reach at n = 128 to 2,000: 2"),
        ("R coxph.fit (no formula, no residuals)", "as fast as R's `coxph.fit`; to reach: 0.2"),
    ):
        ratios = [
            f"{r['median_ms'][engine] / r['median_ms'][ours]:.1f} (n = {int(n):,})"
            for n, r in results.items()
            if engine in r["median_ms"]
        ]
        if ratios:
            lines += ["", f"Times {words}. Found: {', '.join(ratios)}."]
    differences = [
        d for r in results.values() for name, d in r["largest_coefficient_difference"].items() if name[0] == "R"
    ]
    if differences:
        lines += ["", f"Largest difference of a coefficient from R's `coxph`: {max(differences):.1e}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
