"""ADPROC: one row a session of radiofrequency ablation, with its complication."""

from __future__ import annotations

from typing import Final

import pandas as pd

from sorafenib_rfa.adam.timing import days_since, study_day
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.ingest.tables import TABLES

_COMPLICATION: Final = (
    "complication_term",
    "complication_clavien_dindo",
    "complication_cirse",
    "complication_sir",
    "complication_date",
)
"""Columns any of which says that there was a complication."""


def build_adproc(adsl: pd.DataFrame, ablations: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return one row a session of the patients of `adsl`.

    A session is a day on which RFA was done; its raw rows are the tumours treated, each of which may name a
    complication. The row shows the worst of them by Clavien-Dindo, then CIRSE, then SIR; one that came later than
    ``plan.rfa_complication_days`` is shown only where the session has none within them, so that what is counted
    within that time never hides behind something later.

    Parameters
    ----------
    adsl : DataFrame
        As :func:`sorafenib_rfa.adam.adsl.build_adsl` returns it.
    ablations : DataFrame
        Clean table.
    plan : Plan

    Returns
    -------
    DataFrame
        The columns of ADPROC, not yet sorted or typed.
    """
    subjects = adsl.set_index("USUBJID")
    rows = ablations[ablations["USUBJID"].isin(subjects.index)].reset_index(drop=True)
    day = days_since(rows["complication_date"], rows["ablation_date"])
    recorded = rows[list(_COMPLICATION)].notna().any(axis="columns")
    # a complication without a date counts as early: the assumption that hides none
    early = recorded & ~(day > plan.rfa_complication_days).fillna(False).astype(bool)
    rows = rows.assign(day=day, recorded=recorded, early=early, **_severity(rows))
    worst = rows.sort_values(
        ["USUBJID", "ablation_date", "early", "recorded", *_SEVERITY, "src_file", "src_row"],
        ascending=[True, True, False, False, *[False] * len(_SEVERITY), True, True],
        kind="stable",
    ).drop_duplicates(["USUBJID", "ablation_date"])
    treated = rows.groupby(["USUBJID", "ablation_date"]).size()
    subject = worst["USUBJID"]
    zero = subject.map(subjects["TRTSDT"])
    sequence = worst.groupby("USUBJID").cumcount() + 1
    return pd.DataFrame(
        {
            **{name: subject.map(subjects[name]) for name in ("STUDYID", "SITEID", "TRT01A", "EXPOSFL")},
            "USUBJID": subject,
            "PROCSEQ": sequence,
            "PROCDT": worst["ablation_date"],
            "PROCDY": study_day(worst["ablation_date"], zero),
            "INDEXFL": (worst["ablation_date"] == zero).map({True: "Y", False: "N"}),
            "NTUM": treated.reindex(pd.MultiIndex.from_frame(worst[["USUBJID", "ablation_date"]])).to_numpy(),
            "COMPFL": worst["recorded"].map({True: "Y", False: "N"}),
            "COMPTERM": worst["complication_term"],
            "COMPDT": worst["complication_date"],
            "COMPDAY": worst["day"],
            "COMP30FL": worst["early"].map({True: "Y", False: "N"}),
            "CLAVIEN": worst["complication_clavien_dindo"],
            "CIRSE": worst["complication_cirse"],
            "SIR": worst["complication_sir"],
            "SRCFILE": worst["src_file"],
            "SRCSHEET": worst["src_sheet"],
            "SRCROW": worst["src_row"],
        }
    )


_SEVERITY: Final = ("clavien_rank", "cirse_rank", "sir_rank")


def _severity(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return rank columns by which the worst complication comes first: the codes' order, -1 for not graded."""
    ablations = TABLES["ablations"]
    ranks = {
        name: {code: rank for rank, code in enumerate(ablations[f"complication_{name}"].codes)}
        for name in ("clavien_dindo", "sir")
    }
    return {
        "clavien_rank": rows["complication_clavien_dindo"].map(ranks["clavien_dindo"]).fillna(-1).astype("int64"),
        "cirse_rank": rows["complication_cirse"].fillna(-1).astype("int64"),
        "sir_rank": rows["complication_sir"].map(ranks["sir"]).fillna(-1).astype("int64"),
    }
