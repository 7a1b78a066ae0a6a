"""ADRECUR: repeated RFA after the index session, for mean cumulative functions."""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.adam.schemas import DEATH, END_OF_FOLLOW_UP, REPEAT_RFA
from sorafenib_rfa.adam.timing import days_since, study_day


def build_adrecur(adsl: pd.DataFrame, ablations: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each repeated RFA session, and one for the end of each patient's observation.

    A session is a day on which RFA was done; its rows are the tumours treated. Observation ends with death,
    else on the last date known alive; a session on that very day is kept and comes first.

    Parameters
    ----------
    adsl : DataFrame
        As :func:`sorafenib_rfa.adam.adsl.build_adsl` returns it.
    ablations : DataFrame
        Clean table.

    Returns
    -------
    DataFrame
        The columns of ADRECUR, not yet sorted or typed.
    """
    subjects = adsl.set_index("USUBJID")
    end = subjects["LSTALVDT"]
    sessions = (
        ablations[ablations["USUBJID"].isin(subjects.index)]
        .groupby(["USUBJID", "ablation_date"], as_index=False)
        .size()
        .rename(columns={"ablation_date": "ASTDT", "size": "TUMOURS"})
    )
    zero = sessions["USUBJID"].map(subjects["TRTSDT"])
    repeats = sessions[(sessions["ASTDT"] > zero) & (sessions["ASTDT"] <= sessions["USUBJID"].map(end))].copy()
    repeats["EVTYPE"] = REPEAT_RFA
    last = pd.DataFrame(
        {
            "USUBJID": subjects.index,
            "ASTDT": end.to_numpy(),
            "EVTYPE": subjects["DTHDT"].notna().map({True: DEATH, False: END_OF_FOLLOW_UP}).to_numpy(),
        }
    )
    rows = last if repeats.empty else pd.concat([repeats[last.columns], last], ignore_index=True)
    tumours = repeats.set_index(["USUBJID", "ASTDT"])["TUMOURS"]
    treated = tumours.reindex(pd.MultiIndex.from_frame(rows[["USUBJID", "ASTDT"]])).set_axis(rows.index)
    rows["TUMOURS"] = treated.astype("Int64").where(rows["EVTYPE"].eq(REPEAT_RFA))
    rows["is_last"] = rows["EVTYPE"].ne(REPEAT_RFA)
    rows = rows.sort_values(["USUBJID", "is_last", "ASTDT"], kind="stable", ignore_index=True)
    subject = rows["USUBJID"]
    zero = subject.map(subjects["TRTSDT"])
    before = rows.groupby("USUBJID")["ASTDT"].shift().fillna(zero)
    return pd.DataFrame(
        {
            **{name: subject.map(subjects[name]) for name in ("STUDYID", "SITEID", "TRT01A")},
            "USUBJID": subject,
            "RECSEQ": rows.groupby("USUBJID").cumcount() + 1,
            "ASTDT": rows["ASTDT"],
            "ASTDY": study_day(rows["ASTDT"], zero),
            "EVTYPE": rows["EVTYPE"],
            "TUMOURS": rows["TUMOURS"],
            "GAPDAYS": days_since(rows["ASTDT"], before),
        }
    )
