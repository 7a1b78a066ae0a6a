"""ADTUM: one row a tumour treated in a session, with technique efficacy and time to local tumour progression.

Two populations share the dataset. Technique efficacy is asked of everyone whose tumour was ablated, so patients who
left because the index ablation was not complete are in it (ANLFL = N). Local tumour progression (LTP) can come only
after complete ablation (Ahmed 2014), so it is followed in the tumours of the index session of analysed patients.

How the LTP of a tumour is found, each step a choice stated here:

* Examinations of one day are read together. Only those after the day of index RFA can show LTP.
* Where the examination names tumours of the index session, those have LTP.
* Where it does not, the only tumour has it; of several, the largest (LTPALLOC says so), unless a tumour of the
  patient progressed before: then this is taken as the same progression.
* After a further session, LTP that is not named may lie at the edge of a later ablation: observation of the index
  tumours ends at the examination before. So it does before a recurrence of unrecorded kind, which may be LTP.
* Recurrence elsewhere does not end the risk of LTP. Death does, however long after the last examination, as in ADTTE.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.adam.schemas import (
    LTP_NOT_RECORDED,
    LTP_ONLY_TUMOUR,
    LTP_RECORDED,
    TUMOUR_CENSORED,
    TUMOUR_DEATH,
    TUMOUR_LTP,
)
from sorafenib_rfa.adam.timing import DATE, months_since
from sorafenib_rfa.clean.exposure import NO_RECURRENCE
from sorafenib_rfa.clean.tumours import tumours_named
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.vocabulary import RECURRENCE_SITES

_FOLLOWED: Final = {"LTPFL": "string", "LTPDT": DATE, "LTPALLOC": "string", "end": DATE, "EVNTCD": "Int64"}


def build_adtum(
    adsl: pd.DataFrame,
    ablations: pd.DataFrame,
    imaging: pd.DataFrame | None,
    incomplete_ablations: pd.DataFrame | None,
    cohort: Cohort,
) -> pd.DataFrame:
    """Return one row a tumour and session.

    Parameters
    ----------
    adsl : DataFrame
        As :func:`sorafenib_rfa.adam.adsl.build_adsl` returns it.
    ablations : DataFrame
        Clean table.
    imaging : DataFrame or None
        Clean table; None for a cohort without imaging, whose LTP is unknown.
    incomplete_ablations : DataFrame or None
        Ablations of patients who left because the index RFA was not complete, in the shape of `ablations`.
    cohort : Cohort

    Returns
    -------
    DataFrame
        The columns of ADTUM, not yet sorted or typed.
    """
    subjects = adsl.set_index("USUBJID")
    parts = [_treated(ablations[ablations["USUBJID"].isin(subjects.index)], "Y")]
    if incomplete_ablations is not None and len(incomplete_ablations):
        parts.append(_treated(incomplete_ablations, "N"))
    rows = pd.concat(parts, ignore_index=True)
    followed = rows[(rows["ANLFL"] == "Y") & (rows["INDEXFL"] == "Y")]
    if imaging is None:
        ltp = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in _FOLLOWED.items()})
    else:
        ltp = _local_progression(followed, imaging, ablations, subjects["DTHDT"])
    rows = rows.join(ltp)
    subject = rows["USUBJID"]
    return rows.assign(
        STUDYID=cohort.name,
        **{name: subject.map(subjects[name]) for name in ("TRT01A", "EXPOSFL")},
        AVAL=months_since(rows["end"], rows["PROCDT"]),
        CNSR=(rows["EVNTCD"] != TUMOUR_LTP).astype("Int64"),
    )


def _treated(ablations: pd.DataFrame, analysed: str) -> pd.DataFrame:
    """Return the columns of ADTUM that say what was treated when, and how well it worked."""
    date = ablations["ablation_date"]
    by_patient = date.groupby(ablations["USUBJID"])
    return pd.DataFrame(
        {
            "USUBJID": ablations["USUBJID"],
            "SITEID": ablations["site"],
            "ANLFL": analysed,
            "PROCSEQ": by_patient.rank(method="dense").astype("Int64"),
            "PROCDT": date,
            "INDEXFL": (date == by_patient.transform("min")).map({True: "Y", False: "N"}),
            "TUMNO": ablations["tumour_no"],
            "DIAM": ablations["tumour_diameter_cm"],
            "GUIDANCE": ablations["guidance"],
            "TECHEFFL": ablations["complete_ablation"],
            "SRCFILE": ablations["src_file"],
            "SRCSHEET": ablations["src_sheet"],
            "SRCROW": ablations["src_row"],
        }
    )


def _local_progression(
    tumours: pd.DataFrame, imaging: pd.DataFrame, ablations: pd.DataFrame, died: pd.Series
) -> pd.DataFrame:
    """Return LTPFL, LTPDT, LTPALLOC, the end of observation and EVNTCD of tumours of the index session.

    One row a row of `tumours`, with its label. Examinations are read as days of a patient, all patients at once.
    """
    index_date = tumours.groupby("USUBJID")["PROCDT"].first()
    days, named = _examined_days(tumours, imaging, index_date)
    later = ablations[ablations["ablation_date"] > ablations["USUBJID"].map(index_date)]
    next_session = days["USUBJID"].map(later.groupby("USUBJID")["ablation_date"].min())
    unnamed = days["ltp"] & ~days.index.isin(named["day"])
    stops = days["unrecorded"] | (unnamed & (next_session < days["imaging_date"]))
    # observation ends at the last examination before the first that may have seen LTP of one of these tumours
    seen = days[~stops.groupby(days["USUBJID"]).cummax()]
    last = index_date.copy()
    last.update(seen.groupby("USUBJID")["imaging_date"].last())
    stopped = tumours["USUBJID"].isin(days.loc[stops, "USUBJID"])

    found = named[named["day"].isin(seen.index)].drop_duplicates("tumour").set_index("tumour")
    date = found["day"].map(seen["imaging_date"]).reindex(tumours.index).astype(DATE)
    how = pd.Series(LTP_RECORDED, index=tumours.index, dtype="string").where(date.notna())
    first_named = date.groupby(tumours["USUBJID"]).min()
    first_unnamed = seen[unnamed[seen.index]].drop_duplicates("USUBJID").set_index("USUBJID")["imaging_date"]
    allocated = first_unnamed[~(first_named.reindex(first_unnamed.index) < first_unnamed)]
    order = ["USUBJID", "DIAM", "TUMNO", "SRCROW"]
    largest = tumours.sort_values(order, ascending=[True, False, True, True], na_position="last", kind="stable")
    largest = largest.drop_duplicates("USUBJID")
    largest = largest[largest["USUBJID"].isin(allocated.index)]
    date[largest.index] = largest["USUBJID"].map(allocated)
    single = largest["USUBJID"].map(tumours["USUBJID"].value_counts()) == 1
    how[largest.index] = single.map({True: LTP_ONLY_TUMOUR, False: LTP_NOT_RECORDED})

    progressed = date.notna()
    death = tumours["USUBJID"].map(died).astype(DATE)
    dies = ~progressed & ~stopped & death.notna()
    end = tumours["USUBJID"].map(last).astype(DATE).mask(dies, death).mask(progressed, date)
    code = pd.Series(TUMOUR_CENSORED, index=tumours.index).mask(dies, TUMOUR_DEATH).mask(progressed, TUMOUR_LTP)
    columns = {
        "LTPFL": progressed.map({True: "Y", False: "N"}),
        "LTPDT": date,
        "LTPALLOC": how,
        "end": end,
        "EVNTCD": code,
    }
    return pd.DataFrame(columns, index=tumours.index).astype(_FOLLOWED)


def _examined_days(
    tumours: pd.DataFrame, imaging: pd.DataFrame, index_date: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the examinations after the index RFA showed, those of one day together.

    What is seen on the day of the index RFA is the tumour treated.

    Returns
    -------
    days : DataFrame
        One row a patient and day, in order: ``USUBJID, imaging_date, unrecorded`` (recurrence of no recorded kind)``,
        ltp`` (local progression).
    named : DataFrame
        One row each time a day with local progression names a tumour of the index session: ``day, tumour``, labels of
        `days` and `tumours`, in order of days.
    """
    zero = imaging["USUBJID"].map(index_date)
    exams = imaging[((imaging["imaging_date"] > zero) & imaging["finding"].notna()).to_numpy(dtype=bool)]
    exams = exams[["USUBJID", "imaging_date", "finding", "ltp_tumours"]]
    codes, findings = pd.factorize(exams["finding"])
    parts = [frozenset(str(finding).split("+")) for finding in findings]
    exams = exams.assign(
        positive=np.array([finding != NO_RECURRENCE for finding in findings], dtype=bool)[codes],
        kind=np.array([bool(each & set(RECURRENCE_SITES)) for each in parts], dtype=bool)[codes],
        ltp=np.array(["LTP" in each for each in parts], dtype=bool)[codes],
    )
    by_day = exams.groupby(["USUBJID", "imaging_date"], sort=True)
    days = by_day[["positive", "kind", "ltp"]].any().reset_index()
    days["unrecorded"] = days["positive"] & ~days["kind"]
    exams = exams.assign(day=by_day.ngroup())
    lists = exams[(exams["day"].map(days["ltp"]) & exams["ltp_tumours"].notna()).to_numpy(dtype=bool)]
    codes, texts = pd.factorize(lists["ltp_tumours"])
    numbers = [sorted(tumours_named(text) or ()) for text in texts]
    listed = pd.DataFrame(
        {
            "USUBJID": np.repeat(lists["USUBJID"].to_numpy(), [len(numbers[code]) for code in codes]),
            "day": np.repeat(lists["day"].to_numpy(), [len(numbers[code]) for code in codes]),
            "TUMNO": pd.array([number for code in codes for number in numbers[code]], dtype="Int64"),
        }
    ).astype({"USUBJID": tumours["USUBJID"].dtype})
    numbered = tumours.loc[tumours["TUMNO"].notna(), ["USUBJID", "TUMNO"]].rename_axis("tumour").reset_index()
    named = listed.merge(numbered, on=["USUBJID", "TUMNO"])
    return days, named[["day", "tumour"]].sort_values(["day", "tumour"], kind="stable", ignore_index=True)
