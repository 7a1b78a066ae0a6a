"""The patients whom an analysis compares, and from when: one place for every analysis of the arms.

Arms formed by exposure are compared from the landmark on, in patients alive, recurrence-free and under observation on
that day, so that nobody is credited with time in which they had to survive to be treated (Anderson, Cain and Gelber
1983). Assigned arms are compared from time zero on: their plan's landmark is day 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, ENDPOINTS

COMPARED = {"RFS": "L_RFS", "OS": "L_OS", "TTR": "L_TTR"}
"""Endpoints compared between arms from the landmark (or randomisation) on, and the estimand of each."""

EMULATED = {"RFS": "E1_RFS", "OS": "E2_OS", "TTR": "E3_TTR"}
"""Endpoints of the emulated trial, from time zero on, and the estimand of each."""

Target = Literal["overlap", "all", "treated"]
"""Population that an analysis speaks of: clinical equipoise (the estimands' own), everybody, the treated."""


def in_population(estimand: str, target: Target) -> str:
    """Return the id of an estimand in the population that an analysis speaks of."""
    return estimand if target == "overlap" or not estimand else f"{estimand}_{target.upper()}"


WEIGHTS = ("ps", "w_overlap", "w_iptw", "w_att", "w_trimmed")
"""Columns of the propensity score's weights; NaN for patients without a score, 0 in w_trimmed for those trimmed."""


@dataclass(frozen=True)
class Comparison:
    """Patients compared for one endpoint.

    Attributes
    ----------
    endpoint : str
        PARAMCD.
    estimand : str
        Id in the plan.
    population : str
        In words, for the ARD.
    frame : DataFrame
        One row a patient, sorted by USUBJID: ``USUBJID, SITEID, arm`` (label)``, treated`` (bool)``, time`` (months
        since time zero)``, from_start`` (months since entry, positive)``, event`` (bool)``, cause`` (EVNTCD)``,
        INTLO, INTHI`` (months since time zero; NaN where unknown)``, ps, w_overlap, w_iptw, w_att, w_trimmed`` (NaN
        for patients without a propensity score).
    arms : Arms
        The two arms.
    start_months : float
        Entry, in months since time zero.
    start_words : str
        ``from the landmark`` or ``from <index event>``.
    """

    endpoint: str
    estimand: str
    population: str
    frame: pd.DataFrame
    arms: Arms
    start_months: float
    start_words: str

    @property
    def sizes(self) -> dict[str, int]:
        """Patients of each arm, arms without patients included."""
        return {arm: int((self.frame["arm"] == arm).sum()) for arm in self.arms.labels}

    @property
    def scored(self) -> pd.DataFrame:
        """The rows of patients with a propensity score."""
        return self.frame[self.frame["w_overlap"].notna()]


def start_words(plan: Plan, cohort: CohortConfig) -> str:
    """Return from when patients are compared, in words."""
    return "from the landmark" if plan.landmark_day else f"from {cohort.index_event}"


def population_words(plan: Plan, cohort: CohortConfig) -> str:
    """Return who is compared, in words."""
    if plan.landmark_day:
        return f"Alive, recurrence-free and under observation on day {plan.landmark_day}"
    return f"All analysed patients, by assigned arm, from {cohort.index_event}"


def entrants(plan: Plan) -> str:
    """Return the name of the population that enters the comparison."""
    return "Landmark population" if plan.landmark_day else "All analysed patients"


def entered(adsl: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ADSL of patients who enter the comparison, indexed by USUBJID (kept as a column too)."""
    return adsl[(texts(adsl["LMFL"]) == "Y") & adsl["LMTRT"].notna()].set_index("USUBJID", drop=False)


def parameter(adtte: pd.DataFrame, paramcd: str) -> pd.DataFrame:
    """Return ``USUBJID, SITEID, time, event, cause, INTLO, INTHI, LMFL, LMTRT, TRT01A`` of one parameter of ADTTE."""
    rows = adtte[texts(adtte["PARAMCD"]) == paramcd]
    return pd.DataFrame(
        {
            "USUBJID": texts(rows["USUBJID"]),
            "SITEID": texts(rows["SITEID"]),
            "time": numbers(rows["AVAL"]),
            "event": numbers(rows["CNSR"]) == 0,
            "cause": numbers(rows["EVNTCD"]).astype(int),
            "INTLO": numbers(rows["INTLO"]),
            "INTHI": numbers(rows["INTHI"]),
            "LMFL": texts(rows["LMFL"]),
            "LMTRT": texts(rows["LMTRT"]),
            "TRT01A": texts(rows["TRT01A"]),
        }
    ).reset_index(drop=True)


def compare(
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    weights: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    endpoint: str,
) -> Comparison:
    """Return the patients compared for `endpoint`: those who enter and are followed for it beyond entry.

    Parameters
    ----------
    adsl, adtte : DataFrame
        ADaM datasets.
    weights : DataFrame
        ``USUBJID, ps, w_overlap, w_iptw, w_att, w_trimmed`` of the patients with a propensity score; empty when there
        is none.
    plan : Plan
        Its ``landmark_day`` is the day of entry.
    cohort : CohortConfig
        Its arms.
    endpoint : str
        RFS, OS or TTR.
    """
    start = plan.landmark_day / DAYS_PER_MONTH
    rows = parameter(adtte, endpoint)
    members = set(texts(entered(adsl)["USUBJID"]))
    rows = rows[rows["USUBJID"].isin(members) & rows["LMTRT"].notna() & (rows["time"] > start)]
    arms = arms_of(cohort)
    frame = pd.DataFrame(
        {
            "USUBJID": rows["USUBJID"],
            "SITEID": rows["SITEID"],
            "arm": rows["LMTRT"],
            "treated": (rows["LMTRT"] == arms.treated).astype(bool),
            "time": rows["time"],
            "from_start": rows["time"] - start,
            **{name: rows[name] for name in ("event", "cause", "INTLO", "INTHI")},
        }
    )
    scored = weights[["USUBJID", *WEIGHTS]].assign(USUBJID=texts(weights["USUBJID"]))
    frame = frame.merge(scored, on="USUBJID", how="left").sort_values("USUBJID", ignore_index=True)
    population = population_words(plan, cohort)
    if plan.landmark_day:
        population += f", followed for {ENDPOINTS[endpoint].lower()} beyond it"
    return Comparison(endpoint, COMPARED[endpoint], population, frame, arms, start, start_words(plan, cohort))
