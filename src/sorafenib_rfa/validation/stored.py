"""The stored result of the validation study: whether it is that of the study declared, and its numbers as ARD rows.

The study takes longer than a paper should, so its result lies in the repository (``validation/``) under a seal: which
plan, analysis plan, simulation parameters and regions it is of, which code and packages made it, and the digests of its
files. A result of another study than the declared one is not shown; a file that does not fit its digest stops the job.
Code that changed since does not keep the result from being shown, since most changes change no number: whether they do
is told by recomputing cohorts (:mod:`sorafenib_rfa.validation.store`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from sorafenib_rfa.errors import InputError, Problem, SealError
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN
from sorafenib_rfa.records.record import canonical, seal_of
from sorafenib_rfa.stats.proportions import wilson
from sorafenib_rfa.validation import INTERVALS, SEAL, STORED, TABLE, UNITS
from sorafenib_rfa.validation.estimators import cells

if TYPE_CHECKING:
    from sorafenib_rfa.config.models import Plan, StudyPlan

ENGINE: Final = "sorafenib_rfa.validation.performance"
FORMAT: Final = 1
"""Of the seal."""
PERFORMANCE: Final = {
    # stat: (column, factor, unit or '' for that of the measure, in words)
    "truth": ("truth", 1.0, "", "true value of the scenario"),
    "bias": ("bias", 1.0, "", "mean estimate minus truth"),
    "relative_bias": ("relative_bias_percent", 1.0, "percent", "bias over truth"),
    "empirical_se": ("empirical_se", 1.0, "", "standard deviation of the estimates"),
    "model_se": ("model_se", 1.0, "", "root mean square of the estimated standard errors"),
    "se_error": ("se_error_percent", 1.0, "percent", "how far the model standard error is above the empirical one"),
    "mse": ("mse", 1.0, "measure", "mean squared difference of estimate and truth"),
    "coverage": ("coverage", 100.0, "percent", "intervals that hold the truth"),
    "bias_eliminated_coverage": ("bias_eliminated_coverage", 100.0, "percent", "intervals that hold the mean estimate"),
    "rejection": ("rejection", 100.0, "percent", "intervals that exclude no difference"),
    "failed_percent": ("failed_percent", 1.0, "percent", "cohorts without an estimate"),
}


SHARES: Final = ("coverage", "bias_eliminated_coverage", "rejection", "failed_percent")
"""Of :data:`PERFORMANCE` what is a share of cohorts, with Wilson's interval."""


@dataclass(frozen=True, eq=False)
class Stored:
    """The stored result, as far as it is one of the declared study.

    Attributes
    ----------
    performance, intervals : DataFrame or None
        As :func:`sorafenib_rfa.validation.performance.performance` returns them; None where `not_run` says why.
    seal : dict
        Content of ``study.json``; empty where there is none.
    not_run : str
        Why there is no result of the study as declared, as half a sentence; '' where there is one.
    """

    performance: pd.DataFrame | None
    intervals: pd.DataFrame | None
    seal: Mapping[str, Any]
    not_run: str = ""


def declaration(study: StudyPlan, plan: Plan, simulation: Path, regions: Mapping[str, str]) -> dict[str, Any]:
    """Return what the result of a study depends on, apart from code: two of the same declaration have the same result.

    Parameters
    ----------
    study : StudyPlan
        Into how many jobs it is divided does not count.
    plan : Plan
        Of its analyses.
    simulation : Path
        ``simulation.yaml``.
    regions : mapping
        Site -> region.
    """
    from sorafenib_rfa.simulate import load_parameters

    # size and scenario are the study's own, and comments no parameters
    parameters = load_parameters(simulation).model_dump(mode="json", exclude={"size", "scenario"})
    return {
        "study": {**study.model_dump(mode="json"), "sizes": sorted(study.sizes)},
        "analysis": {
            **plan.model_dump(
                mode="json",
                include={
                    "grace_period_days", "landmark_day", "rmst_horizon_months", "confidence_level", "small_group",
                    "adjustment_set",
                },
            ),
            "covariates": {
                name: plan.covariates[name].model_dump(
                    mode="json", include={"variable", "kind", "transform", "positive", "levels"}
                )
                for name in plan.adjustment_set
            },
        },
        "regions": dict(sorted(regions.items())),
        "simulation_sha256": hashlib.sha256(canonical(parameters)).hexdigest(),
    }  # fmt: skip


_PARTS: Final = {
    "study": "the stored result is of another plan of the study",
    "analysis": "the stored result is of another analysis plan",
    "regions": "the stored result is of sites in other regions",
    "simulation_sha256": "the stored result is of other parameters of the simulation",
}


def load_stored(
    paths: Sequence[Path], study: StudyPlan, plan: Plan, simulation: Path, regions: Mapping[str, str]
) -> Stored:
    """Return the stored result where it is one of the declared study.

    Parameters
    ----------
    paths : sequence of Path
        Those files of :data:`sorafenib_rfa.validation.STORED` that exist.
    study, plan, simulation, regions
        As :func:`declaration`.

    Raises
    ------
    SealError
        If a file is not what the seal says, or the seal not what was written.
    """
    found = {path.name: path for path in paths}
    missing = [name for name in (TABLE, INTERVALS, SEAL) if name not in found]
    if missing:
        return Stored(None, None, {}, f"there is no stored result ({', '.join(missing)} missing)")
    seal = sealed(found)
    declared = declaration(study, plan, simulation, regions)
    for part, said in _PARTS.items():
        if canonical(seal["declared"][part]) != canonical(declared[part]):
            return Stored(None, None, seal, said + _difference(seal["declared"][part], declared[part]))
    table = pd.read_csv(found[TABLE], keep_default_na=False, na_values=[""])  # a scenario is called null
    table = table.assign(reasons=table["reasons"].fillna("").astype(object))
    return Stored(table, pd.read_parquet(found[INTERVALS]), seal)


def sealed(found: Mapping[str, Path]) -> dict[str, Any]:
    """Return the content of the seal, having held it and the files beside it against each other.

    Raises
    ------
    SealError
        As :func:`load_stored`.
    """
    hint = "put the files back as they were (git checkout validation), or run the study and store it anew"
    try:
        seal = json.loads(found[SEAL].read_text(encoding="utf-8"))
        whole = isinstance(seal, dict) and seal.get("seal") == seal_of(seal) and seal.get("format") == FORMAT
    except ValueError:
        whole = False
    if not whole:
        raise SealError(
            Problem(
                "the seal of the validation study is not as it was written",
                file=f"validation/{SEAL}",
                expected=f"format {FORMAT}, and its own digest",
                hint=hint,
            )
        )
    problems = [
        Problem(
            "the stored validation study is not what its seal says",
            file=f"validation/{name}",
            found=f"sha256 {digest}",
            expected=f"sha256 {seal['files'][name]['sha256']}",
            hint=hint,
        )
        for name in (TABLE, INTERVALS)
        if (digest := hashlib.sha256(found[name].read_bytes()).hexdigest()) != seal["files"][name]["sha256"]
    ]
    if problems:
        raise SealError(problems)
    return seal


def _difference(stored: Any, declared: Any) -> str:
    """Return the first thing in which two declarations differ, in brackets, where it is short."""
    if not (isinstance(stored, Mapping) and isinstance(declared, Mapping)):
        return ""
    for key in sorted({*stored, *declared}):
        before, after = stored.get(key), declared.get(key)
        if before != after:
            shown = [json.dumps(value) for value in (before, after)]
            return f" ({key} {shown[0]}, declared {shown[1]})" if max(map(len, shown)) < 60 else f" ({key})"
    return ""


def study_ard(
    stored: Stored, study: StudyPlan, *, cohort_name: str, record: str, code_files_changed: int = 0
) -> pd.DataFrame:
    """Return the performance of each estimator in each scenario and size as ARD rows, with Monte Carlo intervals.

    Parameters
    ----------
    stored : Stored
        The stored result.
    study : StudyPlan
        The declared plan: its rows are there, without value, where the study was not run.
    cohort_name, record : str
        For the ARD.
    code_files_changed : int
        Files of code behind the study that are not as they were when it was run.

    Returns
    -------
    DataFrame
        ARD rows, part ``validation``: ``study_<endpoint>_<estimator>.<scenario>_<screened>.<measure>.<stat>`` with
        `stat` one of :data:`PERFORMANCE`, each with its 95% Monte Carlo interval, and ``replicates`` and ``failed``;
        of the whole ``study.<stat>``: ``cohorts, replicates, fits, failed, scenarios, sizes, estimators, resamples,
        cpu_hours, code_files_changed``, ``study.patients.n<screened>`` (mean number analysed) and
        ``study.<scenario>.no_effect`` (1 where all hazard ratios are one, else 0).

    Raises
    ------
    InputError
        If the table lacks a column.

    Notes
    -----
    Performance measures and their Monte Carlo standard errors: Morris, White & Crowther, Stat Med 2019;38:2074.
    """
    from scipy.special import ndtri

    builder = ArdBuilder(cohort_name, "validation", record)
    if stored.performance is None:
        _add_not_run(builder, study, f"not estimable: the validation study was not run: {stored.not_run}")
        return builder.frame()
    table = stored.performance
    needed = {"scenario", "screened", "endpoint", "estimator", "measure", "replicates", "failed", "mean_n", "no_effect"}
    needed |= {column for column, *_ in PERFORMANCE.values()} | {f"{c}_mc_se" for c, *_ in PERFORMANCE.values()}
    absent = sorted(needed - set(table.columns))
    if absent:
        raise InputError([Problem("a column is missing", file=STORED[0], column=name) for name in absent])
    z = float(ndtri(0.975))
    for row in table.to_dict("records"):
        analysis, common = _place(row)
        count = f"{row['replicates']} simulated cohorts"
        builder.add(
            analysis, "replicates", row["replicates"], unit="count", method=f"{count} with an estimate", **common
        )
        failed = "cohorts without an estimate" + (f" ({row['reasons']})" if row["reasons"] else "")
        builder.add(analysis, "failed", row["failed"], unit="count", method=failed, **common)
        for stat, (column, factor, unit, words) in PERFORMANCE.items():
            value, error = factor * row[column], factor * row[f"{column}_mc_se"]
            said = f"{words}, {row['measure']}, {count}; interval from the Monte Carlo standard error"
            if value != value:
                said = f"not estimable: {words}; " + (
                    "the truth is too near nought" if stat == "relative_bias" else "too few cohorts have an estimate"
                )
            low, high = value - z * error, value + z * error
            if stat in SHARES and value == value:
                of = row["replicates"] + (row["failed"] if stat == "failed_percent" else 0)
                interval = wilson(round(value / 100 * of), of)
                low, high = 100 * interval.ci_low, 100 * interval.ci_high
                said = said.replace("interval from the Monte Carlo standard error", "Wilson's interval")
            builder.add(
                analysis,
                stat,
                value,
                ci_low=low,
                ci_high=high,
                unit=unit or UNITS[row["measure"]],
                method=said,
                **common,
            )
    for variable, stat, value, unit, method in _whole(
        study, table, float(stored.seal["computation"]["cpu_seconds"]), code_files_changed
    ):
        builder.add("study", stat, value, unit=unit, variable=variable, method=method, engine=ENGINE, population=_ALL)
    return builder.frame()


_ALL: Final = "simulated cohorts of all scenarios and sizes"


def _place(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the analysis of a cell and the columns that its rows share."""
    return f"study_{row['endpoint'].lower()}_{row['estimator']}", {
        "variable": f"{row['scenario']}_{row['screened']}",
        "level": row["measure"],
        "population": f"simulated cohorts of {row['screened']} patients screened, scenario {row['scenario']}",
        "engine": ENGINE,
    }


def _whole(
    study: StudyPlan, table: pd.DataFrame | None, cpu_seconds: float, changed: float
) -> list[tuple[str, str, float, str, str]]:
    """Return variable, stat, value, unit and method of the numbers of the whole study; missing without a table."""
    known = table is not None
    cohorts = len(study.scenarios) * len(study.sizes) * study.replicates
    rows: list[tuple[str, str, float, str, str]] = [
        ("", "cohorts", cohorts, "count", "simulated cohorts"),
        ("", "replicates", study.replicates, "count", "cohorts of each scenario and size"),
        ("", "fits", cohorts * len(study.estimators), "count", "cohorts times estimators"),
        ("", "scenarios", len(study.scenarios), "count", "scenarios"),
        ("", "sizes", len(study.sizes), "count", "sizes"),
        ("", "estimators", len(study.estimators), "count", "estimators"),
        ("", "resamples", study.resamples, "count", "bootstrap resamples in each cohort"),
        ("", "cpu_hours", cpu_seconds / 3600, "measure", "processor time of all jobs of the study, hours"),
        (
            "",
            "code_files_changed",
            changed,
            "count",
            "files of code behind the study that have changed since it was run",
        ),
    ]
    for scenario in study.scenarios:
        same = bool(table.loc[table["scenario"] == scenario, "no_effect"].all()) if known else False
        rows.append(
            (scenario, "no_effect", float(same), "measure", "1 where all hazard ratios of the scenario are one")
        )
    failed = int(table["failed"].sum()) if known else 0
    rows.append(("", "failed", failed, "count", "estimates that a cohort did not allow, all measures together"))
    for screened in study.sizes:
        mean = float(table.loc[table["screened"] == screened, "mean_n"].mean()) if known else NAN
        rows.append(
            ("patients", f"n{screened}", mean, "measure", f"mean number analysed of {screened} patients screened")
        )
    return rows


def _add_not_run(builder: ArdBuilder, study: StudyPlan, why: str) -> None:
    """Add the rows of the declared plan without values: text and tables print them."""
    for scenario in study.scenarios:
        for screened in study.sizes:
            for endpoint, estimator, measure in cells(list(study.estimators)):
                analysis, common = _place(
                    {
                        "scenario": scenario,
                        "screened": screened,
                        "endpoint": endpoint,
                        "estimator": estimator,
                        "measure": measure,
                    }
                )
                for stat in ("replicates", "failed"):
                    builder.add(analysis, stat, NAN, unit="count", method=why, **common)
                for stat, (_, _, unit, _) in PERFORMANCE.items():
                    builder.add(analysis, stat, NAN, unit=unit or UNITS[measure], method=why, **common)
    for variable, stat, _, unit, _ in _whole(study, None, NAN, NAN):
        builder.add("study", stat, NAN, unit=unit, variable=variable, method=why, engine=ENGINE, population=_ALL)
