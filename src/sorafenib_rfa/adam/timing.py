"""Dates of the analysis: study day, last date known alive, what imaging showed when.

Columns are indexed by USUBJID or belong to one frame; missing dates are NaT. That no date lies after the data cut-off
or after death is the clean stage's work and relied on here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.adam.schemas import SITE_NOT_RECORDED
from sorafenib_rfa.clean.exposure import NO_RECURRENCE, first_recurrence
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, RECURRENCE_SITES

DATE: Final = "datetime64[s]"

_EVIDENCE_OF_LIFE: Final = (
    ("patients", "last_contact_date"),
    ("patients", "death_date"),
    ("ablations", "ablation_date"),
    ("imaging", "imaging_date"),
    ("labs", "sample_date"),
    ("drug_exposure", "start_date"),
)


def days_since(date: pd.Series, start: pd.Series) -> pd.Series:
    """Return whole days from `start` to `date`, Int64: 0 on the same day, negative before."""
    return (date - start).dt.days.astype("Int64")


def study_day(date: pd.Series, start: pd.Series) -> pd.Series:
    """Return the study day after CDISC: 1 on the day of `start`, -1 on the day before, never 0."""
    days = days_since(date, start)
    return days.where(days < 0, days + 1)


def months_since(date: pd.Series, start: pd.Series) -> pd.Series:
    """Return months from `start` to `date`; the first day itself counts as half a day, since estimators refuse 0."""
    days = (date - start).dt.days
    return days.mask(days == 0, 0.5) / DAYS_PER_MONTH


def last_known_alive(tables: Mapping[str, pd.DataFrame], subjects: pd.Index) -> pd.Series:
    """Return the last date each patient is known to have been alive, NaT if there is none.

    The latest of all dates that need a living patient: last contact, RFA, imaging, sample, first day of a dosing
    interval; and the day of death, until which the patient lived. The end of an interval or of an adverse event may
    be written about someone who is out of sight and does not count.

    Parameters
    ----------
    tables : mapping
        Clean tables.
    subjects : Index
        USUBJIDs to answer for.

    Returns
    -------
    Series of datetime64[s], indexed by `subjects`
    """
    latest = {
        (table, column): tables[table].groupby("USUBJID")[column].max().reindex(subjects).astype(DATE)
        for table, column in _EVIDENCE_OF_LIFE
        if table in tables
    }
    return pd.DataFrame(latest, index=subjects).max(axis="columns").astype(DATE)


def recurrences(imaging: pd.DataFrame, start: pd.Series) -> pd.DataFrame:
    """Return when and where each patient's first recurrence was seen, and the last clear imaging before it.

    Only imaging after the day of index RFA can be positive: what it shows earlier is the tumour treated. Clear
    imaging counts from the day of index RFA on. Several examinations on one day are read together: the day is
    positive when any of them is, and RECSITE names all kinds found, most local first.

    Parameters
    ----------
    imaging : DataFrame
        Clean table: ``USUBJID``, ``imaging_date``, ``finding``.
    start : Series of datetime64[s]
        Index RFA, indexed by USUBJID: the patients to answer for.

    Returns
    -------
    DataFrame indexed as `start`
        ``RECDT`` (first positive date or NaT), ``RECSITE`` (string or NA), ``LASTIMDT`` (last clear date before
        RECDT, or the last clear date, or NaT).
    """
    exams = imaging.loc[imaging["USUBJID"].isin(start.index), ["USUBJID", "imaging_date", "finding"]].dropna()
    recdt = first_recurrence(exams, start).reindex(start.index).astype(DATE)
    own_recdt = exams["USUBJID"].map(recdt)
    positive = exams["finding"].ne(NO_RECURRENCE)
    site = _patterns(exams[positive & exams["imaging_date"].eq(own_recdt)])
    clear = exams[
        ~positive
        & (exams["imaging_date"] >= exams["USUBJID"].map(start))
        & (own_recdt.isna() | (exams["imaging_date"] < own_recdt))
    ]
    return pd.DataFrame(
        {
            "RECDT": recdt,
            "RECSITE": site.reindex(start.index).astype("string"),
            "LASTIMDT": clear.groupby("USUBJID")["imaging_date"].max().reindex(start.index).astype(DATE),
        },
        index=start.index,
    )


def _patterns(exams: pd.DataFrame) -> pd.Series:
    """Return the kinds that the findings of each patient name, such as ``LTP+IDR``, or that none was recorded."""
    codes, findings = pd.factorize(exams["finding"])
    named = np.array([[kind in finding.split("+") for kind in RECURRENCE_SITES] for finding in findings], dtype=bool)
    kinds = pd.DataFrame(named.reshape(-1, len(RECURRENCE_SITES))[codes], columns=list(RECURRENCE_SITES))
    seen = kinds.groupby(exams["USUBJID"].to_numpy()).any()
    every = list(itertools.product([False, True], repeat=len(RECURRENCE_SITES)))
    texts = {flags: "+".join(itertools.compress(RECURRENCE_SITES, flags)) or SITE_NOT_RECORDED for flags in every}
    place = seen.to_numpy() @ (2 ** np.arange(len(RECURRENCE_SITES))[::-1])
    return pd.Series(np.array([texts[flags] for flags in every], dtype=object)[place], index=seen.index)
