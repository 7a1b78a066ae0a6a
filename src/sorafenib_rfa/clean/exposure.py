"""Time zero, exposure to sorafenib and the arm that follows from them: one place for clean and ADaM."""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.vocabulary import CONTROL, SORAFENIB

NO_RECURRENCE = "no_recurrence"


def index_rfa(ablations: pd.DataFrame) -> pd.Series:
    """Return the date of each patient's index RFA: the first ablation session.

    Parameters
    ----------
    ablations : DataFrame
        Columns ``USUBJID, ablation_date``.

    Returns
    -------
    Series of datetime64[s]
        Indexed by USUBJID (sorted); patients without a dated ablation are not in it.
    """
    return _first(ablations, "ablation_date")


def first_exposure(drug_exposure: pd.DataFrame) -> pd.Series:
    """Return the date of each patient's first dose of sorafenib.

    Parameters
    ----------
    drug_exposure : DataFrame
        Columns ``USUBJID, drug, start_date``.

    Returns
    -------
    Series of datetime64[s]
        Indexed by USUBJID (sorted); patients who never took it are not in it.
    """
    return _first(drug_exposure[(drug_exposure["drug"] == "sorafenib").fillna(False)], "start_date")


def first_recurrence(imaging: pd.DataFrame, index_date: pd.Series) -> pd.Series:
    """Return the date of each patient's first examination after the index RFA that shows recurrence of any kind.

    Parameters
    ----------
    imaging : DataFrame
        Columns ``USUBJID, imaging_date, finding``.
    index_date : Series of datetime64[s]
        Date of the index RFA by USUBJID (:func:`index_rfa`).

    Returns
    -------
    Series of datetime64[s]
        Indexed by USUBJID (sorted); patients without recurrence are not in it. Tumour seen on the day of the RFA or
        before is what was treated, not recurrence.
    """
    positive = imaging[(imaging["finding"] != NO_RECURRENCE).fillna(False)]
    after = positive["imaging_date"] > positive["USUBJID"].map(index_date)
    return _first(positive[after.to_numpy(dtype=bool)], "imaging_date")


def _first(frame: pd.DataFrame, column: str) -> pd.Series:
    return frame.dropna(subset=[column]).groupby("USUBJID", sort=True)[column].min().astype("datetime64[s]")


def assigned_arm(
    index_date: pd.Series, first_dose_date: pd.Series, recurrence_date: pd.Series, grace_days: int
) -> pd.Series:
    """Return the arm of each patient.

    Parameters
    ----------
    index_date : Series of datetime64
        Date of the index RFA, indexed by USUBJID; its index decides who is in the result.
    first_dose_date, recurrence_date : Series of datetime64
        First dose of sorafenib and first recurrence by USUBJID; absent or NaT: none.
    grace_days : int
        ``grace_period_days`` of the plan.

    Returns
    -------
    Series of string
        ``RFA + sorafenib`` when the first dose came at most `grace_days` after the index RFA and before the first
        recurrence (a dose on the day of the recurrence treats the recurrence), else ``RFA alone``. NA without an
        index date. A first dose before the index RFA counts as started; eligibility decides about such patients.
    """
    dose = pd.to_datetime(first_dose_date.reindex(index_date.index))
    recurrence = pd.to_datetime(recurrence_date.reindex(index_date.index))
    in_time = (dose - index_date) <= pd.Timedelta(days=grace_days)
    before_recurrence = recurrence.isna() | (dose < recurrence)
    arm = pd.Series(CONTROL, index=index_date.index, dtype="string")
    arm[(dose.notna() & in_time & before_recurrence).to_numpy(dtype=bool)] = SORAFENIB
    arm[index_date.isna().to_numpy(dtype=bool)] = pd.NA
    return arm
