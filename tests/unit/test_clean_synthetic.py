"""The synthetic exports: entries speak of the export, every patient has a fate, every clean value is its source's.

That every planted fault is caught, and nothing else, is in ``test_simulate_exports``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from ingest_helpers import ROOT, plan
from source_oracle import check_against_source

from sorafenib_rfa.clean import Cleaned, clean_cohort
from sorafenib_rfa.config.load import Cohort, load_cohort
from sorafenib_rfa.ingest import Ingested, ingest_site
from sorafenib_rfa.simulate import SimulatedStudy, load_parameters, simulate_raw


class Run(NamedTuple):
    study: SimulatedStudy
    cohort: Cohort
    folders: dict[str, Path]
    ingested: dict[str, Ingested]
    cleaned: Cleaned
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    parameters = load_parameters(ROOT / "config/cohorts/synthetic/simulation.yaml", size=240)
    study = simulate_raw(parameters, seed=7)
    cohort = load_cohort(ROOT, "synthetic")
    folders, ingested, seconds = {}, {}, {}
    for site, files in study.exports.items():
        folders[site] = tmp_path_factory.mktemp("raw") / site
        folders[site].mkdir()
        for name, content in files.items():
            (folders[site] / name).write_bytes(content)
        start = time.perf_counter()
        ingested[site] = ingest_site(
            folders[site], site, cohort.sites[site], cohort.config, shown_folder=f"data/raw/synthetic/{site}"
        )
        seconds[site] = time.perf_counter() - start
    return Run(study, cohort, folders, ingested, clean_cohort(ingested, cohort, plan()), seconds)


def places(frame: pd.DataFrame, *more: str) -> set[tuple]:
    files = frame["file"].str.rsplit("/", n=1).str[-1]
    sheets = frame["sheet"].fillna("")
    return set(
        zip(frame["site"], files, sheets, frame["row"].astype(int), *(frame[name] for name in more), strict=True)
    )


def test_the_entry_of_a_planted_fault_names_its_column_and_text(run: Run) -> None:
    q = run.cleaned.quarantine
    found = {
        (*place, column): (None if pd.isna(value) else value)
        for *place, column, value in places(q[q["column"].notna()], "column", "value")
    }
    cells = run.study.dirt[run.study.dirt["caught_by"].notna() & run.study.dirt["column"].notna()]
    cells = cells[cells["kind"] != "conflicting_patient"]  # of two conflicting rows neither cell is known to be wrong
    assert len(cells) > 50
    for row in cells.itertuples():
        key = (row.site, row.file, row.sheet or "", int(row.row), row.column)
        # a workbook stores 334 as 334.0; a person sees 334
        shown = str(row.value).removesuffix(".0") if row.sheet else str(row.value)
        # an empty cell, such as a limit of normal left out, has no text to show
        assert key in found and (found[key] or "") == shown, (key, row.kind, row.value)


def test_every_patient_simulated_has_one_fate(run: Run) -> None:
    fates = run.cleaned.fates
    assert set(fates["USUBJID"]) == set(run.study.truth["USUBJID"])
    assert not fates["USUBJID"].duplicated().any()
    assert (fates["fate"] == "analysed").sum() > 100


def test_every_clean_value_is_its_source_cells_and_no_row_is_lost(run: Run) -> None:
    assert check_against_source(run.folders, run.cohort.sites, run.cleaned) > 20_000


def test_the_ledgers_arms_are_those_of_adsl(run: Run) -> None:
    from sorafenib_rfa.adam import build_adam

    adsl = build_adam(run.cleaned.tables, run.cohort, plan())["adsl"]
    last = run.cleaned.attrition[run.cleaned.attrition["step_no"] == run.cleaned.attrition["step_no"].max()]
    by_ledger = last.groupby("arm")["n_after"].sum()
    assert by_ledger[by_ledger > 0].to_dict() == adsl["TRT01A"].value_counts().to_dict()
    # the stage by which clean selected is the stage that ADSL reports
    assert set(adsl["BCLC"]) <= {"0", "A", "B1"}
    assert (adsl["AGE"] >= 18).all()


def test_a_centre_is_read_within_seconds(run: Run) -> None:
    assert max(run.seconds.values()) < 5
