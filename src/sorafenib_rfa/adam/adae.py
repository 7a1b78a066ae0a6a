"""ADAE: one row an adverse event, with its place in time against RFA and sorafenib."""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.adam.timing import study_day
from sorafenib_rfa.clean.exposure import emergence
from sorafenib_rfa.clinical.ctcae import ctcae_soc
from sorafenib_rfa.config.models import Plan


def build_adae(adsl: pd.DataFrame, adex: pd.DataFrame | None, adverse_events: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return one row an event of the patients of `adsl`.

    Parameters
    ----------
    adsl : DataFrame
        As :func:`sorafenib_rfa.adam.adsl.build_adsl` returns it.
    adex : DataFrame or None
        As :func:`sorafenib_rfa.adam.adex.build_adex` returns it; None for a cohort without a drug.
    adverse_events : DataFrame
        Clean table.
    plan : Plan

    Returns
    -------
    DataFrame
        The columns of ADAE, not yet sorted or typed.

    Notes
    -----
    The period in which an event is treatment-emergent is :func:`sorafenib_rfa.clean.exposure.emergence`: it ends some
    days after the last dose of the course or after recurrence, or with drug given for a recurrence, from which on an
    event may be that drug's, and would be held against the course or against RFA alone.

    What began before the index RFA (PREFL) is history: it is in ADAE and never treatment-emergent.
    """
    subjects = adsl.set_index("USUBJID")
    events = adverse_events[adverse_events["USUBJID"].isin(subjects.index)].sort_values(
        ["USUBJID", "start_date", "term", "grade", "src_file", "src_row"], kind="stable", ignore_index=True
    )
    subject = events["USUBJID"]
    start = subject.map(subjects["TRTSDT"])
    period = emergence(adsl, adex, plan.treatment_emergent_days)
    begin, end = subject.map(period["begin"]), subject.map(period["end"])
    began, ended = events["start_date"], events["end_date"]
    in_period = (began >= begin) & ~(began > end)
    # an event of unknown start is emergent unless it was over before: the assumption that hides no toxicity
    emergent = in_period.where(began.notna(), begin.notna() & ~(ended < begin))
    before = (began < start) | (began.isna() & (ended < start))
    labels = {term: plan.events_of_interest[key].label for term, key in plan.query_of().items()}
    return pd.DataFrame(
        {
            **{name: subject.map(subjects[name]) for name in ("STUDYID", "SITEID", "TRT01A", "EXPOSFL")},
            "USUBJID": subject,
            "AESEQ": events.groupby("USUBJID").cumcount() + 1,
            "AEDECOD": events["term"],
            "AEBODSYS": events["soc"].fillna(events["term"].map(dict(ctcae_soc()))),
            "ATOXGR": events["grade"],
            "AESER": events["serious"],
            "AREL": events["related_drug"],
            "ARELRFA": events["related_rfa"],
            "AEACN": events["action"],
            "AEOUT": events["outcome"],
            "ASTDT": began,
            "AENDT": ended,
            "ASTDY": study_day(began, start),
            "AENDY": study_day(ended, start),
            "PREFL": before.map({True: "Y", False: "N"}),
            "TRTEMFL": (emergent & ~before).map({True: "Y", False: "N"}),
            "AEOIFL": events["term"].isin(labels).map({True: "Y", False: "N"}),
            "CQ01NAM": events["term"].map(labels),
            "SRCFILE": events["src_file"],
            "SRCSHEET": events["src_sheet"],
            "SRCROW": events["src_row"],
        }
    )
