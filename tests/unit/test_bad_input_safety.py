"""Bad input to the safety analyses, from a centre's raw file to quarantine, flag and ADaM: nothing vanishes silently.

Two files of one centre, CSV and a workbook, with one fault each; what is asserted is what a person would look up: file,
sheet, row, column and text as they stand, the rule, what it cost, and what the analysis dataset then holds.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from clean_helpers import ELIGIBILITY
from ingest_helpers import SHOWN, cohort_config, ingest, plan, site_config, study, workbook

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.clean import Cleaned, clean_cohort

PATIENTS = """id;born;status;seen
P1;1950-03-07;alive;2018-06-30
P2;1950-03-07;alive;2018-06-30
"""
ABLATIONS = """id;date;tumour;cm;done;complication;grade;cirse;sir;when
P1;2015-03-01;1;2.5;yes;;;;;
P1;2015-03-01;2;1.5;yes;;;;;
P2;2015-03-01;1;2.0;no;;;;;
"""
IMAGING = """id;date;finding;where
P1;2015-04-01;clear;
P2;2015-04-01;clear;
"""
LABS = """id;date;test;value;unit;limit
P1;2015-02-20;ALB;41;g/L;55
P1;2015-02-20;BILI;12;umol/L;21
P1;2015-02-20;INR;1.1;ratio;1.2
"""
EVENT_HEADER = ["Patient", "Term", "Grade", "Start", "End"]
SITE = {
    "delimiter": ";",
    "tables": {
        "patients": {
            "file": "patients.csv",
            "columns": {
                "subject_id": "id", "birth_date": "born", "vital_status": "status", "last_contact_date": "seen",
            },
        },
        "ablations": {
            "file": "ablations.csv",
            "columns": {
                "subject_id": "id", "ablation_date": "date", "tumour_no": "tumour", "tumour_diameter_cm": "cm",
                "complete_ablation": {"column": "done", "values": {"yes": "Y", "no": "N"}},
                "complication_term": "complication", "complication_clavien_dindo": "grade",
                "complication_cirse": "cirse",
                "complication_sir": {"column": "sir", "values": {"1": "mild", "5": "death"}},
                "complication_date": "when",
            },
        },
        "imaging": {
            "file": "imaging.csv",
            "columns": {
                "subject_id": "id", "imaging_date": "date", "ltp_tumours": "where",
                "finding": {
                    "column": "finding", "values": {"clear": "no_recurrence", "local": "LTP", "distant": "IDR"},
                },
            },
        },
        "labs": {
            "file": "labs.csv",
            "columns": {
                "subject_id": "id", "sample_date": "date", "test": "test", "value": "value", "unit": "unit",
                "uln": "limit",
            },
        },
        "adverse_events": {
            "file": "events.xlsx",
            "sheet": "AE",
            "header_row": 2,
            "columns": {
                "subject_id": "Patient", "term": "Term", "grade": "Grade", "start_date": "Start", "end_date": "End",
            },
        },
    },
}  # fmt: skip


class Centre:
    """What a faulty export led to: quarantine, clean tables and ADaM."""

    def __init__(self, folder: Path, events: list[list], **more: str) -> None:
        texts = {"patients": PATIENTS, "ablations": ABLATIONS, "imaging": IMAGING, "labs": LABS}
        for name, text in texts.items():
            (folder / f"{name}.csv").write_text(text + more.get(name, ""), "utf-8")
        rows = [["All events"], EVENT_HEADER, *events]
        (folder / "events.xlsx").write_bytes(workbook({"AE": rows}))
        complete = [step for step in ELIGIBILITY if step["rule"] in ("has_index_rfa", "index_rfa_complete")]
        config = cohort_config(modules=["ablations", "imaging", "labs", "adverse_events"], eligibility=complete)
        cohort = study({"centre": site_config(**SITE)}, config)
        made = {"centre": ingest(folder, cohort.sites["centre"], config)}
        self.cleaned: Cleaned = clean_cohort(made, cohort, plan())
        self.adam = build_adam(
            self.cleaned.tables, cohort, plan(), incomplete_ablations=self.cleaned.incomplete_ablations
        )

    def entries(self) -> list[tuple]:
        """Return (file, sheet, row, column, value, rule, scope) of every quarantine entry."""
        names = ["file", "sheet", "row", "column", "value", "rule", "scope"]
        return [
            tuple(None if pd.isna(cell) else cell for cell in row)
            for row in self.cleaned.quarantine[names].itertuples(index=False)
        ]


@pytest.fixture
def centre(tmp_path):
    return lambda events=(), **more: Centre(tmp_path, list(events), **more)


EVENTS = f"{SHOWN}/events.xlsx"


def test_an_export_without_faults_leaves_nothing_behind(centre):
    made = centre([["P1", "Fatigue", 2, "2015-03-05", "2015-03-09"]])
    assert made.entries() == []
    assert made.adam["adae"][["PREFL", "TRTEMFL", "ATOXGR"]].values.tolist() == [["N", "Y", 2]]


# --- adverse events


def test_an_event_before_the_rfa_is_flagged_listed_and_never_treatment_emergent(centre):
    made = centre([["P1", "Fatigue", 2, "2015-02-27", "2015-03-09"], ["P1", "Fever", 1, "2015-03-01", None]])
    assert made.entries() == [(EVENTS, "AE", 3, "Start", "2015-02-27", "event_before_index", "flag")]
    assert made.cleaned.quarantine["reason"].tolist() == [
        "the event began 2 days before the index RFA: it stays, and is never treatment-emergent"
    ]
    adae = made.adam["adae"]
    assert adae[["AEDECOD", "ASTDY", "AENDY", "ATOXGR", "PREFL", "TRTEMFL"]].values.tolist() == [
        ["Fatigue", -2, 9, 2, "Y", "N"],
        ["Fever", 1, pd.NA, 1, "N", "Y"],
    ]
    assert adae[["SRCFILE", "SRCSHEET", "SRCROW"]].values.tolist() == [[EVENTS, "AE", 3], [EVENTS, "AE", 4]]


def test_an_event_of_unknown_start_that_was_over_before_the_rfa_is_flagged_too(centre):
    made = centre([["P1", "Fatigue", 2, None, "2015-02-28"], ["P1", "Fever", 1, None, "2015-03-01"]])
    assert made.entries() == [(EVENTS, "AE", 3, "End", "2015-02-28", "event_before_index", "flag")]
    assert "the event ended 1 day before the index RFA" in made.cleaned.quarantine["reason"][0]
    assert made.adam["adae"].set_index("AEDECOD")["PREFL"].to_dict() == {"Fatigue": "Y", "Fever": "N"}


@pytest.mark.parametrize("grade", [0, 6])
def test_a_grade_that_does_not_exist_is_quarantined_and_the_event_stays(centre, grade):
    made = centre([["P1", "Fatigue", grade, "2015-03-05", "2015-03-09"]])
    assert made.entries() == [(EVENTS, "AE", 3, "Grade", str(grade), "grade_out_of_range", "value")]
    assert f"{grade} is no CTCAE grade (1 to 5)" in made.cleaned.quarantine["reason"][0]
    (row,) = made.adam["adae"].itertuples()
    assert (row.AEDECOD, row.ATOXGR, row.TRTEMFL, row.SRCROW) == ("Fatigue", pd.NA, "Y", 3)


def test_an_end_before_the_start_is_quarantined_and_the_event_stays(centre):
    made = centre([["P1", "Fatigue", 2, "2015-03-05", "2015-03-04"]])
    assert made.entries() == [(EVENTS, "AE", 3, "End", "2015-03-04", "end_before_start", "value")]
    (row,) = made.adam["adae"].itertuples()
    assert (row.ASTDY, pd.isna(row.AENDT), row.TRTEMFL) == (5, True, "Y")


# --- laboratory

LABS_CSV = f"{SHOWN}/labs.csv"


def result(made: Centre, test: str) -> pd.DataFrame:
    return made.adam["adlb"].query("PARAMCD == @test")


def test_an_unknown_unit_costs_the_result_and_nothing_else(centre):
    made = centre(labs="P1;2015-06-01;ALT;80;furlongs;40\nP1;2015-07-01;ALT;130;U/L;40\n")
    assert made.entries() == [(LABS_CSV, None, 5, "unit", "furlongs", "unknown_unit", "value")]
    assert "the result '80' cannot be used; known are U/L" in made.cleaned.quarantine["reason"][0]
    assert result(made, "ALT")[["AVAL", "ATOXGR", "SRCROW"]].values.tolist() == [[130, 2, 6]]


def test_a_result_without_its_limit_of_normal_is_flagged_and_not_graded(centre):
    made = centre(labs="P1;2015-06-01;ALT;130;U/L;\nP1;2015-07-01;ALT;130;U/L;40\nP1;2015-07-01;PLT;40;10^9/L;\n")
    assert made.entries() == [(LABS_CSV, None, 5, "limit", None, "missing_uln", "flag")]
    assert made.cleaned.quarantine["reason"].tolist() == [
        "ALT without an upper limit of normal: the result stays, and has no CTCAE grade"
    ]
    assert result(made, "ALT")[["AVAL", "ANRHI", "ATOXGR", "SRCROW"]].values.tolist() == [
        [130, pd.NA, pd.NA, 5],
        [130, 40, 2, 6],
    ]
    # platelets are graded by their value: no limit is missed
    assert result(made, "PLT")["ATOXGR"].tolist() == [3]


def test_a_centre_that_states_no_limit_of_a_test_is_told_once(centre):
    made = centre(labs="P1;2015-06-01;ALT;130;U/L;\nP1;2015-07-01;ALT;30;U/L;\n")
    assert made.entries() == [(LABS_CSV, None, 5, "limit", None, "missing_uln", "flag")]
    assert (
        "centre states no upper limit of normal with any of its 2 results of ALT"
        in made.cleaned.quarantine["reason"][0]
    )
    assert result(made, "ALT")["ATOXGR"].isna().tolist() == [True, True]


def test_a_result_of_minus_one_is_quarantined(centre):
    made = centre(labs="P1;2015-06-01;ALT;-1;U/L;40\n")
    assert made.entries() == [(LABS_CSV, None, 5, "value", "-1", "impossible_value", "value")]
    assert "ALT of -1 U/L is outside what can be, 1 to 30000 U/L" in made.cleaned.quarantine["reason"][0]
    assert result(made, "ALT").empty


# --- ablations and imaging

ABLATIONS_CSV, IMAGING_CSV = f"{SHOWN}/ablations.csv", f"{SHOWN}/imaging.csv"


def test_a_complication_before_its_session_loses_its_date_and_counts(centre):
    made = centre(ablations="P1;2015-09-01;1;2.0;yes;Pain;II;2;1;2015-08-31\n")
    expected = (ABLATIONS_CSV, None, 5, "when", "2015-08-31", "complication_before_session", "value")
    assert made.entries() == [expected]
    second = made.adam["adproc"].iloc[1]
    assert second[["COMPFL", "COMP30FL", "COMPTERM", "CLAVIEN", "CIRSE", "SIR", "SRCROW"]].tolist() == [
        "Y", "Y", "Pain", "II", 2, "mild", 5,
    ]  # fmt: skip
    assert pd.isna(second["COMPDT"]) and pd.isna(second["COMPDAY"])


@pytest.mark.parametrize(
    ("column", "row", "value", "rule"),
    [
        ("cirse", "P1;2015-09-01;1;2.0;yes;Pain;II;7;1;2015-09-02", "7", "impossible_value"),
        ("sir", "P1;2015-09-01;1;2.0;yes;Pain;II;2;9;2015-09-02", "9", "unknown_code"),
        ("when", "P1;2015-09-01;1;2.0;yes;Pain;II;2;1;2021-09-02", "2021-09-02", "future_date"),
        ("when", "P1;2015-09-01;1;2.0;yes;Pain;II;2;1;02.09.2015", "02.09.2015", "unparsable_date"),
    ],
)
def test_a_complication_that_is_wrongly_graded_or_dated_stays_a_complication(centre, column, row, value, rule):
    made = centre(ablations=row + "\n")
    assert made.entries() == [(ABLATIONS_CSV, None, 5, column, value, rule, "value")]
    assert made.adam["adproc"]["COMPFL"].tolist() == ["N", "Y"]


@pytest.mark.parametrize(
    ("finding", "where", "rule", "reason"),
    [
        ("local", "3", "unknown_tumour", "the index session treated no tumour 3, only 1, 2"),
        ("local", "1+3", "unknown_tumour", "the index session treated no tumour 3, only 1, 2"),
        ("local", "0", "unknown_tumour", "the index session treated no tumour 0, only 1, 2"),
        ("clear", "1", "unknown_tumour", "tumours are named, yet the finding is 'no_recurrence'"),
        ("distant", "1", "unknown_tumour", "tumours are named, yet the finding is 'IDR'"),
        ("local", "S7", "not_a_tumour_list", "'S7' is no list of tumour numbers such as '2' or '1+3'"),
        ("local", "1,2", "not_a_tumour_list", "'1,2' is no list of tumour numbers such as '2' or '1+3'"),
        ("local", "2+", "not_a_tumour_list", "'2+' is no list of tumour numbers such as '2' or '1+3'"),
        ("local", "-1", "not_a_tumour_list", "'-1' is no list of tumour numbers such as '2' or '1+3'"),
    ],
)
def test_a_tumour_that_cannot_be_meant_is_quarantined_and_the_finding_stays(centre, finding, where, rule, reason):
    made = centre(imaging=f"P1;2015-07-01;{finding};{where}\n")
    assert made.entries() == [(IMAGING_CSV, None, 4, "where", where, rule, "value")]
    assert made.cleaned.quarantine["reason"].tolist() == [reason]
    tumours = made.adam["adtum"].query("ANLFL == 'Y'")
    expected = ["not recorded", pd.NA] if finding == "local" else [pd.NA, pd.NA]
    assert tumours["LTPALLOC"].tolist() == expected


@pytest.mark.parametrize(("where", "who"), [("2", ["N", "Y"]), ("1 + 2", ["Y", "Y"]), ("１＋２", ["Y", "Y"])])
def test_tumours_are_read_as_a_centre_writes_them(centre, where, who):
    made = centre(imaging=f"P1;2015-07-01;local;{where}\n")
    assert made.entries() == []
    assert made.adam["adtum"].query("ANLFL == 'Y'")["LTPFL"].tolist() == who


def test_a_number_is_unknown_only_where_all_numbers_of_the_session_are_recorded(centre):
    made = centre(ablations="P1;2015-03-01;;1.0;yes;;;;;\n", imaging="P1;2015-07-01;local;3\n")
    assert made.entries() == []
    # 3 may be the tumour without a number: which one progressed is not recorded, so the largest is taken
    assert made.adam["adtum"].query("LTPFL == 'Y'")[["TUMNO", "LTPALLOC"]].values.tolist() == [[1, "not recorded"]]


# --- conservation


def test_flags_take_nothing_and_everybody_has_one_fate(centre):
    flagged = centre([["P1", "Fatigue", 2, "2015-02-27", None]], labs="P1;2015-06-01;ALT;130;U/L;\n")
    assert set(flagged.cleaned.quarantine["scope"]) == {"flag"}
    fates = flagged.cleaned.fates.set_index("subject_id")
    assert fates["fate"].to_dict() == {"P1": "analysed", "P2": "excluded"}
    assert len(flagged.cleaned.tables["adverse_events"]) == 1
    assert len(flagged.cleaned.tables["labs"]) == 4
    # the tumour whose ablation was not complete is kept for technique efficacy, and for nothing else
    assert flagged.cleaned.incomplete_ablations[["subject_id", "src_row"]].values.tolist() == [["P2", 4]]
    others = flagged.adam["adtum"].query("ANLFL == 'N'")
    assert others[["USUBJID", "TECHEFFL", "SRCROW"]].values.tolist() == [["study-centre-P2", "N", 4]]
    assert set(flagged.adam["adsl"]["USUBJID"]) == {"study-centre-P1"}
