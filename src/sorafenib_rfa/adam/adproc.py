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
    complication. Each classification has the worst grade by its own order among them; term, date and origin are those
    of the worst by Clavien-Dindo, then CIRSE, then SIR. Complications that came later than
    ``plan.rfa_complication_days`` are looked at only where the session has none within them, so that what is counted
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
    session = pd.MultiIndex.from_frame(worst[["USUBJID", "ablation_date"]])
    treated = rows.groupby(["USUBJID", "ablation_date"]).size()
    looked_at = rows[rows["early"] | ~rows.groupby(["USUBJID", "ablation_date"])["early"].transform("any")]
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
            "NTUM": treated.reindex(session).to_numpy(),
            "COMPFL": worst["recorded"].map({True: "Y", False: "N"}),
            "COMPTERM": worst["complication_term"],
            "COMPDT": worst["complication_date"],
            "COMPDAY": worst["day"],
            "COMP30FL": worst["early"].map({True: "Y", False: "N"}),
            "CLAVIEN": _worst(looked_at, "clavien_dindo", session).set_axis(worst.index),
            "CIRSE": _worst(looked_at, "cirse", session).set_axis(worst.index),
            "SIR": _worst(looked_at, "sir", session).set_axis(worst.index),
            "SRCFILE": worst["src_file"],
            "SRCSHEET": worst["src_sheet"],
            "SRCROW": worst["src_row"],
        }
    )


def _worst(rows: pd.DataFrame, scale: str, session: pd.MultiIndex) -> pd.Series:
    """Return the worst grade of each session on one scale; missing where no row has a grade on it."""
    column = f"complication_{scale}"
    graded = rows.sort_values(f"{scale}_rank", ascending=False, kind="stable")
    return (
        graded.drop_duplicates(["USUBJID", "ablation_date"])
        .set_index(["USUBJID", "ablation_date"])[column]
        .reindex(session)
    )


_SCALES: Final = ("clavien_dindo", "cirse", "sir")
_SEVERITY: Final = tuple(f"{scale}_rank" for scale in _SCALES)


def _severity(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return rank columns by which the worst complication comes first: the codes' order, -1 for not graded."""
    ranks = {}
    for scale, name in zip(_SCALES, _SEVERITY, strict=True):
        grade = rows[f"complication_{scale}"]
        if isinstance(grade.dtype, pd.CategoricalDtype):
            grade = grade.astype("string")
        codes = TABLES["ablations"][f"complication_{scale}"].codes
        rank = grade.map({code: rank for rank, code in enumerate(codes)}) if codes else grade
        ranks[name] = rank.fillna(-1).astype("int64")
    return ranks
