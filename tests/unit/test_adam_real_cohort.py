"""The real cohort from its published file to ADaM: counts known from the file itself.

Li 2014 (asaur::hepatoCellular), 227 resected patients: 97 deaths, 143 RFS events, of which 26 ended life in the same
month (RFS = OS); the other 117 are recurrences.
"""

import pandas as pd
import pytest

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.config.load import load_study
from sorafenib_rfa.config.paths import raw_folder
from sorafenib_rfa.ingest import ingest_site
from tests.unit.adam_cohorts import ROOT


@pytest.fixture(scope="module")
def adam():
    study = load_study(ROOT, {"cohort": "hcc_resection", "seed": 1, "publication_date": "2024-01-01"})
    cohort, plan = study.cohorts["hcc_resection"], study.plans["hcc_resection"]
    ingested = {
        name: ingest_site(ROOT / folder, name, site, cohort.config, shown_folder=folder)
        for name, site in cohort.sites.items()
        for folder in [raw_folder(cohort, name)]
    }
    return build_adam(clean_cohort(ingested, cohort, plan).tables, cohort, plan)


def test_nobody_is_lost(adam):
    assert len(adam["adsl"]) == 227
    assert adam["adtte"]["PARAMCD"].value_counts().to_dict() == {"RFS": 227, "TTR": 227, "OS": 227}


def test_events_by_endpoint_and_kind(adam):
    events = adam["adtte"][adam["adtte"]["CNSR"] == 0]
    assert events["PARAMCD"].value_counts().to_dict() == {"RFS": 143, "TTR": 117, "OS": 97}
    for paramcd in ("RFS", "TTR"):
        codes = adam["adtte"][adam["adtte"]["PARAMCD"] == paramcd]["EVNTCD"].value_counts().to_dict()
        assert codes == {5: 117, 0: 84, 4: 26}
    assert (adam["adsl"]["DTHFL"] == "Y").sum() == 97


def test_times_are_those_of_the_file(adam):
    source = pd.read_csv(ROOT / "data/public/hcc_resection/hcc_resection.csv", dtype={"Number": "string"})
    source = source.set_index("Number")
    for paramcd, column in {"OS": "OS", "RFS": "RFS", "TTR": "RFS"}.items():
        rows = adam["adtte"][adam["adtte"]["PARAMCD"] == paramcd].copy()
        rows["SUBJID"] = rows["USUBJID"].str.rsplit("-", n=1).str[-1]
        found = rows.set_index("SUBJID")["AVAL"]
        assert (found == source[column].reindex(found.index).astype("Float64")).all()
