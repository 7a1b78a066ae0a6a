"""The validation study over its cells (scenario and size): how its ARD rows are found, and what holds in all of them.

A sentence about all cells cannot be a condition on one row, so what it rests on is a row of its own: in how many cells
the primary analysis is biased beyond Monte Carlo error, where its coverage is lowest, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.validation import UNITS
from sorafenib_rfa.validation.estimators import ESTIMATORS

ENGINE: Final = "sorafenib_rfa.validation.cells"
WHOLE: Final = "validation.study.cohorts"
"""Missing where the repository holds no result of the study as declared."""
SCENARIOS: Final = {
    "null": "No effect",
    "waning": "Effect that wanes",
    "harm": "Harm",
    "strong_confounding": "Strong confounding",
}
"""Scenario -> what it is called; others are called by their names."""
MAIN_SCENARIO: Final = "waning"
"""The scenario of the synthetic cohort, with the middle size: the cell in which all estimators are shown."""
Z: Final = 1.959963984540054
"""Of the Monte Carlo intervals, which are at 95% whatever the level of the study."""
NOT_IN_PLAN: Final = "not estimable: the estimator is not part of the validation study's plan"
_ID: Final = re.compile(
    r"validation\.study_(?P<endpoint>rfs|os)_(?P<estimator>[a-z0-9_]+)\."
    r"(?P<scenario>[a-z0-9_]+)_(?P<screened>\d+)\.(?P<measure>rmst_difference|log_hr)\.(?P<stat>[a-z_]+)"
)


class Cell(NamedTuple):
    """A data-generating mechanism of the study."""

    scenario: str
    screened: int

    @property
    def name(self) -> str:
        """As it stands in ids: ``waning_740``."""
        return f"{self.scenario}_{self.screened}"

    @property
    def title(self) -> str:
        """What the scenario is called."""
        return SCENARIOS.get(self.scenario, self.scenario.replace("_", " ").capitalize())


class Series(NamedTuple):
    """An estimator of an endpoint."""

    endpoint: str
    estimator: str

    @property
    def label(self) -> str:
        """What it is called; the endpoint is named where it is not recurrence-free survival."""
        label = ESTIMATORS[self.estimator].label
        return label if self.endpoint == "rfs" else f"{label.partition(',')[0]}, overall survival"

    @property
    def primary(self) -> bool:
        """Whether this is the primary analysis."""
        return self == PRIMARY


PRIMARY: Final = Series("rfs", "ccw_overlap")


@dataclass(frozen=True)
class Study:
    """The ARD rows of the study, by what they are of.

    Attributes
    ----------
    rows : mapping
        ARD rows by id.
    """

    rows: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, ard: pd.DataFrame) -> Study:
        """Return the study whose rows are in an ARD."""
        own = ard[ard["ard_id"].str.startswith("validation.study")]
        return cls({str(row["ard_id"]): row for row in own.to_dict("records")})

    @cached_property
    def not_run(self) -> str:
        """Why there is no result; empty when there is one."""
        row = self.rows[WHOLE]
        return str(row["method"]) if np.isnan(row["value"]) else ""

    def no_effect(self, cell: Cell) -> bool:
        """Say whether all hazard ratios of a cell's scenario are one."""
        return self.rows[f"validation.study.{cell.scenario}.no_effect"]["value"] == 1

    @cached_property
    def _places(self) -> list[dict[str, str]]:
        return [found.groupdict() for found in map(_ID.fullmatch, self.rows) if found]

    @cached_property
    def cells(self) -> list[Cell]:
        """Scenarios in the order of :data:`SCENARIOS`, sizes ascending within each."""
        order = list(SCENARIOS)
        found = {Cell(place["scenario"], int(place["screened"])) for place in self._places}
        known = [cell for cell in found if cell.scenario in order]
        return [
            *sorted(known, key=lambda cell: (order.index(cell.scenario), cell.screened)),
            *sorted(found.difference(known)),
        ]

    @property
    def main(self) -> Cell:
        """The cell in which all estimators are shown."""
        scenarios = [cell.scenario for cell in self.cells]
        scenario = MAIN_SCENARIO if MAIN_SCENARIO in scenarios else scenarios[0]
        own = [cell for cell in self.cells if cell.scenario == scenario]
        return own[len(own) // 2]

    def series(self, measure: str) -> list[Series]:
        """Return the estimators of a measure in the order of ESTIMATORS, that of overall survival last."""
        found = {Series(p["endpoint"], p["estimator"]) for p in self._places if p["measure"] == measure}
        order = list(ESTIMATORS)
        return sorted(found, key=lambda one: (one.endpoint != "rfs", order.index(one.estimator)))

    def id_of(self, series: Series, cell: Cell, measure: str, stat: str) -> str:
        """Return the id of a row."""
        return f"validation.study_{series.endpoint}_{series.estimator}.{cell.name}.{measure}.{stat}"

    def get(self, series: Series, cell: Cell, measure: str, stat: str) -> Mapping[str, Any]:
        """Return a row.

        Raises
        ------
        KeyError
            If there is none.
        """
        return self.rows[self.id_of(series, cell, measure, stat)]


def every_series() -> Iterator[tuple[Series, str]]:
    """Yield each estimator of each endpoint with each of its measures, whether or not a plan has it."""
    for name, estimator in ESTIMATORS.items():
        for endpoint in estimator.endpoints:
            for measure in estimator.measures:
                yield Series(endpoint.lower(), name), measure


def cells_ard(study_rows: pd.DataFrame, confidence_level: float, *, cohort_name: str, record: str) -> pd.DataFrame:
    """Return what holds over all cells of the study, and the main cell, for each estimator and measure.

    Parameters
    ----------
    study_rows : DataFrame
        ARD rows ``validation.study*``.
    confidence_level : float
        Of the estimators' intervals, from which their coverage should not differ.
    cohort_name, record : str
        For the ARD.

    Returns
    -------
    DataFrame
        ARD rows, part ``validation``. ``cells_<endpoint>_<estimator>.<measure>.<stat>`` with `stat` one of

        * ``cells``, ``failed`` (cohorts without an estimate), ``highest_failed_percent``;
        * ``bias_outside``: cells whose Monte Carlo interval of the bias excludes zero; ``largest_bias``: that bias
          which is farthest from zero in Monte Carlo standard errors, and ``bias_p``, its p value;
          ``largest_bias_share``: the bias that is the largest part of its empirical standard error, as that percentage;
          ``widest_bias``: half the widest Monte Carlo interval of a bias, about what could escape notice;
        * ``lowest_coverage``, ``highest_coverage``; ``coverage_p``, of the coverage farthest from the confidence level,
          and ``coverage_low_p``, of the lowest alone; ``coverage_outside``: cells whose coverage is farther from that
          level than in 95 of 100 studies of right intervals, and ``coverage_below``, those of them that lie below it;
        * ``lowest_se_error``, ``highest_se_error``;
        * ``lowest_rejection``, ``highest_rejection``: shares of intervals that exclude no difference in scenarios whose
          hazard ratios are all one. That is the type I error where the true difference is nought, as it is of overall
          survival; recurrence is seen a little sooner on sorafenib all the same, as patients are examined more often.

        ``main_<endpoint>_<estimator>.<measure>.<stat>``: bias, coverage, rejection and se_error of the main cell, so
        that text need not name it. An estimator that the plan lacks has missing values.
        ``cells.fewest_patients, most_patients, main_patients``: mean number analysed in the smallest, the largest
        and the main cohorts; ``cells.main_wanes``: 1 if the main cell is of :data:`MAIN_SCENARIO`, else 0;
        ``cells.confidence``: the level, percent.

    Notes
    -----
    p values are two-sided, from normal tests, times the number of cells and measures of the estimator, at most 1. The
    truths of a scenario, and patients' chances across scenarios, are shared, so cells are dependent; Bonferroni's
    inequality holds nevertheless.
    """
    study = Study.of(study_rows)
    builder = ArdBuilder(cohort_name, "validation", record)
    for series, measure in every_series():
        if study.not_run or series not in study.series(measure):
            _add_missing(builder, series, measure, study.not_run or NOT_IN_PLAN)
        else:
            _add(builder, study, series, measure, 100 * confidence_level)
    _add_whole(builder, study, 100 * confidence_level)
    return builder.frame()


def _add_whole(builder: ArdBuilder, study: Study, nominal: float) -> None:
    """Add how many patients are analysed in the smallest, the largest and the main cohorts, and what these are."""
    sizes = sorted({cell.screened for cell in study.cells})
    for stat, screened in (("fewest", sizes[0]), ("most", sizes[-1]), ("main", study.main.screened)):
        row = study.rows[f"validation.study.patients.n{screened}"]
        builder.add(
            "cells", f"{stat}_patients", row["value"], unit="measure", method=str(row["method"]), engine=ENGINE,
            population=str(row["population"]),
        )  # fmt: skip
    missing = study.not_run
    for stat, value, unit, said in (
        (
            "main_wanes",
            float(study.main.scenario == MAIN_SCENARIO),
            "measure",
            "whether the main cell has that scenario",
        ),
        ("confidence", nominal, "percent", "confidence level of the intervals"),
    ):
        builder.add(
            "cells", stat, np.nan if missing else value, unit=unit, method=missing or said, engine=ENGINE,
            population="simulated cohorts",
        )  # fmt: skip


_STATS: Final = {
    "cells": "count",
    "failed": "count",
    "highest_failed_percent": "percent",
    "bias_outside": "count",
    "largest_bias": "",
    "widest_bias": "",
    "bias_p": "p",
    "largest_bias_share": "percent",
    "lowest_coverage": "percent",
    "highest_coverage": "percent",
    "coverage_outside": "count",
    "coverage_below": "count",
    "coverage_p": "p",
    "coverage_low_p": "p",
    "lowest_se_error": "percent",
    "highest_se_error": "percent",
    "lowest_rejection": "percent",
    "highest_rejection": "percent",
}
"""Stat over all cells -> its unit; that of the measure where empty."""
_MAIN: Final = {"bias": "", "coverage": "percent", "rejection": "percent", "se_error": "percent"}


def _add_missing(builder: ArdBuilder, series: Series, measure: str, why: str) -> None:
    common = {"variable": measure, "population": "simulated cohorts", "engine": ENGINE, "method": why}
    for kind, stats in (("cells", _STATS), ("main", _MAIN)):
        for stat, unit in stats.items():
            builder.add(
                f"{kind}_{series.endpoint}_{series.estimator}", stat, np.nan, unit=unit or UNITS[measure], **common
            )


def _add(builder: ArdBuilder, study: Study, series: Series, measure: str, nominal: float) -> None:
    from scipy.special import ndtr

    wanted = ("replicates", "failed", "failed_percent", "bias", "empirical_se", "coverage", "se_error", "rejection")
    table = pd.DataFrame(
        {stat: [study.get(series, cell, measure, stat)["value"] for cell in study.cells] for stat in wanted}
    )
    low, high = (
        np.array([study.get(series, cell, measure, "bias")[end] for cell in study.cells], dtype=float)
        for end in ("ci_low", "ci_high")
    )
    cells = np.array([cell.name for cell in study.cells])
    main, none = study.cells.index(study.main), np.array([study.no_effect(cell) for cell in study.cells])
    failed = float(table["failed"].sum())
    # of a cell with hardly an estimate nothing is known
    known = table.notna().all(axis=1).to_numpy()
    if not known.any():
        _add_missing(builder, series, measure, "not estimable: too few cohorts have an estimate")
        return
    places = np.flatnonzero(known)
    table, low, high, none = table[known], low[known], high[known], none[known]
    n_cells = len(table)
    # how far from what should be, in Monte Carlo standard errors; of coverage, in those it has if it is right
    bias_z = np.abs(table["bias"].to_numpy()) / ((high - low) / (2 * Z))
    tests = n_cells * len(ESTIMATORS[series.estimator].measures)
    right = np.sqrt(nominal * (100 - nominal) / table["replicates"].to_numpy())
    coverage_z = (table["coverage"].to_numpy() - nominal) / right
    share = 100 * np.abs(table["bias"].to_numpy()) / table["empirical_se"].to_numpy()
    common = {"variable": measure, "engine": ENGINE}
    everywhere = f"simulated cohorts of all {n_cells} scenarios and sizes"

    def p_of(z: float) -> float:
        return min(1.0, tests * 2 * float(ndtr(-z)))

    def add(stat: str, value: float, said: str, **ends: float) -> None:
        builder.add(
            f"cells_{series.endpoint}_{series.estimator}", stat, value, unit=_STATS[stat] or UNITS[measure],
            method=said, population=everywhere, **common, **ends,
        )  # fmt: skip

    def add_cell(stat: str, place: int, of: str, said: str, *, kind: str = "cells") -> None:
        """Add a row of the study under another name."""
        row = study.get(series, study.cells[place], measure, of)
        missing = np.isnan(row["value"])
        builder.add(
            f"{kind}_{series.endpoint}_{series.estimator}", stat, row["value"], ci_low=row["ci_low"],
            ci_high=row["ci_high"], unit=(_STATS if kind == "cells" else _MAIN)[stat] or UNITS[measure],
            method=str(row["method"]) if missing else f"{said}: that of {cells[place]}; {row['method']}",
            population=row["population"], **common,
        )  # fmt: skip

    def add_extremes(column: str, said: str, rows: np.ndarray) -> None:
        """Add the lowest and the highest value among some of the cells."""
        values = table[column].to_numpy()
        for word, choose in (("lowest", np.argmin), ("highest", np.argmax)):
            at = places[rows][int(choose(values[rows]))]
            add_cell(f"{word}_{column}", int(at), column, f"{word} {said}")

    add("cells", n_cells, "scenarios and sizes")
    add("failed", failed, "cohorts without an estimate, all cells together")
    add("bias_outside", float((bias_z > Z).sum()), "cells whose Monte Carlo interval of the bias excludes zero")
    farthest = int(places[int(np.argmax(bias_z))])
    add_cell("largest_bias", farthest, "bias", "bias farthest from zero in Monte Carlo standard errors")
    add("bias_p", p_of(bias_z.max()), f"no bias in any cell; normal test times {tests}")
    add("widest_bias", float((high - low).max()) / 2, "half the widest Monte Carlo interval of a bias")
    at = int(np.argmax(share))
    spread = 50 * float(high[at] - low[at]) / table["empirical_se"].to_numpy()[at]
    said = f"largest bias as a percentage of the empirical standard error: that of {cells[places[at]]}"
    add("largest_bias_share", share[at], said, ci_low=share[at] - spread, ci_high=share[at] + spread)
    add(
        "coverage_outside",
        float((np.abs(coverage_z) > Z).sum()),
        f"cells whose coverage is not {nominal:g}%, beyond chance",
    )
    add(
        "coverage_below", float((coverage_z < -Z).sum()), f"cells whose coverage lies below {nominal:g}%, beyond chance"
    )
    said = f"coverage of {nominal:g}% in all cells; normal test times {tests}"
    add("coverage_p", p_of(np.abs(coverage_z).max()), said)
    add("coverage_low_p", p_of(-coverage_z.min()), f"{said}, of the lowest coverage")
    most = int(places[int(table["failed_percent"].argmax())])
    add_cell("highest_failed_percent", most, "failed_percent", "most cohorts without an estimate")
    everything = np.arange(n_cells)
    add_extremes("coverage", "coverage", everything)
    add_extremes("se_error", "error of the standard error", everything)
    if none.any():
        add_extremes("rejection", "share that excludes no difference, without effect", np.flatnonzero(none))
    else:
        for word in ("lowest", "highest"):
            add(f"{word}_rejection", np.nan, "not estimable: the plan has no scenario without effect")
    for stat in _MAIN:
        add_cell(stat, main, stat, "the main cell", kind="main")
