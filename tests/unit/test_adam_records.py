"""ADAE, ADLB, ADEX and ADRECUR of hand-made records, with expected rows written out."""

import pandas as pd
import pytest

from sorafenib_rfa.adam import build_adam
from tests.unit.adam_cohorts import Study, day, plan, subject


def as_rows(frame, columns):
    """Return rows as tuples, with None for missing."""
    return [tuple(None if pd.isna(v) else v for v in row) for row in frame[columns].itertuples(index=False)]


# --- ADAE --------------------------------------------------------------------------------------------------------


def build_events(patient, events):
    """Return ADAE of one patient with events (start, end) in days since RFA."""
    study = Study()
    study.patient("01", **patient)
    for number, (start, end) in enumerate(events):
        study.add(
            "adverse_events",
            subject_id="01",
            term=f"Term {number:02}",
            grade=1,
            start_date=day(start),
            end_date=day(end),
        )
    return build_adam(study.tables(), study.cohort, plan())["adae"].set_index("AEDECOD").sort_index()


EXPOSED = {"start": 20, "clear": (30,)}  # last dose on day 120; the plan adds 30 days
LATE = {"start": 200, "clear": (30,), "positive": {190: "LTP"}}  # sorafenib for the recurrence
RECURRED = {"clear": (30,), "positive": {90: "LTP"}}
ON_DRUG_AT_RECURRENCE = {"start": 20, "clear": (30,), "positive": {60: "LTP"}}
UNEXPOSED = {"clear": (30,)}


def test_the_plan_still_has_the_days_the_expected_rows_were_written_for():
    assert (plan().treatment_emergent_days, plan().rfa_complication_days) == (30, 30)


@pytest.mark.parametrize(
    ("patient", "start", "end", "emergent"),
    [
        (EXPOSED, 0, None, "N"),
        (EXPOSED, 19, None, "N"),
        (EXPOSED, 20, None, "Y"),
        (EXPOSED, 120, None, "Y"),
        (EXPOSED, 150, None, "Y"),
        (EXPOSED, 151, None, "N"),
        (UNEXPOSED, -1, None, "N"),
        (UNEXPOSED, 0, None, "Y"),
        (UNEXPOSED, 900, None, "Y"),
        (LATE, 0, None, "Y"),
        (LATE, 199, None, "Y"),
        (LATE, 200, None, "N"),  # may be the drug's, which the arm was not meant to get
        (RECURRED, 120, None, "Y"),
        (RECURRED, 121, None, "N"),
        (ON_DRUG_AT_RECURRENCE, 90, None, "Y"),
        (ON_DRUG_AT_RECURRENCE, 91, None, "N"),
        # unknown start: emergent unless over before
        (EXPOSED, None, None, "Y"),
        (EXPOSED, None, 20, "Y"),
        (EXPOSED, None, 19, "N"),
        (UNEXPOSED, None, -1, "N"),
        (UNEXPOSED, None, 5, "Y"),
    ],
)
def test_treatment_emergent(patient, start, end, emergent):
    assert build_events(patient, [(start, end)])["TRTEMFL"].tolist() == [emergent]


def test_events_of_a_cohort_without_a_drug_count_from_the_index_rfa():
    study = Study(modules=["ablations", "imaging", "adverse_events"])
    study.patient("01")
    for n in (-1, 0, 900):
        study.add("adverse_events", subject_id="01", term="Fever", grade=1, start_date=day(n))
    adam = build_adam(study.tables(), study.cohort, plan())
    assert set(adam) == {"adsl", "adtte", "adae", "adrecur", "adproc", "adtum"}
    assert as_rows(adam["adae"], ["ASTDY", "TRTEMFL", "EXPOSFL"]) == [(-1, "N", None), (1, "Y", None), (901, "Y", None)]


def test_a_class_that_was_not_recorded_is_that_of_the_term():
    study = Study()
    study.patient("01")
    for term, soc in [("Fatigue", None), ("Fever", "As the site says"), ("Term of a site", None)]:
        study.add("adverse_events", subject_id="01", term=term, soc=soc, grade=1, start_date=day(5))
    adae = build_adam(study.tables(), study.cohort, plan())["adae"]
    assert as_rows(adae, ["AEDECOD", "AEBODSYS"]) == [
        ("Fatigue", "General disorders and administration site conditions"),
        ("Fever", "As the site says"),
        ("Term of a site", None),
    ]


def test_an_ongoing_drug_keeps_its_events_emergent_to_the_last_contact():
    study = Study()
    study.patient("01", contact=400, start=10)
    study.rows["drug_exposure"][-1] |= {"end_date": None, "change_reason": "ongoing"}
    study.add("adverse_events", subject_id="01", term="Fatigue", start_date=day(399))
    adam = build_adam(study.tables(), study.cohort, plan())
    assert adam["adae"]["TRTEMFL"].tolist() == ["Y"]
    assert as_rows(adam["adex"], ["EXENDT", "EXENDY", "EXDURD", "EXADJ"]) == [(day(400), 401, 391, "ongoing")]


def test_a_recorded_pause_does_not_prolong_the_treatment_emergent_period():
    study = Study()
    study.patient("01", contact=400, start=10)  # to day 110
    study.add(
        "drug_exposure", subject_id="01", drug="sorafenib", start_date=day(111), end_date=day(300), daily_dose_mg=0
    )
    study.add("adverse_events", subject_id="01", term="Fatigue", start_date=day(141))
    assert build_adam(study.tables(), study.cohort, plan())["adae"]["TRTEMFL"].tolist() == ["N"]


def test_events_are_numbered_in_time_and_keep_what_was_recorded():
    study = Study()
    study.patient("01", start=10)
    study.patient("02")
    study.add(
        "adverse_events",
        subject_id="01",
        term="Diarrhea",
        soc="Gastrointestinal disorders",
        grade=3,
        start_date=day(40),
        end_date=day(47),
        serious="N",
        related_drug="Y",
        related_rfa="N",
        action="reduced",
        outcome="recovered",
    )
    study.add("adverse_events", subject_id="02", term="Fever", grade=1, start_date=day(0))
    study.add("adverse_events", subject_id="01", term="Pleural effusion", grade=1, start_date=day(-1))
    adae = build_adam(study.tables(), study.cohort, plan())["adae"]
    assert as_rows(adae, ["USUBJID", "AESEQ", "AEDECOD", "ASTDY", "AEOIFL", "SRCROW"]) == [
        (subject("01"), 1, "Pleural effusion", -1, "N", 4),
        (subject("01"), 2, "Diarrhea", 41, "Y", 2),
        (subject("02"), 1, "Fever", 1, "N", 3),
    ]
    kept = ["AEBODSYS", "ATOXGR", "AESER", "AREL", "ARELRFA", "AEACN", "AEOUT", "AENDY", "SRCFILE"]
    assert as_rows(adae.iloc[[1]], kept) == [
        ("Gastrointestinal disorders", 3, "N", "Y", "N", "reduced", "recovered", 48, "adverse_events.csv")
    ]


DRUG_BEFORE = {"start": -40}  # a cohort may keep patients who took sorafenib before the index RFA


@pytest.mark.parametrize(
    ("patient", "start", "end", "before"),
    [
        (EXPOSED, -1, None, "Y"),
        (EXPOSED, 0, None, "N"),
        (UNEXPOSED, -1, 5, "Y"),
        (UNEXPOSED, 0, None, "N"),
        (DRUG_BEFORE, -10, None, "Y"),
        (DRUG_BEFORE, 5, None, "N"),
        # unknown start: before when it was over before
        (UNEXPOSED, None, -1, "Y"),
        (UNEXPOSED, None, 0, "N"),
        (UNEXPOSED, None, None, "N"),
    ],
)
def test_what_began_before_the_index_rfa_is_never_treatment_emergent(patient, start, end, before):
    adae = build_events(patient, [(start, end)])
    assert adae["PREFL"].tolist() == [before]
    if before == "Y":
        assert adae["TRTEMFL"].tolist() == ["N"]


def test_events_of_interest_bear_the_label_of_their_query():
    study = Study()
    study.patient("01")
    for term in ("Rash acneiform", "Rash maculo-papular", "Palmar-plantar erythrodysesthesia syndrome", "Fever"):
        study.add("adverse_events", subject_id="01", term=term, grade=1, start_date=day(5))
    adae = build_adam(study.tables(), study.cohort, plan())["adae"]
    assert as_rows(adae, ["AEDECOD", "AEOIFL", "CQ01NAM"]) == [
        ("Fever", "N", None),
        ("Palmar-plantar erythrodysesthesia syndrome", "Y", "Hand-foot skin reaction"),
        ("Rash acneiform", "Y", "Rash"),
        ("Rash maculo-papular", "Y", "Rash"),
    ]


# --- ADLB --------------------------------------------------------------------------------------------------------


def test_baseline_change_and_grades_of_laboratory_values():
    study = Study()
    study.patient("01")
    for n, value in [(-31, 30.0), (-20, 90.0), (-2, 100.0), (3, 240.0), (40, 140.0), (70, 150.0), (90, 320.0)]:
        study.add("labs", subject_id="01", sample_date=day(n), test="ALT", value=value, uln=40.0)
    study.add("labs", subject_id="01", sample_date=day(40), test="PLT", value=49.0)
    study.add("labs", subject_id="01", sample_date=day(40), test="AFP", value=400.0, uln=7.0)
    adlb = build_adam(study.tables(), study.cohort, plan())["adlb"]
    columns = ["PARAMCD", "ADY", "AVAL", "BASE", "ABLFL", "CHG", "ATOXGR", "BTOXGR", "PERIRFFL"]
    # baseline 100 is 2.5 ULN: grade 1; afterwards multiples of 100: 2.4 is 1, 1.4 is 0, 1.5 is 1, 3.2 is 2.
    # day -31 lies outside the window of 30 days; before RFA only ULN counts
    assert as_rows(adlb, columns) == [
        ("AFP", 41, 400.0, None, None, None, None, None, "N"),
        ("ALT", -31, 30.0, 100.0, None, None, 0, 1, "N"),
        ("ALT", -20, 90.0, 100.0, None, None, 1, 1, "N"),
        ("ALT", -2, 100.0, 100.0, "Y", None, 1, 1, "N"),
        ("ALT", 4, 240.0, 100.0, None, 140.0, 1, 1, "Y"),
        ("ALT", 41, 140.0, 100.0, None, 40.0, 0, 1, "N"),
        ("ALT", 71, 150.0, 100.0, None, 50.0, 1, 1, "N"),
        ("ALT", 91, 320.0, 100.0, None, 220.0, 2, 1, "N"),
        ("PLT", 41, 49.0, None, None, None, 3, None, "N"),
    ]
    assert adlb["PARAM"].iloc[1] == "Alanine aminotransferase (U/L)"
    assert adlb["AVALU"].iloc[1] == "U/L"


def test_a_test_without_a_unit_is_not_given_one_in_words():
    study = Study()
    study.patient("01")
    study.add("labs", subject_id="01", sample_date=day(3), test="INR", value=1.1)
    adlb = build_adam(study.tables(), study.cohort, plan())["adlb"]
    assert as_rows(adlb, ["PARAM", "AVALU"]) == [("International normalised ratio", "ratio")]


def test_the_baseline_record_is_the_one_whose_value_adsl_holds():
    study = Study()
    study.patient("01")
    for n, value in [(-5, 21.0), (0, 20.0), (1, 19.0)]:
        study.add("labs", subject_id="01", sample_date=day(n), test="BILI", value=value, uln=17.1)
    study.add("labs", subject_id="01", sample_date=day(0), test="BILI", value=22.0, uln=17.1)  # same day, later row
    adam = build_adam(study.tables(), study.cohort, plan())
    baseline = adam["adlb"][adam["adlb"]["ABLFL"].eq("Y").fillna(False)]
    assert as_rows(baseline, ["AVAL", "SRCROW"]) == [(22.0, 5)]
    assert adam["adsl"]["BILIBL"].tolist() == [22.0]
    # a second result of the day of RFA is no change from baseline; that of the day after is
    changes = as_rows(adam["adlb"], ["ADY", "SRCROW", "CHG"])
    assert changes == [(-5, 2, None), (1, 3, None), (1, 5, None), (2, 4, -3.0)]


@pytest.mark.parametrize(
    ("n", "flag"), [(-1, "N"), (0, "N"), (1, "Y"), (30, "Y"), (31, "N"), (100, "N"), (101, "Y"), (130, "Y"), (131, "N")]
)
def test_shortly_after_the_index_or_a_repeated_rfa(n, flag):
    study = Study()
    study.patient("01")
    study.add("ablations", subject_id="01", ablation_date=day(100), tumour_no=1)
    study.add("labs", subject_id="01", sample_date=day(n), test="ALT", value=50.0, uln=40.0)
    assert build_adam(study.tables(), study.cohort, plan())["adlb"]["PERIRFFL"].tolist() == [flag]


def test_liver_function_at_baseline_needs_every_component():
    study = Study()
    study.patient("01", ascites="none", encephalopathy="none")
    study.add("labs", subject_id="01", sample_date=day(0), test="BILI", value=20.0)
    study.add("labs", subject_id="01", sample_date=day(0), test="INR", value=1.1)
    row = build_adam(study.tables(), study.cohort, plan())["adsl"].iloc[0]
    assert row["BILIBL"] == 20.0
    assert row[["ALBBL", "ALBISC", "ALBIGR", "CPSCORE", "CPCLASS", "BCLC"]].isna().all()


# --- ADEX --------------------------------------------------------------------------------------------------------


def test_dosing_intervals_in_order_with_their_length():
    study = Study()
    study.patient("01", contact=500)
    for start, end, dose, reason in [
        (40, 99, 400, "adverse_event"),
        (10, 39, 800, "adverse_event"),
        (100, 100, 200, "progression"),
    ]:
        study.add(
            "drug_exposure",
            subject_id="01",
            drug="sorafenib",
            start_date=day(start),
            end_date=day(end),
            daily_dose_mg=dose,
            change_reason=reason,
        )
    adex = build_adam(study.tables(), study.cohort, plan())["adex"]
    assert as_rows(adex, ["EXSEQ", "EXTRT", "EXSTDY", "EXENDY", "EXDOSE", "EXDURD", "EXADJ"]) == [
        (1, "sorafenib", 11, 40, 800.0, 30, "adverse_event"),
        (2, "sorafenib", 41, 100, 400.0, 60, "adverse_event"),
        (3, "sorafenib", 101, 101, 200.0, 1, "progression"),
    ]


# --- ADRECUR -----------------------------------------------------------------------------------------------------


def test_repeated_sessions_and_the_end_of_observation():
    study = Study()
    study.patient("01", contact=700)
    for n, tumours in [(200, 2), (90, 1)]:
        for tumour in range(tumours):
            study.add("ablations", subject_id="01", ablation_date=day(n), tumour_no=tumour + 1)
    study.patient("02", death=300)
    study.patient("03", death=150)
    study.add("ablations", subject_id="03", ablation_date=day(150), tumour_no=1)  # dies on the day of the session
    study.add("ablations", subject_id="02", ablation_date=day(0), tumour_no=2)  # two tumours at the index session
    adrecur = build_adam(study.tables(), study.cohort, plan())["adrecur"]
    assert as_rows(adrecur, ["USUBJID", "RECSEQ", "ASTDY", "EVTYPE", "TUMOURS", "GAPDAYS"]) == [
        (subject("01"), 1, 91, "RFA session", 1, 90),
        (subject("01"), 2, 201, "RFA session", 2, 110),
        (subject("01"), 3, 701, "end of follow-up", None, 500),
        (subject("02"), 1, 301, "death", None, 300),
        (subject("03"), 1, 151, "RFA session", 1, 150),
        (subject("03"), 2, 151, "death", None, 0),
    ]


def test_every_patient_has_one_last_row():
    study = Study()
    for number in ("01", "02", "03"):
        study.patient(number)
    adrecur = build_adam(study.tables(), study.cohort, plan())["adrecur"]
    assert as_rows(adrecur, ["RECSEQ", "EVTYPE"]) == [(1, "end of follow-up")] * 3
