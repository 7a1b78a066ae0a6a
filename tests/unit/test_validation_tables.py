"""Tables of the validation study: every cell is an ARD row, and a study that was not run says so."""

from __future__ import annotations

import re

import pytest
from estimates_data import PLAN, cohort, value
from validation_study import COHORTS, WHY, performance, study_rows, with_cell

from sorafenib_rfa.errors import NotOfferedError
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.exhibits.tables import make_table

TABLES = ("study_primary", "study_estimators", "study_failures")


def made(name: str, rows=None):
    return make_table(name, ard=study_rows() if rows is None else rows, cohort=cohort(), plan=PLAN)


def cells(table):
    return table.data.pivot(index="row", columns="column", values="text")


def printed(table) -> str:
    return re.sub(r"\[([^\]]*)\]\{[^}]*\}", r"\1", table.markdown).replace("&nbsp;", " ").replace("\\", "")


def test_the_primary_design_is_shown_in_all_cells():
    table = made("study_primary")
    shown = cells(table)
    first = shown["Scenario and patients analysed"].str.strip("\u00a0")
    heads = first[first.str.contains(":")]
    assert list(heads) == [
        "Recurrence-free survival: difference of restricted means, months",
        "Recurrence-free survival: log hazard ratio",
        "Overall survival: difference of restricted means, months",
        "Overall survival: log hazard ratio",
    ]
    assert list(first.loc[heads.index[0] + 1 : heads.index[1] - 1]) == [
        f"{title}, {n}"
        for title in ("No effect", "Effect that wanes", "Harm", "Strong confounding")
        for n in ("243", "607", "1,231")
    ]
    key = "validation.study_os_ccw_overlap.harm_1500.log_hr"
    last = shown.loc[heads.index[3] + 9]
    for column, stat, digits in (("Bias", "bias", 3), ("Empirical SE", "empirical_se", 3), ("Coverage", "coverage", 1)):
        row = value(study_rows(), f"{key}.{stat}")
        interval = format_value(row, form="interval", digits=digits)
        assert last[column] == f"{format_value(row, digits=digits)} ({interval})"
    assert f"{COHORTS} simulated cohorts of each scenario and size" in printed(table)


def test_all_estimators_are_shown_in_the_main_cell():
    table = made("study_estimators")
    shown = cells(table)
    labels = shown["Estimator"].str.strip("\u00a0")
    assert (labels == "Naive, ever against never").sum() == 2
    assert (labels == "Time-varying exposure, adjusted").sum() == 1  # a hazard ratio only
    naive = shown[labels == "Naive, ever against never"].iloc[0]
    bias = value(study_rows(), "validation.study_rfs_naive.waning_740.rmst_difference.bias")
    assert naive["Bias"].startswith(format_value(bias, digits=2))
    assert "Effect that wanes, 607 patients analysed on average" in printed(table)


def test_failures_are_counted_where_they_happened():
    rows = study_rows(with_cell("failed", 4, scenario="harm", screened=300, estimator="landmark_iptw"))
    shown = cells(made("study_failures", rows)).set_index("Scenario and patients analysed")
    counts = shown["Landmark, inverse probability weights"]
    assert counts["Harm, 243"] == "4"
    assert list(counts.drop(["Harm, 243", "Scenario and patients analysed"])) == ["0"] * 11


@pytest.mark.parametrize("name", TABLES)
def test_every_number_is_bound_to_a_row(name):
    table = made(name)
    ids = {each.removeprefix("synthetic:") for text in table.data["ard_ids"] for each in text.split()}
    assert ids <= set(study_rows()["ard_id"])
    unbound = re.sub(r"\[[^\]]*\]\{[^}]*\}", "", table.markdown)
    assert re.findall(r"\d+%?", unbound) in ([], ["95%", "95%"])
    assert "Synthetic data" in printed(table)


@pytest.mark.parametrize("name", TABLES)
def test_a_study_that_was_not_run_says_so_with_its_reason(name):
    table = made(name, study_rows(not_run=True))
    assert table.data["row"].max() == 1
    assert "not estimable" in cells(table).loc[1].tolist()
    assert WHY in printed(table)


def test_the_tables_belong_to_the_validation_and_no_cohort_can_list_them():
    with pytest.raises(NotOfferedError, match="needs the part 'validation'"):
        make_table("study_primary", ard=study_rows().iloc[:0], cohort=cohort(), plan=PLAN)


def test_the_made_up_study_is_what_its_intervals_say():
    """The tests rest on it."""
    row = performance().query("scenario == 'waning' and screened == 740 and estimator == 'naive'").iloc[1]
    assert row["measure"] == "rmst_difference"
    assert row["bias"] == pytest.approx(0.72, abs=0.2)
