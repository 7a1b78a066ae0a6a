"""Measure the validation study: efficiency on one and two cores, and cohorts a second against lifelines and R.

    python benchmarks/validation_study.py [--out benchmarks] [--cohorts 500] [--compared 7]

Efficiency: seconds that the jobs spend on their cohorts (from their logs) over cores times the seconds of the call of
Snakemake that makes them: what is lost to the start of Snakemake and of Python, to records and digests, and to cores
without a job. Beside it: seconds a cohort in the jobs and in a process alone, which tell what two cores cost each other
(and what else ran on the machine).
Comparison: five estimators of the study, of each cohort the same numbers, by this package, by a loop of lifelines (with
statsmodels' logistic regression) and by an R script (survival, glm), as they would be written with those libraries;
covariates are coded beforehand, so that no engine's coding is counted but ours. Neither library clones, censors and
weights, so those estimators are left out on all sides. Standard errors of weighted restricted means come from 100
resamples everywhere. Estimates are compared, so that nothing is fast by being wrong. Medians of the cohorts, all in one
run. Writes validation_study.json and validation_study.md.
"""

from __future__ import annotations

import os

for _library in ("OPENBLAS", "MKL", "OMP"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # as a job of the study

import argparse  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import yaml  # noqa: E402

from sorafenib_rfa.simulate import load_parameters  # noqa: E402
from sorafenib_rfa.simulate.outcomes import solve_baseline  # noqa: E402
from sorafenib_rfa.simulate.population import draw_centre_log_hazards  # noqa: E402
from sorafenib_rfa.simulate.truth import simulate_patients  # noqa: E402
from sorafenib_rfa.validation.store import SIMULATION, declared_study  # noqa: E402
from sorafenib_rfa.validation.study import Cohort, analyse, observed_cohort, simulate_estimates, varying  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SCREENED = 740
RESAMPLES = 100
COMPARED = ["landmark_overlap", "landmark_iptw", "landmark_unadjusted", "landmark_adjusted", "naive"]
TO_REACH = 85.0

R_SCRIPT = r"""
suppressPackageStartupMessages(library(survival))
a <- commandArgs(trailingOnly = TRUE)
folder <- a[1]; resamples <- as.integer(a[2]); tau <- as.numeric(a[3])
cohorts <- as.integer(a[4]); whole <- as.numeric(a[5])
rmst <- function(time, event, arm, weights, tau) {
  fit <- summary(survfit(Surv(time, event) ~ arm, weights = weights), rmean = tau)$table
  c(fit[2, "rmean"] - fit[1, "rmean"], sqrt(sum(fit[, "se(rmean)"]^2)))
}
for (cohort in seq_len(cohorts) - 1) {
  d <- read.csv(file.path(folder, paste0(cohort, ".csv")))
  every <- read.csv(file.path(folder, paste0(cohort, "-all.csv")))
  x <- as.matrix(d[, grep("^x", names(d))]); set.seed(cohort + 1)
  began <- proc.time()[["elapsed"]]
  one <- cbind(1, x)
  score <- glm.fit(one, d$treated, family = binomial())$fitted.values
  share <- mean(d$treated)
  overlap <- ifelse(d$treated == 1, 1 - score, score)
  iptw <- ifelse(d$treated == 1, share / score, (1 - share) / (1 - score))
  i <- d$inside == 1
  f <- d[i, ]; f$overlap <- overlap[i]; f$iptw <- iptw[i]
  weighted <- coxph(Surv(time, event) ~ treated, f, weights = overlap, robust = TRUE)
  inverse <- coxph(Surv(time, event) ~ treated, f, weights = iptw, robust = TRUE)
  crude <- coxph(Surv(time, event) ~ treated, f)
  terms <- paste(c("treated", grep("^v", names(f), value = TRUE)), collapse = " + ")
  adjusted <- coxph(as.formula(paste("Surv(time, event) ~", terms)), f)
  overlap_means <- rmst(f$time, f$event, f$treated, f$overlap, tau)[1]
  means <- rmst(f$time, f$event, f$treated, rep(1, nrow(f)), tau)
  drawn <- replicate(resamples, {
    k <- sample.int(nrow(d), replace = TRUE)
    s <- suppressWarnings(glm.fit(one[k, ], d$treated[k], family = binomial())$fitted.values)
    w <- ifelse(d$treated[k] == 1, 1 - s, s); j <- d$inside[k] == 1
    rmst(d$time[k][j], d$event[k][j], d$treated[k][j], w[j], tau)[1]
  })
  naive <- coxph(Surv(time, event) ~ ever, every)
  naive_means <- rmst(every$time, every$event, every$ever, rep(1, nrow(every)), whole)
  spent <- proc.time()[["elapsed"]] - began
  se <- function(fit, at = 1) sqrt(vcov(fit)[at, at])
  cat(spent, overlap_means, sd(drawn), coef(weighted), se(weighted), coef(inverse), se(inverse),
      means, coef(crude), se(crude), coef(adjusted)[1], se(adjusted), naive_means, coef(naive), se(naive), "\n")
}
cat(R.version.string, "survival", as.character(packageVersion("survival")), "\n")
"""


def cohorts(number: int) -> list[Cohort]:
    """Return cohorts of the study, scenario waning."""
    declared = declared_study(ROOT, "default")
    parameters = load_parameters(ROOT / SIMULATION, size=SCREENED, scenario="waning")
    centres, hazards = draw_centre_log_hazards(parameters, declared.study.seed), solve_baseline(parameters)
    made = []
    for replicate in range(number):
        patients = simulate_patients(parameters, seed=replicate, centre_log_hazards=centres, hazards=hazards)
        frame = observed_cohort(patients, declared.regions)
        seeds = np.random.SeedSequence(replicate).spawn(2)
        made.append(Cohort(frame, declared.plan, *seeds, RESAMPLES))
    return made


def prepared(cohort: Cohort) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return those at the landmark with their coded covariates (x all, v those that vary), and everybody."""
    at = cohort.landmark
    frame = pd.DataFrame({"treated": at.treated.astype(int), "inside": at.inside.astype(int), "time": 1.0, "event": 0})
    frame.loc[at.inside, "time"], frame.loc[at.inside, "event"] = at.time, at.event.astype(int)
    for prefix, columns in (("x", at.design.x), ("v", varying(at.design.x[at.inside]).columns)):
        source = at.design.x[columns] if prefix == "v" else columns
        for number, name in enumerate(source):
            frame[f"{prefix}{number}"] = source[name].to_numpy()
    time_months, event = cohort.followed("RFS")
    ever = np.isfinite(cohort.days("exposed_from")).astype(int)
    return frame, pd.DataFrame({"time": time_months, "event": event.astype(int), "ever": ever})


def by_lifelines(frame: pd.DataFrame, everybody: pd.DataFrame, tau: float, whole: float) -> list[float]:
    """Return the estimates and standard errors of one cohort, as a user of lifelines would compute them."""
    import statsmodels.api as sm
    from lifelines import CoxPHFitter, KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    columns = [name for name in frame if name.startswith("x")]

    def scores(rows: pd.DataFrame) -> np.ndarray:
        x = sm.add_constant(rows[columns].to_numpy(), has_constant="add")
        return sm.GLM(rows["treated"], x, family=sm.families.Binomial()).fit().fittedvalues

    def overlap(rows: pd.DataFrame) -> np.ndarray:
        score = scores(rows)
        return np.where(rows["treated"] == 1, 1 - score, score)

    def means(rows: pd.DataFrame, arm: str, end: float, weights: np.ndarray | None = None) -> tuple[float, float]:
        value, variance = 0.0, 0.0
        for side, sign in ((1, 1), (0, -1)):
            own = (rows[arm] == side).to_numpy()
            curve = KaplanMeierFitter().fit(
                rows["time"][own], rows["event"][own], weights=None if weights is None else weights[own]
            )
            if weights is None:
                mean, spread = restricted_mean_survival_time(curve, t=end, return_variance=True)
            else:  # whose error is the bootstrap's
                mean, spread = restricted_mean_survival_time(curve, t=end), 0.0
            value, variance = value + sign * mean, variance + spread / own.sum()
        return value, float(np.sqrt(variance))

    def ratio(rows: pd.DataFrame, arm: str, names: list[str], **options: object) -> list[float]:
        fit = CoxPHFitter().fit(rows[[arm, *names, "time", "event"]], "time", "event", **options)
        return [float(fit.params_[arm]), float(fit.standard_errors_[arm])]

    score = scores(frame)
    share = frame["treated"].mean()
    treated = frame["treated"] == 1
    frame = frame.assign(
        overlap=np.where(treated, 1 - score, score), iptw=np.where(treated, share / score, (1 - share) / (1 - score))
    )
    inside = frame[frame["inside"] == 1]
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(RESAMPLES):
        rows = frame.iloc[rng.integers(0, len(frame), len(frame))]
        weights, followed = overlap(rows), (rows["inside"] == 1).to_numpy()
        drawn.append(means(rows[followed], "treated", tau, weights[followed])[0])
    weighted = []
    for name in ("overlap", "iptw"):
        rows = inside[["treated", "time", "event", name]]
        fit = CoxPHFitter().fit(rows, "time", "event", weights_col=name, robust=True)
        weighted += [float(fit.params_["treated"]), float(fit.standard_errors_["treated"])]
    return [
        means(inside, "treated", tau, inside["overlap"].to_numpy())[0],
        float(np.std(drawn, ddof=1)),
        *weighted,
        *means(inside, "treated", tau),
        *ratio(inside, "treated", []),
        *ratio(inside, "treated", [name for name in frame if name.startswith("v")]),
        *means(everybody, "ever", whole),
        *ratio(everybody, "ever", []),
    ]


def compare(number: int) -> dict[str, object]:
    """Return seconds a cohort of each engine, and how far the estimates are apart."""
    made = cohorts(number)
    declared = declared_study(ROOT, "default")
    seconds: dict[str, list[float]] = {"this package": [], "lifelines": []}
    ours: list[list[float]] = []
    theirs: dict[str, list[list[float]]] = {"lifelines": [], "R": []}
    tau, whole = made[0].landmark.tau, float(declared.plan.rmst_horizon_months)
    analyse(made[0].frame, declared.plan, COMPARED, seed=np.random.SeedSequence(0), resamples=RESAMPLES)  # imports
    prepared_cohorts = [prepared(cohort) for cohort in made]
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines on case weights that are no counts
        folder = Path(scratch)
        by_lifelines(*prepared_cohorts[0], tau, whole)  # imports
        for place, (cohort, given) in enumerate(zip(made, prepared_cohorts, strict=True)):
            began = time.perf_counter()
            rows = analyse(
                cohort.frame, declared.plan, COMPARED, seed=np.random.SeedSequence(place), resamples=RESAMPLES
            )
            seconds["this package"].append(time.perf_counter() - began)
            ours.append([number for row in rows for number in row[3:5]])
            began = time.perf_counter()
            theirs["lifelines"].append(by_lifelines(*given, tau, whole))
            seconds["lifelines"].append(time.perf_counter() - began)
            given[0].to_csv(folder / f"{place}.csv", index=False)
            given[1].to_csv(folder / f"{place}-all.csv", index=False)
        (folder / "study.R").write_text(R_SCRIPT, encoding="utf-8")
        done = subprocess.run(
            ["Rscript", "--vanilla", folder / "study.R", folder, *map(str, (RESAMPLES, tau, number, whole))],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    *lines, engine = done.stdout.splitlines()
    found = [[float(value) for value in line.split()] for line in lines]
    seconds["R"] = [row[0] for row in found]
    theirs["R"] = [row[1:] for row in found]
    # estimates stand in even places; standard errors by bootstrap differ by chance
    mine = np.array(ours)[:, ::2]
    apart = {name: float(np.abs(np.array(rows)[:, ::2] - mine).max()) for name, rows in theirs.items()}
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    return {
        "cohorts": number,
        "seconds_a_cohort": medians,
        "cohorts_a_second": {name: 1 / value for name, value in medians.items()},
        "times_as_fast": {name: medians[name] / medians["this package"] for name in ("lifelines", "R")},
        "largest_difference_of_an_estimate": apart,
        "engines": {"lifelines": version("lifelines"), "statsmodels": version("statsmodels"), "R": engine.strip()},
    }


def efficiency(number: int) -> dict[str, object]:
    """Return the efficiency of the study's jobs on one and on two cores."""
    declared = declared_study(ROOT, "default")
    parameters = load_parameters(ROOT / SIMULATION, size=SCREENED, scenario="waning")

    def alone(replicates: range) -> float:
        began = time.perf_counter()
        simulate_estimates(
            parameters, declared.plan, declared.regions, replicates, list(declared.study.estimators),
            seed=declared.study.seed, resamples=declared.study.resamples,
        )  # fmt: skip
        return (time.perf_counter() - began) / len(replicates)

    alone(range(2))
    each = float(np.median([alone(range(first, first + 10)) for first in range(0, 100, 10)]))
    found: dict[str, object] = {"seconds_a_cohort_alone": each, "cohorts_a_job": number}
    for cores in (1, 2):
        jobs = 2 * cores
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "repository"
            skipped = ("results", "logs", ".snakemake", ".git", ".venv", "rules.tsv", "__pycache__", ".hypothesis")
            shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*skipped))
            plan = declared.study.model_dump(mode="json") | {
                "scenarios": ["waning"], "sizes": {SCREENED: number}, "replicates": number * jobs,
            }  # fmt: skip
            (folder / "config/validation.yaml").write_text(yaml.safe_dump({"plans": {"default": plan}}))
            stem = f"results/synthetic/validation/study/default/estimates/waning-{SCREENED}"
            targets = [f"{stem}-{chunk}.parquet" for chunk in range(jobs)]
            began = time.perf_counter()
            subprocess.run(
                [Path(sys.executable).parent / "snakemake", *targets, "--cores", str(cores)],
                cwd=folder, capture_output=True, check=True,
            )  # fmt: skip
            spent = time.perf_counter() - began
            logs = sorted((folder / "logs/synthetic").glob("study_estimates-*.log"))
            computing = [float(re.search(r" cohorts in ([\d.]+) seconds", log.read_text())[1]) for log in logs]  # type: ignore[index]
        assert len(computing) == jobs
        found[f"cores_{cores}"] = {
            "jobs": jobs,
            "seconds": spent,
            "cohorts_a_second": number * jobs / spent,
            "seconds_a_cohort": sum(computing) / (number * jobs),
            "efficiency_percent": 100 * sum(computing) / (cores * spent),
        }
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks")
    parser.add_argument("--cohorts", type=int, default=500, help="cohorts of a job of which the efficiency is measured")
    parser.add_argument("--compared", type=int, default=7, help="cohorts analysed by each engine")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    result = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "load_before": round(load, 2),
        "screened": SCREENED,
        "resamples": RESAMPLES,
        "efficiency": efficiency(asked.cohorts),
        "comparison": compare(asked.compared),
    }
    (asked.out / "validation_study.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = table(result)
    (asked.out / "validation_study.md").write_text(text, encoding="utf-8")
    print(text)


def table(result: dict) -> str:
    """Return the results as Markdown."""
    work, against = result["efficiency"], result["comparison"]
    lines = [
        f"Validation study, {result['screened']} patients screened a cohort, {result['resamples']} resamples "
        f"({result['machine']}, Python {result['python']}; load average before: {result['load_before']}).",
        "",
        "| cores | jobs | cohorts a second | ms a cohort | efficiency | to reach |\n|---|---:|---:|---:|---:|---:|",
        *(
            f"| {cores} | {work[f'cores_{cores}']['jobs']} | {work[f'cores_{cores}']['cohorts_a_second']:.1f} "
            f"| {1000 * work[f'cores_{cores}']['seconds_a_cohort']:.0f} "
            f"| {work[f'cores_{cores}']['efficiency_percent']:.0f}% | {TO_REACH:.0f}% |"
            for cores in (1, 2)
        ),
        "",
        f"All eight estimators; jobs of {work['cohorts_a_job']} cohorts. Efficiency: seconds that the jobs spend on "
        "their cohorts over cores times seconds of the call of Snakemake. In a process alone, in the same run, one "
        f"took {1000 * work['seconds_a_cohort_alone']:.0f} ms.",
        "",
        "| engine | ms a cohort | cohorts a second | times as long as this package |\n|---|---:|---:|---:|",
        *(
            f"| {name} | {1000 * spent:.0f} | {1 / spent:.2f} "
            f"| {spent / against['seconds_a_cohort']['this package']:.1f} |"
            for name, spent in against["seconds_a_cohort"].items()
        ),
        "",
        f"Five estimators ({', '.join(COMPARED)}), {result['resamples']} resamples for the weighted restricted means; "
        f"medians of {against['cohorts']} cohorts. Largest difference of an estimate from this package's: lifelines "
        f"{against['largest_difference_of_an_estimate']['lifelines']:.1e}, R "
        f"{against['largest_difference_of_an_estimate']['R']:.1e}. lifelines {against['engines']['lifelines']}, "
        f"statsmodels {against['engines']['statsmodels']}, {against['engines']['R']}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
