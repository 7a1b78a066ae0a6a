"""ADEX: one row a dosing interval of sorafenib."""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.adam.timing import days_since, study_day


def build_adex(adsl: pd.DataFrame, drug_exposure: pd.DataFrame) -> pd.DataFrame:
    """Return one row a dosing interval of the patients of `adsl`.

    An interval still open at the last contact ends on the last date known alive, or on its own first day
    when that is later.

    Parameters
    ----------
    adsl : DataFrame
        As :func:`sorafenib_rfa.adam.adsl.build_adsl` returns it.
    drug_exposure : DataFrame
        Clean table.

    Returns
    -------
    DataFrame
        The columns of ADEX, not yet sorted or typed.
    """
    subjects = adsl.set_index("USUBJID")
    doses = drug_exposure[drug_exposure["USUBJID"].isin(subjects.index)].sort_values(
        ["USUBJID", "start_date", "end_date", "daily_dose_mg", "src_file", "src_row"],
        kind="stable",
        ignore_index=True,
    )
    subject = doses["USUBJID"]
    zero = subject.map(subjects["TRTSDT"])
    start = doses["start_date"]
    last_alive = subject.map(subjects["LSTALVDT"])
    end = doses["end_date"].fillna(last_alive.where(~(last_alive < start), start))
    return pd.DataFrame(
        {
            **{name: subject.map(subjects[name]) for name in ("STUDYID", "SITEID")},
            "USUBJID": subject,
            "EXSEQ": doses.groupby("USUBJID").cumcount() + 1,
            "EXTRT": doses["drug"],
            "EXSTDT": start,
            "EXENDT": end,
            "EXSTDY": study_day(start, zero),
            "EXENDY": study_day(end, zero),
            "EXDOSE": doses["daily_dose_mg"],
            "EXDURD": days_since(end, start) + 1,
            "EXADJ": doses["change_reason"],
        }
    )
