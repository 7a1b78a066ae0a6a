"""What the paper says over all cells of the validation study: reckoned again by hand."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from estimates_data import value
from validation_study import (
    COHORTS,
    DECLARED,
    PATIENTS,
    SEAL,
    WHERE,
    WHY,
    intervals,
    performance,
    study_rows,
    with_cell,
)

from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.validation.cells import MAIN_SCENARIO, Cell, Series, Study, cells_ard, every_series
from sorafenib_rfa.validation.stored import Stored, study_ard

PRIMARY = {"endpoint": "RFS", "estimator": "ccw_overlap", "measure": "rmst_difference"}
KEY = "validation.cells_rfs_ccw_overlap.rmst_difference"


def primary():
    table = performance()
    return table[np.logical_and.reduce([table[name] == wanted for name, wanted in PRIMARY.items()])]


def test_cells_are_in_the_order_in_which_they_are_read():
    study = Study.of(study_rows())
    assert [cell.screened for cell in study.cells[:3]] == [300, 740, 1500]
    assert list(dict.fromkeys(cell.scenario for cell in study.cells)) == [
        "null", "waning", "harm", "strong_confounding",
    ]  # fmt: skip
    assert study.main == Cell(MAIN_SCENARIO, 740)
    assert study.series("log_hr")[0].primary
    assert [one.estimator for one in study.series("log_hr")[:-1]] == list(DECLARED.estimators)
    assert study.series("rmst_difference")[-1] == Series("os", "ccw_overlap")


def test_a_scenario_of_ones_own_comes_last_under_its_name():
    rows = study_rows()
    own = rows.assign(ard_id=rows["ard_id"].str.replace(".harm_", ".late_start_", regex=False))
    cells = Study.of(own).cells
    assert cells[-1] == Cell("late_start", 1500)
    assert cells[-1].title == "Late start"


def test_biased_cells_are_counted_and_their_p_value_is_that_of_bonferroni():
    table = performance().assign(bias=0.0, bias_mc_se=0.02)
    at = np.logical_and.reduce([table[name] == wanted for name, wanted in {**PRIMARY, "scenario": "harm"}.items()])
    table.loc[at & (table["screened"] == 740), "bias"] = -0.06  # three Monte Carlo standard errors
    table.loc[at & (table["screened"] == 1500), "bias"] = 0.03
    rows = study_rows(table)
    assert value(rows, f"{KEY}.cells")["value"] == 12
    assert value(rows, f"{KEY}.bias_outside")["value"] == 1
    assert value(rows, f"{KEY}.bias_p")["value"] == pytest.approx(24 * 2 * NormalDist().cdf(-3), rel=1e-9)
    largest = value(rows, f"{KEY}.largest_bias")
    assert largest["value"] == -0.06
    assert (largest["ci_low"], largest["ci_high"]) == pytest.approx((-0.06 - 0.0392, -0.06 + 0.0392), abs=1e-5)
    assert "harm_740" in largest["method"]
    assert value(rows, "validation.cells_rfs_naive.rmst_difference.bias_p")["value"] == 1
    share = 100 * 0.06 / table.loc[at & (table["screened"] == 740), "empirical_se"].iloc[0]
    other = 100 * 0.03 / table.loc[at & (table["screened"] == 1500), "empirical_se"].iloc[0]
    found = value(rows, f"{KEY}.largest_bias_share")
    assert found["value"] == pytest.approx(max(share, other))
    assert found["ci_low"] < found["value"] < found["ci_high"]
    assert value(rows, f"{KEY}.widest_bias")["value"] == pytest.approx(0.0392, abs=1e-4)


def test_coverage_is_held_against_what_right_intervals_would_show():
    """With 200 cohorts a coverage of 95% has a standard error of 1.54 points: 98.1 lies beyond 1.96 of them, 98 not."""
    table = performance().assign(coverage=0.95)
    at = np.logical_and.reduce([table[name] == wanted for name, wanted in PRIMARY.items()])
    for scenario, coverage in (("null", 0.98), ("waning", 0.985), ("harm", 0.91)):
        table.loc[at & (table["scenario"] == scenario) & (table["screened"] == 300), "coverage"] = coverage
    rows = study_rows(table)
    assert value(rows, f"{KEY}.coverage_outside")["value"] == 2
    assert value(rows, f"{KEY}.coverage_below")["value"] == 1
    assert value(rows, f"{KEY}.lowest_coverage")["value"] == pytest.approx(91)
    assert value(rows, f"{KEY}.highest_coverage")["value"] == pytest.approx(98.5)
    z = 4 / np.sqrt(95 * 5 / COHORTS)
    # twelve cells of two measures; the coverage farthest from 95% is also the lowest
    expected = pytest.approx(24 * 2 * NormalDist().cdf(-z), rel=1e-9)
    assert value(rows, f"{KEY}.coverage_p")["value"] == expected
    assert value(rows, f"{KEY}.coverage_low_p")["value"] == expected


def test_what_excludes_no_difference_without_effect_is_told_by_the_hazard_ratios_and_not_by_the_name():
    rejection = primary().query("scenario == 'harm'")["rejection"]
    rows = study_rows(performance().assign(no_effect=performance()["scenario"] == "harm"))
    assert value(rows, f"{KEY}.lowest_rejection")["value"] == pytest.approx(100 * rejection.min())
    assert value(rows, f"{KEY}.highest_rejection")["value"] == pytest.approx(100 * rejection.max())


def test_the_main_cell_is_the_row_of_that_cell_and_patients_are_those_of_the_sizes():
    rows = study_rows()
    for stat in ("bias", "coverage", "rejection", "se_error"):
        main = value(rows, f"validation.main_rfs_naive.log_hr.{stat}")
        own = value(rows, f"validation.study_rfs_naive.waning_740.log_hr.{stat}")
        assert [main[name] for name in ("value", "ci_low", "ci_high", "unit")] == [
            own[name] for name in ("value", "ci_low", "ci_high", "unit")
        ]
    shown = [value(rows, f"validation.cells.{stat}_patients")["value"] for stat in ("fewest", "main", "most")]
    assert shown == pytest.approx([PATIENTS[300], PATIENTS[740], PATIENTS[1500]])


def test_failures_are_added_up():
    table = with_cell("failed", 3, scenario="harm", endpoint="RFS", estimator="time_varying", measure="log_hr")
    rows = study_rows(table)
    assert value(rows, "validation.cells_rfs_time_varying.log_hr.failed")["value"] == 9  # three sizes
    assert value(rows, f"{KEY}.failed")["value"] == 0


def test_the_cell_in_which_most_cohorts_failed_is_named():
    rows = study_rows(with_cell("failed_percent", 3.5, scenario="null", screened=300, **PRIMARY))
    row = value(rows, f"{KEY}.highest_failed_percent")
    assert row["value"] == 3.5
    assert "null_300" in row["method"]


def test_a_cell_without_estimates_is_left_out_and_none_left_is_said():
    gone = performance().copy()
    numbers = [name for name in gone.select_dtypes("number") if name not in ("screened", "failed", "mean_n", "truth")]
    at = np.logical_and.reduce([gone[name] == wanted for name, wanted in PRIMARY.items()])
    gone[numbers] = gone[numbers].astype(float)
    gone.loc[at & (gone["scenario"] == "harm"), numbers] = np.nan
    rows = study_rows(gone.assign(replicates=gone["replicates"].fillna(0).astype(int)))
    collect_ard([rows])
    assert value(rows, f"{KEY}.cells")["value"] == 9
    gone.loc[at, numbers] = np.nan
    rows = study_rows(gone.assign(replicates=gone["replicates"].fillna(0).astype(int)))
    collect_ard([rows])
    assert np.isnan(value(rows, f"{KEY}.cells")["value"])
    assert "too few cohorts" in value(rows, f"{KEY}.bias_p")["method"]


def test_a_study_that_was_not_run_has_the_same_ids_without_values():
    run, missing = study_rows(), study_rows(not_run=True)
    assert set(run["ard_id"]) == set(missing["ard_id"])
    assert missing["value"].isna().all()
    assert missing["method"].str.startswith("not estimable: ").all()
    assert missing["method"].str.contains(WHY).all()
    collect_ard([missing])
    assert Study.of(missing).not_run
    assert not Study.of(run).not_run


def test_an_estimator_that_the_plan_lacks_has_rows_that_say_so():
    kept = performance().query("estimator == 'ccw_overlap'")
    plan = DECLARED.model_copy(update={"estimators": ["ccw_overlap"]})
    rows = cells_ard(study_ard(Stored(kept, intervals(), SEAL), plan, **WHERE), 0.95, **WHERE)
    assert value(rows, f"{KEY}.cells")["value"] == 12
    naive = value(rows, "validation.cells_rfs_naive.log_hr.bias_p")
    assert np.isnan(naive["value"])
    assert naive["method"] == "not estimable: the estimator is not part of the validation study's plan"
    named = {identifier.split(".")[1].partition("_")[2] for identifier in rows["ard_id"] if "cells_" in identifier}
    assert named == {f"{series.endpoint}_{series.estimator}" for series, _ in every_series()}
