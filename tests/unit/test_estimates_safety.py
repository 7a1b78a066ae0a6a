"""Safety: recounted with plain pandas, intervals from SciPy and closed forms, windows by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort, make_adam, small_adam, value

from sorafenib_rfa.estimates.safety import estimate_safety
from sorafenib_rfa.estimates.safety_context import window_at_risk
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.tables import make_table
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH


def estimate(adam):
    return estimate_safety(adam["adae"], adam["adsl"], adam["adex"], PLAN, "synthetic", "r")


ADAM = make_adam()
SAFETY = estimate(ADAM)
ARD = SAFETY.ard
DAY = pd.Timedelta(days=1)


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
    adae = ADAM["adae"]
    began = adae["USUBJID"].map(ADAM["adex"].groupby("USUBJID")["EXSTDT"].min())
    early = adae[(adae["EXPOSFL"] == "Y") & (adae["ASTDT"] < began)]
    assert len(early) > 5
    assert (early["TRTEMFL"] == "N").all()
    assert value(ARD, "safety.accounting.exposed.before_first_dose.events")["value"] == len(early)


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
    adsl["RECDT"] = pd.NaT
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
    adam["adsl"].loc[adam["adsl"]["USUBJID"] == "C", "RECDT"] = rfa + 40 * DAY
    adam["adae"].loc[adam["adae"]["USUBJID"] == "C", "TRTEMFL"] = "N"
    made = estimate(adam)
    assert value(made.ard, "safety.population.unexposed.patient_years")["value"] == pytest.approx(45 / 365.25)
    assert value(made.ard, "safety.accounting.unexposed.treated_again.events")["value"] == 1
    # the event on day 49 came on the drug
    assert value(made.ard, "safety.summary.unexposed.any.n")["value"] == 0


def test_an_event_on_record_after_the_last_contact_is_accounted_for_and_extends_nothing():
    """A's drug ends on day 40; last contact on day 45, an event on day 50: within 30 days of the last dose."""
    adam = small_adam()
    rfa = pd.Timestamp("2016-01-01")
    adam["adsl"].loc[adam["adsl"]["USUBJID"] == "A", "LSTALVDT"] = rfa + 45 * DAY
    adam["adae"].loc[adam["adae"]["USUBJID"] == "A", "ASTDT"] = rfa + 50 * DAY
    made = estimate(adam)
    assert value(made.ard, "safety.summary.exposed.grade_3_5.n")["value"] == 0
    assert value(made.ard, "safety.accounting.exposed.after_last_contact.events")["value"] == 1
    # A is at risk from day 10 to day 45, B to day 70
    assert value(made.ard, "safety.population.exposed.patient_years")["value"] == pytest.approx((36 + 61) / 365.25)


@pytest.mark.parametrize(
    ("recurred", "again", "days"),
    [
        (None, 80, 10 + 31 + 40 + 30 - 10),  # a pause before any recurrence belongs to the course: day 10 to 110
        (60, None, 61),  # the drug ended before: thirty days after the last dose come first
        (20, None, 41),  # the course goes on across recurrence: day 10 to day 50
        (42, 50, 40),  # given again on day 50 for the recurrence of day 42: day 10 to day 49
        (60, 80, 61),  # given again on day 80, after the window
    ],
)
def test_the_window_ends_with_the_course_or_recurrence(recurred, again, days):
    """A takes the drug from day 10 to day 40, perhaps again for days; followed to day 110 at least."""
    adam = small_adam()
    rfa = pd.Timestamp("2016-01-01")
    adam["adsl"]["LSTALVDT"] = adam["adsl"]["LSTALVDT"] + 300 * DAY
    if recurred is not None:
        adam["adsl"].loc[adam["adsl"]["USUBJID"] == "A", "RECDT"] = rfa + recurred * DAY
    if again is not None:
        more = adam["adex"].iloc[:1].assign(EXSEQ=2, EXSTDT=rfa + again * DAY, EXENDT=rfa + again * DAY)
        adam["adex"] = pd.concat([adam["adex"], more], ignore_index=True).astype({"USUBJID": "string"})
    window = window_at_risk(adam["adsl"], adam["adex"], PLAN)
    assert window.days["A"] == days
    assert window.days["B"] == 61


def test_the_window_of_the_unexposed_ends_after_recurrence_too():
    adam = small_adam()
    adam["adsl"].loc[adam["adsl"]["USUBJID"] == "C", "RECDT"] = pd.Timestamp("2016-01-01") + 10 * DAY
    window = window_at_risk(adam["adsl"], adam["adex"], PLAN)
    assert (window.days["C"], window.ended_by["C"], window.limit["C"]) == (41, "ended", "recurrence")
    made = estimate(adam)
    assert value(made.ard, "safety.incidence_any.unexposed.ended_before")["value"] == 1


def test_every_event_on_record_is_in_one_line_of_the_accounting():
    lines = ARD[(ARD["analysis_id"] == "accounting") & (ARD["variable"] != "recorded")]
    assert lines["value"].sum() == len(ADAM["adae"])
    assert (lines[lines["value"] > 0]["variable"].nunique()) >= 3
    for group in ("exposed", "unexposed"):
        own = lines[lines["group"] == group]
        assert own["value"].sum() == value(ARD, f"safety.accounting.{group}.recorded.events")["value"]
        counted = value(ARD, f"safety.accounting.{group}.in_window.events")["value"]
        assert counted == value(ARD, f"safety.summary.{group}.any.events")["value"]
    members = SAFETY.members[SAFETY.members["ard_id"].isin(lines["ard_id"])]
    assert not members.duplicated(["src_file", "src_row"]).any()
    assert set(members["src_row"]) == set(ADAM["adae"]["SRCROW"])


def test_events_between_rfa_and_the_first_dose_are_reported_after_rfa_and_not_on_drug():
    """A exposed from day 10 to 40; an event on day 2 (grade 3) is of no window, but of the days after RFA."""
    adam = small_adam()
    rfa = pd.Timestamp("2016-01-01")
    adam["adae"].loc[adam["adae"]["USUBJID"] == "A", ["ASTDT", "TRTEMFL"]] = [rfa + 2 * DAY, "N"]
    ard = estimate(adam).ard
    assert value(ard, "safety.summary.exposed.grade_3_5.n")["value"] == 0
    assert value(ard, "safety.after_rfa.exposed.grade_3_5.n")["value"] == 1
    # C had one of grade 1 on day 49, A on its third day, B none in its ten days before the drug; C 101 days
    row = value(ard, "safety.current_exposure.not_on_drug.grade_3_5.rate_per_100_patient_years")
    assert row["value"] == pytest.approx(100 / ((3 + 10 + 101) / 365.25))
    assert value(ard, "safety.current_exposure.on_drug.grade_3_5.n")["value"] == 2


def test_difference_of_incidences_is_on_one_scale_of_time():
    for key in ("any", "grade_3_5", "serious", "hand_foot"):
        for month in PLAN.adverse_event_months:
            row = value(ARD, f"safety.incidence_{key}.contrast.m{month:g}.incidence_difference")
            (p, pl, pu), (q, ql, qu) = (
                value(ARD, f"safety.incidence_{key}.{group}.m{month:g}.incidence")[["value", "ci_low", "ci_high"]]
                for group in ("exposed", "unexposed")
            )
            # Newcombe 1998, equation of method 10, with the limits of each group
            limits = (p - q - np.sqrt((p - pl) ** 2 + (qu - q) ** 2), p - q + np.sqrt((pu - p) ** 2 + (q - ql) ** 2))
            assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx((p - q, *limits))


def test_events_without_a_grade_count_as_severe_in_the_worst_case():
    adam = small_adam()
    adam["adae"]["ATOXGR"] = pd.array([pd.NA, 1], dtype="Int64")
    made = estimate(adam)
    assert value(made.ard, "safety.summary.exposed.grade_3_5.n")["value"] == 0
    assert value(made.ard, "safety.summary.exposed.grade_3_5_worst_case.n")["value"] == 1
    label = "Grade 3 or above, if every ungraded event were"
    assert label in make_table("safety", ard=made.ard, cohort=cohort(), plan=PLAN).markdown
    assert label not in make_table("safety", ard=ARD, cohort=cohort(), plan=PLAN).markdown


def test_a_patient_of_unknown_exposure_is_not_taken_for_unexposed():
    adam = small_adam()
    adam["adsl"].loc[adam["adsl"]["USUBJID"] == "B", "EXPOSFL"] = pd.NA
    with pytest.raises(ValueError, match="EXPOSFL is neither Y nor N of B"):
        estimate(adam)


def test_a_patient_with_two_rows_is_named():
    adam = small_adam()
    adam["adsl"] = pd.concat([adam["adsl"], adam["adsl"].iloc[:1]])
    with pytest.raises(ValueError, match="several rows of one patient, expected one: USUBJID A"):
        estimate(adam)


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
    np.testing.assert_array_equal(drawn["incidence_difference"], rows.loc[drawn["contrast_id"], "value"])
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
    assert np.isnan(value(made.ard, "safety.incidence_hand_foot.exposed.m6.incidence")["value"])
    assert np.isnan(value(made.ard, "safety.recurrent_any.exposed.events_per_patient_year")["value"])
    shown(made)


def test_no_adverse_events_at_all():
    made = estimate({**ADAM, "adae": ADAM["adae"].iloc[:0]})
    assert value(made.ard, "safety.summary.exposed.any.n")["value"] == 0
    assert value(made.ard, "safety.summary.exposed.any.percent")["ci_high"] > 0
    drawn = made.curves["ae_dot"]
    assert set(drawn["term"]) == set(PLAN.query_of())
    assert (drawn["n"] == 0).all()
    for group in ("exposed", "unexposed"):
        none = value(made.ard, f"safety.recurrent_any.{group}.events_per_patient_year")
        assert none["value"] == none["ci_low"] == 0 < none["ci_high"]
    shown(made)


def shown(made) -> None:
    """Assert that the tables and figures of adverse events can be made."""
    for name in ("safety", "ae_interest", "ae_terms"):
        assert make_table(name, ard=made.ard, cohort=cohort(), plan=PLAN).markdown
    for name in ("ae_dot", "ae_butterfly", "ae_incidence"):
        draw_figure(name, ard=made.ard, curves=made.curves, cohort=cohort(), plan=PLAN)


def test_small_groups_are_described_and_not_compared():
    row = value(estimate(small_adam()).ard, "safety.summary.contrast.any.risk_difference")
    assert np.isnan(row["value"])
    assert row["method"].startswith("not tested: fewer than 10 patients in exposed (n = 2), unexposed (n = 1)")
    assert np.isnan(value(estimate(small_adam()).ard, "safety.summary.contrast.any.rate_ratio")["value"])


# --- events of interest --------------------------------------------------------------------


def test_a_patient_with_several_terms_of_an_event_of_interest_counts_once():
    adam = small_adam()
    event = adam["adae"].iloc[:1]
    rashes = [event.assign(AEDECOD=term) for term in ("Rash maculo-papular", "Rash acneiform")]
    adam["adae"] = pd.concat([*rashes, *rashes[:1]], ignore_index=True).astype({"AEDECOD": "string"})
    ard = estimate(adam).ard
    assert value(ard, "safety.interest.exposed.rash.any.n")["value"] == 1
    assert value(ard, "safety.summary.exposed.any.events")["value"] == 3
    assert value(ard, "safety.term.exposed.rash_acneiform.any.n")["value"] == 1


def test_difference_and_ratio_of_risks_and_rates_agree_with_their_counts():
    n = {group: value(ARD, f"safety.interest.{group}.hand_foot.any.n")["value"] for group in ("exposed", "unexposed")}
    size = {group: value(ARD, f"safety.population.{group}.n")["value"] for group in n}
    risk = {group: n[group] / size[group] for group in n}
    where = "safety.interest.contrast.hand_foot.any"
    assert value(ARD, f"{where}.risk_ratio")["value"] == pytest.approx(risk["exposed"] / risk["unexposed"])
    assert value(ARD, f"{where}.risk_difference")["value"] == pytest.approx(100 * (risk["exposed"] - risk["unexposed"]))
    rate = {
        group: value(ARD, f"safety.interest.{group}.hand_foot.any.rate_per_100_patient_years")["value"] for group in n
    }
    row = value(ARD, f"{where}.rate_ratio")
    assert row["value"] == pytest.approx(rate["exposed"] / rate["unexposed"])
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_no_difference_is_made_of_what_the_unexposed_cannot_have():
    kinds = ("drug_related", "drug_related_grade_3_5", "dose_changed", "stopped")
    assert not ARD["ard_id"].str.contains(rf"\.contrast\.(?:.*\.)?(?:{'|'.join(kinds)})\.").any()


# --- over time --------------------------------------------------------------------


def test_stopping_the_drug_competes_with_a_first_event():
    """A: event on day 20 at risk; B stops the drug and is free of events to the end of the window, day 61."""
    ard = estimate(small_adam()).ard
    counts = {stat: value(ard, f"safety.incidence_grade_3_5.exposed.{stat}")["value"] for stat in ("n", "events")}
    assert counts == {"n": 2, "events": 1}
    assert value(ard, "safety.incidence_grade_3_5.exposed.ended_before")["value"] == 1
    # one of two by the first month, and the same for ever: nobody can have a first event after both have left
    for month in (1, 3, 6, 12):
        assert value(ard, f"safety.incidence_grade_3_5.exposed.m{month}.incidence")["value"] == pytest.approx(50)


def test_incidence_without_censoring_is_a_proportion():
    """Where every window ended by an event, death or stopping, the estimate is the share with the event by then."""
    adam = {name: frame.copy() for name, frame in ADAM.items()}
    kept = adam["adsl"]["EXPOSFL"] == "N"
    last = pd.to_datetime(adam["adex"].groupby("USUBJID")["EXENDT"].max())
    seen = adam["adsl"]["USUBJID"].map(last) + 60 * DAY
    adam["adsl"] = adam["adsl"].assign(LSTALVDT=seen.fillna(adam["adsl"]["LSTALVDT"]), DTHDT=pd.NaT)
    adam["adsl"] = adam["adsl"][~kept].reset_index(drop=True)
    ard = estimate(adam).ard
    emergent = adam["adae"][(adam["adae"]["TRTEMFL"] == "Y") & (adam["adae"]["ATOXGR"] >= 3)]
    emergent = emergent[emergent["USUBJID"].isin(adam["adsl"]["USUBJID"])]
    began = emergent["USUBJID"].map(pd.to_datetime(adam["adex"].groupby("USUBJID")["EXSTDT"].min()))
    first = ((emergent["ASTDT"] - began).dt.days + 1).groupby(emergent["USUBJID"]).min() / DAYS_PER_MONTH
    for month in PLAN.adverse_event_months:
        row = value(ard, f"safety.incidence_grade_3_5.exposed.m{month:g}.incidence")
        assert row["value"] == pytest.approx(100 * (first <= month).sum() / len(adam["adsl"]))
        assert row["ci_low"] < row["value"] < row["ci_high"]


def test_nobody_with_the_event_yet_has_an_exact_upper_limit():
    row = value(
        estimate({**ADAM, "adae": ADAM["adae"].iloc[:0]}).ard, "safety.incidence_alopecia.unexposed.m6.incidence"
    )
    # all 464 unexposed but those censored before are known to be free of it: 0 of n, two-sided 95%
    followed = ADAM["adsl"][ADAM["adsl"]["EXPOSFL"] == "N"]
    months = ((followed["DTHDT"].fillna(followed["LSTALVDT"]) - followed["TRTSDT"]).dt.days + 1) / DAYS_PER_MONTH
    known = int(((months >= 6) | followed["DTHDT"].notna()).sum())
    assert row["value"] == row["ci_low"] == 0
    assert row["ci_high"] == pytest.approx(100 * (1 - 0.025 ** (1 / known)), rel=1e-9)


def test_recurrent_events_recounted():
    emergent = ADAM["adae"][ADAM["adae"]["TRTEMFL"] == "Y"]
    for group, flag in (("exposed", "Y"), ("unexposed", "N")):
        people = ADAM["adsl"].loc[ADAM["adsl"]["EXPOSFL"] == flag, "USUBJID"]
        number = emergent["USUBJID"].value_counts().reindex(people).fillna(0)
        for level, expected in (("0", number == 0), ("1", number == 1), ("2", number == 2), ("3_or_more", number >= 3)):
            assert value(ARD, f"safety.events_per_patient.{group}.any.{level}.n")["value"] == expected.sum()
        row = value(ARD, f"safety.recurrent_any.{group}.events_per_patient_year")
        years = value(ARD, f"safety.population.{group}.patient_years")["value"]
        assert row["value"] == pytest.approx(number.sum() / years)
        # the sandwich variance of a Poisson rate, in closed form
        error = np.sqrt(((number - row["value"] * _years_at_risk(people)) ** 2).sum()) / number.sum()
        assert row["ci_high"] == pytest.approx(row["value"] * np.exp(1.959963984540054 * error))


def _years_at_risk(people: pd.Series) -> pd.Series:
    subjects = ADAM["adsl"].set_index("USUBJID").loc[people]
    seen = subjects["DTHDT"].fillna(subjects["LSTALVDT"])
    doses = ADAM["adex"].groupby("USUBJID").agg(first=("EXSTDT", "min"), last=("EXENDT", "max")).reindex(people)
    exposed = subjects["EXPOSFL"] == "Y"
    start = doses["first"].where(exposed, subjects["TRTSDT"])
    end = (doses["last"] + 30 * DAY).where(exposed, seen)
    recurred = subjects["RECDT"] + 30 * DAY
    end = end.mask(recurred < end, recurred)
    return ((end.where(end < seen, seen) - start).dt.days + 1) / 365.25


def test_mean_number_of_events_ends_where_the_drug_did():
    """Nobody censored: the mean number by a month is the number of events by then over all who started."""
    ard = estimate(small_adam()).ard
    row = value(ard, "safety.recurrent_grade_3_5.exposed.m12.mean_events")
    assert row["value"] == pytest.approx(0.5)
    curves = SAFETY.curves["ae_mcf"]
    for _, curve in curves.groupby("group"):
        assert curve["mcf"].is_monotonic_increasing
        assert curve["n_risk"].is_monotonic_decreasing


def test_several_events_of_one_day_are_several_events():
    adam = small_adam()
    event = adam["adae"][adam["adae"]["USUBJID"] == "A"].iloc[:1]
    adam["adae"] = pd.concat(
        [event, event.assign(AEDECOD="Nausea"), event.assign(AEDECOD="Fatigue")], ignore_index=True
    )
    ard = estimate(adam).ard
    assert value(ard, "safety.events_per_patient.exposed.grade_3_5.3_or_more.n")["value"] == 1
    assert value(ard, "safety.recurrent_grade_3_5.exposed.m12.mean_events")["value"] == pytest.approx(1.5)


def test_curves_print_what_the_ard_says():
    curves = SAFETY.curves["ae_incidence"]
    assert set(curves["event"]) == {"grade_3_5", *(key.lower() for key in PLAN.events_of_interest)}
    for (event, group), curve in curves.groupby(["event", "group"]):
        for month in PLAN.adverse_event_months:
            last = curve[curve["time_months"] <= month].iloc[-1]
            row = value(ARD, f"safety.incidence_{event}.{group}.m{month:g}.incidence")
            assert row["value"] == pytest.approx(100 * last["incidence"])


# --- odd input --------------------------------------------------------------------


@pytest.mark.parametrize(
    "column", ["ATOXGR", "ASTDT", "AEDECOD", "AEBODSYS", "AESER", "AREL", "ARELRFA", "AEACN", "AEOUT"]
)
def test_a_column_that_nobody_filled_in_stops_nothing(column):
    adam = {name: frame.copy() for name, frame in ADAM.items()}
    adam["adae"][column] = pd.Series(pd.NA, index=adam["adae"].index).astype(adam["adae"][column].dtype)
    made = estimate(adam)
    emergent = adam["adae"][adam["adae"]["TRTEMFL"] == "Y"]
    events = [value(made.ard, f"safety.summary.{group}.any.events")["value"] for group in ("exposed", "unexposed")]
    assert sum(events) == len(emergent)
    said = {"ATOXGR": "grade_unknown", "ASTDT": "start_unknown", "AEDECOD": "term_unknown"}.get(column)
    if said:
        unknown = [
            value(made.ard, f"safety.summary.{group}.{said}.events")["value"] for group in ("exposed", "unexposed")
        ]
        assert unknown == events
    if column == "AEBODSYS":
        assert value(made.ard, "safety.soc.exposed.not_classified.any.n")["value"] > 0
    shown(made)


def test_an_exposed_patient_without_dosing_records_is_counted_and_has_no_time_at_risk():
    adam = small_adam()
    adam["adex"] = adam["adex"][adam["adex"]["USUBJID"] != "A"].reset_index(drop=True)
    made = estimate(adam)
    assert value(made.ard, "safety.population.exposed.n")["value"] == 2
    assert value(made.ard, "safety.summary.exposed.grade_3_5.n")["value"] == 1
    assert value(made.ard, "safety.population.exposed.patient_years")["value"] == pytest.approx(61 / 365.25)


def test_days_of_interruption_after_the_last_dose_are_not_at_risk():
    """As in ADAE, a last interval of 0 mg is no dose: the window ends 30 days after the dose before it."""
    adam = small_adam()
    rest = (
        adam["adex"]
        .iloc[:1]
        .assign(
            EXSEQ=2,
            EXSTDT=adam["adex"]["EXENDT"].iloc[0] + DAY,
            EXENDT=adam["adex"]["EXENDT"].iloc[0] + 40 * DAY,
            EXDOSE=0.0,
        )
    )
    adam["adex"] = pd.concat([adam["adex"], rest], ignore_index=True).astype(adam["adex"].dtypes.to_dict())
    assert value(estimate(adam).ard, "safety.population.exposed.patient_years")["value"] == pytest.approx(
        2 * 61 / 365.25
    )
