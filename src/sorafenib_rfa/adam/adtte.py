"""ADTTE: time to event, one row a patient and endpoint.

One first event a patient is derived once and read by every endpoint but overall survival, so that RFS, TTR
and the competing risks can never disagree: recurrence (the first positive imaging), death without
recurrence, or censoring.

Conventions, each chosen and stated here:

* A recurrence happened on the day it was seen; INTLO and INTHI hold the interval in which it arose.
* A death without a recurrence seen is an RFS event on the day of death, however long ago the last imaging
was. * Alive without recurrence is censored at the last clear imaging, not at the last contact: nobody
looked later. * A recurrence and a death on one day are a recurrence. * Time zero itself: a time of 0
becomes half a unit of the source's resolution (half a day; half a month for times
  published in months). Estimators refuse times of 0, and an event on the day of RFA must not be lost.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from sorafenib_rfa.adam.schemas import RECURRENCE_PATTERNS, SITE_NOT_RECORDED
from sorafenib_rfa.adam.timing import DATE, months_since, study_day
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.vocabulary import (
    CENSORED,
    DAYS_PER_MONTH,
    ENDPOINTS,
    EVENT_DEATH,
    EVENT_EHS,
    EVENT_IDR,
    EVENT_LABELS,
    EVENT_LTP,
    EVENT_RECURRENCE,
    RECURRENCE_SITES,
)

_SITE_CODES: Final = dict(zip(RECURRENCE_SITES, (EVENT_LTP, EVENT_IDR, EVENT_EHS), strict=True))
_MOST_LOCAL: Final = {
    pattern: _SITE_CODES[pattern.split("+")[0]] for pattern in RECURRENCE_PATTERNS if pattern != SITE_NOT_RECORDED
}
_RECURRENCES: Final = (*_SITE_CODES.values(), EVENT_RECURRENCE)
EVENTS: Final = {
    "RFS": (*_RECURRENCES, EVENT_DEATH),
    "TTR": _RECURRENCES,
    "LTP": (EVENT_LTP,),
    "IDR": (EVENT_IDR,),
    "EHS": (EVENT_EHS,),
    "OS": (EVENT_DEATH,),
}
"""PARAMCD -> codes of EVNTCD that are events of it."""

ANY_DEATH: Final = "Death from any cause"
LAST_CLEAR_IMAGING: Final = "Last imaging without recurrence"
NO_IMAGING: Final = "No imaging after index RFA: censored at time zero"
LAST_CONTACT: Final = "Last date known alive"
SOURCE_CENSORED: Final = "Censored in the source"


def build_adtte(adsl: pd.DataFrame, survival_times: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Return one row a patient and endpoint of the cohort.

    Parameters
    ----------
    adsl : DataFrame
        As :func:`sorafenib_rfa.adam.adsl.build_adsl` returns it.
    survival_times : DataFrame
        Clean table; read only when the cohort has the module ``survival_times``.
    cohort : Cohort

    Returns
    -------
    DataFrame
        The columns of ADTTE, not yet sorted or typed.

    Raises
    ------
    ConfigError
        If an endpoint cannot be derived from the cohort's modules.
    """
    _derivable(cohort)
    subjects = adsl.set_index("USUBJID", drop=False)
    if cohort.config.offers("survival_times"):
        first, death = _published_times(subjects, survival_times, cohort.config.time_unit)
    else:
        first, death = _first_event(subjects), _death(subjects)
    frames = [_parameter(paramcd, death if paramcd == "OS" else first, subjects) for paramcd in cohort.config.endpoints]
    return pd.concat(frames, ignore_index=True)


def _derivable(cohort: Cohort) -> None:
    config = cohort.config
    unknown = [name for name in config.endpoints if name not in ENDPOINTS]
    from_times, from_imaging = config.offers("survival_times"), config.offers("imaging")
    possible = {"OS", "RFS", "TTR"} if from_times else set(ENDPOINTS) if from_imaging else {"OS"}
    impossible = [name for name in config.endpoints if name in ENDPOINTS and name not in possible]
    if unknown or impossible:
        raise ConfigError(
            Problem(
                "endpoints: cannot be derived from what the cohort offers",
                file=f"config/cohorts/{cohort.name}/cohort.yaml",
                found=f"endpoints {', '.join([*unknown, *impossible])} with modules {', '.join(config.modules)}",
                expected=f"some of {', '.join(sorted(possible))}",
                hint="recurrence needs the module imaging or survival_times, its site needs imaging",
            )
        )


def _first_event(subjects: pd.DataFrame) -> pd.DataFrame:
    """Return each patient's first event or censoring, for all endpoints but OS."""
    recurred = subjects["RECDT"].notna()
    died = ~recurred & subjects["DTHDT"].notna()
    imaged = ~recurred & ~died & subjects["LASTIMDT"].notna()
    most_local = subjects["RECSITE"].astype(object).map(_MOST_LOCAL)
    code = pd.Series(CENSORED, index=subjects.index)
    code = code.mask(recurred, most_local.fillna(EVENT_RECURRENCE).astype("int64")).mask(died, EVENT_DEATH)
    date = (
        subjects["TRTSDT"]
        .mask(recurred, subjects["RECDT"])
        .mask(died, subjects["DTHDT"])
        .mask(imaged, subjects["LASTIMDT"])
    )
    last_clear = subjects["LASTIMDT"].fillna(subjects["TRTSDT"])
    clear_months = (last_clear - subjects["TRTSDT"]).dt.days / DAYS_PER_MONTH
    return pd.DataFrame(
        {
            "ADT": date,
            "months": months_since(date, subjects["TRTSDT"]),
            "EVNTCD": code,
            "reason": np.select([recurred | died, imaged], ["", LAST_CLEAR_IMAGING], NO_IMAGING),
            "SRCDOM": np.select([recurred | imaged, died], ["imaging", "patients"], "ablations"),
            "INTLO": clear_months.astype("Float64"),
            "INTHI": months_since(date, subjects["TRTSDT"]).astype("Float64").where(recurred),
        }
    )


def _death(subjects: pd.DataFrame) -> pd.DataFrame:
    """Return each patient's death or last date known alive."""
    died = subjects["DTHDT"].notna()
    date = subjects["LSTALVDT"]
    return pd.DataFrame(
        {
            "ADT": date,
            "months": months_since(date, subjects["TRTSDT"]),
            "EVNTCD": pd.Series(CENSORED, index=subjects.index).mask(died, EVENT_DEATH),
            "reason": np.where(died, "", LAST_CONTACT),
            "SRCDOM": "patients",
            "INTLO": pd.Series(pd.NA, index=subjects.index, dtype="Float64"),
            "INTHI": pd.Series(pd.NA, index=subjects.index, dtype="Float64"),
        }
    )


def _published_times(
    subjects: pd.DataFrame, survival_times: pd.DataFrame, time_unit: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return first events and deaths of a cohort published with times instead of dates.

    Where the source has RFS, its event is the composite. At the source's resolution a dead patient whose RFS ended
    when life did died without an earlier recurrence; any other RFS event is a recurrence, of unrecorded site. A
    censored RFS stays censored at its time even when a death follows: the source stopped looking.

    Where it has the time to recurrence, nothing need be inferred: a recurrence is one also on the day of death, and a
    death without one is the first event on the day of death.
    """
    os, rfs, ttr = (
        survival_times[survival_times["endpoint"].eq(endpoint)].set_index("USUBJID").reindex(subjects.index)
        for endpoint in ("OS", "RFS", "TTR")
    )
    died = _happened(os)
    same_time = rfs["time_months"].eq(os["time_months"]).fillna(False).astype(bool)
    has_ttr = ttr["time_months"].notna()
    died_first = (_happened(rfs) & died & same_time).mask(has_ttr, died & ~_happened(ttr))
    recurred = (_happened(rfs) & ~died_first).mask(has_ttr, _happened(ttr))
    timed = rfs["time_months"].mask(has_ttr, ttr["time_months"].mask(died_first, os["time_months"]))
    code = pd.Series(CENSORED, index=subjects.index)
    first = _from_source(timed, code.mask(died_first, EVENT_DEATH).mask(recurred, EVENT_RECURRENCE), time_unit)
    return first, _from_source(os["time_months"], code.mask(died, EVENT_DEATH), time_unit)


def _happened(rows: pd.DataFrame) -> pd.Series:
    return rows["event"].eq(1).fillna(False).astype(bool)


def _from_source(time_months: pd.Series, code: pd.Series, time_unit: str) -> pd.DataFrame:
    months = time_months.astype("Float64")
    half_unit = 0.5 if time_unit == "months" else 0.5 / DAYS_PER_MONTH
    return pd.DataFrame(
        {
            "ADT": pd.Series(pd.NaT, index=months.index, dtype=DATE),
            "months": months.mask(months == 0, half_unit),
            "EVNTCD": code,
            "reason": np.where(code == CENSORED, SOURCE_CENSORED, ""),
            "SRCDOM": "survival_times",
            "INTLO": pd.Series(pd.NA, index=months.index, dtype="Float64"),
            "INTHI": pd.Series(pd.NA, index=months.index, dtype="Float64"),
        }
    )


def _parameter(paramcd: str, timed: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one endpoint."""
    event = timed["EVNTCD"].isin(EVENTS[paramcd])
    labels = {**EVENT_LABELS, EVENT_DEATH: ANY_DEATH} if paramcd == "OS" else EVENT_LABELS
    description = timed["EVNTCD"].map(labels)
    exact = timed["EVNTCD"].eq(EVENT_DEATH) & event & timed["INTLO"].notna()
    return pd.DataFrame(
        {
            **{name: subjects[name] for name in ("STUDYID", "USUBJID", "SITEID", "TRT01A", "LMFL", "LMTRT")},
            "PARAMCD": paramcd,
            "PARAM": ENDPOINTS[paramcd],
            "STARTDT": subjects["TRTSDT"],
            "ADT": timed["ADT"],
            "ADY": study_day(timed["ADT"], subjects["TRTSDT"]),
            "AVAL": timed["months"],
            "AVALU": "months",
            "CNSR": (~event).astype("int64"),
            "EVNTCD": timed["EVNTCD"],
            "EVNTDESC": description,
            # what comes first instead of the endpoint ends its observation, and is the reason
            "CNSDTDSC": timed["reason"].mask(timed["reason"].eq(""), description).mask(event, None),
            "SRCDOM": timed["SRCDOM"],
            "INTLO": timed["INTLO"].mask(exact, timed["months"]),
            "INTHI": timed["INTHI"].mask(exact, timed["months"]),
        }
    )
