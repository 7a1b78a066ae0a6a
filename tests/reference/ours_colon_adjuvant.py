"""The adjuvant colon cancer trial through the whole path of its cohort: from the raw export to the ARD."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.config.load import load_study
from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.efficacy import estimate_efficacy
from sorafenib_rfa.ingest import ingest_site
from sorafenib_rfa.public_data import colon_export, load_colon

REPOSITORY = Path(__file__).parents[2]
NAME = "colon_adjuvant"
ARMS = ("observation", "lev_5fu")
MONTHS = (12, 36, 60)


@lru_cache
def results() -> pd.DataFrame:
    """The ARD rows of baseline and efficacy, by id."""
    study = load_study(REPOSITORY, {"cohort": NAME, "seed": 1, "publication_date": "2024-01-01"})
    cohort, plan = study.cohorts[NAME], study.plans[NAME]
    with TemporaryDirectory() as folder:
        (Path(folder) / "colon.csv").write_bytes(colon_export(load_colon()))
        ingested = {
            name: ingest_site(Path(folder), name, site, cohort.config, shown_folder=cohort.config.raw)
            for name, site in cohort.sites.items()
        }
    adam = build_adam(clean_cohort(ingested, cohort, plan).tables, cohort, plan)
    baseline = estimate_baseline(adam["adsl"], plan, cohort.config, NAME, "records/baseline.json")
    # this family compares nothing that is bootstrapped: the fewest resamples will do
    few = plan.model_copy(update={"bootstrap_resamples": 200})
    efficacy = estimate_efficacy(
        adam["adtte"], adam["adsl"], baseline.curves["weights"], few, cohort.config, NAME, "records/e.json", seed=1
    )
    return pd.concat([baseline.ard, efficacy.ard]).set_index("ard_id")


def values() -> dict[str, Any]:
    """The quantities of ``r/colon_adjuvant.R``."""
    ard = results()

    def read(*ids: str, columns: tuple[str, ...] = ("value", "ci_low", "ci_high")) -> np.ndarray:
        return np.concatenate([ard.loc[list(ids), column].to_numpy(dtype=float) for column in columns])

    out: dict[str, Any] = {}
    for endpoint in ("rfs", "os", "ttr"):
        for arm in ARMS:
            key, km = f"{endpoint}.{arm}", f"efficacy.{endpoint}_km.{arm}"
            out[f"{key}.n_events"] = read(f"efficacy.{key}.n", f"efficacy.{key}.events", columns=("value",))
            out[f"{key}.rate"] = read(f"efficacy.{key}.rate_per_100_patient_years")
            out[f"{key}.survival"] = read(*(f"{km}.m{m}.survival" for m in MONTHS))
            out[f"{key}.at_risk"] = read(*(f"{km}.m{m}.at_risk" for m in MONTHS), columns=("value",))
            out[f"{key}.median"] = read(f"{km}.median")
            out[f"{key}.rmst"] = read(f"efficacy.{endpoint}_rmst.{arm}.m60.rmst")
        everything = ("value", "ci_low", "ci_high", "p_value")
        difference = f"efficacy.{endpoint}_rmst.contrast.m60.difference"
        out[f"{endpoint}.rmst_difference"] = read(difference, columns=everything)
        out[f"{endpoint}.log_rank"] = read(f"efficacy.{endpoint}_log_rank.contrast.chi2", columns=("value", "p_value"))
        out[f"{endpoint}.hr"] = read(f"efficacy.{endpoint}_cox_unadjusted.contrast.hr", columns=everything)
        zph = f"efficacy.{endpoint}_cox_unadjusted.contrast.global.ph_chi2"
        out[f"{endpoint}.zph"] = read(zph, columns=("value", "p_value"))
    for cause in ("recurrence", "death"):
        for arm in ARMS:
            ids = (f"efficacy.first_event.{arm}.{cause}.m{m}.incidence" for m in MONTHS)
            out[f"first_event.{arm}.{cause}"] = read(*ids)
        gray = f"efficacy.first_event.contrast.{cause}.gray_chi2"
        out[f"first_event.gray.{cause}"] = read(gray, columns=("value", "p_value"))
    table = "baseline.table1"
    out["baseline.age"] = read(
        *(f"{table}.{arm}.age.{stat}" for arm in ARMS for stat in ("mean", "sd")), columns=("value",)
    )
    out["baseline.node4"] = read(*(f"{table}.{arm}.node4.y.percent" for arm in ARMS), columns=("value",))
    out["baseline.missing"] = read(f"{table}.differ.missing", f"{table}.nodes.missing", columns=("value",))
    return out
