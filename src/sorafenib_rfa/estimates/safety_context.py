"""What the parts on safety share: exposure groups, time at risk, and the lines that count patients in both groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN, attempt, untested
from sorafenib_rfa.estimates.counted import Members
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.stats.proportions import (
    clopper_pearson,
    incidence_rate,
    newcombe_difference,
    rate_ratio,
    risk_ratio,
)
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

ENGINE = "sorafenib_rfa.stats.proportions"
COUNTED = "sorafenib_rfa.estimates.safety_context"
DAYS_PER_YEAR = DAYS_PER_MONTH * 12

GROUPS = {"exposed": "Any sorafenib", "unexposed": "No sorafenib"}
BY_EXPOSURE = "All analysed patients by exposure"

AT_RISK = (
    "time at risk runs, in the exposed, from the first dose to {days} days after the last (so the time between RFA and "
    "the first dose, in which nobody can have an event on the drug, is not counted) and, in the unexposed, from RFA "
    "to the last contact, death or a first dose after recurrence"
)


OBSERVED, DIED, OFF_DRUG = "observed", "died", "off_drug"
"""What ended a patient's window: the end of observation only, death, or that the drug was stopped long enough ago."""


@dataclass(frozen=True)
class Window:
    """When a patient's adverse events count (by USUBJID, in the order of ADSL).

    Attributes
    ----------
    start, end : Series
        First and last day.
    days : Series
        Days at risk.
    ended_by : Series
        :data:`OBSERVED` (last contact, or a first dose after recurrence), :data:`DIED` or :data:`OFF_DRUG`.
    """

    start: pd.Series
    end: pd.Series
    days: pd.Series
    ended_by: pd.Series


def window_at_risk(adsl: pd.DataFrame, adae: pd.DataFrame, adex: pd.DataFrame, plan: Plan) -> Window:
    """Return each patient's window of treatment-emergence.

    An adverse event on record after the last contact shows that the patient was still under observation: the window
    reaches to it, so that no event which ADAE calls treatment-emergent is lost. As in ADAE, intervals of interruption
    (0 mg) are no doses: the drug was last taken before them.
    """
    by_patient = adsl.set_index("USUBJID")
    last_event = pd.to_datetime(adae["ASTDT"]).groupby(texts(adae["USUBJID"])).max().reindex(by_patient.index)
    last_seen = pd.to_datetime(by_patient["LSTALVDT"])
    last_seen = last_seen.mask(last_event > last_seen, last_event)
    last_seen = pd.to_datetime(by_patient["DTHDT"]).fillna(last_seen)
    rfa = pd.to_datetime(by_patient["TRTSDT"])
    adex = adex[~(numbers(adex["EXDOSE"]) == 0)]
    first = pd.to_datetime(adex.groupby("USUBJID")["EXSTDT"].min()).reindex(by_patient.index)
    # an interval without an end was still running at the last contact
    ends = pd.to_datetime(adex["EXENDT"]).fillna(adex["USUBJID"].map(last_seen))
    last = ends.groupby(adex["USUBJID"]).max().reindex(by_patient.index)
    exposed = texts(by_patient["EXPOSFL"]) == "Y"
    start = first.where(exposed, rfa)
    on_drug = (last + pd.Timedelta(days=plan.treatment_emergent_days)).clip(upper=last_seen)
    before_drug = (first - pd.Timedelta(days=1)).fillna(last_seen).clip(upper=last_seen)
    end = on_drug.where(exposed, before_drug)
    days = (end - start).dt.days + 1
    died = (by_patient["DTHDT"].notna() & (end == last_seen)).to_numpy(dtype=bool)
    off_drug = (exposed & (end == last + pd.Timedelta(days=plan.treatment_emergent_days))).to_numpy(dtype=bool)
    ended_by = pd.Series(np.select([died, off_drug], [DIED, OFF_DRUG], OBSERVED), index=by_patient.index)
    return Window(start, end, days.clip(lower=0).fillna(0).astype(float), ended_by)


def counted_events(adae: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Return the treatment-emergent events within the window.

    Returns
    -------
    DataFrame
        The rows of ADAE with ``grade`` (NaN: not recorded)``, day`` (1: the window's first day)`` and start_known``. An
        event of unknown start is taken to have begun with the window, as ADAE takes it to be treatment-emergent.
    """
    emergent = adae[(texts(adae["TRTEMFL"]) == "Y") & adae["USUBJID"].isin(window.start.index)].copy()
    onset = pd.to_datetime(emergent["ASTDT"])
    start = emergent["USUBJID"].map(window.start)
    end = emergent["USUBJID"].map(window.end)
    late = onset > end  # an unexposed patient who took the drug after recurrence
    emergent["grade"] = numbers(emergent["ATOXGR"])
    emergent["start_known"] = onset.notna()
    emergent["day"] = ((onset - start).dt.days + 1).fillna(1.0).clip(lower=1.0)
    return emergent[~late.fillna(False).to_numpy(dtype=bool)]


@dataclass
class SafetyContext:
    """What every table of a part on safety needs.

    Attributes
    ----------
    ard : ArdBuilder
    plan : Plan
    estimand : str
    patients : dict of str to DataFrame
        Rows of ADSL of each group of :data:`GROUPS`.
    sizes : dict of str to int
    window : Window
    not_compared : str
        Why the groups are not compared; empty when they are.
    subjects : Index of USUBJID
        In the order of ADSL and of the window.
    inside : dict of str to ndarray of bool
        Group -> which of `subjects` are in it.
    """

    ard: ArdBuilder
    plan: Plan
    estimand: str
    patients: dict[str, pd.DataFrame]
    sizes: dict[str, int]
    window: Window
    not_compared: str
    subjects: pd.Index
    inside: dict[str, np.ndarray]

    @classmethod
    def prepare(
        cls,
        part: str,
        estimand: str,
        adsl: pd.DataFrame,
        adae: pd.DataFrame,
        adex: pd.DataFrame,
        plan: Plan,
        *,
        cohort_name: str,
        record: str,
    ) -> SafetyContext:
        """Divide the patients of ADSL by exposure and find each one's time at risk.

        Parameters
        ----------
        part, estimand : str
            Of the rows to come; the estimand is one of the plan.
        adsl, adae, adex : DataFrame
            ADaM datasets.
        plan : Plan
        cohort_name, record : str
            Name of the cohort and path of the job record.
        """
        exposed = (texts(adsl["EXPOSFL"]) == "Y").fillna(False)
        patients = {"exposed": adsl[exposed], "unexposed": adsl[~exposed]}
        sizes = {group: len(frame) for group, frame in patients.items()}
        return cls(
            ard=ArdBuilder(cohort_name, part, record),
            plan=plan,
            estimand=estimand,
            patients=patients,
            sizes=sizes,
            window=window_at_risk(adsl, adae, adex, plan),
            not_compared=untested(sizes, plan),
            subjects=pd.Index(texts(adsl["USUBJID"]).astype(object)),
            inside={"exposed": exposed.to_numpy(dtype=bool), "unexposed": ~exposed.to_numpy(dtype=bool)},
        )

    def proportion(
        self,
        analysis: str,
        counts: Mapping[str, Members],
        *,
        variable: str,
        level: object = None,
        what: str,
        population: str = BY_EXPOSURE,
        denominators: Mapping[str, Members] | None = None,
        contrast: bool = True,
        ratio: bool = False,
    ) -> dict[str, dict]:
        """Add count and percent of each group, their difference and ratio; return what was added for the curves.

        `counts` and `denominators` are the patients, or the rows, of each group. `contrast` asks for the difference,
        `ratio` for the ratio beside it.
        """
        level_ = self.plan.confidence_level
        sizes = self.sizes if denominators is None else {group: len(all_) for group, all_ in denominators.items()}
        where = {"variable": variable, "level": level, "population": population, "estimand_id": self.estimand}
        drawn: dict[str, dict] = {}
        for group, members in counts.items():
            count = len(members)
            count_id = self.ard.add(
                analysis, "n", count, unit="count", group=group, method=what, engine=COUNTED, members=members, **where
            )
            interval, reason = attempt(clopper_pearson, count, sizes[group], level_)
            percents = [NAN] * 3 if interval is None else [100 * v for v in three(interval)]
            percent_id = self.ard.add(
                analysis,
                "percent",
                percents[0],
                ci_low=percents[1],
                ci_high=percents[2],
                unit="percent",
                group=group,
                method=reason or f"{what}, of {sizes[group]}; exact (Clopper-Pearson) interval",
                engine=ENGINE,
                **where,
            )
            drawn[group] = {
                "n": count,
                "total": sizes[group],
                "percent": percents[0],
                "ci_low": percents[1],
                "ci_high": percents[2],
                "count_id": count_id,
                "ard_id": percent_id,
            }
        if contrast:
            reason = self.not_compared if denominators is None else untested(sizes, self.plan)
            difference = None
            if not reason:
                difference, reason = attempt(
                    newcombe_difference,
                    len(counts["exposed"]),
                    sizes["exposed"],
                    len(counts["unexposed"]),
                    sizes["unexposed"],
                    level_,
                )
            points = [NAN] * 3 if difference is None else [100 * v for v in three(difference)]
            contrast_id = self.ard.add(
                analysis,
                "risk_difference",
                points[0],
                ci_low=points[1],
                ci_high=points[2],
                unit="percent",
                group="contrast",
                method=reason
                or f"{what}: percentage points, exposed minus unexposed, unadjusted; Newcombe's hybrid score interval "
                "(method 10)",
                engine=ENGINE,
                **where,
            )
            drawn["contrast"] = {
                "risk_difference": points[0],
                "difference_low": points[1],
                "difference_high": points[2],
                "contrast_id": contrast_id,
            }
        if contrast and ratio:
            cells = [number for group in ("exposed", "unexposed") for number in (len(counts[group]), sizes[group])]
            self._ratio(analysis, "risk_ratio", cells, what, where, reason="" if difference else reason)
        return drawn

    def _ratio(
        self, analysis: str, stat: str, cells: list[float], what: str, where: Mapping[str, object], *, reason: str
    ) -> None:
        """Add a ratio of risks or rates of the exposed over the unexposed, or the `reason` why there is none."""
        function, words = {
            "risk_ratio": (
                risk_ratio,
                "risk in the exposed over that in the unexposed, unadjusted; Koopman's score interval",
            ),
            "rate_ratio": (
                rate_ratio,
                "rate of first events in the exposed over that in the unexposed, unadjusted; exact interval given the "
                "number of events in both",
            ),
        }[stat]
        found = None
        if not reason:
            found, reason = attempt(function, *cells, self.plan.confidence_level)
        value, low, high = (NAN,) * 3 if found is None else three(found)
        self.ard.add(
            analysis,
            stat,
            value,
            ci_low=low,
            ci_high=high,
            unit="ratio",
            group="contrast",
            method=reason or f"{what}: {words}",
            engine=ENGINE,
            **where,
        )

    def rates(
        self, analysis: str, first: np.ndarray, *, variable: str, level: object = None, what: str, contrast: bool
    ) -> None:
        """Add exposure-adjusted incidence rates, patients with the event per 100 patient-years, and their ratio.

        `first` is the day of each patient's first event, in the order of :attr:`subjects`; infinite without one.
        """
        days = self.window.days.to_numpy()
        until = np.minimum(first, days) / DAYS_PER_YEAR
        where = {"variable": variable, "level": level, "population": BY_EXPOSURE, "estimand_id": self.estimand}
        cells: list[float] = []
        for group, inside in self.inside.items():
            events, years = int(np.isfinite(first[inside]).sum()), float(until[inside].sum())
            cells += [events, years]
            rate, reason = attempt(incidence_rate, events, years, self.plan.confidence_level, per=100.0)
            estimate, low, high = (NAN,) * 3 if rate is None else three(rate)
            self.ard.add(
                analysis,
                "rate_per_100_patient_years",
                estimate,
                ci_low=low,
                ci_high=high,
                unit="measure",
                group=group,
                method=reason
                or f"{what}: first events per 100 patient-years at risk of one ({years:.1f} years; for what is at "
                "risk see patient_years of the group); exact Poisson (Garwood) interval",
                engine=ENGINE,
                **where,
            )
        if contrast:
            self._ratio(analysis, "rate_ratio", cells, what, where, reason=self.not_compared)


def three(interval: object) -> tuple[float, float, float]:
    """Return estimate and limits."""
    return interval.estimate, interval.ci_low, interval.ci_high  # type: ignore[attr-defined]


def those_with(chosen: pd.DataFrame, patients: pd.DataFrame) -> pd.Series:
    """Return the USUBJID of those of `patients` who occur in `chosen`."""
    return patients.loc[patients["USUBJID"].isin(chosen["USUBJID"]), "USUBJID"]
