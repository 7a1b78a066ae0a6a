"""The stored simulation study as ARD rows: how the estimators do in cohorts whose truth is known."""

from __future__ import annotations

import pandas as pd
from scipy.special import ndtri

from sorafenib_rfa.errors import InputError, Problem
from sorafenib_rfa.estimates.ard import ArdBuilder

ENGINE = "sorafenib_rfa.validation.performance"
MEASURES = {"rmst_difference": "months", "log_hr": "measure"}
"""Measure -> unit of its bias and standard errors."""
PERFORMANCE = {
    # stat: (column, factor, unit or '' for that of the measure, in words)
    "truth": ("truth", 1.0, "", "true value of the scenario"),
    "bias": ("bias", 1.0, "", "mean estimate minus truth"),
    "empirical_se": ("empirical_se", 1.0, "", "standard deviation of the estimates"),
    "model_se": ("model_se", 1.0, "", "root mean square of the estimated standard errors"),
    "coverage": ("coverage", 100.0, "percent", "intervals that hold the truth"),
    "rejection": ("rejection", 100.0, "percent", "intervals that exclude no difference"),
}


def recovery_ard(recovery: pd.DataFrame, *, cohort_name: str, record: str, shown_as: str) -> pd.DataFrame:
    """Return the performance of each design in each scenario, with Monte Carlo intervals.

    Parameters
    ----------
    recovery : DataFrame
        As :func:`sorafenib_rfa.validation.recovery.performance` returns it.
    cohort_name, record : str
        For the ARD.
    shown_as : str
        Path of the file, for messages.

    Returns
    -------
    DataFrame
        ARD rows, part ``validation``: ``recovery_<endpoint>_<design>.<scenario>.<measure>.<stat>`` with `stat` one of
        ``truth, bias, empirical_se, model_se, coverage, rejection``, each with its 95% Monte Carlo interval, and
        ``replicates``; ``validation.recovery.replicates`` and ``.patients`` (mean number analysed) of the whole.

    Raises
    ------
    InputError
        If a column is missing.

    Notes
    -----
    Performance measures and their Monte Carlo standard errors: Morris, White & Crowther, Stat Med 2019;38:2074.
    """
    needed = {"scenario", "endpoint", "design", "measure", "replicates", "mean_n"}
    needed |= {name for column, *_ in PERFORMANCE.values() for name in (column, f"{column}_mc_se")}
    missing = sorted(needed - set(recovery.columns))
    if missing:
        raise InputError([Problem("a column is missing", file=shown_as, column=name) for name in missing])
    builder = ArdBuilder(cohort_name, "validation", record)
    z = float(ndtri(0.975))
    for row in recovery.to_dict("records"):
        common = {
            "variable": row["scenario"],
            "level": row["measure"],
            "population": f"simulated cohorts of the scenario {row['scenario']}",
            "engine": ENGINE,
        }
        analysis = f"recovery_{row['endpoint'].lower()}_{row['design']}"
        count = f"{row['replicates']} simulated cohorts"
        builder.add(analysis, "replicates", row["replicates"], unit="count", method=count, **common)
        for stat, (column, factor, unit, words) in PERFORMANCE.items():
            value, error = factor * row[column], factor * row[f"{column}_mc_se"]
            builder.add(
                analysis,
                stat,
                value,
                ci_low=value - z * error,
                ci_high=value + z * error,
                unit=unit or MEASURES[row["measure"]],
                method=f"{words}, {row['measure']}, {count}; interval from the Monte Carlo standard error",
                **common,
            )
    whole = {"population": "simulated cohorts of all scenarios", "engine": ENGINE}
    least = int(recovery["replicates"].min())
    builder.add("recovery", "replicates", least, unit="count", method="cohorts a scenario", **whole)
    builder.add(
        "recovery",
        "patients",
        float(recovery["mean_n"].mean()),
        unit="measure",
        method="mean number of patients analysed in a cohort",
        **whole,
    )
    return builder.frame()
