"""What the parts on safety share: exposure groups, time at risk, and the lines that count patients in both groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sorafenib_rfa.clean.exposure import emergence
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
    "time at risk runs, in the exposed, from the first dose to {days} days after the last of the course (so the time "
    "between RFA and the first dose, in which nobody can have an event on the drug, is not counted) and, in the "
    "unexposed, from RFA; in both to {days} days after recurrence, drug given for a recurrence, death or the last "
    "contact at the latest; first and last day included"
)


OBSERVED, DIED, ENDED = "observed", "died", "ended"
"""What ended a patient's window: the last contact only, death, or that no event is treatment-emergent any more."""


@dataclass(frozen=True)
class Window:
    """When a patient's adverse events count (by USUBJID, in the order of ADSL).

    Attributes
    ----------
    start, end : Series
        First and last day.
    days : Series
        Days at risk, both included.
    ended_by : Series
        :data:`OBSERVED`, :data:`DIED` or :data:`ENDED`.
    limit : Series
        What ends, or would have ended, treatment-emergence (:func:`sorafenib_rfa.clean.exposure.emergence`).
    last_seen : Series
        Death or last contact.
    """

    start: pd.Series
    end: pd.Series
    days: pd.Series
    ended_by: pd.Series
    limit: pd.Series
    last_seen: pd.Series


def window_at_risk(adsl: pd.DataFrame, adex: pd.DataFrame, plan: Plan) -> Window:
    """Return each patient's window of treatment-emergence: that of ADAE, as far as the patient was followed.

    Follow-up ends with death or the last contact. An adverse event on record after it does not show that other events
    would have been recorded too: it does not extend the window, and is not counted.
    """
    by_patient = adsl.set_index("USUBJID")
    last_seen = pd.to_datetime(by_patient["DTHDT"]).fillna(pd.to_datetime(by_patient["LSTALVDT"]))
    period = emergence(adsl, adex, plan.treatment_emergent_days)
    start, limit = pd.to_datetime(period["begin"]), pd.to_datetime(period["end"])
    end = limit.mask(limit.isna() | (limit > last_seen), last_seen)
    days = (end - start).dt.days + 1
    died = (by_patient["DTHDT"].notna() & (end == last_seen)).to_numpy(dtype=bool)
    ended_by = np.select([died, (end == limit).to_numpy(dtype=bool)], [DIED, ENDED], OBSERVED)
    return Window(
        start,
        end,
        days.clip(lower=0).fillna(0).astype(float),
        pd.Series(ended_by, index=by_patient.index),
        period["limit"],
        last_seen,
    )


def counted_events(adae: pd.DataFrame, window: Window) -> pd.DataFrame:
    """Return the treatment-emergent events within the window.

    Returns
    -------
    DataFrame
        The rows of ADAE with ``grade`` (NaN: not recorded)``, day`` (1: the window's first day)`` and start_known``. An
        event of unknown start is taken to have begun with the window, as ADAE takes it to be treatment-emergent.
    """
    emergent = adae[(texts(adae["TRTEMFL"]) == "Y") & adae["USUBJID"].isin(window.start.index)]
    late = pd.to_datetime(emergent["ASTDT"]) > emergent["USUBJID"].map(window.end)
    return timed(emergent[~late.to_numpy(dtype=bool)], window.start)


def timed(events: pd.DataFrame, start: pd.Series) -> pd.DataFrame:
    """Return rows of ADAE with ``grade``, ``day`` (1: day of `start`, by USUBJID; 1 if unknown)`` and start_known``."""
    onset = pd.to_datetime(events["ASTDT"])
    day = (onset - events["USUBJID"].map(start)).dt.days + 1
    return events.assign(
        grade=numbers(events["ATOXGR"]), start_known=onset.notna(), day=day.fillna(1.0).clip(lower=1.0)
    )


@dataclass(frozen=True)
class EventTable:
    """Treatment-emergent events as columns of arrays: hundreds of lines are counted from them.

    Attributes
    ----------
    frame : DataFrame, m rows
        As :func:`timed` returns them.
    patient : ndarray of int, shape (m,)
        Whose each is, as position in the n subjects; -1 for nobody of them does not occur.
    day, grade : ndarray of float, shape (m,)
    n_subjects : int
    """

    frame: pd.DataFrame
    patient: np.ndarray
    day: np.ndarray
    grade: np.ndarray
    n_subjects: int

    @classmethod
    def of(cls, events: pd.DataFrame, subjects: pd.Index) -> EventTable:
        """Return the columns of `events`, which are all of `subjects`."""
        return cls(
            frame=events,
            patient=subjects.get_indexer(texts(events["USUBJID"]).astype(object)),
            day=events["day"].to_numpy(dtype=float),
            grade=events["grade"].to_numpy(dtype=float),
            n_subjects=len(subjects),
        )

    @cached_property
    def kinds(self) -> dict[str, np.ndarray]:
        """Return which events are of each kind (the overview of adverse events says what they are)."""

        def says(column: str, *values: str) -> np.ndarray:
            return texts(self.frame[column]).isin(values).to_numpy(dtype=bool)

        severe, related, serious = self.grade >= 3, says("AREL", "Y"), says("AESER", "Y")
        not_rfa = ~says("ARELRFA", "Y")
        return {
            "any": np.ones(len(self.frame), dtype=bool),
            "grade_3_5": severe,
            "not_rfa_related": not_rfa,
            "serious": serious,
            "grade_3_5_worst_case": severe | np.isnan(self.grade),
            "grade_3_5_not_rfa": severe & not_rfa,
            "serious_not_rfa": serious & not_rfa,
            "drug_related": related,
            "drug_related_grade_3_5": related & severe,
            "dose_changed": says("AEACN", "reduced", "interrupted"),
            "stopped": says("AEACN", "stopped"),
            "fatal": says("AEOUT", "fatal") | (self.grade == 5),
        }

    def labels(self, column: str) -> np.ndarray:
        """Return a column of text as objects, '' where it is missing."""
        return texts(self.frame[column]).fillna("").to_numpy(dtype=object)

    def first_day(self, chosen: np.ndarray) -> np.ndarray:
        """Return the day of each subject's first of the `chosen` events, infinite without one."""
        first = np.full(self.n_subjects, np.inf)
        np.minimum.at(first, self.patient[chosen], self.day[chosen])
        return first

    def of_interest(self, plan: Plan) -> dict[str, np.ndarray]:
        """Return which events are of each event of interest of the plan."""
        query_of = plan.query_of()
        query = np.array([query_of.get(term, "") for term in self.labels("AEDECOD")], dtype=object)
        return {key: query == key for key in plan.events_of_interest}


def _checked(adsl: pd.DataFrame) -> pd.DataFrame:
    """Return ADSL if each patient has one row and a known exposure: those without would pass for unexposed."""
    repeated = adsl.loc[adsl["USUBJID"].duplicated(), "USUBJID"]
    if len(repeated):
        names = ", ".join(sorted(set(map(str, repeated)))[:5])
        raise ValueError(f"ADSL has several rows of one patient, expected one: USUBJID {names}")
    unknown = adsl.loc[~texts(adsl["EXPOSFL"]).isin(["Y", "N"]).fillna(False).to_numpy(dtype=bool), "USUBJID"]
    if len(unknown):
        names = ", ".join(map(str, unknown[:5]))
        raise ValueError(f"ADSL does not say of every patient whether exposed: EXPOSFL is neither Y nor N of {names}")
    return adsl


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
    events : DataFrame
        As :func:`counted_events` returns them.
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
    events: pd.DataFrame
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

        Raises
        ------
        ValueError
            If a patient has several rows in ADSL, or no exposure.
        """
        adsl = _checked(adsl)
        exposed = (texts(adsl["EXPOSFL"]) == "Y").fillna(False)
        patients = {"exposed": adsl[exposed], "unexposed": adsl[~exposed]}
        sizes = {group: len(frame) for group, frame in patients.items()}
        window = window_at_risk(adsl, adex, plan)
        return cls(
            ard=ArdBuilder(cohort_name, part, record),
            plan=plan,
            estimand=estimand,
            patients=patients,
            sizes=sizes,
            window=window,
            events=counted_events(adae, window),
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
            method = reason or (
                f"{what}: percentage points, exposed minus unexposed, unadjusted; Newcombe's hybrid score interval "
                "(method 10)"
            )
            drawn["contrast"] = self.difference(analysis, "risk_difference", points, where, method=method)
        if contrast and ratio:
            cells = [number for group in ("exposed", "unexposed") for number in (len(counts[group]), sizes[group])]
            self.ratio(analysis, "risk_ratio", cells, what, where, reason="" if difference else reason)
        return drawn

    def difference(
        self,
        analysis: str,
        stat: str,
        points: Sequence[float],
        where: Mapping[str, object],
        *,
        method: str,
        engine: str = ENGINE,
    ) -> dict[str, object]:
        """Add a difference in percentage points, exposed minus unexposed; return it as the curves have it."""
        value, low, high = points
        identifier = self.ard.add(
            analysis,
            stat,
            value,
            ci_low=low,
            ci_high=high,
            unit="percent",
            group="contrast",
            method=method,
            engine=engine,
            **where,
        )
        return {stat: value, "difference_low": low, "difference_high": high, "contrast_id": identifier}

    def count_events(
        self,
        analysis: str,
        events: pd.DataFrame,
        chosen: np.ndarray,
        patient: np.ndarray,
        *,
        variable: str,
        method: str,
        engine: str,
        none_too: bool = True,
    ) -> None:
        """Add how many of the `chosen` rows of `events`, not patients, each group has.

        `patient` is whose each is, as position in :attr:`subjects`. Without `none_too` a group that has none of them
        gets no row.
        """
        for group, inside in self.inside.items():
            own = events[chosen & inside[patient]]
            if own.empty and not none_too:
                continue
            self.ard.add(
                analysis,
                "events",
                len(own),
                unit="count",
                group=group,
                variable=variable,
                population=BY_EXPOSURE,
                estimand_id=self.estimand,
                method=method,
                engine=engine,
                members=own,
            )

    def ratio(
        self,
        analysis: str,
        stat: str,
        cells: list[float],
        what: str,
        where: Mapping[str, object],
        *,
        reason: str,
        of: str = "in the exposed over that in the unexposed",
    ) -> None:
        """Add a ratio of risks or rates of the exposed over the unexposed, or the `reason` why there is none."""
        function, words = {
            "risk_ratio": (
                risk_ratio,
                f"risk {of}, unadjusted; Koopman's score interval",
            ),
            "rate_ratio": (
                rate_ratio,
                f"rate of first events {of}, unadjusted; exact conditional interval, given the number of events in "
                "both (Clopper-Pearson of the share of the exposed)",
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
            self.ratio(analysis, "rate_ratio", cells, what, where, reason=self.not_compared)


def three(interval: object) -> tuple[float, float, float]:
    """Return estimate and limits."""
    return interval.estimate, interval.ci_low, interval.ci_high  # type: ignore[attr-defined]


def those_with(chosen: pd.DataFrame, patients: pd.DataFrame) -> pd.Series:
    """Return the USUBJID of those of `patients` who occur in `chosen`."""
    return patients.loc[patients["USUBJID"].isin(chosen["USUBJID"]), "USUBJID"]
