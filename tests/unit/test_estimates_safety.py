"""Safety: recounted with plain pandas, intervals from SciPy and closed forms, windows by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, estimated, make_adam, small_adam, value

from sorafenib_rfa.estimates.safety import estimate_safety

ADAM, PARTS = estimated()
SAFETY = PARTS["safety"]
ARD = SAFETY.ard
DAY = pd.Timedelta(days=1)


def estimate(adam):
    return estimate_safety(adam["adae"], adam["adsl"], adam["adex"], PLAN, "synthetic", "r")


def test_patients_with_an_event_recounted():
    emergent = ADAM["adae"][ADAM["adae"]["TRTEMFL"] == "Y"]
    for group, flag in (("exposed", "Y"), ("unexposed", "N")):
        own = emergent[emergent["EXPOSFL"] == flag]
        counted = {
            "any": own,
            "grade_3_5": own[own["ATOXGR"] >= 3],
            "serious": own[own["AESER"] == "Y"],
            "drug_related": own[own["AREL"] == "Y"],
            "stopped": own[own["AEACN"] == "stopped"],
            "not_rfa_related": own[own["ARELRFA"] == "N"],
        }
        for key, rows in counted.items():
            assert value(ARD, f"safety.summary.{group}.{key}.n")["value"] == rows["USUBJID"].nunique()
            assert value(ARD, f"safety.summary.{group}.{key}.events")["value"] == len(rows)


def test_what_came_before_the_first_dose_is_not_counted():
    early = ADAM["adae"][ADAM["adae"]["TRTEMFL"] == "N"]
    assert len(early) > 5
    everything = ADAM["adae"].groupby("EXPOSFL").size()
    assert value(ARD, "safety.summary.exposed.any.events")["value"] == everything["Y"] - len(early)


def test_percentages_with_exact_intervals_from_scipy():
    stats = pytest.importorskip("scipy.stats")
    n = int((ADAM["adsl"]["EXPOSFL"] == "Y").sum())
    row = value(ARD, "safety.term.exposed.diarrhea.any.percent")
    count = int(value(ARD, "safety.term.exposed.diarrhea.any.n")["value"])
    exact = stats.binomtest(count, n).proportion_ci(method="exact")
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx(
        (100 * count / n, 100 * exact.low, 100 * exact.high), rel=1e-9
    )


def test_risk_difference_equals_newcombes_published_example():
    """Newcombe 1998 (Stat Med 17:873), example (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    adam = make_adam(150, seed=1)
    adsl = adam["adsl"].copy()
    exposed = ["Y"] * 70 + ["N"] * 80
    adsl["EXPOSFL"] = pd.array(exposed, dtype="string")
    adsl["EXSTDT"] = adsl["TRTSDT"]
    ids = adsl["USUBJID"].tolist()
    chosen = [*ids[:56], *ids[70 : 70 + 48]]
    template = adam["adae"].iloc[:1]
    adae = pd.concat([template.assign(USUBJID=i, TRTEMFL="Y", AEDECOD="Diarrhea") for i in chosen])
    adae["ASTDT"] = adae["USUBJID"].map(adsl.set_index("USUBJID")["TRTSDT"])
    adex = adam["adex"].iloc[:1]
    adex = pd.concat(
        [adex.assign(USUBJID=row.USUBJID, EXSTDT=row.TRTSDT, EXENDT=row.LSTALVDT) for row in adsl[:70].itertuples()]
    )
    ard = estimate({"adae": adae.astype({"USUBJID": "string"}), "adsl": adsl, "adex": adex}).ard
    row = value(ard, "safety.term.contrast.diarrhea.any.risk_difference")
    assert row["value"] == pytest.approx(20.0)
    assert (round(row["ci_low"], 2), round(row["ci_high"], 2)) == (5.24, 33.39)


def test_time_at_risk_by_hand():
    """Exposed: day 10 to day 40 + 30, 61 days each. Unexposed: RFA to last contact, 101 days."""
    made = estimate(small_adam())
    assert value(made.ard, "safety.population.exposed.patient_years")["value"] == pytest.approx(2 * 61 / 365.25)
    assert value(made.ard, "safety.population.unexposed.patient_years")["value"] == pytest.approx(101 / 365.25)
    # A has the event on the 20th day at risk, B never
    row = value(made.ard, "safety.term.exposed.diarrhea.any.rate_per_100_patient_years")
    assert row["value"] == pytest.approx(100 / ((20 + 61) / 365.25))
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_an_unexposed_patient_who_takes_the_drug_after_recurrence_stops_being_at_risk():
    adam = small_adam()
    rfa = pd.Timestamp("2016-01-01")
    later = adam["adex"].iloc[:1].assign(USUBJID="C", EXSTDT=rfa + 45 * DAY, EXENDT=rfa + 60 * DAY)
    adam["adex"] = pd.concat([adam["adex"], later]).astype({"USUBJID": "string"})
    made = estimate(adam)
    assert value(made.ard, "safety.population.unexposed.patient_years")["value"] == pytest.approx(45 / 365.25)
    # the event on day 49 came on the drug
    assert value(made.ard, "safety.summary.unexposed.any.n")["value"] == 0


def test_an_event_on_record_after_the_last_contact_counts_and_stretches_the_time_at_risk():
    """A's drug ends on day 40; last contact on day 45, an event on day 50: within 30 days of the last dose."""
    adam = small_adam()
    rfa = pd.Timestamp("2016-01-01")
    adam["adsl"].loc[adam["adsl"]["USUBJID"] == "A", "LSTALVDT"] = rfa + 45 * DAY
    adam["adae"].loc[adam["adae"]["USUBJID"] == "A", "ASTDT"] = rfa + 50 * DAY
    made = estimate(adam)
    assert value(made.ard, "safety.summary.exposed.grade_3_5.n")["value"] == 1
    # A is at risk from day 10 to day 50, B to day 70
    assert value(made.ard, "safety.population.exposed.patient_years")["value"] == pytest.approx((41 + 61) / 365.25)


def test_worst_grade_counts_each_patient_once():
    emergent = ADAM["adae"][(ADAM["adae"]["TRTEMFL"] == "Y") & (ADAM["adae"]["AEDECOD"] == "Diarrhea")]
    worst = emergent[emergent["EXPOSFL"] == "Y"].groupby("USUBJID")["ATOXGR"].max().value_counts()
    for grade in range(1, 6):
        row = value(ARD, f"safety.term_worst_grade.exposed.diarrhea.g{grade}.n")
        assert row["value"] == worst.get(grade, 0)
    total = sum(value(ARD, f"safety.term_worst_grade.exposed.diarrhea.g{g}.n")["value"] for g in range(1, 6))
    assert total == value(ARD, "safety.term.exposed.diarrhea.any.n")["value"]


def test_an_event_without_a_grade_is_counted_under_any_and_named():
    adam = small_adam()
    adam["adae"].loc[adam["adae"]["USUBJID"] == "A", "ATOXGR"] = pd.NA
    made = estimate(adam)
    assert value(made.ard, "safety.term.exposed.diarrhea.any.n")["value"] == 1
    assert value(made.ard, "safety.term.exposed.diarrhea.grade_3_5.n")["value"] == 0
    assert value(made.ard, "safety.summary.exposed.grade_unknown.events")["value"] == 1


def test_dot_plot_data_are_the_ards_numbers():
    drawn = SAFETY.curves["ae_dot"]
    rows = ARD.set_index("ard_id")
    np.testing.assert_array_equal(
        drawn[["percent", "ci_low", "ci_high"]], rows.loc[drawn["ard_id"], ["value", "ci_low", "ci_high"]]
    )
    np.testing.assert_array_equal(drawn["risk_difference"], rows.loc[drawn["contrast_id"], "value"])
    assert drawn.loc[drawn["term"] == "Diarrhea", "of_interest"].all()
    grades = SAFETY.curves["ae_grade"]
    np.testing.assert_array_equal(grades["n"], rows.loc[grades["ard_id"], "value"])


def test_nobody_exposed_gives_reasons_not_a_crash():
    adam = small_adam()
    adam["adsl"]["EXPOSFL"] = "N"
    adam["adex"] = adam["adex"].iloc[:0]
    made = estimate(adam)
    row = value(made.ard, "safety.summary.exposed.any.percent")
    assert np.isnan(row["value"])
    assert row["method"].startswith("not estimable")
    assert np.isnan(value(made.ard, "exposure.dosing.exposed.duration.median")["value"])
    assert np.isnan(value(made.ard, "exposure.dosing.exposed.daily_dose_mg.mean")["value"])


def test_no_adverse_events_at_all():
    made = estimate({**ADAM, "adae": ADAM["adae"].iloc[:0]})
    assert value(made.ard, "safety.summary.exposed.any.n")["value"] == 0
    assert value(made.ard, "safety.summary.exposed.any.percent")["ci_high"] > 0
    drawn = made.curves["ae_dot"]
    assert set(drawn["term"]) == set(PLAN.events_of_interest)
    assert (drawn["n"] == 0).all()


def test_small_groups_are_described_and_not_compared():
    row = value(estimate(small_adam()).ard, "safety.summary.contrast.any.risk_difference")
    assert np.isnan(row["value"])
    assert row["method"].startswith("not tested: fewer than 10 patients in exposed (n = 2), unexposed (n = 1)")
