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

from typing import Any, Final

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
    """Return LTPFL, LTPDT, LTPALLOC, the end of observation and EVNTCD of tumours of the index session."""
    exams = imaging[imaging["USUBJID"].isin(tumours["USUBJID"]) & imaging["finding"].notna()].sort_values(
        ["imaging_date", "src_file", "src_row"], kind="stable"
    )
    exams_of = dict(iter(exams.groupby("USUBJID")))
    sessions = ablations.groupby("USUBJID")["ablation_date"].agg(list)
    rows: dict[Any, tuple] = {}
    for name, own in tumours.groupby("USUBJID", sort=True):
        index_date = own["PROCDT"].iloc[0]
        later = [day for day in sessions[name] if day > index_date]
        found, last, complete = _follow(own, exams_of.get(name, exams.iloc[:0]), index_date, min(later, default=None))
        death = died[name]
        for label in own.index:
            if label in found:
                date, how = found[label]
                rows[label] = ("Y", date, how, date, TUMOUR_LTP)
            elif complete and pd.notna(death):
                rows[label] = ("N", pd.NaT, None, death, TUMOUR_DEATH)
            else:
                rows[label] = ("N", pd.NaT, None, last, TUMOUR_CENSORED)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(_FOLLOWED))
    return frame.astype(_FOLLOWED)


def _follow(
    tumours: pd.DataFrame, exams: pd.DataFrame, index_date: pd.Timestamp, next_session: pd.Timestamp | None
) -> tuple[dict[Any, tuple[pd.Timestamp, str]], pd.Timestamp, bool]:
    """Follow the index tumours of one patient from examination to examination.

    Returns
    -------
    found : dict
        Row label of a tumour -> date of its LTP and how it was allocated.
    last : Timestamp
        The last examination that could show LTP; `index_date` without one.
    complete : bool
        False where what came later may have been LTP of one of these tumours, so that observation ended there.
    """
    numbers = tumours["TUMNO"]
    largest = tumours.sort_values(["DIAM", "TUMNO", "SRCROW"], ascending=[False, True, True], na_position="last").index[
        0
    ]
    found: dict[Any, tuple[pd.Timestamp, str]] = {}
    last = index_date
    after = exams[exams["imaging_date"] >= index_date]
    for day, seen in after.groupby("imaging_date", sort=True):
        findings = set(seen["finding"]) - {NO_RECURRENCE}
        if day == index_date:
            # what is seen on this day is the tumour treated
            continue
        kinds = {kind for finding in findings for kind in finding.split("+")} & set(RECURRENCE_SITES)
        if findings and not kinds:
            return found, last, False
        if "LTP" in kinds:
            named = frozenset().union(*(tumours_named(text) or () for text in seen["ltp_tumours"].dropna()))
            progressed = [label for label in tumours.index if pd.notna(numbers[label]) and numbers[label] in named]
            if progressed:
                for label in progressed:
                    found.setdefault(label, (day, LTP_RECORDED))
            elif next_session is not None and next_session < day:
                return found, last, False
            elif not found:
                how = LTP_ONLY_TUMOUR if len(tumours) == 1 else LTP_NOT_RECORDED
                found[largest] = (day, how)
        last = day
    return found, last, True
