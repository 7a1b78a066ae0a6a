"""When harms happen, in months since the index RFA: adverse events of a kind, worsening of liver function, toxicity.

Treatment policy: an event counts from RFA on, on the drug or off it, before a recurrence or after. Follow-up ends at
death or the last contact, and what is recorded later does not count: an event must not lengthen the time in which it
could be seen. Days are read as follows, so that nothing is held against the wrong strategy: a drug is started, and a
patient is last seen or dies, as a day begins; an adverse event happens half a day later, hence after a first dose of
the same day; and it lasts to the end of its last day.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical.liver import albi_grade
from sorafenib_rfa.config.models import EventFilter, Plan
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

NONE, HARM, DEATH = 0, 1, 2
"""Causes of the end of follow-up for a harm."""

HALF_DAY = 0.5


def _days(dates: pd.Series, zero: pd.Series) -> pd.Series:
    """Return days from `zero`, NaN where a date is missing."""
    return numbers((pd.to_datetime(dates) - zero).dt.days)


def followed_for_harms(adsl: pd.DataFrame) -> pd.DataFrame:
    """Return how long patients are under observation for harms, and when they were first given the drug.

    Parameters
    ----------
    adsl : DataFrame
        ADSL.

    Returns
    -------
    DataFrame
        Index USUBJID: ``last_day`` (days since RFA: death, else last contact)``, died``, ``first_dose`` (days since
        RFA of the first dose ever, before a recurrence or after; infinite: none).
    """
    index = pd.Index(texts(adsl["USUBJID"]).astype(object), name="USUBJID")
    zero = pd.Series(pd.to_datetime(adsl["TRTSDT"]).to_numpy(), index=index)
    seen, death, dose = (_days(adsl[name].set_axis(index), zero) for name in ("LSTALVDT", "DTHDT", "EXSTDT"))
    return pd.DataFrame(
        {
            "last_day": death.fillna(seen).clip(lower=HALF_DAY),
            "died": death.notna(),
            "first_dose": dose.fillna(np.inf),
        }
    ).sort_index()


def in_follow_up(events: pd.DataFrame, followed: pd.DataFrame) -> pd.Series:
    """Return which events began by the last day of follow-up.

    Parameters
    ----------
    events : DataFrame
        As :func:`events_since_index` returns it.
    followed : DataFrame
        As :func:`followed_for_harms` returns it.
    """
    return events["from_day"] <= texts(events["USUBJID"]).astype(object).map(followed["last_day"]).astype(float)


def events_since_index(adae: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """Return the adverse events that began on the day of RFA or later.

    Parameters
    ----------
    adae, adsl : DataFrame
        ADaM datasets.

    Returns
    -------
    DataFrame
        The rows of ADAE, with ``from_day, to_day`` (days since RFA, the last one included; infinite: not over),
        ``grade`` and ``start_known``.

    Notes
    -----
    As in ADAE, an event of unknown start is taken to have begun as the drug was first given (in the unexposed: on the
    day of RFA), or on the day of RFA if it was over before that; it is left out if it was over before RFA.
    """
    by_subject = adsl.assign(USUBJID=texts(adsl["USUBJID"]).astype(object)).set_index("USUBJID")
    rows = adae[texts(adae["USUBJID"]).isin(by_subject.index)].copy()
    subject = texts(rows["USUBJID"]).astype(object)
    zero = subject.map(pd.to_datetime(by_subject["TRTSDT"]))
    start, end = _days(rows["ASTDT"], zero), _days(rows["AENDT"], zero)
    dose = _days(by_subject["EXSTDT"], pd.to_datetime(by_subject["TRTSDT"]))
    dose = subject.map(dose.where(texts(by_subject["EXPOSFL"]) == "Y", 0.0)).astype(float).fillna(0.0)
    assumed = dose.where(~(end < dose), 0.0)
    rows["start_known"] = start.notna()
    rows["from_day"] = start.fillna(assumed.where(~(end < 0)))
    # an end before the start is quarantined upstream; an event lasts its day at least
    rows["to_day"] = np.maximum(end.fillna(np.inf), rows["from_day"])
    rows["grade"] = numbers(rows["ATOXGR"])
    return rows[rows["from_day"] >= 0]


def select_events(events: pd.DataFrame, chosen: EventFilter, plan: Plan) -> pd.DataFrame:
    """Return the events that fit a filter of the plan; an event whose grade is not recorded fits no grade."""
    fits = pd.Series(True, index=events.index)
    if chosen.min_grade is not None:
        fits &= events["grade"] >= chosen.min_grade
    if chosen.serious:
        fits &= (texts(events["AESER"]) == "Y").fillna(False).astype(bool)
    if chosen.of_interest is not None:
        fits &= texts(events["AEDECOD"]).isin(plan.events_of_interest[chosen.of_interest].terms)
    return events[fits]


def first_event(events: pd.DataFrame, followed: pd.DataFrame, subjects: pd.Index) -> pd.DataFrame:
    """Return time to the first of `events`, with death as competing event.

    Parameters
    ----------
    events : DataFrame
        As :func:`select_events` returns it; those after follow-up do not count.
    followed : DataFrame
        As :func:`followed_for_harms` returns it.
    subjects : Index of USUBJID

    Returns
    -------
    DataFrame
        In the order of `subjects`: ``time`` (months since RFA)``, cause`` (0 none, 1 the event, 2 death before it).
    """
    own = followed.loc[subjects]
    events = events[in_follow_up(events, followed)]
    first = events.groupby(texts(events["USUBJID"]).astype(object))["from_day"].min().reindex(subjects)
    last = own["last_day"]
    had = first.notna()
    day = (first + HALF_DAY).where(had).clip(upper=last).fillna(last)
    cause = np.where(had, HARM, np.where(own["died"], DEATH, NONE))
    return pd.DataFrame({"time": day / DAYS_PER_MONTH, "cause": cause}, index=subjects)


def first_albi_worsening(
    adlb: pd.DataFrame,
    adsl: pd.DataFrame,
    followed: pd.DataFrame,
    subjects: pd.Index,
    *,
    death_within_days: float = np.inf,
) -> pd.DataFrame:
    """Return time to the first ALBI grade above that at baseline, with death as competing event.

    Parameters
    ----------
    adlb, adsl : DataFrame
        ADaM datasets. Results within the plan's days after an ablation (PERIRFFL) are left out: bilirubin rises then.
    followed : DataFrame
        As :func:`followed_for_harms` returns it.
    subjects : Index of USUBJID
    death_within_days : float
        Deaths later than this many days after the last score (that at baseline, if there is none since) do not
        compete: such patients are censored at the last score, as the living are.

    Returns
    -------
    DataFrame
        In the order of `subjects`: ``time`` (months since RFA)``, cause`` (0 none, 1 worse, 2 death before it),
        ``results`` (days after RFA with albumin and bilirubin). Follow-up of the living ends with the last score, that
        of the dead with death; who has no score, or no grade at baseline, is followed for half a day.

    Notes
    -----
    With every death competing, the dead stay at risk between their last score and death, in which a worse grade could
    not be seen, and the living do not; with `death_within_days` both leave as they are no longer measured.
    """
    # the mixed model beside it is not for those who only ask for events
    from sorafenib_rfa.estimates.albi import albi_scores

    by_subject = adsl.assign(USUBJID=texts(adsl["USUBJID"]).astype(object)).set_index("USUBJID")
    before = numbers(albi_grade(by_subject["ALBISC"]))
    scores = albi_scores(adlb)
    scores = scores[~scores["near_rfa"]]
    subject = scores["USUBJID"]
    scores = scores.assign(
        day=_days(scores["date"], subject.map(pd.to_datetime(by_subject["TRTSDT"]))), before=subject.map(before)
    )
    last_day = subject.map(followed["last_day"]).astype(float)
    scores = scores[(scores["day"] > 0) & (scores["day"] <= last_day) & scores["before"].notna()]
    by_patient = scores.groupby("USUBJID")["day"]
    worse = scores[scores["grade"] > scores["before"]].groupby("USUBJID")["day"].min().reindex(subjects)
    own = followed.loc[subjects]
    known = before.reindex(subjects).notna()
    last = by_patient.max().reindex(subjects)
    competes = own["died"] & known & (own["last_day"] - last.fillna(0.0) <= death_within_days)
    end = own["last_day"].where(competes, last).fillna(HALF_DAY)
    had = worse.notna()
    return pd.DataFrame(
        {
            "time": worse.where(had, end) / DAYS_PER_MONTH,
            "cause": np.where(had, HARM, np.where(competes, DEATH, NONE)),
            "results": by_patient.size().reindex(subjects).fillna(0).astype(int),
        },
        index=subjects,
    )


def toxic_episodes(events: pd.DataFrame, subjects: Sequence[str] | pd.Index) -> pd.DataFrame:
    """Return when each of `events` was open.

    Returns
    -------
    DataFrame
        ``patient`` (position in `subjects`)``, toxic_from, toxic_to`` (months since RFA; infinite: not over).
    """
    place = pd.Series(np.arange(len(subjects)), index=pd.Index(subjects))
    patient = texts(events["USUBJID"]).astype(object).map(place)
    own = events[patient.notna()]
    return pd.DataFrame(
        {
            "patient": patient[patient.notna()].astype(int),
            "toxic_from": own["from_day"] / DAYS_PER_MONTH,
            "toxic_to": (own["to_day"] + 1) / DAYS_PER_MONTH,
        }
    ).reset_index(drop=True)
