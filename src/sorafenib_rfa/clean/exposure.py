"""Time zero, exposure to sorafenib and what follows from them, arm and course: one place for clean, ADaM, estimates."""

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
    seen = (imaging["finding"].notna() & (imaging["finding"] != NO_RECURRENCE)).to_numpy(dtype=bool, na_value=False)
    positive = imaging.loc[seen, ["USUBJID", "imaging_date"]]
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


OFF_DRUG, RECURRED, TREATED_AGAIN = "off_drug", "recurrence", "drug_after_recurrence"
"""What ends treatment-emergence: days after the last dose, days after recurrence, drug given after recurrence."""


def course_intervals(adex: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """Return the dosing intervals that make up each patient's course, interruptions on record (0 mg) among them.

    Where intervals overlap the later record holds. Drug that is started again after a recurrence treats the
    recurrence: from there on intervals belong to no course. A course that goes on across a recurrence without a gap
    does.

    Parameters
    ----------
    adex : DataFrame
        ``USUBJID, EXSEQ, EXSTDT, EXENDT`` and any other columns.
    adsl : DataFrame
        ``USUBJID, LSTALVDT, DTHDT``, and ``RECDT`` where there is imaging: the patients to answer for.

    Returns
    -------
    DataFrame
        Rows of `adex` by patient and time, with ``start`` and ``end`` (dates, both within the interval). An interval
        without a date of start is not among them; one without an end goes on to death or the last contact.
    """
    by_patient = adsl.set_index("USUBJID")
    seen = pd.to_datetime(by_patient["DTHDT"]).fillna(pd.to_datetime(by_patient["LSTALVDT"]))
    rows = adex[(adex["USUBJID"].isin(by_patient.index) & adex["EXSTDT"].notna()).to_numpy(dtype=bool)]
    rows = rows.sort_values(["USUBJID", "EXSTDT", "EXSEQ"], kind="stable", ignore_index=True)
    start = pd.to_datetime(rows["EXSTDT"])
    end = pd.to_datetime(rows["EXENDT"]).fillna(rows["USUBJID"].map(seen))
    rows = rows.assign(start=start, end=end.where(~(end < start), start))
    following = rows.groupby("USUBJID")["start"].shift(-1) - pd.Timedelta(days=1)
    rows["end"] = rows["end"].where(~(rows["end"] > following), following)
    rows = rows[(rows["end"] >= rows["start"]).to_numpy(dtype=bool)]
    gap = (rows["start"] - rows.groupby("USUBJID")["end"].shift()).dt.days
    again = (rows["start"] >= rows["USUBJID"].map(_recurrence(by_patient))) & ~(gap <= 1)
    return rows[(again.groupby(rows["USUBJID"]).cumsum() == 0).to_numpy(dtype=bool)]


def _recurrence(by_patient: pd.DataFrame) -> pd.Series:
    """Return the date of recurrence, NaT in a cohort without imaging."""
    if "RECDT" in by_patient:
        return pd.to_datetime(by_patient["RECDT"])
    return pd.Series(pd.NaT, index=by_patient.index, dtype="datetime64[s]")


def emergence(adsl: pd.DataFrame, adex: pd.DataFrame | None, emergent_days: int) -> pd.DataFrame:
    """Return the period in which an adverse event of each patient is treatment-emergent.

    It begins with the first dose in the exposed and with the index RFA in the others. It ends, whichever comes first,
    `emergent_days` after the last dose of the course (exposed), `emergent_days` after recurrence, or on the day before
    drug is given for a recurrence. The last two limits are the same for both groups.

    Parameters
    ----------
    adsl : DataFrame
        ``USUBJID, EXPOSFL, TRTSDT, LSTALVDT, DTHDT``, and ``RECDT`` where there is imaging.
    adex : DataFrame or None
        As :func:`course_intervals` reads it, with ``EXDOSE`` (mg a day; 0: no drug, missing: drug); None: no drug.
    emergent_days : int
        ``treatment_emergent_days`` of the plan.

    Returns
    -------
    DataFrame indexed by USUBJID, in the order of `adsl`
        ``begin`` (NaT: exposed, and no dose is dated)``, end`` (NaT: no limit)``, limit`` (:data:`OFF_DRUG`,
        :data:`RECURRED`, :data:`TREATED_AGAIN`, or missing).
    """
    by_patient = adsl.set_index("USUBJID")
    exposed = (by_patient["EXPOSFL"] == "Y").fillna(False).astype(bool)
    index, none = by_patient.index, pd.Series(pd.NaT, index=by_patient.index, dtype="datetime64[s]")
    first = last = other = none
    if adex is not None and len(adex):
        doses = adex[(~(adex["EXDOSE"] == 0).fillna(False)).to_numpy(dtype=bool)].reset_index(drop=True)
        course = course_intervals(adex, adsl[exposed.to_numpy()])
        taken = course[(~(course["EXDOSE"] == 0).fillna(False)).to_numpy(dtype=bool)].groupby("USUBJID")
        first, last = taken["start"].min().reindex(index), taken["end"].max().reindex(index)
        # what is given outside of a course treats the recurrence; of the unexposed nothing is a course
        after = pd.to_datetime(doses["EXSTDT"])[~(doses["EXSTDT"] <= doses["USUBJID"].map(last)).to_numpy(dtype=bool)]
        other = after.groupby(doses["USUBJID"]).min().reindex(index)
    wait = pd.Timedelta(days=emergent_days)
    rfa = pd.to_datetime(by_patient["TRTSDT"])
    begin = rfa.mask(exposed, first.mask(first < rfa, rfa))
    limits = {
        OFF_DRUG: last + wait,
        RECURRED: _recurrence(by_patient) + wait,
        TREATED_AGAIN: other - pd.Timedelta(days=1),
    }
    end, limit = none, pd.Series(pd.NA, index=index, dtype="string")
    for name, date in limits.items():
        sooner = (date.notna() & (end.isna() | (date < end))).to_numpy(dtype=bool)
        end, limit = end.mask(sooner, date), limit.mask(sooner, name)
    return pd.DataFrame({"begin": begin, "end": end, "limit": limit}, index=index)
