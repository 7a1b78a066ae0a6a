"""Patient flow: counts of the ledger, by arm and site, and the refusal of ledgers that contradict each other."""

from __future__ import annotations

import pandas as pd
import pytest
from estimates_data import cohort, value

from sorafenib_rfa.estimates.flow import estimate_flow
from sorafenib_rfa.vocabulary import CONTROL, SORAFENIB

# 10 patients at two sites: one quarantined, two excluded, seven analysed
FATES = pd.DataFrame(
    [
        ("1", "alpha", CONTROL, "quarantined", "unreadable", "Record unreadable"),
        ("2", "alpha", SORAFENIB, "excluded", "adult", "Younger than 18 years"),
        ("3", "beta", CONTROL, "excluded", "adult", "Younger than 18 years"),
        ("4", "alpha", SORAFENIB, "analysed", None, None),
        *((str(i), "alpha", CONTROL, "analysed", None, None) for i in range(5, 8)),
        *((str(i), "beta", CONTROL, "analysed", None, None) for i in range(8, 11)),
    ],
    columns=["USUBJID", "site", "arm", "fate", "step_id", "reason"],
).assign(src_file="patients.csv", src_sheet=None, src_row=range(2, 12))
ATTRITION = pd.DataFrame(
    [
        (1, "unreadable", "Record unreadable", "clean", "alpha", SORAFENIB, 2, 0, 2),
        (1, "unreadable", "Record unreadable", "clean", "alpha", CONTROL, 4, 1, 3),
        (1, "unreadable", "Record unreadable", "clean", "beta", CONTROL, 4, 0, 4),
        (2, "adult", "Younger than 18 years", "eligibility", "alpha", SORAFENIB, 2, 1, 1),
        (2, "adult", "Younger than 18 years", "eligibility", "alpha", CONTROL, 3, 0, 3),
        (2, "adult", "Younger than 18 years", "eligibility", "beta", CONTROL, 4, 1, 3),
    ],
    columns=["step_no", "step_id", "reason", "stage", "site", "arm", "n_before", "n_excluded", "n_after"],
)
QUARANTINE = pd.DataFrame(
    [
        ("alpha", "labs", "not_a_number", "value", "4", "labs.csv", None, 7),
        ("alpha", "labs", "not_a_number", "value", "4", "labs.csv", None, 7),
        ("beta", "patients", "unparsable_date", "value", None, "beta.xlsx", "Patients", 3),
        ("alpha", "patients", "exact_duplicate", "row", "5", "patients.csv", None, 12),
        ("beta", "adverse_events", "event_before_index", "flag", "8", "events.csv", None, 4),
    ],
    columns=["site", "table", "rule", "scope", "subject_id", "file", "sheet", "row"],
)


@pytest.fixture(scope="module")
def flow():
    return estimate_flow(ATTRITION, FATES, QUARANTINE, cohort(), "synthetic", "records/estimate_flow/synthetic.json")


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("flow.patients.screened", 10),
        ("flow.patients.quarantined", 1),
        ("flow.patients.excluded", 2),
        ("flow.patients.analysed", 7),
        ("flow.patients.site.alpha.screened", 6),
        ("flow.patients.site.beta.analysed", 3),
        ("flow.patients.sorafenib.screened", 2),
        ("flow.patients.control.analysed", 6),
        ("flow.step.adult.excluded", 2),
        ("flow.step.adult.remaining", 7),
        ("flow.step.sorafenib.adult.excluded", 1),
        ("flow.step.adult.beta.excluded", 1),
        ("flow.quarantine.values", 3),
        ("flow.quarantine.rows", 1),
        ("flow.quarantine.flags", 1),
        ("flow.quarantine_rule.event_before_index.flags", 1),
        ("flow.quarantine_rule.event_before_index.values", 0),
        ("flow.quarantine_site.beta.values", 1),
        ("flow.quarantine_site.beta.flags", 1),
        ("flow.quarantine_rule.not_a_number.values", 2),
        ("flow.quarantine_rule.exact_duplicate.values", 0),
        ("flow.quarantine_site.alpha.rows", 1),
        ("flow.quarantine_table.patients.values", 1),
    ],
)
def test_counts(flow, identifier, expected):
    assert value(flow.ard, identifier)["value"] == expected


def test_the_drawn_flow_carries_the_numbers_and_ids_of_the_ard(flow):
    drawn = flow.curves["flow"]
    values = flow.ard.set_index("ard_id")["value"]
    assert (values[drawn["ard_id"]].to_numpy() == drawn["n_excluded"].to_numpy()).all()
    overall = drawn[(drawn["group"] == "overall") & (drawn["site"] == "all")]
    assert overall["n_before"].tolist() == [10, 9]
    assert overall["n_after"].tolist() == [9, 7]
    assert overall["reason"].tolist() == ["Record unreadable", "Younger than 18 years"]


def test_counts_name_the_patients_and_their_rows(flow):
    rows = flow.members.set_index("ard_id")
    assert rows.loc["flow.step.adult.excluded", "USUBJID"].tolist() == ["2", "3"]
    assert rows.loc["flow.step.adult.excluded", "src_row"].tolist() == [3, 4]
    assert rows.loc["flow.step.sorafenib.adult.excluded", "USUBJID"] == "2"
    assert rows.loc["flow.step.adult.beta.remaining", "USUBJID"].tolist() == ["10", "8", "9"]
    assert rows.loc["flow.patients.quarantined", "src_row"] == 2
    date = rows.loc["flow.quarantine_rule.unparsable_date.values"]
    assert date[["src_file", "src_sheet", "src_row"]].tolist() == ["beta.xlsx", "Patients", 3]
    assert pd.isna(date["USUBJID"])
    # one cell of a row and another of the same row are two
    assert rows.loc["flow.quarantine_rule.not_a_number.values", "USUBJID"].tolist() == ["synthetic-alpha-4"] * 2


def test_a_ledger_that_counts_others_than_the_fates_is_an_error():
    swapped = FATES.assign(site=FATES["site"].where(FATES["USUBJID"] != "2", "beta"))
    with pytest.raises(ValueError, match="the count is 5, its members are 4"):
        estimate_flow(ATTRITION, swapped, QUARANTINE, cohort(), "synthetic", "r")


def test_a_patient_lost_between_the_ledgers_is_an_error():
    short = FATES[FATES["USUBJID"] != "2"]
    with pytest.raises(ValueError, match="2 patients were not analysed by the fates, 3 left"):
        estimate_flow(ATTRITION, short, QUARANTINE, cohort(), "synthetic", "r")


def test_a_patient_with_two_fates_is_an_error():
    twice = pd.concat([FATES, FATES.tail(1)])
    with pytest.raises(ValueError, match=r"patients twice: \['10'\]"):
        estimate_flow(ATTRITION, twice, QUARANTINE, cohort(), "synthetic", "r")


def test_an_empty_arm_is_counted():
    attrition = ATTRITION.assign(arm=CONTROL)
    fates = FATES.assign(arm=CONTROL)
    made = estimate_flow(attrition, fates, QUARANTINE, cohort(), "synthetic", "records/estimate_flow/synthetic.json")
    assert value(made.ard, "flow.patients.sorafenib.analysed")["value"] == 0
    assert value(made.ard, "flow.patients.control.analysed")["value"] == 7


def test_a_cohort_without_arms_and_without_quarantine():
    fates = FATES.assign(fate="analysed", step_id=None, arm="Overall")
    sizes = [2, 4, 4] * 2
    attrition = ATTRITION.assign(arm="Overall", n_before=sizes, n_excluded=0, n_after=sizes)
    flow = estimate_flow(attrition, fates, QUARANTINE.iloc[0:0], cohort(), "real", "r")
    assert value(flow.ard, "flow.patients.analysed")["value"] == 10
    assert value(flow.ard, "flow.quarantine.values")["value"] == 0
    assert set(flow.ard["group"]) == {"overall"}
