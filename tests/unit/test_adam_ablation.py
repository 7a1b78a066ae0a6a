"""ADPROC and ADTUM of hand-made records, with expected rows written out."""

from __future__ import annotations

import pandas as pd
import pytest

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.adam.adproc import build_adproc
from sorafenib_rfa.adam.adsl import build_adsl
from sorafenib_rfa.adam.adtum import build_adtum
from sorafenib_rfa.adam.schemas import conform, validate
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH
from tests.unit.adam_cohorts import Study, day, plan, subject, table
from tests.unit.test_adam_records import as_rows

# --- ADPROC ------------------------------------------------------------------------------------------------------


def build_sessions(*rows: dict) -> pd.DataFrame:
    """Return ADPROC of one patient whose index session is clean and who has further rows of ablations."""
    study = Study()
    study.patient("01", start=20, clear=(30,))
    for row in rows:
        study.add("ablations", subject_id="01", **row)
    tables, config = study.tables(), study.cohort.config
    adsl = conform("adsl", build_adsl(tables, study.cohort, plan()), config)
    return conform("adproc", build_adproc(adsl, tables["ablations"], plan()), config)


def complication(n: int | None = None, **what: object) -> dict:
    """Return a row of a session on day 200 with a complication `n` days later."""
    names = {"term": "complication_term", "clavien": "complication_clavien_dindo"}
    row = {names.get(key, f"complication_{key}"): value for key, value in what.items()}
    return {"ablation_date": day(200), "complication_date": None if n is None else day(200 + n)} | row


def test_sessions_are_numbered_in_time_and_count_their_tumours():
    adproc = build_sessions({"ablation_date": day(0), "tumour_no": 2}, {"ablation_date": day(200), "tumour_no": 1})
    columns = ["USUBJID", "PROCSEQ", "PROCDT", "PROCDY", "INDEXFL", "NTUM", "COMPFL", "COMP30FL", "TRT01A", "EXPOSFL"]
    both = ("RFA + sorafenib", "Y")
    assert as_rows(adproc, columns) == [
        (subject("01"), 1, day(0), 1, "Y", 2, "N", "N", *both),
        (subject("01"), 2, day(200), 201, "N", 1, "N", "N", *both),
    ]
    assert as_rows(adproc, ["SRCFILE", "SRCROW"]) == [("ablations.csv", 2), ("ablations.csv", 4)]


@pytest.mark.parametrize(
    ("n", "within"),
    [(0, "Y"), (1, "Y"), (30, "Y"), (31, "N"), (90, "N"), (None, "Y")],
)
def test_a_complication_counts_to_the_plans_last_day_and_without_a_date(n, within):
    adproc = build_sessions(complication(n, term="Pain", clavien="II", cirse=2, sir="moderate"))
    expected = ("Y", "Pain", None if n is None else day(200 + n), n, within, "II", 2, "moderate")
    columns = ["COMPFL", "COMPTERM", "COMPDT", "COMPDAY", "COMP30FL", "CLAVIEN", "CIRSE", "SIR"]
    assert as_rows(adproc, columns)[1] == expected


@pytest.mark.parametrize("what", [{"term": "Pain"}, {"clavien": "I"}, {"cirse": 1}, {"sir": "mild"}, {"n": 3}])
def test_any_column_says_that_there_was_a_complication(what):
    assert build_sessions(complication(**what))["COMPFL"].tolist() == ["N", "Y"]


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        # the higher Clavien-Dindo grade, in whichever row it stands
        ([complication(1, clavien="II"), complication(2, clavien="IIIa")], 2),
        ([complication(1, clavien="IIIb"), complication(2, clavien="IIIa")], 1),
        ([complication(1, clavien="IVa"), complication(2, clavien="V")], 2),
        # graded by another system only where Clavien-Dindo does not tell them apart
        ([complication(1, clavien="II", cirse=2), complication(2, clavien="II", cirse=3)], 2),
        ([complication(1, sir="mild"), complication(2, sir="life_threatening")], 2),
        ([complication(1, cirse=6), complication(2, clavien="I", cirse=1)], 2),
        # what counts within 30 days is not hidden by something later
        ([complication(40, clavien="IIIa"), complication(5, clavien="I")], 5),
        ([complication(40, clavien="I"), complication(50, clavien="II")], 50),
        # one that is only named comes before a row without any, and the first row before an equal one
        ([complication(), complication(3, term="Pain")], 3),
        ([complication(4, term="Pain"), complication(3, term="Pain")], 4),
    ],
)
def test_of_several_complications_the_worst_is_shown_with_its_row(rows, shown):
    adproc = build_sessions(*rows)
    days = [None if row["complication_date"] is None else (row["complication_date"] - day(200)).days for row in rows]
    assert as_rows(adproc, ["PROCSEQ", "NTUM", "COMPDAY", "SRCROW"])[1] == (2, 2, shown, 3 + days.index(shown))


def graded(n: int, clavien: str | None, cirse: int | None, sir: str | None) -> dict:
    return complication(n, term="Pain", clavien=clavien, cirse=cirse, sir=sir)


@pytest.mark.parametrize(
    ("rows", "grades"),
    [
        # a scale is not judged by another one: the graver complication may be graded on it alone
        ([graded(1, "I", 1, "mild"), graded(2, None, 5, "life_threatening")], ("I", 5, "life_threatening")),
        ([graded(1, "II", 2, "moderate"), graded(2, "I", 4, "severe")], ("II", 4, "severe")),
        ([graded(1, "IVb", None, None), graded(2, "IVa", None, "severe")], ("IVb", None, "severe")),
        # what came later stays apart
        ([graded(5, "I", 1, "mild"), graded(40, "IIIa", 3, "severe")], ("I", 1, "mild")),
        ([graded(40, "I", 3, "mild"), graded(50, "II", 2, "severe")], ("II", 3, "severe")),
    ],
)
def test_each_scale_has_the_worst_grade_of_the_session(rows, grades):
    assert as_rows(build_sessions(*rows), ["CLAVIEN", "CIRSE", "SIR"])[1] == grades


# --- ADTUM -------------------------------------------------------------------------------------------------------

MONTHS = {n: n / DAYS_PER_MONTH for n in (30, 90, 120, 180, 210, 270, 400)}


def follow(tumours=(2.0, 3.1), exams=(), sessions=(), death=None) -> list[tuple]:
    """Return (TUMNO, LTPFL, LTPALLOC, AVAL in days, CNSR, EVNTCD) of the tumours of a patient's index session.

    `tumours` are diameters in cm, `exams` (day, finding, named tumours), `sessions` days of further RFA.
    """
    study = Study()
    study.patient("01", contact=500, death=death)
    study.rows["ablations"].clear()
    for number, diameter in enumerate(tumours, start=1):
        row = {"tumour_no": number, "tumour_diameter_cm": diameter, "complete_ablation": "Y"}
        study.add("ablations", subject_id="01", ablation_date=day(0), **row)
    for n in sessions:
        study.add("ablations", subject_id="01", ablation_date=day(n), tumour_no=1, complete_ablation="N")
    for n, finding, *named in exams:
        text = named[0] if named else None
        study.add("imaging", subject_id="01", imaging_date=day(n), finding=finding, ltp_tumours=text)
    tables, config = study.tables(), study.cohort.config
    adsl = conform("adsl", build_adsl(tables, study.cohort, plan()), config)
    built = build_adtum(adsl, tables["ablations"], tables["imaging"], None, study.cohort)
    adtum = validate("adtum", conform("adtum", built, config), config)
    index = adtum[adtum["INDEXFL"] == "Y"].assign(days=lambda rows: (rows["AVAL"] * DAYS_PER_MONTH).round(6))
    ltp = index[index["LTPFL"] == "Y"]
    assert ((ltp["LTPDT"] - ltp["PROCDT"]).dt.days == ltp["days"]).all()
    return as_rows(index, ["TUMNO", "LTPFL", "LTPALLOC", "days", "CNSR", "EVNTCD"])


CLEAR = (30, "no_recurrence")


@pytest.mark.parametrize(
    ("exams", "more", "expected"),
    [
        # named: that tumour alone; the other is censored at the last examination
        ([CLEAR, (120, "LTP", "1")], {}, [(1, "Y", "recorded", 120, 0, 1), (2, "N", None, 120, 1, 0)]),
        ([CLEAR, (120, "LTP", "1+2")], {}, [(1, "Y", "recorded", 120, 0, 1), (2, "Y", "recorded", 120, 0, 1)]),
        # not named: the largest, which is the second
        ([CLEAR, (120, "LTP")], {}, [(1, "N", None, 120, 1, 0), (2, "Y", "not recorded", 120, 0, 1)]),
        ([CLEAR, (120, "LTP")], {"tumours": (2.0,)}, [(1, "Y", "only tumour", 120, 0, 1)]),
        ([CLEAR, (120, "LTP", "1")], {"tumours": (2.0,)}, [(1, "Y", "recorded", 120, 0, 1)]),
        # of equal size the first, and one of known size before one of unknown
        ([(120, "LTP")], {"tumours": (2.0, 2.0)}, [(1, "Y", "not recorded", 120, 0, 1), (2, "N", None, 120, 1, 0)]),
        ([(120, "LTP")], {"tumours": (None, 2.0)}, [(1, "N", None, 120, 1, 0), (2, "Y", "not recorded", 120, 0, 1)]),
        # each tumour's own first time; what is not named later is taken as the progression seen before
        (
            [(120, "LTP", "1"), (180, "LTP"), (210, "LTP+IDR", "1+2"), (270, "no_recurrence")],
            {},
            [(1, "Y", "recorded", 120, 0, 1), (2, "Y", "recorded", 210, 0, 1)],
        ),
        ([(120, "LTP", "1"), (180, "LTP")], {}, [(1, "Y", "recorded", 120, 0, 1), (2, "N", None, 180, 1, 0)]),
        # recurrence elsewhere does not end the risk
        (
            [(120, "IDR"), (180, "EHS"), (270, "no_recurrence")],
            {"tumours": (2.0,)},
            [(1, "N", None, 270, 1, 0)],
        ),
        ([(120, "IDR"), (180, "LTP+EHS", "1")], {"tumours": (2.0,)}, [(1, "Y", "recorded", 180, 0, 1)]),
        # a recurrence of unrecorded kind may be LTP: observation ends before it, also for a later death
        ([(120, "no_recurrence"), (180, "recurrence_unspecified")], {"death": 400}, [(1, "N", None, 120, 1, 0)] * 1),
        # after a further session LTP that is not named may be of a later ablation
        (
            [(90, "IDR"), (180, "no_recurrence"), (210, "LTP"), (270, "no_recurrence")],
            {"sessions": (120,)},
            [(1, "N", None, 180, 1, 0), (2, "N", None, 180, 1, 0)],
        ),
        (
            [(90, "IDR"), (180, "no_recurrence"), (210, "LTP", "2"), (270, "no_recurrence")],
            {"sessions": (120,)},
            [(1, "N", None, 270, 1, 0), (2, "Y", "recorded", 210, 0, 1)],
        ),
        # on the day of the further session the examination came first
        ([(120, "LTP")], {"tumours": (2.0,), "sessions": (120,)}, [(1, "Y", "only tumour", 120, 0, 1)]),
        # death competes, whenever; not before it was looked at the last time, as in ADTTE
        ([CLEAR], {"tumours": (2.0,), "death": 400}, [(1, "N", None, 400, 1, 2)]),
        ([CLEAR, (120, "LTP", "2")], {"death": 400}, [(1, "N", None, 400, 1, 2), (2, "Y", "recorded", 120, 0, 1)]),
        # what is seen on the day of RFA is the tumour treated; without imaging observation ends at once
        ([(0, "LTP", "1"), (90, "no_recurrence")], {"tumours": (2.0,)}, [(1, "N", None, 90, 1, 0)]),
        ([(-20, "LTP", "1")], {"tumours": (2.0,)}, [(1, "N", None, 0.5, 1, 0)]),
        # examinations of one day are read together
        ([(120, "no_recurrence"), (120, "LTP", "1")], {"tumours": (2.0,)}, [(1, "Y", "recorded", 120, 0, 1)]),
        (
            [(120, "LTP"), (120, "LTP", "1")],
            {},
            [(1, "Y", "recorded", 120, 0, 1), (2, "N", None, 120, 1, 0)],
        ),
    ],
)
def test_local_progression_of_each_tumour(exams, more, expected):
    if exams == [(120, "no_recurrence"), (180, "recurrence_unspecified")]:
        more = more | {"tumours": (2.0,)}
    assert follow(exams=exams, **more) == expected


def test_rows_of_adtum_name_session_tumour_and_origin():
    study = Study()
    study.patient("01", clear=(30,))
    again = {"tumour_no": 1, "tumour_diameter_cm": 1.4, "guidance": "CT", "complete_ablation": "N"}
    study.add("ablations", subject_id="01", ablation_date=day(100), **again)
    adtum = build_adam(study.tables(), study.cohort, plan())["adtum"]
    columns = ["USUBJID", "ANLFL", "PROCSEQ", "PROCDT", "INDEXFL", "TUMNO", "DIAM", "GUIDANCE", "TECHEFFL", "AVAL"]
    assert as_rows(adtum, [*columns, "SRCFILE", "SRCROW"]) == [
        (subject("01"), "Y", 1, day(0), "Y", 1, None, None, "Y", MONTHS[30], "ablations.csv", 2),
        (subject("01"), "Y", 2, day(100), "N", 1, 1.4, "CT", "N", None, "ablations.csv", 3),
    ]


def test_patients_whose_ablation_was_not_complete_count_for_technique_efficacy_only():
    study = Study()
    study.patient("01", clear=(30,))
    rows = [
        {"subject_id": "99", "ablation_date": day(n), "tumour_no": number, "complete_ablation": complete}
        for n, number, complete in [(0, 1, "Y"), (0, 2, "N"), (40, 1, "Y")]
    ]
    incomplete = table("ablations", rows, study.cohort.config)
    adam = build_adam(study.tables(), study.cohort, plan(), incomplete_ablations=incomplete)
    others = adam["adtum"][adam["adtum"]["USUBJID"] == subject("99")]
    columns = ["STUDYID", "SITEID", "ANLFL", "PROCSEQ", "INDEXFL", "TUMNO", "TECHEFFL"]
    assert as_rows(others, columns) == [
        ("handmade", "alpha", "N", 1, "Y", 1, "Y"),
        ("handmade", "alpha", "N", 1, "Y", 2, "N"),
        ("handmade", "alpha", "N", 2, "N", 1, "Y"),
    ]
    assert others[["TRT01A", "EXPOSFL", "LTPFL", "LTPDT", "LTPALLOC", "AVAL", "CNSR", "EVNTCD"]].isna().all(axis=None)
    for name in ("adsl", "adproc", "adrecur", "adtte"):
        assert subject("99") not in set(adam[name]["USUBJID"])


def test_a_cohort_without_imaging_does_not_follow_tumours():
    study = Study(modules=["ablations"], endpoints=["OS"])
    study.patient("01")
    adtum = build_adam(study.tables(), study.cohort, plan())["adtum"]
    assert as_rows(adtum, ["TECHEFFL", "LTPFL", "AVAL", "CNSR", "EVNTCD"]) == [("Y", None, None, None, None)]
