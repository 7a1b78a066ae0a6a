"""The sentences of the supplement on the validation study: each wording with the numbers to which it belongs."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from estimates_data import ROOT
from validation_study import DECLARED, WHERE, performance, study_rows

from sorafenib_rfa.manuscript.claims import Claims, load_claims, parse_claim
from sorafenib_rfa.validation.cells import cells_ard
from sorafenib_rfa.validation.stored import Stored, study_ard

TEXT = (ROOT / "manuscript/_appendix_validation.qmd").read_text(encoding="utf-8")
USED = re.findall(r"\{\{< claim (study_\w+) >\}\}", TEXT)
PRIMARY = {"endpoint": "RFS", "estimator": "ccw_overlap"}


@cache
def claims() -> Claims:
    return load_claims(ROOT / "manuscript/claims.yaml")


def said(name: str, rows: pd.DataFrame, **others: float) -> str:
    """Return the wording of a claim; `others` are values of rows that are not of the study, by alias."""
    claim = parse_claim(claims(), name)
    known: dict[str, dict[str, Any]] = {str(row["ard_id"]): row for row in rows.to_dict("records")}
    aliases = {
        alias: {"value": others[alias]} if alias in others else known[identifier]
        for alias, identifier in claim.ard.items()
    }
    return next(branch.say for branch in claim.branches if branch.predicate is None or branch.predicate.holds(aliases))


def study(changes: dict[str, float], **which: object) -> pd.DataFrame:
    """Return the rows of a study without bias, with coverage of 95%, and with `changes` where `which` holds."""
    table = performance().assign(bias=0.0, bias_mc_se=0.01, coverage=0.95, empirical_se=1.0)
    at = np.logical_and.reduce([np.isin(table[name], wanted) for name, wanted in which.items()]) if which else True
    for column, value in changes.items():
        table[column] = table[column].where(~at if which else False, value)
    return study_rows(table)


def test_every_claim_of_the_study_is_used_and_each_used_one_is_there():
    assert set(USED) == {name for name in claims() if name.startswith("study_")}
    assert len(USED) == len(set(USED))


@pytest.mark.parametrize("name", [name for name in USED if name != "study_resamples"])
def test_nothing_is_claimed_of_a_study_that_was_not_run(name):
    text = said(name, study_rows(not_run=True), here=600.0)
    assert text == parse_claim(claims(), name).branches[0].say
    assert "{{< val" not in text


def test_a_study_made_by_other_code_says_so():
    text = said("study_performed", study_rows())
    assert text.endswith("The code that made it is the code of this paper.")
    rows = study_rows()
    changed = rows.assign(value=rows["value"].where(rows["ard_id"] != "validation.study.code_files_changed", 2.0))
    assert "made by an earlier state of the code" in said("study_performed", changed)


def test_no_bias_is_not_said_to_be_shown_and_not_to_be_absent():
    text = said("study_primary_bias", study({}))
    assert text.startswith("No bias of the primary analysis was shown")
    assert "could have gone unseen" in text
    assert "was not biased" not in text


@pytest.mark.parametrize(
    ("bias", "begins", "further"),
    [
        (0.02, "No bias", ""),  # two Monte Carlo errors in one of twelve cells is what chance does
        (0.06, "The primary analysis was biased", "but by little"),
        (0.25, "The primary analysis was biased", "the largest bias was"),
    ],
)
@pytest.mark.parametrize("measure", ["rmst_difference", "log_hr"])
def test_bias_is_told_by_its_size(measure, bias, begins, further):
    rows = study({"bias": -bias}, **PRIMARY, measure=measure, scenario="harm", screened=300)
    text = said("study_primary_bias", rows)
    assert text.startswith(begins)
    assert further in text
    assert ("but by little" in text) == (bias == 0.06)


def test_right_coverage_of_one_measure_and_high_of_the_other_is_not_called_too_low():
    """Coverage of 95% and, everywhere, of 100% (of 200 cohorts): cautious, whatever one cell does by chance."""
    rows = study({"coverage": 1.0}, **PRIMARY, measure="log_hr")
    text = said("study_primary_coverage", rows)
    assert text.startswith("Its intervals were cautious")
    one_low = performance().assign(bias=0.0, bias_mc_se=0.01, coverage=0.95)
    at = np.logical_and.reduce([one_low[name] == wanted for name, wanted in PRIMARY.items()])
    one_low.loc[at & (one_low["measure"] == "log_hr"), "coverage"] = 1.0
    chance = at & (one_low["measure"] == "rmst_difference") & (one_low["scenario"] == "null")
    one_low.loc[chance & (one_low["screened"] == 300), "coverage"] = 0.95 - 2.1 * 0.0154
    assert said("study_primary_coverage", study_rows(one_low)).startswith("Its intervals were cautious")


def test_coverage_that_is_too_low_is_told():
    rows = study({"coverage": 0.88}, **PRIMARY, measure="rmst_difference", scenario="waning", screened=1500)
    assert said("study_primary_coverage", rows).startswith("Its intervals held the truth less often than they say")
    assert said("study_primary_coverage", study({})).startswith("Nor was the coverage")


MAIN = {"scenario": "waning", "screened": 740, "measure": "rmst_difference", "endpoint": "RFS"}


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({"bias": 0.8, "coverage": 0.85, "coverage_mc_se": 0.01}, "The naive analysis failed"),
        ({"bias": 0.8, "coverage": 0.95, "coverage_mc_se": 0.01}, "The naive analysis overstated"),
        ({"bias": -0.8, "coverage": 0.85, "coverage_mc_se": 0.01}, "The naive analysis understated"),
        ({"bias": 0.01}, "The naive analysis was not shown to be biased"),
    ],
)
def test_the_naive_analysis_is_called_what_it_is(changes, begins):
    assert said("study_naive", study(changes, **MAIN, estimator="naive")).startswith(begins)


def test_estimators_whose_standard_errors_are_wrong_are_named():
    neutral = said("study_other_se", study({}))
    assert neutral.startswith("Over all scenarios and sizes")
    table = performance().assign(bias=0.0, bias_mc_se=0.01, coverage=0.95)
    everywhere = table["measure"] == "log_hr"
    table.loc[everywhere & (table["estimator"] == "time_varying"), ["coverage", "se_error_percent"]] = [0.85, -20.0]
    at = (table["measure"] == "rmst_difference") & (table["estimator"] == "ccw_ate")
    table.loc[at, ["se_error_percent", "se_error_percent_mc_se"]] = [20.0, 2.0]
    text = said("study_other_se", study_rows(table))
    assert text.startswith("Other estimators misjudge their own error")


def test_a_hazard_ratio_that_looks_right_by_chance_of_two_biases_is_not_praised():
    table = performance().assign(bias=0.0, bias_mc_se=0.01, coverage=0.95)
    naive = (table["estimator"] == "naive") & ~((table["scenario"] == "waning") & (table["measure"] == "log_hr"))
    table.loc[naive, "bias"] = 0.3
    assert said("study_naive_cells", study_rows(table)).startswith("Its hazard ratio looks right there")
    table.loc[table["estimator"] == "naive", "bias"] = 0.3
    assert said("study_naive_cells", study_rows(table)).startswith("Over all scenarios and sizes")


@pytest.mark.parametrize(
    ("inverse", "overlap", "begins"),
    [
        (0.1, 0.0, "Inverse probability weights left some bias"),
        (0.0, 0.0, "With either kind of weights no bias"),
        (0.1, 0.1, "With overlap weights the log hazard ratio from the landmark was biased"),
    ],
)
def test_weights_are_judged_by_their_bias(inverse, overlap, begins):
    table = performance().assign(bias=0.0, bias_mc_se=0.01)
    for estimator, bias in (("landmark_iptw", inverse), ("landmark_overlap", overlap)):
        table.loc[table["estimator"] == estimator, "bias"] = bias
    assert said("study_weights", study_rows(table)).startswith(begins)


@pytest.mark.parametrize(("patients", "alike"), [(600.0, True), (678.0, True), (120.0, False), (900.0, False)])
def test_main_cohorts_are_like_the_papers_only_if_they_are(patients, alike):
    text = said("study_size", study({}), here=patients)
    assert ("they are like this paper's" in text) == alike


def test_main_cohorts_of_another_scenario_are_not_like_the_papers():
    kept = performance().query("scenario != 'waning'")
    plan = DECLARED.model_copy(update={"scenarios": ["null", "harm", "strong_confounding"]})
    rows = study_ard(Stored(kept, None, {"computation": {"cpu_seconds": 1.0}}), plan, **WHERE)
    rows = pd.concat([rows, cells_ard(rows, 0.95, **WHERE)])
    assert "differs from them" in said("study_size", rows, here=600.0)


def test_fewer_bootstrap_samples_than_in_the_paper_are_told():
    assert "In one respect they differ" in said("study_resamples", study({}), here=2000.0)
    assert "no fewer than in this paper" in said("study_resamples", study({}), here=100.0)


@pytest.mark.parametrize(
    ("low", "begins"), [(0.05, "was too large"), (-0.15, "was too small"), (-0.005, "was not shown to be wrong")]
)
def test_standard_errors_with_known_weights(low, begins):
    rows = study(
        {"se_error_percent": 100 * low, "se_error_percent_mc_se": 1.0},
        estimator="landmark_overlap", scenario="waning", screened=740, measure="log_hr",
    )  # fmt: skip
    assert begins in said("study_landmark_se", rows)
