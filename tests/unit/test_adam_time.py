"""ADSL and ADTTE of hand-made patients: expected rows are written out, in days since RFA."""

import pandas as pd
import pytest

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, ENDPOINTS, SORAFENIB
from tests.unit.adam_cohorts import Study, cohort, day, plan, subject, table

# patient: what happened, in days since the index RFA
PATIENTS = {
    "01": {"start": 10, "clear": (30, 100)},
    "02": {"start": 59, "clear": (100,)},
    "03": {"start": 60, "clear": (100,)},
    "04": {"start": 61, "clear": (100,)},
    "05": {"clear": (100,)},
    "06": {"start": 50, "clear": (20,), "positive": {40: "IDR"}},  # recurrence before the first dose
    "07": {"death": 45, "clear": (30,)},
    "08": {"clear": (50,), "positive": {90: "LTP+IDR"}},  # and EHS by another examination of that day
    "09": {"contact": 300},  # never imaged
    "10": {"positive": {200: "recurrence_unspecified"}},  # nothing clear before
    "11": {"death": 0},
    "12": {"death": 900, "clear": (30,)},  # dies long after the last imaging
    "13": {"clear": (30,), "positive": {60: "LTP"}},
    "14": {"clear": (30,), "positive": {61: "EHS"}},
    "15": {"contact": 59, "clear": (30,)},
    "16": {"contact": 60, "clear": (30,)},
    "17": {"positive": {-10: "LTP", 0: "IDR"}, "clear": (0,)},  # what was treated is no recurrence
    "18": {"death": 120, "clear": (80,), "positive": {120: "EHS"}},  # found at death
    "19": {"start": 40, "clear": (20,), "positive": {40: "IDR"}},  # dose on the day of the recurrence
    "20": {"clear": (30, 150), "positive": {90: "LTP"}},  # clear again after treatment of the recurrence
    "21": {"start": 0, "clear": (100,)},
    "22": {"death": 60, "clear": (30,)},
    "23": {"start": 200, "clear": (20,), "positive": {230: "LTP", 190: "recurrence_unspecified"}},
}

# TRT01A, EXPOSFL, EXDELAY, LMFL, LMTRT
ARMS_EXPECTED = {
    "01": (SORAFENIB, "Y", 10, "Y", SORAFENIB),
    "02": (SORAFENIB, "Y", 59, "Y", SORAFENIB),
    "03": (SORAFENIB, "Y", 60, "Y", SORAFENIB),
    "04": (CONTROL, "Y", 61, "Y", CONTROL),
    "05": (CONTROL, "N", None, "Y", CONTROL),
    "06": (CONTROL, "N", 50, "N", None),
    "07": (CONTROL, "N", None, "N", None),
    "08": (CONTROL, "N", None, "Y", CONTROL),
    "09": (CONTROL, "N", None, "Y", CONTROL),
    "10": (CONTROL, "N", None, "Y", CONTROL),
    "11": (CONTROL, "N", None, "N", None),
    "12": (CONTROL, "N", None, "Y", CONTROL),
    "13": (CONTROL, "N", None, "N", None),
    "14": (CONTROL, "N", None, "Y", CONTROL),
    "15": (CONTROL, "N", None, "N", None),
    "16": (CONTROL, "N", None, "Y", CONTROL),
    "17": (CONTROL, "N", None, "Y", CONTROL),
    "18": (CONTROL, "N", None, "Y", CONTROL),
    "19": (CONTROL, "N", 40, "N", None),
    "20": (CONTROL, "N", None, "Y", CONTROL),
    "21": (SORAFENIB, "Y", 0, "Y", SORAFENIB),
    "22": (CONTROL, "N", None, "N", None),
    "23": (CONTROL, "N", 200, "Y", CONTROL),
}

# first event: day of event or censoring, EVNTCD, lower and upper day of the recurrence; then OS day, died
TIMES_EXPECTED = {
    "01": (100, 0, 100, None, 1000, 0),
    "02": (100, 0, 100, None, 1000, 0),
    "03": (100, 0, 100, None, 1000, 0),
    "04": (100, 0, 100, None, 1000, 0),
    "05": (100, 0, 100, None, 1000, 0),
    "06": (40, 2, 20, 40, 1000, 0),
    "07": (45, 4, 30, None, 45, 1),
    "08": (90, 1, 50, 90, 1000, 0),
    "09": (0.5, 0, 0, None, 300, 0),
    "10": (200, 5, 0, 200, 1000, 0),
    "11": (0.5, 4, 0, None, 0.5, 1),
    "12": (900, 4, 30, None, 900, 1),
    "13": (60, 1, 30, 60, 1000, 0),
    "14": (61, 3, 30, 61, 1000, 0),
    "15": (30, 0, 30, None, 59, 0),
    "16": (30, 0, 30, None, 60, 0),
    "17": (0.5, 0, 0, None, 1000, 0),
    "18": (120, 3, 80, 120, 120, 1),
    "19": (40, 2, 20, 40, 1000, 0),
    "20": (90, 1, 30, 90, 1000, 0),
    "21": (100, 0, 100, None, 1000, 0),
    "22": (60, 4, 30, None, 60, 1),
    "23": (190, 5, 20, 190, 1000, 0),
}

EVENT_CODES = {"RFS": {1, 2, 3, 4, 5}, "TTR": {1, 2, 3, 5}, "LTP": {1}, "IDR": {2}, "EHS": {3}}


@pytest.fixture(scope="module")
def adam():
    study = Study()
    for number, told in PATIENTS.items():
        study.patient(number, **told)
    study.add("imaging", subject_id="08", imaging_date=day(90), modality="CT", finding="EHS")
    return build_adam(study.tables(), study.cohort, plan())


def value_or_none(value):
    return None if pd.isna(value) else value


def test_the_plan_still_has_the_days_the_expected_rows_were_written_for():
    assert (plan().grace_period_days, plan().landmark_day) == (60, 60)


@pytest.mark.parametrize("number", PATIENTS)
def test_arm_exposure_and_landmark(adam, number):
    row = adam["adsl"].set_index("USUBJID").loc[subject(number)]
    found = [row[name] for name in ("TRT01A", "EXPOSFL", "EXDELAY", "LMFL", "LMTRT")]
    assert tuple(map(value_or_none, found)) == ARMS_EXPECTED[number]


@pytest.mark.parametrize("number", PATIENTS)
def test_first_event_in_every_endpoint(adam, number):
    days, code, low, high, _, _ = TIMES_EXPECTED[number]
    rows = adam["adtte"].set_index(["USUBJID", "PARAMCD"]).loc[subject(number)]
    for paramcd, events in EVENT_CODES.items():
        row = rows.loc[paramcd]
        assert row["AVAL"] == pytest.approx(days / DAYS_PER_MONTH, abs=1e-12), paramcd
        assert row["EVNTCD"] == code, paramcd
        assert row["CNSR"] == (0 if code in events else 1), paramcd
        exact_death = code == 4 and paramcd == "RFS"
        bounds = (days, days) if exact_death else (low, high)
        for name, bound in zip(("INTLO", "INTHI"), bounds, strict=True):
            if bound is None:
                assert pd.isna(row[name]), (paramcd, name)
            else:
                assert row[name] == pytest.approx(bound / DAYS_PER_MONTH, abs=1e-12), (paramcd, name)
        assert row["ADY"] == int(days) + 1
        assert row["ADT"] == day(int(days))
        assert row["STARTDT"] == day(0)


@pytest.mark.parametrize("number", PATIENTS)
def test_overall_survival(adam, number):
    *_, days, died = TIMES_EXPECTED[number]
    row = adam["adtte"].set_index(["USUBJID", "PARAMCD"]).loc[(subject(number), "OS")]
    assert row["AVAL"] == pytest.approx(days / DAYS_PER_MONTH, abs=1e-12)
    assert (row["CNSR"], row["EVNTCD"]) == ((0, 4) if died else (1, 0))
    assert row["EVNTDESC"] == ("Death from any cause" if died else "Censored")
    assert pd.isna(row["INTLO"]) and pd.isna(row["INTHI"])


@pytest.mark.parametrize(
    ("number", "paramcd", "reason", "source"),
    [
        ("05", "RFS", "Last imaging without recurrence", "imaging"),
        ("09", "RFS", "No imaging after index RFA: censored at time zero", "ablations"),
        ("12", "RFS", None, "patients"),
        ("12", "TTR", "Death without recurrence", "patients"),
        ("14", "LTP", "Extrahepatic spread", "imaging"),
        ("14", "EHS", None, "imaging"),
        ("05", "OS", "Last date known alive", "patients"),
        ("12", "OS", None, "patients"),
    ],
)
def test_reason_of_censoring_and_source(adam, number, paramcd, reason, source):
    row = adam["adtte"].set_index(["USUBJID", "PARAMCD"]).loc[(subject(number), paramcd)]
    assert value_or_none(row["CNSDTDSC"]) == reason
    assert row["SRCDOM"] == source


def test_kinds_of_one_day_are_all_kept_and_the_most_local_decides(adam):
    adsl = adam["adsl"].set_index("USUBJID")
    assert adsl.loc[subject("08"), "RECSITE"] == "LTP+IDR+EHS"
    assert adsl.loc[subject("10"), "RECSITE"] == "not recorded"
    assert adsl.loc[subject("06"), "RECSITE"] == "IDR"
    assert pd.isna(adsl.loc[subject("17"), "RECSITE"])


def test_the_last_clear_imaging_lies_before_the_recurrence(adam):
    adsl = adam["adsl"].set_index("USUBJID")
    assert adsl.loc[subject("20"), "LASTIMDT"] == day(30)  # not day 150, clear again
    assert adsl.loc[subject("17"), "LASTIMDT"] == day(0)
    assert pd.isna(adsl.loc[subject("10"), "LASTIMDT"])


def test_every_patient_has_every_endpoint_once_and_rows_are_sorted(adam):
    adtte = adam["adtte"]
    assert len(adtte) == len(PATIENTS) * len(ENDPOINTS)
    assert not adtte.duplicated(["USUBJID", "PARAMCD"]).any()
    assert adtte.equals(adtte.sort_values(["USUBJID", "PARAMCD"], ignore_index=True))
    for name in ("TRT01A", "LMFL", "LMTRT"):
        own = adtte["USUBJID"].map(adam["adsl"].set_index("USUBJID")[name])
        assert adtte[name].fillna("-").tolist() == own.fillna("-").tolist()


def test_rfs_and_competing_risks_are_one_story(adam):
    """Each RFS event is an event of exactly one of LTP, IDR, EHS, unrecorded recurrence and death."""
    wide = adam["adtte"].pivot(index="USUBJID", columns="PARAMCD", values="CNSR")
    code = adam["adtte"].pivot(index="USUBJID", columns="PARAMCD", values="EVNTCD")
    kinds = (wide[["LTP", "IDR", "EHS"]] == 0).sum(axis=1) + code["RFS"].isin([4, 5])
    assert kinds.tolist() == (wide["RFS"] == 0).astype(int).tolist()


def test_last_date_known_alive_is_the_latest_sign_of_life():
    study = Study()
    study.patient("01", contact=100, clear=(300,))
    study.patient("02", contact=None)
    study.add("labs", subject_id="02", sample_date=day(250), test="ALB", value=40.0)
    study.patient("03", contact=500)
    study.add("adverse_events", subject_id="03", term="Fatigue", start_date=day(10), end_date=day(900))
    adsl = build_adam(study.tables(), study.cohort, plan())["adsl"].set_index("USUBJID")
    assert adsl["LSTALVDT"].tolist() == [day(300), day(250), day(500)]


def test_a_death_reported_after_the_last_contact_was_under_observation_until_then():
    study = Study()
    study.patient("01", death=90, clear=(20,))
    study.rows["patients"][-1]["last_contact_date"] = day(20)
    adam = build_adam(study.tables(), study.cohort, plan())
    row = adam["adsl"].iloc[0]
    assert (row["LSTALVDT"], row["LMFL"]) == (day(90), "Y")
    os = adam["adtte"].set_index("PARAMCD").loc["OS"]
    assert (os["ADT"], os["CNSR"]) == (day(90), 0)


def test_facts_of_a_patient_at_baseline():
    study = Study()
    study.patient(
        "01",
        birth_date=pd.Timestamp("1959-12-31"),
        sex="F",
        etiology="HBV",
        antiviral="Y",
        cirrhosis="N",
        ecog=0,
        recurrent_hcc="N",
        tumour_count=2,
        largest_tumour_cm=3.4,
        vascular_invasion="N",
        extrahepatic_spread="N",
        ascites="mild",
        encephalopathy="none",
        recorded_bclc="A",
    )
    study.patient("02", birth_date=pd.Timestamp("1960-01-01"))
    study.patient("03", birth_date=pd.Timestamp("1960-01-02"))
    study.patient("04", age_years=61.9)
    study.patient("05", site="beta")
    study.rows["ablations"][-1]["site"] = "beta"
    for test, value in {"BILI": 20.0, "ALB": 36.0, "INR": 1.7}.items():
        study.add("labs", subject_id="01", sample_date=day(-20), test=test, value=value)
    adsl = build_adam(study.tables(), study.cohort, plan())["adsl"].set_index("USUBJID")
    row = adsl.loc[subject("01")]
    # by hand: bilirubin 20 (1) + albumin 36 (1) + INR 1.7 (2) + mild ascites (2) + no encephalopathy (1)
    assert (row["CPSCORE"], row["CPCLASS"]) == (7, "B")
    # two tumours, 3.4 cm: beyond A; 2 + 3.4 within up-to-7; Child-Pugh 7
    assert (row["BCLC"], row["RECBCLC"]) == ("B1", "A")
    # 0.66 log10(20) - 0.085 * 36
    assert row["ALBISC"] == pytest.approx(-2.2013202, abs=1e-7)
    assert row["ALBIGR"] == 2
    assert (row["SEX"], row["ETIOLOGY"], row["ANTIVFL"], row["CIRRHFL"], row["RECURFL"]) == ("F", "HBV", "Y", "N", "N")
    assert (row["TUMCOUNT"], row["TUMSIZE"]) == (2, 3.4)
    # RFA on 2015-01-01: 55th birthday the day before, that day, the day after
    assert [adsl.loc[subject(n), "AGE"] for n in ("01", "02", "03", "04")] == [55, 55, 54, 61]
    assert (row["COUNTRY"], row["REGION"]) == ("CN", "Asia")
    assert tuple(adsl.loc[subject("05", "beta"), ["COUNTRY", "REGION", "SITEID"]]) == ("DE", "Europe", "beta")


def test_dates_of_any_resolution_give_the_same_datasets():
    study = Study()
    study.patient("01", start=10, clear=(30,), positive={90: "LTP"})
    study.add("labs", subject_id="01", sample_date=day(-1), test="ALB", value=40.0)
    in_seconds = study.tables()
    in_nanoseconds = {
        name: frame.astype(dict.fromkeys(frame.select_dtypes("datetime64").columns, "datetime64[ns]"))
        for name, frame in in_seconds.items()
    }
    first = build_adam(in_seconds, study.cohort, plan())
    second = build_adam(in_nanoseconds, study.cohort, plan())
    for name, frame in first.items():
        pd.testing.assert_frame_equal(frame, second[name])


# --- cohorts published with times instead of dates ---------------------------------------------------------------


PUBLISHED = {
    "modules": ["survival_times"],
    "time_unit": "months",
    "data_cutoff": None,
    "endpoints": ["RFS", "TTR", "OS"],
    "extra_variables": {
        "cxcl17": {"label": "CXCL17 density", "kind": "continuous", "unit": "cells/mm2"},
        "tnm": {"label": "TNM stage", "kind": "categorical", "levels": ["1", "2"], "note": "As coded in the source"},
    },
}

# months and event of RFS and OS, then EVNTCD of RFS, CNSR of RFS and TTR
PUBLISHED_PATIENTS = {
    "r1": (13, 1, 83, 0, 5, 0, 0),  # recurrence, alive
    "r2": (13, 1, 40, 1, 5, 0, 0),  # recurrence before death
    "d1": (25, 1, 25, 1, 4, 0, 1),  # RFS ended when life did: death without earlier recurrence
    "r3": (30, 1, 30, 0, 5, 0, 0),  # recurrence in the last month of follow-up
    "c1": (81, 0, 81, 0, 0, 1, 1),
    "z1": (0, 1, 5, 0, 5, 0, 0),  # in the first month
}


@pytest.fixture(scope="module")
def published():
    config = cohort(**PUBLISHED)
    patients, times = [], []
    for number, (rfs, rfs_event, os, os_event, *_) in PUBLISHED_PATIENTS.items():
        patients.append({"subject_id": number, "age_years": 57, "cxcl17": 113.9, "tnm": "2"})
        times.append({"subject_id": number, "endpoint": "RFS", "time_months": rfs, "event": rfs_event})
        times.append({"subject_id": number, "endpoint": "OS", "time_months": os, "event": os_event})
    tables = {
        "patients": table("patients", patients, config.config),
        "survival_times": table("survival_times", times, config.config),
    }
    return build_adam(tables, config, plan())


@pytest.mark.parametrize("number", PUBLISHED_PATIENTS)
def test_published_times_are_coded_without_dates(published, number):
    rfs, _, os, os_event, code, rfs_cnsr, ttr_cnsr = PUBLISHED_PATIENTS[number]
    rows = published["adtte"].set_index(["USUBJID", "PARAMCD"]).loc[subject(number)]
    for paramcd, cnsr in {"RFS": rfs_cnsr, "TTR": ttr_cnsr}.items():
        assert rows.loc[paramcd, "AVAL"] == (rfs or 0.5)
        assert (rows.loc[paramcd, "EVNTCD"], rows.loc[paramcd, "CNSR"]) == (code, cnsr)
    assert (rows.loc["OS", "AVAL"], rows.loc["OS", "CNSR"]) == (os, 1 - os_event)
    assert rows[["STARTDT", "ADT", "ADY", "INTLO", "INTHI"]].isna().all().all()
    assert set(rows["SRCDOM"]) == {"survival_times"}


def test_a_cohort_without_modules_has_their_columns_missing_and_its_own_variables(published):
    adsl = published["adsl"]
    assert set(published) == {"adsl", "adtte"}
    for name in ("TRT01A", "EXPOSFL", "LMFL", "LMTRT", "TRTSDT", "BCLC", "ALBISC", "RECDT", "LSTALVDT"):
        assert adsl[name].isna().all(), name
    assert adsl.columns[-2:].tolist() == ["CXCL17", "TNM"]
    assert adsl["CXCL17"].dtype == "Float64" and adsl["TNM"].tolist() == ["2"] * len(PUBLISHED_PATIENTS)
    assert adsl["AGE"].tolist() == [57] * len(PUBLISHED_PATIENTS)
    dead = adsl.set_index("SUBJID")["DTHFL"].to_dict()
    assert dead == {"r1": "N", "r2": "Y", "d1": "Y", "r3": "N", "c1": "N", "z1": "N"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (PUBLISHED | {"endpoints": ["RFS", "LTP"]}, "LTP"),
        ({"modules": ["treatment", "ablations"], "endpoints": ["OS", "TTR"]}, "TTR"),
        ({"endpoints": ["PFS"]}, "PFS"),
    ],
)
def test_an_endpoint_the_cohort_cannot_give_is_an_error_that_names_it(changes, said):
    study = Study(**changes)
    with pytest.raises(ConfigError, match=f"endpoints {said} with modules") as error:
        build_adam(study.tables(), study.cohort, plan())
    assert "config/cohorts/handmade/cohort.yaml" in str(error.value)


@pytest.mark.parametrize("modules", [["treatment", "imaging"], ["survival_times", "labs"]])
def test_dated_records_without_a_time_zero_are_an_error(modules):
    study = Study(modules=modules, endpoints=["OS"])
    with pytest.raises(ConfigError, match="dated records have no time zero"):
        build_adam(study.tables(), study.cohort, plan())


def test_a_cohort_published_with_survival_alone_has_survival_alone():
    config = cohort(**(PUBLISHED | {"endpoints": ["OS"], "extra_variables": {}}))
    tables = {
        "patients": table("patients", [{"subject_id": "1"}, {"subject_id": "2"}], config.config),
        "survival_times": table(
            "survival_times",
            [
                {"subject_id": "1", "endpoint": "OS", "time_months": 12, "event": 1},
                {"subject_id": "2", "endpoint": "OS", "time_months": 30, "event": 0},
            ],
            config.config,
        ),
    }
    adtte = build_adam(tables, config, plan())["adtte"]
    assert adtte[["PARAMCD", "AVAL", "CNSR"]].values.tolist() == [["OS", 12.0, 0], ["OS", 30.0, 1]]


def test_a_cohort_without_patients_has_empty_datasets_of_the_right_shape():
    none = cohort(**PUBLISHED)
    nobody = {name: table(name, [], none.config) for name in ("patients", "survival_times")}
    assert all(frame.empty for frame in build_adam(nobody, none, plan()).values())
    study = Study()
    empty = build_adam(study.tables(), study.cohort, plan())
    study.patient("01", start=10)
    full = build_adam(study.tables(), study.cohort, plan())
    for name, frame in full.items():
        assert empty[name].empty
        assert empty[name].dtypes.equals(frame.dtypes)


def test_an_extra_variable_that_takes_a_standard_name_is_refused():
    study = Study(extra_variables={"age": {"label": "Age at diagnosis", "kind": "integer"}})
    with pytest.raises(ConfigError, match="not AGE, a variable of ADSL"):
        build_adam(study.tables(), study.cohort, plan())
