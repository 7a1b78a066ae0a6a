"""Safety: recounted with plain pandas, intervals from SciPy and closed forms, windows by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, estimated, make_adam, value, with_origin

from sorafenib_rfa.estimates.safety import estimate_safety

ADAM, PARTS = estimated()
SAFETY = PARTS["safety"]
ARD = SAFETY.ard
DAY = pd.Timedelta(days=1)


def estimate(adam, **more):
    return estimate_safety(adam["adae"], adam["adsl"], adam["adex"], PLAN, cohort(), "synthetic", "r", **more)


def small_adam() -> dict[str, pd.DataFrame]:
    """Return three patients: two exposed from day 10 to day 40 (400 mg, 31 days), one never; followed 100 days."""
    rfa = pd.Timestamp("2016-01-01")
    adam = make_adam(40, seed=1)
    adsl = adam["adsl"].iloc[:3].copy()
    adsl["USUBJID"] = pd.array(["A", "B", "C"], dtype="string")
    adsl["EXPOSFL"] = pd.array(["Y", "Y", "N"], dtype="string")
    adsl["TRTSDT"] = pd.Series([rfa] * 3, index=adsl.index)
    adsl["LSTALVDT"] = pd.Series([rfa + 100 * DAY] * 3, index=adsl.index)
    adsl["DTHDT"] = pd.Series([pd.NaT] * 3, index=adsl.index, dtype="datetime64[s]")
    adex = pd.DataFrame(
        {
            "USUBJID": pd.array(["A", "B"], dtype="string"),
            "EXSEQ": [1, 1],
            "EXSTDT": [rfa + 10 * DAY] * 2,
            "EXENDT": [rfa + 40 * DAY] * 2,
            "EXDOSE": [800.0, 400.0],
            "EXDURD": [31, 31],
            "EXADJ": pd.array(["adverse_event", "progression"], dtype="string"),
        }
    )
    adae = adam["adae"].iloc[:2].copy()
    adae["USUBJID"] = pd.array(["A", "C"], dtype="string")
    adae["AEDECOD"] = pd.array(["Diarrhea", "Diarrhea"], dtype="string")
    adae["ATOXGR"] = pd.array([3, 1], dtype="Int64")
    adae["TRTEMFL"] = "Y"
    adae["ASTDT"] = [rfa + 29 * DAY, rfa + 49 * DAY]
    return {"adsl": adsl, "adex": adex, "adae": adae}


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


def test_exposure_by_hand():
    made = estimate(small_adam())
    assert value(made.ard, "safety.exposure.exposed.duration.median")["value"] == pytest.approx(31 / 30.4375)
    assert value(made.ard, "safety.exposure.exposed.daily_dose_mg.mean")["value"] == pytest.approx(600)
    assert value(made.ard, "safety.exposure.exposed.relative_dose_intensity.mean")["value"] == pytest.approx(75)
    assert value(made.ard, "safety.exposure.exposed.stopped_adverse_event.n")["value"] == 1
    assert value(made.ard, "safety.exposure.exposed.ongoing.n")["value"] == 0


def test_reductions_and_interruptions_recounted():
    adex = ADAM["adex"]
    reduced = adex.groupby("USUBJID")["EXDOSE"].apply(lambda dose: (dose.diff() < 0).any()).sum()
    assert value(ARD, "safety.exposure.exposed.reduced.n")["value"] == reduced
    assert value(ARD, "safety.exposure.exposed.interrupted.n")["value"] == 0
    adex = adex.copy()
    second = adex["EXSEQ"] == 2
    adex.loc[second, "EXSTDT"] += 7 * DAY
    made = estimate({**ADAM, "adex": adex})
    assert value(made.ard, "safety.exposure.exposed.interrupted.n")["value"] == second.sum()


def test_patients_still_on_the_drug_are_censored_not_stopped():
    last = ADAM["adex"].groupby("USUBJID").tail(1)
    ongoing = (last["EXADJ"] == "ongoing").sum()
    assert value(ARD, "safety.exposure.exposed.ongoing.n")["value"] == ongoing
    all_stopped = ADAM["adex"].assign(EXADJ="progression")
    made = estimate({**ADAM, "adex": all_stopped})
    before = value(ARD, "safety.exposure.exposed.duration.median")["value"]
    assert before > value(made.ard, "safety.exposure.exposed.duration.median")["value"]


def test_complications_of_ablation_by_session_and_patient():
    """Two sessions of one patient, three tumours: the worst grade of a session counts."""
    adam = small_adam()
    adsl = adam["adsl"]
    patient = adsl.iloc[0]
    day = patient["TRTSDT"]
    ablations = pd.DataFrame(
        {
            "USUBJID": [*([patient["USUBJID"]] * 3), "elsewhere"],
            "ablation_date": [day, day, day + 200 * DAY, day],
            "complication_term": ["Pain", "Bleeding", pd.NA, "Abscess"],
            "complication_clavien_dindo": ["I", "IIIa", pd.NA, "V"],
        }
    ).astype({"complication_term": "string", "complication_clavien_dindo": "string"})
    made = estimate(adam, ablations=with_origin(ablations, "rfa.csv"))
    ard = made.ard
    assert value(ard, "safety.rfa_session.total")["value"] == 2
    assert value(ard, "safety.rfa_session.any.n")["value"] == 1
    assert value(ard, "safety.rfa_session.major.percent")["value"] == 50
    assert value(ard, "safety.rfa_session.clavien_dindo_i.n")["value"] == 0
    assert value(ard, "safety.rfa_session.clavien_dindo_iiia.n")["value"] == 1
    assert value(ard, "safety.rfa_patient.exposed.any.n")["value"] == 1
    assert value(ard, "safety.rfa_patient.total")["value"] == 1
    # patients who were not analysed do not count
    assert value(ard, "safety.rfa_session.clavien_dindo_v.n")["value"] == 0
    # a session is named by the row of its worst complication: the bleeding stands in row 3
    rows = made.members.set_index("ard_id")["src_row"]
    assert rows["safety.rfa_session.total"].tolist() == [3, 4]
    assert rows["safety.rfa_session.any.n"] == 3


def test_rfa_related_events_are_those_within_the_plans_days_of_a_session():
    adam = small_adam()
    adsl = adam["adsl"]
    adam["adae"]["ARELRFA"] = "Y"
    ablations = pd.DataFrame(
        {
            "USUBJID": adsl["USUBJID"],
            "ablation_date": adsl["TRTSDT"],
            "complication_term": pd.array([pd.NA] * 3, dtype="string"),
            "complication_clavien_dindo": pd.array([pd.NA] * 3, dtype="string"),
        }
    )
    ard = estimate(adam, ablations=with_origin(ablations, "rfa.csv")).ard
    # day 29 after the session, and day 49
    assert value(ard, "safety.rfa_related_event.exposed.any.n")["value"] == 1
    assert value(ard, "safety.rfa_related_event.unexposed.any.n")["value"] == 0


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
    assert np.isnan(value(made.ard, "safety.exposure.exposed.duration.median")["value"])
    assert np.isnan(value(made.ard, "safety.exposure.exposed.daily_dose_mg.mean")["value"])


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


def labs(*rows: tuple) -> pd.DataFrame:
    """Return ADLB rows: patient, test, days since RFA, multiple of ULN, the same at baseline, grade, near RFA."""
    rfa = pd.Timestamp("2016-01-01")
    uln = {"ALT": 40.0, "BILI": 20.0, "ALB": 50.0}
    return pd.DataFrame(
        {
            "USUBJID": pd.array([r[0] for r in rows], dtype="string"),
            "PARAMCD": pd.array([r[1] for r in rows], dtype="string"),
            "ADT": [rfa + r[2] * DAY for r in rows],
            "ADY": [r[2] + 1 for r in rows],
            "AVAL": [r[3] * uln[r[1]] for r in rows],
            "ANRHI": [uln[r[1]] for r in rows],
            "BASE": [r[4] * uln[r[1]] for r in rows],
            "ATOXGR": pd.array([r[5] for r in rows], dtype="Int64"),
            "BTOXGR": pd.array([0 for _ in rows], dtype="Int64"),
            "PERIRFFL": pd.array(["Y" if r[6] else "N" for r in rows], dtype="string"),
        }
    )


def test_liver_signal_needs_both_in_time_and_away_from_ablation():
    adlb = labs(
        ("A", "ALT", 20, 4.0, 0.5, 2, False),
        ("A", "BILI", 35, 2.5, 0.5, 2, False),
        ("B", "ALT", 12, 6.0, 0.5, 3, True),  # after ablation: expected
        ("B", "BILI", 14, 3.0, 0.5, 2, True),
        ("B", "ALT", 40, 1.0, 0.5, 0, False),
        ("B", "BILI", 40, 1.0, 0.5, 0, False),
        ("C", "ALT", 10, 3.5, 0.5, 2, False),
        ("C", "BILI", 60, 2.5, 0.5, 2, False),  # 50 days later
    )
    made = estimate(small_adam(), adlb=adlb)
    assert value(made.ard, "safety.lab.exposed.hy.uln.n")["value"] == 1
    assert value(made.ard, "safety.lab.exposed.hy.uln.percent")["value"] == 50
    assert value(made.ard, "safety.lab.unexposed.hy.uln.n")["value"] == 0
    peaks = made.curves["liver_peaks"]
    assert peaks.loc[peaks["group"] == "exposed", "aminotransferase_uln"].tolist() == [1.0, 4.0]
    # grade 3 of B came after an ablation; what is counted is the result of day 40
    assert value(made.ard, "safety.lab.exposed.alt.grade_3_4.n")["value"] == 0
    assert value(made.ard, "safety.lab.exposed.alt.worsened.percent")["value"] == 50


def test_liver_signal_by_the_patients_own_baseline():
    """Cirrhosis: bilirubin 2.5 times the limit at 1.5 times baseline is no signal by the patient's own baseline."""
    adlb = labs(("A", "ALT", 20, 4.0, 0.5, 2, False), ("A", "BILI", 25, 2.4, 1.6, 2, False))
    made = estimate(small_adam(), adlb=adlb)
    assert value(made.ard, "safety.lab.exposed.hy.uln.n")["value"] == 1
    assert value(made.ard, "safety.lab.exposed.hy.baseline.n")["value"] == 0


def test_results_outside_the_time_at_risk_do_not_count():
    adlb = labs(("A", "ALT", 5, 10.0, 0.5, 3, False), ("A", "ALT", 95, 10.0, 0.5, 3, False))
    made = estimate(small_adam(), adlb=adlb)
    assert not made.ard["ard_id"].str.startswith("safety.lab.exposed.alt").any()


def test_albi_worsening_uses_results_of_one_day():
    """ALBI 0.66 log10(20) - 0.085 x 45 = -2.97, grade 1; with bilirubin 40 and albumin 30 it is -1.49, grade 2."""
    adam = small_adam()
    adam["adsl"]["ALBISC"] = pd.array([-2.97, -2.97, -2.97], dtype="Float64")
    adlb = labs(
        ("A", "BILI", 20, 2.0, 1.0, 2, False),
        ("A", "ALB", 20, 0.6, 0.9, 1, False),
        ("B", "BILI", 20, 2.0, 1.0, 2, False),
        ("B", "ALB", 25, 0.6, 0.9, 1, False),
        ("C", "BILI", 30, 1.0, 1.0, 0, False),
        ("C", "ALB", 30, 0.9, 0.9, 0, False),
    )
    made = estimate(adam, adlb=adlb)
    assert value(made.ard, "safety.lab.exposed.albi.worsened.n")["value"] == 1
    assert value(made.ard, "safety.lab.exposed.albi.worsened.percent")["value"] == 100
    assert value(made.ard, "safety.lab.unexposed.albi.worsened.n")["value"] == 0


def test_a_cohort_without_labs_has_no_laboratory_rows():
    config = cohort(modules=["treatment", "adverse_events"])
    adam = small_adam()
    made = estimate_safety(
        adam["adae"],
        adam["adsl"],
        adam["adex"],
        PLAN,
        config,
        "synthetic",
        "r",
        ablations=ADAM["ablations"].iloc[:0],
        adlb=labs(("A", "ALT", 20, 4.0, 0.5, 2, False)).iloc[:0],
    )
    assert not made.ard["analysis_id"].isin(["lab", "rfa_session", "rfa_patient"]).any()
