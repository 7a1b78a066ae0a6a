"""The state of a patient at time zero: age, laboratory values, Child-Pugh score and BCLC stage.

One place for clean (eligibility) and ADaM (ADSL, ADLB), so both see the same baseline.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sorafenib_rfa.vocabulary import LAB_TESTS


def baseline_rows(labs: pd.DataFrame, index_dates: pd.Series, window: tuple[int, int]) -> pd.DataFrame:
    """Return the laboratory row that is the baseline of each patient and test.

    The last result at or before the index date within the window; where there is none, the first one after it within
    the window. Of several results on that day, the one that stands last in the export.

    Parameters
    ----------
    labs : DataFrame
        Columns ``USUBJID, test, sample_date, value, src_row``; rows without a value are no candidates.
    index_dates : Series of datetime64
        Time zero by USUBJID.
    window : tuple of int
        Days before and after time zero that count (``baseline_window_days`` of the plan).

    Returns
    -------
    DataFrame
        Rows of `labs` with their index labels, at most one a USUBJID and test, sorted by both.
    """
    days = (labs["sample_date"] - labs["USUBJID"].map(index_dates)).dt.days
    inside = (days >= -window[0]) & (days <= window[1]) & labs["value"].notna()
    candidates = np.flatnonzero(inside.to_numpy(dtype=bool))
    chosen = labs[["USUBJID", "test", "src_row"]].iloc[candidates]
    day = days.to_numpy()[candidates]
    late = -chosen["src_row"].to_numpy(dtype="int64")
    patient, test = (pd.factorize(chosen[name], sort=True)[0] for name in ("USUBJID", "test"))
    # sorted as numbers: columns of text would take ten times as long
    order = np.lexsort([late, np.abs(day), day > 0, test, patient])
    patient, test = patient[order], test[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (patient[1:] != patient[:-1]) | (test[1:] != test[:-1])
    return labs.iloc[candidates[order[first]]]


def baseline_labs(labs: pd.DataFrame, index_dates: pd.Series, window: tuple[int, int]) -> pd.DataFrame:
    """Return the baseline value of every test.

    Parameters
    ----------
    labs, index_dates, window
        As :func:`baseline_rows`.

    Returns
    -------
    DataFrame of Float64
        Index: that of `index_dates`. One column a test of :data:`vocabulary.LAB_TESTS` in the canonical unit; NA
        where the window holds no result.
    """
    rows = baseline_rows(labs, index_dates, window)
    row = index_dates.index.get_indexer(rows["USUBJID"])
    column = pd.Index(LAB_TESTS).get_indexer(rows["test"])
    known = (row >= 0) & (column >= 0)
    values = np.full((len(index_dates), len(LAB_TESTS)), np.nan)
    values[row[known], column[known]] = rows["value"].to_numpy(dtype="float64")[known]
    index = index_dates.index.rename("USUBJID")
    wide = {test: pd.array(values[:, i], dtype="Float64") for i, test in enumerate(LAB_TESTS)}
    return pd.DataFrame(wide, index=index)


def age_at_index(patients: pd.DataFrame, index_dates: pd.Series) -> pd.Series:
    """Return the age in completed years at time zero.

    From the birth date where it and time zero are known, else from the recorded ``age_years``.

    Parameters
    ----------
    patients : DataFrame
        Columns ``USUBJID, birth_date, age_years``; one row a patient.
    index_dates : Series of datetime64
        Time zero by USUBJID.

    Returns
    -------
    Series of Int64
        Indexed by USUBJID in the order of `patients`.
    """
    patient = patients.set_index("USUBJID")
    index = pd.to_datetime(index_dates.reindex(patient.index))
    birth = patient["birth_date"]
    had_birthday = (index.dt.month * 100 + index.dt.day) >= (birth.dt.month * 100 + birth.dt.day)
    years = (index.dt.year - birth.dt.year - (~had_birthday)).astype("Float64")
    years[(index.isna() | birth.isna()).to_numpy(dtype=bool)] = pd.NA
    recorded = (patient["age_years"] // 1).astype("Float64")
    return years.fillna(recorded).astype("Int64")


def staging(
    patients: pd.DataFrame, labs: pd.DataFrame, index_dates: pd.Series, window: tuple[int, int]
) -> pd.DataFrame:
    """Return Child-Pugh score and BCLC stage at time zero, computed from the recorded facts.

    Parameters
    ----------
    patients : DataFrame
        One row a patient, with ``USUBJID`` and the canonical columns that staging needs.
    labs, index_dates, window
        As :func:`baseline_rows`.

    Returns
    -------
    DataFrame
        Indexed by USUBJID in the order of `patients`: ``child_pugh_score`` (Int64) and ``bclc`` (string), NA where
        recorded facts do not suffice.
    """
    from sorafenib_rfa.clinical.bclc import stage_frame
    from sorafenib_rfa.clinical.liver import child_pugh_score

    patient = patients.set_index("USUBJID")
    values = baseline_labs(labs, index_dates, window).reindex(patient.index)
    score = child_pugh_score(
        values["BILI"], values["ALB"], values["INR"], patient["ascites"], patient["encephalopathy"]
    )
    facts = patient[["tumour_count", "largest_tumour_cm", "ecog", "vascular_invasion", "extrahepatic_spread"]]
    facts = facts.assign(child_pugh_score=score)
    return pd.DataFrame({"child_pugh_score": score, "bclc": stage_frame(facts)}, index=patient.index)
