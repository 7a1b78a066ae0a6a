"""Adverse events recounted by an independent path: SQL in DuckDB over ADAE, ADSL and ADEX, for 200 random cohorts.

The SQL knows the definitions of the plan (windows, kinds, events of interest) and none of the package's functions; it
does not read TRTEMFL, but finds treatment-emergence from dates. The cohorts have what real ones have: grades and dates
that are missing, events recorded twice, several terms of one event of interest in one patient, events before RFA and
after the window, interrupted and restarted treatment, drug before and after recurrence, and groups that are empty.
"""

from __future__ import annotations

from functools import cache

import duckdb
import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, cohort
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorafenib_rfa.adam.adae import build_adae
from sorafenib_rfa.estimates.safety import estimate_safety
from sorafenib_rfa.exhibits.tables import make_table

RFA = pd.Timestamp("2018-03-01")
TERMS = {
    "Palmar-plantar erythrodysesthesia syndrome": "Skin and subcutaneous tissue disorders",
    "Rash acneiform": "Skin and subcutaneous tissue disorders",
    "Rash maculo-papular": "Skin and subcutaneous tissue disorders",
    "Diarrhea": "Gastrointestinal disorders",
    "Ascites": "Gastrointestinal disorders",
    "Hepatic failure": "Hepatobiliary disorders",
    "Blood bilirubin increased": "Investigations",
    "A term of no dictionary": None,
}
MAYBE = st.sampled_from
DAYS = st.integers(-20, 220)
COURSE = st.tuples(st.integers(0, 20), st.integers(0, 60), MAYBE([0.0, 400.0, 800.0, None]))
"""Days without a record, days with one, mg a day."""

PATIENT = st.fixed_dictionaries(
    {
        "exposed": st.booleans(),
        "rfa": st.integers(0, 50),
        "delay": st.integers(0, 40),
        "courses": st.lists(COURSE, max_size=3),
        "followed": st.integers(0, 200),
        "died": st.booleans(),
        "recurred": MAYBE([None, None, 5, 40, 75, 120]),
        "later_drug": MAYBE([None, None, 0, 10, 50]),
    }
)  # fmt: skip
EVENT = st.fixed_dictionaries(
    {
        "who": st.integers(0, 40),
        "term": MAYBE([*TERMS, None]),
        "soc": MAYBE([None, None, None, "Vascular disorders"]),
        "grade": MAYBE([None, 1, 1, 2, 2, 3, 4, 5]),
        "start": st.none() | DAYS,
        "length": st.none() | st.integers(0, 40),
        "flags": st.tuples(*[MAYBE(["Y", "N", None])] * 3),
        "action": MAYBE([None, "none", "reduced", "interrupted", "stopped"]),
        "outcome": MAYBE([None, "recovered", "not_recovered", "fatal"]),
        "twice": MAYBE([False, False, True]),
    }
)


RAW = [
    "USUBJID",
    "term",
    "soc",
    "grade",
    "serious",
    "related_drug",
    "related_rfa",
    "action",
    "outcome",
    "start_date",
    "end_date",
    "src_file",
    "src_sheet",
    "src_row",
]


def cohort_of(patients: list[dict], events: list[dict]) -> dict[str, pd.DataFrame]:
    """Return ADSL, ADEX and ADAE as the pipeline makes them from such records."""
    people, doses, raw = [], [], []
    for number, patient in enumerate(patients):
        usubjid, rfa = f"S-{number:02d}", RFA + pd.Timedelta(days=patient["rfa"])
        recurred, later = patient["recurred"], patient["later_drug"]
        if patient["exposed"]:
            start = patient["delay"]
            recurred = None if recurred is None else max(recurred, start + 1)
        else:
            start = None if None in (recurred, later) else recurred + later
        # the exposed have one dose at least; what comes after it may be an interruption
        courses = [] if start is None else [(0, 5, 800.0), *patient["courses"]]
        day = start or 0
        for seq, (gap, length, dose) in enumerate(courses, 1):
            day += gap
            begin, day = day, day + length
            doses.append((usubjid, seq, rfa + pd.Timedelta(days=begin), rfa + pd.Timedelta(days=day), dose))
        last = rfa + pd.Timedelta(days=max(patient["followed"], day))
        people.append(
            {
                "STUDYID": "S",
                "SITEID": "s",
                "USUBJID": usubjid,
                "TRT01A": "RFA + sorafenib" if patient["exposed"] else "RFA alone",
                "EXPOSFL": "Y" if patient["exposed"] else "N",
                "TRTSDT": rfa,
                "EXSTDT": rfa + pd.Timedelta(days=start) if start is not None else pd.NaT,
                "RECDT": pd.NaT if recurred is None else rfa + pd.Timedelta(days=recurred),
                "LSTALVDT": last,
                "DTHDT": last if patient["died"] else pd.NaT,
            }
        )
    for row, event in enumerate(events):
        person = people[event["who"] % len(people)]
        begun = pd.NaT if event["start"] is None else person["TRTSDT"] + pd.Timedelta(days=event["start"])
        if pd.notna(begun) and pd.notna(person["DTHDT"]) and begun > person["DTHDT"]:
            begun = person["DTHDT"]  # what is recorded after a death never gets here: it is in quarantine
        if event["length"] is None:
            ended = pd.NaT
        else:
            ended = (person["TRTSDT"] if pd.isna(begun) else begun) + pd.Timedelta(
                days=event["length"] - 10 * pd.isna(begun)
            )
        record = {
            "USUBJID": person["USUBJID"],
            "term": event["term"],
            "soc": event["soc"] or TERMS.get(event["term"]),
            "grade": event["grade"],
            "serious": event["flags"][0],
            "related_drug": event["flags"][1],
            "related_rfa": event["flags"][2],
            "action": event["action"],
            "outcome": event["outcome"],
            "start_date": begun,
            "end_date": ended,
            "src_file": "events.csv",
            "src_sheet": None,
            "src_row": 2 * row + 2,
        }
        raw += [record, record | {"src_row": 2 * row + 3}] if event["twice"] else [record]
    kinds = dict.fromkeys(RAW, "string") | dict.fromkeys(["start_date", "end_date"], "datetime64[s]")
    events_ = pd.DataFrame(raw, columns=RAW).astype(kinds | {"grade": "Int64", "src_row": "Int64"})
    dates = dict.fromkeys(["TRTSDT", "EXSTDT", "RECDT", "LSTALVDT", "DTHDT"], "datetime64[s]")
    names = dict.fromkeys(["STUDYID", "SITEID", "USUBJID", "TRT01A", "EXPOSFL"], "string")
    adsl = pd.DataFrame(people).astype({**dates, **names})
    adex = pd.DataFrame(doses, columns=["USUBJID", "EXSEQ", "EXSTDT", "EXENDT", "EXDOSE"]).astype(
        {
            "USUBJID": "string",
            "EXSEQ": "Int64",
            "EXDOSE": "Float64",
            "EXSTDT": "datetime64[s]",
            "EXENDT": "datetime64[s]",
        }
    )
    return {"adsl": adsl, "adex": adex, "adae": build_adae(adsl, adex, events_, PLAN)}


COUNTED = """
create or replace temp table counted as
-- each day is of the last record that covers it; a record that begins after recurrence, and not on the day after or
-- within a former one, starts the drug again
with day_of as (
    select USUBJID, EXSEQ, unnest(generate_series(EXSTDT, EXENDT, interval 1 day)) as on_day from adex),
held as (
    select USUBJID, on_day, max(EXSEQ) as seq from day_of group by 1, 2),
days as (
    select h.USUBJID, h.on_day, a.EXDOSE is null or a.EXDOSE > 0 as drug,
        s.EXPOSFL = 'N' or (h.on_day >= s.RECDT and not exists (
            select 1 from day_of o where o.USUBJID = h.USUBJID and o.on_day = h.on_day - interval 1 day
        )) as starts_again
    from held h join adex a on a.USUBJID = h.USUBJID and a.EXSEQ = h.seq join adsl s on s.USUBJID = h.USUBJID),
again as (select USUBJID, min(on_day) as again_from from days where starts_again group by 1),
dosed as (
    select d.USUBJID, min(on_day) filter (drug and (again_from is null or on_day < again_from)) as first_dose,
        max(on_day) filter (drug and (again_from is null or on_day < again_from)) as last_dose,
        min(on_day) filter (drug and on_day >= again_from) as other_dose
    from days d left join again using (USUBJID) group by 1),
patient as (
    select s.USUBJID, s.TRTSDT, s.DTHDT, coalesce(s.DTHDT, s.LSTALVDT) as last_seen,
        if(s.EXPOSFL = 'Y', 'exposed', 'unexposed') as arm, if(s.EXPOSFL = 'Y', first_dose, s.TRTSDT) as begins,
        least(last_dose + interval 30 day, RECDT + interval 30 day, other_dose - interval 1 day) as emergence_ends
    from adsl s left join dosed using (USUBJID))
select p.*, least(coalesce(emergence_ends, last_seen), last_seen) as ends,
    greatest(date_diff('day', begins, least(coalesce(emergence_ends, last_seen), last_seen)) + 1, 0) as days,
    a.* exclude (USUBJID, EXPOSFL),
    if(ASTDT is null, 1, date_diff('day', begins, ASTDT) + 1) as day,
    a.AESEQ is not null and case
        when ASTDT is null then (AENDT is null or AENDT >= begins) and (AENDT is null or AENDT >= p.TRTSDT)
        else ASTDT >= begins and ASTDT <= least(coalesce(emergence_ends, last_seen), last_seen) end as emergent
from patient p left join adae a using (USUBJID)
"""

KINDS = """
create or replace temp table kinds as
with flags as (
    select USUBJID, arm, AEDECOD, coalesce(AEBODSYS, 'Not classified') as soc, CQ01NAM, ATOXGR, day, days, SRCROW,
        true as "any",
        coalesce(ATOXGR >= 3, false) as grade_3_5,
        ARELRFA is distinct from 'Y' as not_rfa_related,
        coalesce(AESER = 'Y', false) as serious,
        coalesce(ATOXGR >= 3, true) as grade_3_5_worst_case,
        coalesce(ATOXGR >= 3, false) and ARELRFA is distinct from 'Y' as grade_3_5_not_rfa,
        coalesce(AESER = 'Y', false) and ARELRFA is distinct from 'Y' as serious_not_rfa,
        coalesce(AREL = 'Y', false) as drug_related,
        coalesce(AREL = 'Y' and ATOXGR >= 3, false) as drug_related_grade_3_5,
        coalesce(AEACN in ('reduced', 'interrupted'), false) as dose_changed,
        coalesce(AEACN = 'stopped', false) as stopped,
        coalesce(AEOUT = 'fatal', false) or coalesce(ATOXGR = 5, false) as fatal
    from counted where emergent)
unpivot flags on "any", grade_3_5, not_rfa_related, serious, grade_3_5_worst_case, grade_3_5_not_rfa,
    serious_not_rfa, drug_related, drug_related_grade_3_5, dose_changed, stopped, fatal into name kind value holds
"""

TALLY = """
with wanted as (select * from kinds where holds),
lines as (
    select 'summary' as analysis, kind as variable, arm, USUBJID, day, days from wanted
    union all select 'soc', soc || '=' || kind, arm, USUBJID, day, days from wanted
    union all select 'term', AEDECOD || '=' || kind, arm, USUBJID, day, days from wanted where AEDECOD is not null
    union all select 'interest', q.key || '=' || kind, arm, USUBJID, day, days
        from wanted join queries q on q.label = CQ01NAM),
first as (select analysis, variable, arm, USUBJID, least(min(day), any_value(days)) as until, any_value(days) as days,
    count(*) as events from lines group by all),
total as (select arm, sum(days) as days from (select distinct USUBJID, arm, days from counted) group by 1)
select analysis, variable, arm, count(*) as n, sum(events) as events,
    sum(until) + any_value(total.days) - sum(first.days)
from first join total using (arm) group by 1, 2, 3
"""

WORST = """
select AEDECOD as term, arm, coalesce('g' || worst, 'unknown') as grade, count(*) as n
from (select USUBJID, arm, AEDECOD, max(ATOXGR) as worst
    from counted where emergent and AEDECOD is not null group by all)
group by all
"""

NUMBERS = """
with per_patient as (
    select USUBJID, any_value(arm) as arm, count(*) filter (emergent) as "any",
        count(*) filter (emergent and ATOXGR >= 3) as grade_3_5
    from counted group by USUBJID),
long as (unpivot per_patient on "any", grade_3_5 into name kind value number)
select kind, arm, if(number >= 3, '3_or_more', number::varchar) as level, count(*) as n from long group by 1, 2, 3
"""

ENDINGS = """
with first as (
    select USUBJID, any_value(arm) as arm, bool_or(emergent and coalesce(ATOXGR >= 3, false)) as had,
        any_value(coalesce(DTHDT = ends, false)) as died,
        any_value(coalesce(ends = emergence_ends, false)) as ended
    from counted group by USUBJID)
select arm, count(*) as n, count(*) filter (had) as events, count(*) filter (not had and died) as died_before,
    count(*) filter (not had and not died and ended) as ended_before
from first group by arm
"""

UNKNOWN = """
select arm, count(*) filter (emergent and ATOXGR is null) as grade_unknown,
    count(*) filter (emergent and ASTDT is null) as start_unknown,
    count(*) filter (emergent and AEDECOD is null) as term_unknown
from counted group by arm
"""


@cache
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("set threads to 1")
    labels = {key: query.label for key, query in PLAN.events_of_interest.items()}
    made.register("queries", pd.DataFrame({"key": list(labels), "label": list(labels.values())}))
    return made


def recount(adam: dict[str, pd.DataFrame]) -> dict[str, list[tuple]]:
    """Return what SQL counts in ADaM."""
    sql = connection()
    for name, frame in adam.items():
        columns = []
        for column, kind in frame.dtypes.astype(str).items():
            as_ = "integer" if kind == "Int64" else "double" if kind == "Float64" else "varchar"
            columns.append(f"{column}::{'timestamp' if column.endswith('DT') else as_} as {column}")
        sql.register("frame", frame.astype(object).where(frame.notna(), None))
        sql.execute(f"create or replace temp table {name} as select {', '.join(columns)} from frame")
        sql.unregister("frame")
    sql.execute(COUNTED)
    sql.execute(KINDS)
    queries = {
        "tally": TALLY,
        "worst": WORST,
        "numbers": NUMBERS,
        "endings": ENDINGS,
        "unknown": UNKNOWN,
    }
    return {name: sql.execute(query).fetchall() for name, query in queries.items()}


SCOPES = ("summary", "soc", "term", "interest")

DETAILED = ("any", "grade_3_5", "serious", "drug_related", "dose_changed", "stopped", "fatal")
"""Kinds that the ARD gives of each class, term and event of interest; the overview has more."""


def holds_against_sql(adam: dict[str, pd.DataFrame]) -> None:
    """Assert that every count of the ARD and of the tables is what SQL counts, and that nothing is missing."""
    ard = estimate_safety(adam["adae"], adam["adsl"], adam["adex"], PLAN, "synthetic", "r").ard
    found = recount(adam)
    ard = ard.astype(dict.fromkeys(ard.columns[ard.dtypes == "string"], object))  # read faster, row by row
    groups = ("exposed", "unexposed")
    names = (ard[column] for column in ("analysis_id", "group", "variable", "stat_name"))
    value = dict(zip(zip(*names, strict=True), ard["value"], strict=True))
    patients = {g: value["population", g, "", "n"] for g in groups}

    expected = {(analysis, arm, variable): tally for analysis, variable, arm, *tally in found["tally"]}
    counts = {key[:3]: n for key, n in value.items() if key[0] in SCOPES and key[3] == "n"}
    told = {
        key: tally[0] for key, tally in expected.items() if key[0] == "summary" or key[2].rpartition("=")[2] in DETAILED
    }
    assert {key: n for key, n in counts.items() if n} == told
    for (analysis, arm, variable), (n, events, days) in expected.items():
        if analysis == "summary":
            assert value["summary", arm, variable, "events"] == events
        rate = value.get((analysis, arm, variable, "rate_per_100_patient_years"))
        if rate is not None and days:
            assert rate == pytest.approx(100 * n / (days / 365.25), rel=1e-9)
    percents = {key[:3]: number for key, number in value.items() if key[3] == "percent" and key[:3] in counts}
    for key, percent in percents.items():
        size = patients[key[1]]
        assert percent == pytest.approx(100 * counts[key] / size) if size else np.isnan(percent)

    worst = {(arm, f"{term}={grade}"): n for term, arm, grade, n in found["worst"]}
    assert {k[1:3]: v for k, v in value.items() if k[0] == "term_worst_grade" and v} == worst
    numbers = {(arm, f"{kind}={level}"): n for kind, arm, level, n in found["numbers"]}
    assert {k[1:3]: v for k, v in value.items() if k[0] == "events_per_patient" and k[3] == "n" and v} == numbers
    for arm, *endings in found["endings"]:
        stats = ("n", "events", "died_before", "ended_before")
        assert [value["incidence_grade_3_5", arm, "", stat] for stat in stats] == endings
    for arm, *unknown in found["unknown"]:
        names = ("grade_unknown", "start_unknown", "term_unknown")
        assert [value["summary", arm, name, "events"] for name in names] == unknown
    told = {k[2]: 0 for k in value if k[0] == "accounting"}
    for (analysis, _, reason, _), number in value.items():
        if analysis == "accounting":
            told[reason] += number
    assert told.pop("recorded") == sum(told.values()) == len(adam["adae"])
    assert "not_flagged" not in told

    # the tables: the lines of classes and terms, and of the events of interest
    config = cohort()
    told = make_table("ae_terms", ard=ard, cohort=config, plan=PLAN).data
    printed, name = {}, ("", "")
    for cells in told[told["row"] > 0].groupby("row")["text"].agg(list):
        label, kind = cells[0].lstrip("\u00a0"), "grade_3_5"
        if label != "Grade 3 or above":
            name, kind = ("term" if cells[0] != label else "soc", label), "any"
        for arm, cell in zip(groups, cells[1:3], strict=True):
            printed[name[0], arm, f"{name[1]}={kind}"] = int(cell.split(" ")[0])
    assert {key: n for key, n in printed.items() if n} == {
        key: tally[0]
        for key, tally in expected.items()
        if key[0] in ("term", "soc") and key[2].endswith(("=any", "=grade_3_5"))
    }
    told = make_table("ae_interest", ard=ard, cohort=config, plan=PLAN).data
    numbers_ = told[(told["column"] == "n") & (told["row"] > 0) & (told["text"] != "")]["text"].tolist()
    assert numbers_ == [
        str(expected.get(("interest", arm, f"{key}=any"), (0,))[0]) for key in PLAN.events_of_interest for arm in groups
    ]


def many(each: st.SearchStrategy, least: int, most: int) -> st.SearchStrategy:
    """Return lists of every length alike: left to itself, Hypothesis prefers short ones."""
    return st.integers(least, most).flatmap(lambda size: st.lists(each, min_size=size, max_size=size))


def test_counts_equal_a_recount_in_sql():
    met = dict.fromkeys(
        ("ungraded", "undated", "before_rfa", "not_emergent", "unexposed", "same_day", "empty_group"), 0
    )
    cohorts = 0

    @settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(many(PATIENT, 1, 12), many(EVENT, 0, 25))
    def holds(patients, events):
        nonlocal cohorts
        adam = cohort_of(patients, events)
        holds_against_sql(adam)
        adae, cohorts = adam["adae"], cohorts + 1
        met["ungraded"] += adae["ATOXGR"].isna().any()
        met["undated"] += adae["ASTDT"].isna().any()
        met["before_rfa"] += (adae["PREFL"] == "Y").any()
        met["not_emergent"] += ((adae["TRTEMFL"] == "N") & (adae["PREFL"] == "N")).any()
        met["unexposed"] += (adae["EXPOSFL"] == "N").any()
        met["same_day"] += adae.duplicated(["USUBJID", "AEDECOD", "ASTDT"]).any()
        met["empty_group"] += adam["adsl"]["EXPOSFL"].nunique() < 2

    holds()
    # what the module says it has tried, it has
    assert cohorts >= 200
    assert min(met.values()) >= 20, met
