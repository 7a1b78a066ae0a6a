"""ADLB: one row a laboratory result, with change from baseline and CTCAE grade."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.adam.timing import study_day
from sorafenib_rfa.clean.baseline import baseline_rows
from sorafenib_rfa.clinical.ctcae import grade
from sorafenib_rfa.coded import sorted_rows
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.vocabulary import LAB_TESTS

_PARAMETERS: Final = MappingProxyType(
    {code: label if unit == "ratio" else f"{label} ({unit})" for code, (label, unit) in LAB_TESTS.items()}
)


def build_adlb(adsl: pd.DataFrame, labs: pd.DataFrame, ablations: pd.DataFrame | None, plan: Plan) -> pd.DataFrame:
    """Return one row a result of the patients of `adsl`.

    Parameters
    ----------
    adsl : DataFrame
        As :func:`sorafenib_rfa.adam.adsl.build_adsl` returns it.
    labs : DataFrame
        Clean table.
    ablations : DataFrame or None
        Clean table; None for a cohort without RFA sessions.
    plan : Plan

    Returns
    -------
    DataFrame
        The columns of ADLB, not yet sorted or typed.

    Notes
    -----
    ABLFL marks the row BASE came from: in the baseline window, of the same value, the last one. A result
    from the window's last day (the day of RFA) counts as taken before the session.
    """
    subjects = adsl.set_index("USUBJID")
    results = labs[labs["USUBJID"].isin(subjects.index)]
    order = ["USUBJID", "test", "sample_date", "src_file", "src_row"]
    results = results.iloc[sorted_rows(results[order], order)].reset_index(drop=True)
    subject, test, date = results["USUBJID"], results["test"], results["sample_date"]
    zero = subject.map(subjects["TRTSDT"])
    chosen = baseline_rows(results, subjects["TRTSDT"], plan.baseline_window_days)
    # results of a patient and test follow each other; each has at most one baseline
    series = (~results.duplicated(["USUBJID", "test"])).cumsum() - 1
    place = np.full(len(results), -1)
    place[series[chosen.index]] = np.arange(len(chosen))
    own = chosen[["value", "uln"]].reset_index(drop=True).reindex(place[series]).set_axis(results.index)
    base = own["value"].astype("Float64")
    followed = date > zero
    return pd.DataFrame(
        {
            **{name: subject.map(subjects[name]) for name in ("STUDYID", "SITEID", "TRT01A")},
            "USUBJID": subject,
            "PARAMCD": test,
            "PARAM": test.map(dict(_PARAMETERS)),
            "ADT": date,
            "ADY": study_day(date, zero),
            "AVAL": results["value"],
            "AVALU": test.map({code: unit for code, (_, unit) in LAB_TESTS.items()}),
            "ANRHI": results["uln"],
            "BASE": base,
            "ABLFL": pd.Series("Y", index=results.index, dtype="string").where(results.index.isin(chosen.index)),
            "CHG": (results["value"] - base).where(followed),
            "ATOXGR": grade(test, results["value"], results["uln"], base.where(followed)),
            "BTOXGR": grade(test, base, own["uln"], pd.NA),
            "PERIRFFL": _shortly_after(subject, date, ablations, plan.rfa_complication_days),
            "SRCFILE": results["src_file"],
            "SRCSHEET": results["src_sheet"],
            "SRCROW": results["src_row"],
        }
    )


def _shortly_after(subject: pd.Series, date: pd.Series, ablations: pd.DataFrame | None, days: int) -> pd.Series:
    """Return Y where the last RFA session before the day of `date` was at most `days` earlier, otherwise N."""
    flag = pd.Series("N", index=subject.index)
    if ablations is None or ablations.empty:
        return flag
    sessions = ablations[["USUBJID", "ablation_date"]].dropna().drop_duplicates()
    names = pd.Index(sessions["USUBJID"].unique())
    # patient and day as one number: the last session before is found by bisection
    span = np.int64(10**6)
    keys = np.sort(names.get_indexer(sessions["USUBJID"]) * span + _day_number(sessions["ablation_date"]))
    patient = names.get_indexer(subject)
    dated = date.notna().to_numpy() & (patient >= 0)
    sampled = patient[dated] * span + _day_number(date[dated])
    before = np.searchsorted(keys, sampled, side="left") - 1
    last = np.where(before >= 0, keys[np.maximum(before, 0)], -span)
    # further apart than a patient's days: another patient's session
    flag.iloc[np.flatnonzero(dated)[sampled - last <= days]] = "Y"
    return flag


def _day_number(date: pd.Series) -> np.ndarray:
    return date.to_numpy().astype("datetime64[D]").astype(np.int64) + 500_000
