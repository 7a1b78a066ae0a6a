"""Each rule of cleaning: what it takes, what it leaves, and what it says about it."""

from __future__ import annotations

import pandas as pd
import pytest
from clean_helpers import ablation, clean, dose, entries, event, fates, image, lab, patient, whole

from sorafenib_rfa.clean.plausibility import COLUMN_BOUNDS, LAB_BOUNDS
from sorafenib_rfa.vocabulary import LAB_TESTS


def one(**tables: list[dict]):
    """Clean one whole patient with further rows."""
    rows = whole("1")
    for table, more in tables.items():
        rows[table] = rows[table] + more
    return clean({"a": rows})


def with_patient(**changes: object):
    """Clean one whole patient whose row in `patients` is changed."""
    rows = whole("1")
    rows["patients"] = [patient("1", **changes)]
    return clean({"a": rows})


def test_patients_without_fault_pass_untouched() -> None:
    cleaned = clean({"a": whole("1", "2")})
    assert cleaned.quarantine.empty
    assert fates(cleaned) == {"1": ("analysed", None), "2": ("analysed", None)}
    assert len(cleaned.tables["labs"]) == 6


# --- duplicates and orphans


def test_an_exact_duplicate_leaves_and_the_first_stays() -> None:
    cleaned = one(imaging=[image("1", "2015-04-01")], patients=[patient("1")])
    assert entries(cleaned) == [
        ("patients", 3, None, None, "exact_duplicate", "row"),
        ("imaging", 4, None, None, "exact_duplicate", "row"),
    ]
    assert cleaned.quarantine["reason"][1] == "the row says the same as raw/a/imaging.csv, row 2"
    assert cleaned.tables["imaging"]["src_row"].tolist() == [2, 3]
    assert fates(cleaned) == {"1": ("analysed", None)}


def test_the_same_content_at_two_sites_is_no_duplicate() -> None:
    cleaned = clean({"a": whole("1"), "b": whole("1")})
    assert cleaned.quarantine.empty
    assert cleaned.tables["patients"]["USUBJID"].tolist() == ["study-a-1", "study-b-1"]


def test_two_tumours_of_one_size_without_numbers_are_two_tumours() -> None:
    rows = whole("1")
    rows["ablations"] = [ablation("1", tumour_no=None), ablation("1", tumour_no=None)]
    cleaned = clean({"a": rows})
    assert cleaned.quarantine.empty
    assert len(cleaned.tables["ablations"]) == 2


def test_a_patient_recorded_twice_with_different_content_leaves_whole() -> None:
    rows = whole("1", "2")
    rows["patients"].append(patient("1", sex="F", ecog=1))
    cleaned = clean({"a": rows})
    assert entries(cleaned, "row", "rule", "scope") == [
        (2, "conflicting_duplicate", "row"),
        (4, "conflicting_duplicate", "row"),
    ]
    reason = cleaned.quarantine["reason"][0]
    assert "raw/a/patients.csv, row 2 and raw/a/patients.csv, row 4" in reason
    assert "different sex, ecog" in reason
    assert fates(cleaned)["1"] == ("quarantined", "conflicting_duplicate")
    assert set(cleaned.tables["labs"]["subject_id"]) == {"2"}


def test_rows_of_unknown_patients_leave_with_a_hint_about_leading_zeros() -> None:
    rows = whole("007")
    rows["labs"] += [lab("7", "2015-02-20", "ALT", 40), lab("99", "2015-02-20", "ALT", 40)]
    cleaned = clean({"a": rows})
    assert entries(cleaned) == [
        ("labs", 5, "subject_id", "7", "orphan_row", "row"),
        ("labs", 6, "subject_id", "99", "orphan_row", "row"),
    ]
    assert "'007' differs by leading zeros only" in cleaned.quarantine["reason"][0]
    assert "zeros" not in cleaned.quarantine["reason"][1]


# --- what cannot be


SIDES = ("low", "high")


def test_laboratory_values_at_and_beyond_each_bound() -> None:
    rows, expected, kept = [], [], []
    for test, (_, unit) in LAB_TESTS.items():
        for side in SIDES:
            edge = getattr(LAB_BOUNDS[test], side)
            beyond = edge * (0.99 if side == "low" else 1.01)
            expected.append(("value", str(beyond), "impossible_value", "value", len(rows) + 6))
            kept.append((test, edge))
            rows += [lab("1", f"2015-{5 + len(rows) % 7:02d}-01", test, value, unit=unit) for value in (edge, beyond)]
    cleaned = one(labs=rows)
    assert entries(cleaned, "column", "value", "rule", "scope", "row") == expected
    later = cleaned.tables["labs"][cleaned.tables["labs"]["sample_date"] > "2015-03-01"]
    assert sorted(zip(later["test"], later["value"], strict=True)) == sorted(kept)


ROW_WITH = {
    "patients": lambda number, **changes: patient(str(number), **changes),
    "ablations": lambda number, **changes: ablation("1", f"2016-01-{number - 1:02d}", **changes),
    "drug_exposure": lambda number, **changes: dose("1", f"2015-04-{number - 1:02d}", "2015-05-01", **changes),
}


def test_numbers_at_and_beyond_each_bound() -> None:
    whole_numbers = ("ecog", "tumour_count", "tumour_no", "complication_cirse")
    rows: dict[str, list[dict]] = {}
    expected = set()
    for (table, column), bounds in COLUMN_BOUNDS.items():
        if table == "survival_times":
            continue
        for side in SIDES:
            edge = getattr(bounds, side)
            step = (-1 if side == "low" else 1) * (1 if column in whole_numbers else 0.01)
            beyond = edge + step
            own = rows.setdefault(table, [])
            first_row = 2 if table == "drug_exposure" else 3
            own.append(ROW_WITH[table](len(own) + 2, **{column: edge}))
            expected.add((table, column, str(beyond), "impossible_value", "value", first_row + len(own)))
            own.append(ROW_WITH[table](len(own) + 2, **{column: beyond}))
    assert set(entries(one(**rows), "table", "column", "value", "rule", "scope", "row")) == expected


def test_a_birth_date_that_makes_the_patient_older_than_anyone() -> None:
    cleaned = with_patient(birth_date="1850-03-07")
    assert entries(cleaned) == [("patients", 2, "birth_date", "1850-03-07", "impossible_value", "value")]
    assert "165 years old at time zero" in cleaned.quarantine["reason"][0]
    assert fates(cleaned)["1"] == ("excluded", "adult")


def test_an_impossible_birth_date_is_found_in_a_patient_without_rfa_too() -> None:
    rows = whole("1")
    rows["patients"] = [patient("1", birth_date="1850-03-07")]
    rows["ablations"] = []
    cleaned = clean({"a": rows})
    assert entries(cleaned) == [("patients", 2, "birth_date", "1850-03-07", "impossible_value", "value")]
    assert fates(cleaned)["1"] == ("excluded", "first_rfa")


@pytest.mark.parametrize("grade", [0, 6, 33])
def test_grades_other_than_one_to_five(grade: int) -> None:
    cleaned = one(adverse_events=[event("1", grade=grade), event("1", term="Fatigue", grade=5)])
    assert entries(cleaned) == [("adverse_events", 2, "grade", str(grade), "grade_out_of_range", "value")]
    assert len(cleaned.tables["adverse_events"]) == 2  # an event of unknown grade is an event


# --- time


def test_dates_after_the_cut_off() -> None:
    cleaned = one(
        labs=[lab("1", "2021-01-01", "ALT", 40), lab("1", "2020-12-31", "AST", 40)],
        adverse_events=[event("1", end_date="2021-03-01")],
    )
    assert entries(cleaned) == [
        ("labs", 5, "sample_date", "2021-01-01", "future_date", "row"),
        ("adverse_events", 2, "end_date", "2021-03-01", "future_date", "value"),
    ]
    assert cleaned.quarantine["reason"][0] == "2021-01-01 is after the data cut-off 2020-12-31"


def test_without_a_cut_off_no_date_is_in_the_future() -> None:
    rows = whole("1")
    rows["labs"].append(lab("1", "2031-01-01", "ALT", 40))
    assert clean({"a": rows}, data_cutoff=None).quarantine.empty


def test_a_date_before_birth_leaves() -> None:
    cleaned = one(labs=[lab("1", "1949-03-01", "ALT", 40)])
    assert entries(cleaned) == [("labs", 5, "sample_date", "1949-03-01", "before_birth", "row")]


def test_a_birth_date_after_most_dates_is_itself_the_error() -> None:
    cleaned = with_patient(birth_date="2017-03-07")
    assert entries(cleaned) == [("patients", 2, "birth_date", "2017-03-07", "before_birth", "value")]
    assert "6 of the patient's 7 other dates" in cleaned.quarantine["reason"][0]


def test_a_date_after_death_leaves() -> None:
    rows = whole("1")
    rows["patients"] = [patient("1", vital_status="dead", death_date="2016-01-01", last_contact_date="2015-12-01")]
    rows["labs"].append(lab("1", "2016-02-01", "ALT", 40))
    rows["adverse_events"] = [event("1", start_date="2015-12-20", end_date="2016-01-02")]
    cleaned = clean({"a": rows})
    assert entries(cleaned) == [
        ("labs", 5, "sample_date", "2016-02-01", "after_death", "row"),
        ("adverse_events", 2, "end_date", "2016-01-02", "after_death", "value"),
    ]
    assert fates(cleaned)["1"] == ("analysed", None)


def test_a_death_before_most_dates_is_itself_the_error_and_the_patient_leaves() -> None:
    cleaned = with_patient(vital_status="dead", death_date="2014-01-01", last_contact_date=None)
    assert entries(cleaned) == [
        ("patients", 2, "death_date", "2014-01-01", "after_death", "value"),
        ("patients", 2, "death_date", "2014-01-01", "death_without_date", "row"),
    ]
    assert fates(cleaned)["1"] == ("quarantined", "death_without_date")


def test_an_event_that_ends_before_it_starts_loses_its_end() -> None:
    cleaned = one(adverse_events=[event("1", end_date="2015-03-31")])
    assert entries(cleaned) == [("adverse_events", 2, "end_date", "2015-03-31", "end_before_start", "value")]
    assert cleaned.tables["adverse_events"]["end_date"].isna().tolist() == [True]


def test_a_later_interval_that_ends_before_it_starts_leaves_and_the_arm_stands() -> None:
    cleaned = one(drug_exposure=[dose("1", "2015-03-20", "2015-05-01"), dose("1", "2015-05-02", "2015-04-20")])
    assert entries(cleaned) == [("drug_exposure", 3, "end_date", "2015-04-20", "end_before_start", "row")]
    assert set(cleaned.attrition["arm"]) == {"RFA + sorafenib"}


# --- contradictions


def test_dead_without_a_date() -> None:
    cleaned = with_patient(vital_status="dead")
    assert entries(cleaned) == [("patients", 2, "death_date", None, "death_without_date", "row")]
    assert fates(cleaned)["1"] == ("quarantined", "death_without_date")


def test_alive_with_a_date_of_death() -> None:
    cleaned = with_patient(death_date="2018-07-01")
    assert entries(cleaned) == [("patients", 2, "vital_status", "alive", "alive_with_death_date", "row")]
    assert fates(cleaned)["1"] == ("quarantined", "alive_with_death_date")


def survival(rfs: float, rfs_event: int, os: float, os_event: int):
    def row(endpoint: str, time: float, event: int) -> dict:
        return {"subject_id": "1", "endpoint": endpoint, "time_months": time, "event": event}

    return clean(
        {
            "a": {
                "patients": [patient("1")],
                "survival_times": [row("OS", os, os_event), row("RFS", rfs, rfs_event)],
            }
        },
        modules=["survival_times"],
        eligibility=[{"id": "known", "rule": "has_survival_times", "label": "Not recorded"}],
    )


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        ((13, 1, 12, 1), ("R", "longer than OS")),
        ((13, 0, 12, 0), ("R", "longer than OS")),
        ((12, 0, 12, 1), ("E", "death is an event of RFS")),
        ((12, 1, 12, 1), None),
        ((12, 0, 12, 0), None),
        ((5, 1, 12, 0), None),
        ((5, 0, 12, 1), None),  # last imaging at 5 months, death at 12: a strict censoring rule, no contradiction
    ],
)
def test_survival_times_that_contradict_each_other(times: tuple, problem: tuple | None) -> None:
    cleaned = survival(*times)
    if problem is None:
        assert fates(cleaned)["1"] == ("analysed", None)
        assert cleaned.quarantine.empty
    else:
        assert fates(cleaned)["1"] == ("quarantined", "survival_contradiction")
        (entry,) = entries(cleaned, "column", "rule", "reason")
        assert entry[:2] == (problem[0], "survival_contradiction")
        assert problem[1] in entry[2]


def test_negative_survival_times_are_quarantined_and_the_patient_is_excluded_for_it() -> None:
    cleaned = survival(-1, 1, 12, 1)
    assert entries(cleaned, "column", "rule") == [("R", "impossible_value")]
    assert fates(cleaned)["1"] == ("excluded", "known")


# --- rows that cannot serve, and what they decide


def test_rows_without_their_date_leave() -> None:
    cleaned = one(labs=[lab("1", None, "ALT", 40)], imaging=[image("1", None), image("1", "2016-01-01", None)])
    assert entries(cleaned, "table", "row", "column", "rule", "scope") == [
        ("imaging", 4, "imaging_date", "missing_key", "row"),
        ("imaging", 5, "finding", "missing_key", "row"),
        ("labs", 5, "sample_date", "missing_key", "row"),
    ]
    assert fates(cleaned)["1"] == ("analysed", None)


def test_an_adverse_event_without_dates_is_kept() -> None:
    cleaned = one(adverse_events=[event("1", start_date=None, end_date=None)])
    assert cleaned.quarantine.empty
    assert len(cleaned.tables["adverse_events"]) == 1


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({"ablations": [ablation("1", None, tumour_no=2)]}, "it may have been the index RFA"),
        ({"drug_exposure": [dose("1", None)]}, "it may have decided the arm"),
        ({"drug_exposure": [dose("1", "2015-04-01", "2015-03-20")]}, "it may have decided the arm"),
        ({"drug_exposure": [dose("1", None), dose("1", "2015-04-01")]}, "it may have decided the arm"),
        ({"drug_exposure": [dose("1", "2015-04-01", drug=None)]}, "it may have decided the arm"),
        ({"imaging": [image("1", None, "IDR")]}, "it may have been the first recurrence"),
    ],
)
def test_a_lost_row_that_may_decide_takes_the_patient(rows: dict, reason: str) -> None:
    cleaned = one(**rows)
    assert fates(cleaned)["1"] == ("quarantined", "decisive_row_lost")
    last = cleaned.quarantine.iloc[-1]
    assert (last["table"], last["rule"]) == ("patients", "decisive_row_lost")
    assert reason in last["reason"]


@pytest.mark.parametrize(
    "rows",
    [
        {"drug_exposure": [dose("1", "2015-04-01", "2015-05-01"), dose("1", None, "2015-08-01")]},
        {"imaging": [image("1", None, "no_recurrence")]},
        {"ablations": [ablation("1"), ablation("1")]},
    ],
)
def test_a_lost_row_that_decides_nothing_leaves_the_patient(rows: dict) -> None:
    cleaned = one(**rows)
    assert len(cleaned.quarantine)
    assert fates(cleaned)["1"] == ("analysed", None)


def test_a_row_that_ingest_could_not_read_may_decide_too() -> None:
    lost = {
        "file": "raw/a/ablations.csv",
        "row": 9,
        "table": "ablations",
        "subject_id": "1",
        "rule": "ragged_row",
        "scope": "row",
    }
    cleaned = clean({"a": whole("1", "2")}, {"a": [lost]})
    assert fates(cleaned) == {"1": ("quarantined", "decisive_row_lost"), "2": ("analysed", None)}


def test_results_without_a_value_are_not_carried_on() -> None:
    cleaned = one(labs=[lab("1", "2015-05-01", "ALT", None, source_value=None)])
    assert cleaned.quarantine.empty
    assert cleaned.tables["labs"]["value"].notna().all()


def test_nothing_given_is_changed() -> None:
    from clean_helpers import ingested
    from ingest_helpers import cohort_config, plan, site_config, study

    from sorafenib_rfa.clean import clean_cohort

    config = cohort_config()
    rows = whole("1", "2")
    rows["labs"].append(lab("1", "2015-05-01", "ALT", 10**6))
    rows["adverse_events"] = [event("1", grade=9, end_date="2015-03-01")]
    mapping = {
        t: {"file": f"{t}.csv", "columns": {n: n for n in frame}}
        for t, frame in {"labs": ["value"], "adverse_events": ["grade"]}.items()
    }
    given = {"a": ingested(rows, "a", config)}
    before = {name: frame.copy(deep=True) for name, frame in given["a"].tables.items()}
    clean_cohort(given, study({"a": site_config(tables=mapping)}, config), plan())
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, given["a"].tables[name])
