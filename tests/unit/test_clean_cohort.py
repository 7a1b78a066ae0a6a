"""Cleaning as a whole: eligibility, arms, the ledger and its conservation, and the real cohort."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clean_helpers import (
    ELIGIBILITY,
    ablation,
    baseline,
    clean,
    dose,
    entries,
    event,
    fates,
    image,
    ingested,
    lab,
    patient,
    whole,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_helpers import ROOT, cohort_config, ingest, plan, site_config, study

from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.clean.baseline import age_at_index, baseline_labs, baseline_rows
from sorafenib_rfa.clean.exposure import assigned_arm, first_exposure, first_recurrence, index_rfa
from sorafenib_rfa.clean.ledger import Step, build_ledger
from sorafenib_rfa.clean.schemas import validate_clean
from sorafenib_rfa.config.load import load_cohort
from sorafenib_rfa.config.paths import raw_folder
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.ingest import ingest_site

# --- eligibility


def excluded_at(rows: dict[str, list[dict]]) -> str | None:
    (fate,) = fates(clean({"a": rows})).values()
    assert fate[0] in ("analysed", "excluded")
    return fate[1]


def changed(**tables: list[dict]) -> dict[str, list[dict]]:
    return whole("1") | tables


@pytest.mark.parametrize(
    ("rows", "step"),
    [
        (changed(), None),
        (changed(ablations=[]), "first_rfa"),
        (changed(patients=[patient("1", birth_date="1997-03-01")]), None),  # 18 on the day
        (changed(patients=[patient("1", birth_date="1997-03-02")]), "adult"),  # 18 the day after
        (changed(patients=[patient("1", birth_date=None)]), "adult"),
        (changed(patients=[patient("1", birth_date=None, age_years=18)]), None),
        (changed(patients=[patient("1", prior_systemic_therapy="Y")]), "no_prior"),
        (changed(patients=[patient("1", prior_systemic_therapy=None)]), "no_prior"),
        (changed(labs=baseline("1")[1:]), "stage_known"),
        (changed(labs=[row | {"sample_date": "2015-01-29"} for row in baseline("1")]), "stage_known"),  # 31 days
        (changed(labs=[row | {"sample_date": "2015-01-30"} for row in baseline("1")]), None),  # 30 days
        (changed(labs=[row | {"sample_date": "2015-03-02"} for row in baseline("1")]), "stage_known"),
        (changed(patients=[patient("1", ecog=None)]), "stage_known"),
        (changed(patients=[patient("1", vascular_invasion="Y")]), "stage"),
        (changed(patients=[patient("1", tumour_count=6, largest_tumour_cm=5.0)]), "stage"),  # B2
        (changed(patients=[patient("1", tumour_count=4, largest_tumour_cm=3.0)]), None),  # B1
        (changed(patients=[patient("1", recorded_bclc="C")]), None),  # what the centre wrote is not trusted
        (changed(ablations=[ablation("1"), ablation("1", tumour_no=2, complete_ablation="N")]), "complete"),
        (changed(ablations=[ablation("1", complete_ablation=None)]), "complete"),
        (changed(ablations=[ablation("1"), ablation("1", "2016-01-01", complete_ablation="N")]), None),
        (changed(drug_exposure=[dose("1", "2015-02-28")]), "no_drug"),
        (changed(drug_exposure=[dose("1", "2015-03-01")]), None),
        (changed(patients=[patient("1", last_contact_date="2015-03-01")], imaging=[]), "followed"),
        (changed(patients=[patient("1", last_contact_date="2015-03-02")], imaging=[]), None),
        (changed(patients=[patient("1", last_contact_date=None)], imaging=[image("1", "2015-04-01")]), None),
    ],
)
def test_each_eligibility_rule_at_its_edge(rows: dict, step: str | None) -> None:
    assert excluded_at(rows) == step


def test_a_patient_leaves_at_the_first_step_that_excludes_them() -> None:
    child_without_rfa = changed(ablations=[], patients=[patient("1", birth_date=None, age_years=9)])
    assert excluded_at(child_without_rfa) == "first_rfa"


@pytest.mark.parametrize(
    ("step", "message", "hint"),
    [
        ({"rule": "has_index_rfas"}, "eligibility.x.rule: there is no such rule", "did you mean 'has_index_rfa'?"),
        ({"rule": "minimum_age"}, "eligibility.x.params.years: the rule minimum_age needs this param", None),
        (
            {"rule": "minimum_age", "params": {"years": 18, "year": 1}},
            "eligibility.x.params.year: the rule minimum_age has no such param",
            "did you mean 'years'?",
        ),
        (
            {"rule": "stage_in", "params": {"stages": "A"}},
            "eligibility.x.params.stages: this value cannot be used",
            None,
        ),
        (
            {"rule": "minimum_age", "params": {"years": "old"}},
            "eligibility.x.params.years: this value cannot be used",
            None,
        ),
    ],
)
def test_unknown_rules_and_params_are_refused(step: dict, message: str, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        clean({"a": whole("1")}, eligibility=[{"id": "x", "label": "X"} | step])
    (problem,) = caught.value.problems
    assert (problem.file, problem.message, problem.hint) == ("config/cohorts/study/cohort.yaml", message, hint)


def test_a_step_id_used_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="another step has this id"):
        clean({"a": whole("1")}, eligibility=[ELIGIBILITY[0], ELIGIBILITY[0]])


# --- arms


def dates(**days: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(pd.Series(days)), dtype="datetime64[s]")


@pytest.mark.parametrize(
    ("dose_day", "recurrence_day", "arm"),
    [
        (None, None, "RFA alone"),
        ("2015-03-01", None, "RFA + sorafenib"),  # the day of RFA
        ("2015-04-30", None, "RFA + sorafenib"),  # day 60
        ("2015-05-01", None, "RFA alone"),  # day 61
        ("2015-04-01", "2015-04-02", "RFA + sorafenib"),
        ("2015-04-01", "2015-04-01", "RFA alone"),  # given for the recurrence
        ("2015-04-01", "2015-03-20", "RFA alone"),
    ],
)
def test_arm_follows_from_dose_grace_and_recurrence(dose_day: str | None, recurrence_day: str | None, arm: str) -> None:
    got = assigned_arm(dates(a="2015-03-01"), dates(a=dose_day), dates(a=recurrence_day), 60)
    assert got.to_dict() == {"a": arm}


def test_arm_without_an_index_date_is_unknown() -> None:
    assert assigned_arm(dates(a=None), dates(), dates(), 60).isna().all()


def test_exposure_reads_only_what_counts() -> None:
    frame = pd.DataFrame(
        {
            "USUBJID": ["p", "p", "p", "q"],
            "drug": pd.array(["sorafenib", "sorafenib", None, None], dtype="string"),
            "start_date": pd.to_datetime(["2015-05-01", "2015-04-01", "2015-03-01", "2015-03-01"]),
            "imaging_date": pd.to_datetime(["2015-03-01", "2015-06-01", "2015-07-01", "2015-03-02"]),
            "finding": pd.array(["IDR", "no_recurrence", "LTP", None], dtype="string"),
            "ablation_date": pd.to_datetime(["2015-03-01", "2015-06-01", None, None]),
        }
    )
    assert first_exposure(frame).to_dict() == {"p": pd.Timestamp("2015-04-01")}
    index = index_rfa(frame)
    assert index.to_dict() == {"p": pd.Timestamp("2015-03-01")}
    # the tumour seen on the day of the RFA is the one treated
    assert first_recurrence(frame, index).to_dict() == {"p": pd.Timestamp("2015-07-01")}


# --- baseline


def test_baseline_is_the_last_result_before_rfa_in_the_window() -> None:
    rows = [
        lab("1", "2015-01-29", "ALB", 30),  # 31 days before: outside
        lab("1", "2015-02-10", "ALB", 31),
        lab("1", "2015-02-28", "ALB", 32),
        lab("1", "2015-02-28", "ALB", 33),  # same day, further down
        lab("1", "2015-03-02", "ALB", 34),  # after
        lab("1", "2015-02-28", "BILI", None),
        lab("1", "2015-02-01", "BILI", 9),
    ]
    config = cohort_config()
    labs = ingested({"labs": rows}, "a", config).tables["labs"].assign(USUBJID="p")
    index = dates(p="2015-03-01", q="2015-03-01")
    wide = baseline_labs(labs, index, (30, 0))
    assert wide.loc["p", ["ALB", "BILI"]].tolist() == [33, 9]
    assert wide.loc["q"].isna().all()
    assert baseline_rows(labs, index, (30, 0))["src_row"].tolist() == [5, 8]
    assert baseline_labs(labs, dates(p="2015-01-01"), (30, 60)).loc["p", "ALB"] == 30  # none before: the first after


def test_age_is_in_completed_years() -> None:
    patients = pd.DataFrame(
        {
            "USUBJID": ["a", "b", "c", "d", "e"],
            "birth_date": pd.to_datetime(["1950-03-01", "1950-03-02", "1952-02-29", None, "1950-01-01"]),
            "age_years": pd.array([None, None, None, 66.9, 64], dtype="Float64"),
        }
    )
    index = dates(a="2015-03-01", b="2015-03-01", c="2015-02-28", d="2015-03-01", e=None)
    assert age_at_index(patients, index).tolist() == [65, 64, 62, 66, 64]


# --- the ledger


def test_attrition_counts_by_step_site_and_arm() -> None:
    a, b = whole("1", "2", "3"), whole("1", "2")
    a["drug_exposure"] = [dose("1", "2015-03-20"), dose("2", "2015-03-20")]
    a["patients"][1] = patient("2", prior_systemic_therapy="Y")
    a["patients"][2] = patient("3", vital_status="dead")
    b["ablations"] = b["ablations"][:1]
    cleaned = clean({"a": a, "b": b})
    steps = cleaned.attrition.set_index(["step_id", "site", "arm"])[["n_before", "n_excluded", "n_after"]]
    assert steps.loc[("death_without_date", "a", "RFA alone")].tolist() == [1, 1, 0]
    assert steps.loc[("no_prior", "a", "RFA + sorafenib")].tolist() == [2, 1, 1]
    assert steps.loc[("first_rfa", "b", "Arm not determinable")].tolist() == [1, 1, 0]
    assert steps.loc[("followed", "b", "RFA alone")].tolist() == [1, 0, 1]
    order = cleaned.attrition.drop_duplicates("step_no")
    assert order["step_no"].tolist() == list(range(1, len(order) + 1))
    assert order["step_id"].tolist()[:2] == ["unreadable_row", "conflicting_duplicate"]
    assert order["step_id"].tolist()[-8:] == [step["id"] for step in ELIGIBILITY]
    assert cleaned.fates["USUBJID"].tolist() == ["study-a-1", "study-a-2", "study-a-3", "study-b-1", "study-b-2"]
    assert cleaned.fates["reason"].fillna("").tolist() == [
        "",
        "Prior therapy",
        "Dead without a usable date of death",
        "",
        "No RFA recorded",
    ]


def test_patients_whose_row_ingest_could_not_use_are_in_the_ledger(tmp_path: Path) -> None:
    text = "id,age\n1,50\n2,51,shifted,cells\nNA,52\n1,50\n4\n4,60\n"
    (tmp_path / "patients.csv").write_text(text)
    site, config = site_config(), cohort_config()
    cleaned = clean_cohort({"centre": ingest(tmp_path, site, config)}, study({"centre": site}, config), plan())
    rows = cleaned.fates[["USUBJID", "fate", "step_id", "src_row"]].fillna("").values.tolist()
    assert rows == [
        ["study-centre-(row 4)", "quarantined", "unreadable_row", 4],
        ["study-centre-1", "analysed", "", 2],
        ["study-centre-2", "quarantined", "unreadable_row", 3],
        ["study-centre-4", "analysed", "", 7],
    ]


def test_quarantine_of_cleaning_speaks_of_the_export(tmp_path: Path) -> None:
    """Column and value are the header and the text of the file, not the canonical ones."""
    (tmp_path / "patients.csv").write_text("Pazienza;nato;statura mm\n1;07.03.1950;9.999,0\n2;07.03.2065;25\n", "utf-8")
    (tmp_path / "labs.csv").write_text("Pazienza;data;Bil\n1;07.03.2021;1,2\n1;07.03.2015;999,5\n", "utf-8")
    site = site_config(
        delimiter=";",
        decimal=",",
        thousands=".",
        date_formats=["%d.%m.%Y"],
        tables={
            "patients": {
                "file": "patients.csv",
                "columns": {
                    "subject_id": "Pazienza",
                    "birth_date": "nato",
                    "largest_tumour_cm": {"column": "statura mm", "unit": "mm"},
                },
            },
            "labs": {
                "file": "labs.csv",
                "columns": {"subject_id": "Pazienza", "sample_date": "data"},
                "wide_tests": {"BILI": {"column": "Bil", "unit": "mg/dL"}},
            },
        },
    )
    config = cohort_config()
    cleaned = clean_cohort({"centre": ingest(tmp_path, site, config)}, study({"centre": site}, config), plan())
    assert entries(cleaned, "table", "row", "column", "value", "rule") == [
        ("patients", 2, "statura mm", "9.999,0", "impossible_value"),
        ("labs", 3, "Bil", "999,5", "impossible_value"),
        ("patients", 3, "nato", "07.03.2065", "future_date"),
        ("labs", 2, "data", "07.03.2021", "future_date"),
    ]


def seen_patients(count: int) -> pd.DataFrame:
    names = [f"p{i}" for i in range(count)]
    return pd.DataFrame(
        {
            "USUBJID": names,
            "site": ["a" if i % 2 else "b" for i in range(count)],
            "subject_id": names,
            "src_file": "f",
            "src_sheet": None,
            "src_row": range(count),
        }
    )


@given(
    count=st.integers(0, 25),
    leaving=st.lists(st.sets(st.integers(0, 24)), max_size=6),
    arms=st.lists(st.sampled_from(["RFA alone", "RFA + sorafenib", None]), min_size=25, max_size=25),
)
@settings(max_examples=40, deadline=None)
def test_the_ledger_conserves_patients_whoever_leaves(count: int, leaving: list[set[int]], arms: list) -> None:
    seen = seen_patients(count)
    steps = [
        Step(f"s{i}", "x", "clean" if i < 3 else "eligibility", frozenset(f"p{n}" for n in who if n < count))
        for i, who in enumerate(leaving)
    ]
    arm = pd.Series(arms[:count], index=seen["USUBJID"], dtype="string")
    attrition, fates_ = build_ledger(seen, arm, steps)
    first_to_take: dict[str, str] = {}
    for step in steps:
        for name in step.leavers:
            first_to_take.setdefault(name, step.id)
    expected = {name: first_to_take.get(name) for name in seen["USUBJID"]}
    assert {r.USUBJID: None if pd.isna(r.step_id) else r.step_id for r in fates_.itertuples()} == expected
    assert int(attrition["n_excluded"].sum()) == len(first_to_take)


def test_the_ledger_refuses_patients_twice_and_strangers() -> None:
    seen = seen_patients(2)
    arms = pd.Series(dtype="string")
    with pytest.raises(AssertionError, match="seen twice"):
        build_ledger(pd.concat([seen, seen]), arms, [])
    with pytest.raises(AssertionError, match="never seen: \\['p9'\\]"):
        build_ledger(seen, arms, [Step("s", "x", "clean", frozenset({"p9"}))])


MAYBE_DATE = st.sampled_from([None, "1949-01-01", "2014-12-01", "2015-03-01", "2015-04-01", "2016-06-01", "2021-06-01"])


@st.composite
def messy_site(draw: st.DrawFn) -> dict[str, list[dict]]:
    subjects = draw(st.lists(st.sampled_from(["1", "2", "3", "01"]), max_size=5))
    rows = whole(*dict.fromkeys(subjects))
    rows["patients"] = [
        patient(
            subject,
            birth_date=draw(st.sampled_from([None, "1950-03-07", "2018-01-01", "1800-01-01"])),
            vital_status=draw(st.sampled_from(["alive", "dead", None])),
            death_date=draw(MAYBE_DATE),
            last_contact_date=draw(MAYBE_DATE),
            tumour_count=draw(st.sampled_from([None, 0, 1, 4])),
        )
        for subject in subjects
    ]
    anyone = st.sampled_from(["1", "2", "3", "ghost"])
    many = st.integers(0, 3)
    rows["ablations"] += [ablation(draw(anyone), draw(MAYBE_DATE)) for _ in range(draw(many))]
    rows["drug_exposure"] += [dose(draw(anyone), draw(MAYBE_DATE), draw(MAYBE_DATE)) for _ in range(draw(many))]
    findings = st.sampled_from(["no_recurrence", "LTP", None])
    rows["imaging"] += [image(draw(anyone), draw(MAYBE_DATE), draw(findings)) for _ in range(draw(many))]
    values = st.sampled_from([None, 0.0, 40.0, 9999.0])
    rows["labs"] += [lab(draw(anyone), draw(MAYBE_DATE), "ALB", draw(values)) for _ in range(draw(many))]
    rows["adverse_events"] += [
        event(draw(anyone), grade=draw(st.integers(-1, 7)), start_date=draw(MAYBE_DATE), end_date=draw(MAYBE_DATE))
        for _ in range(draw(many))
    ]
    return rows


@given(sites=st.dictionaries(st.sampled_from(["a", "b"]), messy_site(), min_size=1))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_mess_is_accounted_for(sites: dict) -> None:
    """Every patient has one fate; every clean value equals its source cell or is not there.

    Conservation and the schemas are asserted inside; this adds the view from outside.
    """
    cleaned = clean(sites)
    expected = {(site, row["subject_id"]) for site, rows in sites.items() for row in rows["patients"]}
    assert set(zip(cleaned.fates["site"], cleaned.fates["subject_id"], strict=True)) == expected
    analysed = set(cleaned.fates.loc[cleaned.fates["fate"] == "analysed", "USUBJID"])
    quarantined = set(
        zip(cleaned.quarantine["file"], cleaned.quarantine["row"], cleaned.quarantine["column"], strict=True)
    )
    for table, frame in cleaned.tables.items():
        assert set(frame["USUBJID"]) <= analysed
        rows_left = set(zip(frame["src_file"], frame["src_row"], strict=True))
        for site, rows in sites.items():
            for number, row in enumerate(rows.get(table, []), start=2):
                file, name = f"raw/{site}/{table}.csv", f"study-{site}-{row['subject_id']}"
                if (file, number) not in rows_left:
                    row_quarantined = any(f == file and r == number for f, r, _ in quarantined)
                    no_result = table == "labs" and row["value"] is None
                    assert name not in analysed or row_quarantined or no_result, (table, number)
                    continue
                kept = frame[(frame["src_file"] == file) & (frame["src_row"] == number)].iloc[0]
                for column, value in row.items():
                    got = kept[column]
                    if pd.isna(got):
                        assert value is None or (file, number, column) in quarantined, (table, number, column)
                    elif isinstance(got, pd.Timestamp):
                        assert got == pd.Timestamp(value)
                    else:
                        assert got == value


def test_a_table_that_breaks_its_schema_is_called_a_defect() -> None:
    config = cohort_config()
    tables = dict(clean({"a": whole("1")}, eligibility=[]).tables)
    validate_clean(tables, config)
    tables["labs"] = tables["labs"].assign(value=pd.array([9999.0] * 3, dtype="Float64"))
    tables["patients"] = tables["patients"].assign(sex=pd.array(["X"], dtype="string"))
    with pytest.raises(AssertionError) as caught:
        validate_clean(tables, config)
    assert "a defect, not your data" in str(caught.value)
    assert "laboratory_value_in_bounds" in str(caught.value)
    assert "patients.sex" in str(caught.value)


def test_parquet_between_the_stages_changes_nothing(tmp_path: Path) -> None:
    """Parquet stores dates in milliseconds; cleaning what was read back gives the same tables."""
    from sorafenib_rfa.ingest import Ingested

    config = cohort_config(eligibility=ELIGIBILITY)
    rows = whole("1", "2")
    rows["adverse_events"] = [event("1", grade=9)]
    direct = ingested(rows, "a", config)
    for name, frame in direct.tables.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    direct.quarantine.to_parquet(tmp_path / "quarantine.parquet")
    back = Ingested(
        {name: pd.read_parquet(tmp_path / f"{name}.parquet") for name in direct.tables},
        pd.read_parquet(tmp_path / "quarantine.parquet"),
    )
    tables = {"adverse_events": {"file": "adverse_events.csv", "columns": {"grade": "grade"}}}
    cohort = study({"a": site_config(tables=tables)}, config)
    first, second = (clean_cohort({"a": each}, cohort, plan()) for each in (direct, back))
    for name, frame in first.tables.items():
        pd.testing.assert_frame_equal(frame, second.tables[name])
    pd.testing.assert_frame_equal(first.quarantine, second.quarantine)
    pd.testing.assert_frame_equal(first.fates, second.fates)


# --- the real cohort


@pytest.fixture(scope="module")
def hcc():
    cohort = load_cohort(ROOT, "hcc_resection")
    folder = raw_folder(cohort, "single_centre")
    site = cohort.sites["single_centre"]
    read = ingest_site(ROOT / folder, "single_centre", site, cohort.config, shown_folder=folder)
    return read, clean_cohort({"single_centre": read}, cohort, plan())


def test_the_real_cohort_passes_whole(hcc) -> None:
    _, cleaned = hcc
    assert cleaned.quarantine.empty
    assert cleaned.fates["fate"].value_counts().to_dict() == {"analysed": 227}
    times = cleaned.tables["survival_times"]
    assert times.groupby("endpoint")["event"].sum().to_dict() == {"OS": 97, "RFS": 143}
    assert set(cleaned.attrition["arm"]) == {"Overall"}


def test_the_real_cohorts_values_are_those_of_the_file(hcc) -> None:
    _, cleaned = hcc
    source = pd.read_csv(ROOT / "data/public/hcc_resection/hcc_resection.csv").set_index("Number")
    patients = cleaned.tables["patients"]
    patients = patients.set_index(patients["subject_id"].astype(int)).sort_index()
    assert patients["age_years"].tolist() == source["Age"].sort_index().tolist()
    assert (patients["sex"] == "M").sum() == 197
    np.testing.assert_array_equal(patients["cxcl17_p"].astype(float), source["CXCL17P"].sort_index())
    times = cleaned.tables["survival_times"]
    for endpoint, time, status in (("OS", "OS", "Death"), ("RFS", "RFS", "Recurrence")):
        own = times[times["endpoint"] == endpoint]
        own = own.set_index(own["subject_id"].astype(int)).sort_index()
        assert own["time_months"].tolist() == source[time].sort_index().tolist()
        assert own["event"].tolist() == source[status].sort_index().tolist()


def test_the_real_cohorts_recurrence_is_the_composite_its_dictionary_warns_of(hcc) -> None:
    _, cleaned = hcc
    wide = cleaned.tables["survival_times"].pivot(index="USUBJID", columns="endpoint", values=["time_months", "event"])
    died, event_, rfs, os = (
        wide["event", "OS"] == 1,
        wide["event", "RFS"] == 1,
        wide["time_months", "RFS"],
        wide["time_months", "OS"],
    )
    assert (died & event_).sum() == 97
    assert (died & (rfs == os)).sum() == 26
    assert (event_ & ((rfs < os) | ~died)).sum() == 117
    assert (~event_).sum() == 84
    assert (rfs[~died & ~event_] == os[~died & ~event_]).all()


@pytest.mark.reference
def test_the_real_cohort_gives_the_published_event_percentages(hcc) -> None:
    """Li 2014 (PLoS ONE 9:e110064): 1 - Kaplan-Meier of RFS at 60 months by CXCL17, from raw file to ADTTE and back."""
    from sorafenib_rfa.adam import build_adam
    from sorafenib_rfa.stats.kaplan_meier import kaplan_meier

    _, cleaned = hcc
    cohort = load_cohort(ROOT, "hcc_resection")
    adam = build_adam(cleaned.tables, cohort, plan())
    adtte = adam["adtte"][adam["adtte"]["PARAMCD"] == "RFS"]
    rows = adtte.merge(adam["adsl"], on="USUBJID", suffixes=("", "_adsl"))
    for group in cohort.config.prognostic_groups:
        for key, published in group.published.items():
            if key.startswith("RFS."):
                own = rows[rows[group.variable.upper()] == key.split(".")[1]]
                curve = kaplan_meier(own["AVAL"].astype(float), own["CNSR"] == 0)
                assert round(100 * (1 - float(curve.at([60]).survival[0])), 1) == published, key


def test_origins_lead_back_to_the_cell(hcc) -> None:
    read, cleaned = hcc
    row = cleaned.tables["patients"].iloc[100]
    lines = (ROOT / row["src_file"]).read_text("utf-8").splitlines()
    cells = dict(zip(lines[0].split(","), lines[row["src_row"] - 1].split(","), strict=True))
    assert cells["Number"] == row["subject_id"]
    kept = read.tables["patients"].set_index("subject_id").at[row["subject_id"], "src_cells"]
    assert json.loads(kept)["CXCL17P"] == cells["CXCL17P"]
