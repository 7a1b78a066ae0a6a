"""ADLB: one row a laboratory result, with change from baseline and CTCAE grade."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import pandas as pd

from sorafenib_rfa.adam.timing import study_day
from sorafenib_rfa.clean.baseline import baseline_rows
from sorafenib_rfa.clinical.ctcae import grade
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
    results = labs[labs["USUBJID"].isin(subjects.index)].sort_values(
        ["USUBJID", "test", "sample_date", "src_file", "src_row"], kind="stable", ignore_index=True
    )
    subject, test, date = results["USUBJID"], results["test"], results["sample_date"]
    zero = subject.map(subjects["TRTSDT"])
    chosen = baseline_rows(results, subjects["TRTSDT"], plan.baseline_window_days)
    baseline = chosen.set_index(["USUBJID", "test"])[["value", "uln"]]
    own = baseline.reindex(pd.MultiIndex.from_arrays([subject, test])).set_axis(results.index)
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
    sessions = ablations.loc[:, ["USUBJID", "ablation_date"]].dropna().drop_duplicates().sort_values("ablation_date")
    sampled = pd.DataFrame({"USUBJID": subject, "date": date}).dropna().sort_values("date", kind="stable")
    last = pd.merge_asof(
        sampled.reset_index(),
        sessions,
        left_on="date",
        right_on="ablation_date",
        by="USUBJID",
        allow_exact_matches=False,
        tolerance=pd.Timedelta(days=days),
    ).set_index("index")
    flag.loc[last.index[last["ablation_date"].notna()]] = "Y"
    return flag
