"""Adverse events over time: cumulative incidence of the first, and recurrent events.

An event is treatment-emergent only until some days after the drug was stopped, or after recurrence. To stop the drug or
to recur, like to die, therefore makes a first treatment-emergent event impossible: all compete with it. To censor them
(one minus Kaplan-Meier) would ask what would happen if nobody stopped or died, and the median time to a first event
read off such a curve belongs to nobody; it is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sorafenib_rfa.estimates.common import NAN, attempt, horizon
from sorafenib_rfa.estimates.safety_context import (
    BY_EXPOSURE,
    DIED,
    ENDED,
    GROUPS,
    OBSERVED,
    SafetyContext,
    three,
)
from sorafenib_rfa.stats.competing_risks import CumulativeIncidence, aalen_johansen
from sorafenib_rfa.stats.proportions import Interval, clopper_pearson, incidence_rate
from sorafenib_rfa.stats.recurrent_events import (
    MeanCumulativeFunction,
    RecurrentEvents,
    event_rate,
    mean_cumulative_function,
    mean_difference,
)
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

EVENT, DEATH, STOP = 1, 2, 3
"""Causes of the end of follow-up for a first event."""

COUNTED = "sorafenib_rfa.estimates.safety_course"
INCIDENCE = "sorafenib_rfa.stats.competing_risks"
RECURRENT = "sorafenib_rfa.stats.recurrent_events"
SHORTEST_DAYS = 0.5
"""Follow-up of who has none: estimators refuse 0."""

_COMPETING = (
    "death and the end of treatment-emergence ({days} days after recurrence or, in the exposed, after the last dose; "
    "drug given for a recurrence) competing; the last contact censors"
)


def add_course(
    context: SafetyContext,
    first_days: Mapping[str, tuple[str, np.ndarray]],
    recurring: Mapping[str, tuple[str, np.ndarray, np.ndarray]],
) -> dict[str, pd.DataFrame]:
    """Add cumulative incidence of first events and the description of recurrent ones.

    Parameters
    ----------
    context : SafetyContext
    first_days : mapping of str to (str, ndarray of shape (n,))
        Event -> label, and the day of each subject's first one in the window (infinite without one).
    recurring : mapping of str to (str, ndarray of shape (m,), ndarray of shape (m,))
        Event -> words, whose each is (position in the subjects), and its day in the window.

    Returns
    -------
    dict of str to DataFrame
        ``ae_incidence``: ``event, event_label, group, label, time_months, incidence, ci_low, ci_high, n_risk``
        (months since the window's start; fractions; at risk: free of the event, just before). ``ae_mcf``: ``group,
        label, time_months, mcf, ci_low, ci_high, n_risk`` (mean number of events of grade 3 or above per patient).
    """
    incidence = [
        curve for key, (label, first) in first_days.items() for curve in _add_incidence(context, key, label, first)
    ]
    means: dict[str, dict[str, MeanCumulativeFunction | None]] = {}
    for key, (words, patient, day) in recurring.items():
        _add_distribution(context, key, words, patient)
        means[key] = _add_recurrent(context, key, words, patient, day)
    columns = ["event", "event_label", "group", "label", "time_months", "incidence", "ci_low", "ci_high", "n_risk"]
    known = [curve for curve in incidence if curve]
    curves = pd.DataFrame({name: np.concatenate([curve[name] for curve in known]) for name in columns if known})
    return {
        "ae_incidence": curves.reindex(columns=columns),
        "ae_mcf": _mean_curves(context, means["grade_3_5"]),
    }


# --- the first event --------------------------------------------------------------------


@dataclass(frozen=True)
class FirstEvent:
    """The first event of one kind in one group.

    Attributes
    ----------
    subjects : Index of USUBJID, length n
    months : ndarray, shape (n,)
        From the start of the window to the event or what ended the window.
    cause : ndarray of int, shape (n,)
        :data:`EVENT`, :data:`DEATH`, :data:`STOP`, or 0 (censored).
    curve : CumulativeIncidence or None
    reason : str
        Why there is no curve.
    """

    subjects: pd.Index
    months: np.ndarray
    cause: np.ndarray
    curve: CumulativeIncidence | None
    reason: str

    @classmethod
    def of(cls, context: SafetyContext, first: np.ndarray, group: str) -> FirstEvent:
        """Estimate the incidence in a group; `first` is each subject's day of the first event, infinite without one."""
        inside = context.inside[group]
        first = first[inside]
        last = np.maximum(context.window.days.to_numpy()[inside], SHORTEST_DAYS)
        ended_by = context.window.ended_by.to_numpy()[inside]
        had = np.isfinite(first)
        cause = np.where(had, EVENT, np.select([ended_by == DIED, ended_by == ENDED], [DEATH, STOP], 0))
        months = np.where(had, np.minimum(first, last), last) / DAYS_PER_MONTH
        level = context.plan.confidence_level
        curve, reason = attempt(aalen_johansen, months, cause, n_causes=STOP, level=level)
        return cls(context.subjects[inside], months, cause, curve, reason)

    def by(self, month: float, level: float) -> tuple[Interval | None, str]:
        """Return the incidence by a month, or why it is unknown."""
        if self.curve is None:
            return None, self.reason
        return _incidence_at(self.curve, month, self.months, self.cause, level)


def add_incidence_by(
    context: SafetyContext,
    analysis: str,
    both: Mapping[str, FirstEvent],
    month: float,
    what: str,
    *,
    variable: str,
    level: object = None,
) -> dict[str, object]:
    """Add the cumulative incidence of each group by a month, and their difference on this one scale of time.

    Returns
    -------
    dict
        ``incidence_difference, difference_low, difference_high`` (percentage points) and ``contrast_id``.
    """
    where = {"variable": variable, "level": level, "population": BY_EXPOSURE, "estimand_id": context.estimand}
    words = (
        f"{what}, by month {month:g}: Aalen-Johansen from the start of the window, "
        f"{_COMPETING.format(days=context.plan.treatment_emergent_days)}"
    )
    exact = "; none by then: exact (Clopper-Pearson) limit of those whose time until then is known"
    found: dict[str, Interval | None] = {}
    unknown = ""
    for group, first in both.items():
        found[group], reason = first.by(month, context.plan.confidence_level)
        unknown = unknown or reason
        value, low, high = (NAN,) * 3 if found[group] is None else [100 * v for v in three(found[group])]
        context.ard.add(
            analysis,
            "incidence",
            value,
            ci_low=low,
            ci_high=high,
            unit="percent",
            group=group,
            method=reason or words + (exact if value == 0 else "; limits by log-log of the incidence"),
            engine=INCIDENCE,
            **where,
        )
    reason = context.not_compared or unknown
    points = (NAN,) * 3
    if not reason:
        points = _difference(found["exposed"], found["unexposed"])
        if np.isnan(points).any():
            points, reason = (NAN,) * 3, "not estimable: an incidence has no limits"
    method = reason or (
        f"{what}, by month {month:g}: cumulative incidence, percentage points, exposed minus unexposed, the same "
        "time since the start of the window in both, unadjusted; limits from those of both groups by a sum of squares "
        "(Newcombe's principle)"
    )
    return context.difference(analysis, "incidence_difference", points, where, method=method, engine=COUNTED)


def _difference(exposed: Interval | None, unexposed: Interval | None) -> tuple[float, float, float]:
    """Return the difference of two independent incidences in percentage points, and its limits.

    The distances of the limits from the estimates add like standard errors. Other than a Wald interval it is not too
    short where a group had no event, and uses the limits that are reported of each group.
    """
    assert exposed is not None and unexposed is not None
    (p, p_low, p_high), (q, q_low, q_high) = three(exposed), three(unexposed)
    low, high = np.hypot(p - p_low, q_high - q), np.hypot(p_high - p, q - q_low)
    return 100 * (p - q), 100 * float(p - q - low), 100 * float(p - q + high)


def _add_incidence(context: SafetyContext, key: str, label: str, first: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Add the cumulative incidence of one event in both groups; return the columns of its curves."""
    analysis = f"incidence_{key}"
    both = {group: FirstEvent.of(context, first, group) for group in GROUPS}
    for group, own in both.items():
        counts = {
            "n": (np.ones(len(own.subjects), dtype=bool), "patients followed for a first event"),
            "events": (own.cause == EVENT, "patients with the event in their window"),
            "died_before": (own.cause == DEATH, "patients who died in their window without the event"),
            "ended_before": (own.cause == STOP, "patients whose treatment-emergence ended without the event"),
        }
        for stat, (chosen, words) in counts.items():
            context.ard.add(
                analysis,
                stat,
                int(chosen.sum()),
                unit="count",
                group=group,
                population=BY_EXPOSURE,
                estimand_id=context.estimand,
                method=f"{label}: {words}",
                engine=COUNTED,
                members=own.subjects[chosen],
            )
    for month in context.plan.adverse_event_months:
        add_incidence_by(context, analysis, both, month, label, variable=horizon(month))
    return [_incidence_curve(own.curve, key, label, group) for group, own in both.items()]


def _incidence_at(
    curve: CumulativeIncidence, month: float, months: np.ndarray, cause: np.ndarray, level: float
) -> tuple[Interval | None, str]:
    """Return the incidence by a month, or why it is unknown.

    Where nobody had the event yet, the transformed limits do not exist: the upper one is then the exact limit of a
    proportion, of those who were observed until then or whose window had ended by a competing event.
    """
    at = curve.at(month, EVENT)
    value = float(at.incidence[0])
    if np.isnan(value):
        return None, f"not estimable: nobody is followed for {month:g} months"
    if value == 0:
        known = int(((months >= month) | (cause > 0)).sum())
        found, reason = attempt(clopper_pearson, 0, known, level)
        return found, reason
    return Interval(value, float(at.ci_low[0]), float(at.ci_high[0])), ""


def _incidence_curve(curve: CumulativeIncidence | None, key: str, label: str, group: str) -> dict[str, np.ndarray]:
    """Return the columns of the curve of one event in one group, from time zero."""
    if curve is None:
        return {}
    column = EVENT - 1
    numbers = {
        "time_months": np.concatenate([[0.0], curve.time]),
        "incidence": np.concatenate([[0.0], curve.incidence[:, column]]),
        "ci_low": np.concatenate([[NAN], curve.ci_low[:, column]]),
        "ci_high": np.concatenate([[NAN], curve.ci_high[:, column]]),
        "n_risk": np.concatenate([[float(curve.n)], curve.n_risk]),
    }
    words = {"event": key, "event_label": label, "group": group, "label": GROUPS[group]}
    return {name: np.full(len(curve.time) + 1, word, dtype=object) for name, word in words.items()} | numbers


# --- recurrent events --------------------------------------------------------------------


def _add_distribution(context: SafetyContext, key: str, words: str, patient: np.ndarray) -> None:
    """Add how many patients had no, one, two, three or more events."""
    number = np.bincount(patient, minlength=len(context.subjects))
    for level, chosen in (("0", number == 0), ("1", number == 1), ("2", number == 2), ("3_or_more", number >= 3)):
        counts = {group: context.subjects[chosen & inside] for group, inside in context.inside.items()}
        said = f"patients with {level.replace('_', ' ')} {words} in the window"
        context.proportion("events_per_patient", counts, variable=key, level=level, what=said, contrast=False)


def _add_recurrent(
    context: SafetyContext, key: str, words: str, patient: np.ndarray, day: np.ndarray
) -> dict[str, MeanCumulativeFunction | None]:
    """Add event rates and means by group, their ratio and differences; return the mean functions."""
    analysis, level = f"recurrent_{key}", context.plan.confidence_level
    common = {"population": BY_EXPOSURE, "estimand_id": context.estimand}
    last = np.maximum(context.window.days.to_numpy(), SHORTEST_DAYS)
    ended_by = context.window.ended_by.to_numpy()
    rates: dict[str, Interval | None] = {}
    means: dict[str, MeanCumulativeFunction | None] = {}
    for group, inside in context.inside.items():
        position = np.cumsum(inside) - 1
        own = inside[patient]
        history, reason = attempt(
            RecurrentEvents.prepare,
            last[inside] / DAYS_PER_MONTH,
            ended_by[inside] != OBSERVED,
            position[patient[own]],
            np.minimum(day[own], last[patient[own]]) / DAYS_PER_MONTH,
            several_at_once=True,
        )
        context.ard.add(
            analysis,
            "n",
            int(inside.sum()),
            unit="count",
            group=group,
            method="patients observed for recurrent events",
            engine=COUNTED,
            members=context.subjects[inside],
            **common,
        )
        rates[group], how = _rate(history, reason, level)
        value, low, high = (NAN,) * 3 if rates[group] is None else three(rates[group])
        context.ard.add(
            analysis,
            "events_per_patient_year",
            value,
            ci_low=low,
            ci_high=high,
            unit="measure",
            group=group,
            method=how if rates[group] is None else f"{words}, all of them, per patient-year at risk; {how}",
            engine=RECURRENT,
            **common,
        )
        means[group] = None
        if history is not None and history.person.size:
            means[group] = mean_cumulative_function(history, level=level)
        elif history is not None:
            reason = "not estimable: no events, the mean is 0 and its variance not defined"
        for month in context.plan.adverse_event_months:
            _add_mean(context, analysis, group, month, means[group], words, reason)
    _add_rate_ratio(context, analysis, rates, words)
    for month in context.plan.adverse_event_months:
        _add_mean_difference(context, analysis, month, means, words)
    return means


def _rate(history: RecurrentEvents | None, reason: str, level: float) -> tuple[Interval | None, str]:
    """Return events per patient-year and how it was made, or None and why not."""
    if history is None:
        return None, reason
    if not history.person.size:
        found, reason = attempt(incidence_rate, 0, float(history.exit_time.sum()), level, per=12.0)
        return found, reason or "no events: exact Poisson (Garwood) interval"
    found, reason = attempt(event_rate, history, level=level, per=12.0)
    return found, reason or "interval by the sandwich variance with patients as clusters (events of one may depend)"


def _add_rate_ratio(context: SafetyContext, analysis: str, rates: Mapping[str, Interval | None], words: str) -> None:
    """Add the ratio of the event rates, from their robust variances."""
    reason, value, low, high = context.not_compared, NAN, NAN, NAN
    exposed, unexposed = rates["exposed"], rates["unexposed"]
    if not reason and (exposed is None or unexposed is None or not (exposed.estimate and unexposed.estimate)):
        reason = "not estimable: a group has no events, a robust variance of the ratio is not defined"
    if not reason:
        assert exposed is not None and unexposed is not None
        value = exposed.estimate / unexposed.estimate
        # half widths of intervals on the log scale add like standard errors
        half = float(np.hypot(*(np.log(rate.ci_high / rate.estimate) for rate in (exposed, unexposed))))
        low, high = value * np.exp(-half), value * np.exp(half)
    context.ard.add(
        analysis,
        "rate_ratio",
        value,
        ci_low=low,
        ci_high=high,
        unit="ratio",
        group="contrast",
        population=BY_EXPOSURE,
        estimand_id=context.estimand,
        method=reason or f"{words} per patient-year, exposed over unexposed, unadjusted; sandwich variances by patient",
        engine=RECURRENT,
    )


def _add_mean(
    context: SafetyContext,
    analysis: str,
    group: str,
    month: float,
    curve: MeanCumulativeFunction | None,
    words: str,
    reason: str,
) -> None:
    """Add the mean number of events per patient by a month."""
    value, low, high = NAN, NAN, NAN
    if curve is not None:
        at = curve.at(month)
        value, low, high = float(at.mean[0]), float(at.ci_low[0]), float(at.ci_high[0])
        reason = f"not estimable: nobody is followed for {month:g} months" if np.isnan(value) else ""
        if value == 0:
            reason = f"not estimable: no events by month {month:g}, the variance is not defined"
            value = NAN
    context.ard.add(
        analysis,
        "mean_events",
        value,
        ci_low=low,
        ci_high=high,
        unit="measure",
        group=group,
        variable=horizon(month),
        population=BY_EXPOSURE,
        estimand_id=context.estimand,
        method=reason
        or f"mean number of {words} per patient by the month, of all who started, with death and the end of "
        "treatment-emergence as terminal events (Ghosh and Lin)",
        engine=RECURRENT,
    )


def _add_mean_difference(
    context: SafetyContext,
    analysis: str,
    month: float,
    means: Mapping[str, MeanCumulativeFunction | None],
    words: str,
) -> None:
    """Add the difference of the mean numbers of events by a month."""
    first, second = means["exposed"], means["unexposed"]
    found, reason = None, context.not_compared
    if not reason and (first is None or second is None):
        reason = "not estimable: a group has no events"
    if not reason:
        found, reason = attempt(mean_difference, first, second, month, context.plan.confidence_level)
    value, low, high = (NAN,) * 3 if found is None else three(found)
    context.ard.add(
        analysis,
        "mean_difference",
        value,
        ci_low=low,
        ci_high=high,
        unit="measure",
        group="contrast",
        variable=horizon(month),
        population=BY_EXPOSURE,
        estimand_id=context.estimand,
        method=reason or f"mean number of {words} per patient by the month, exposed minus unexposed, unadjusted; Wald",
        engine=RECURRENT,
    )


def _mean_curves(context: SafetyContext, means: Mapping[str, MeanCumulativeFunction | None]) -> pd.DataFrame:
    """Return the mean cumulative functions of both groups, from time zero."""
    last = np.maximum(context.window.days.to_numpy(), SHORTEST_DAYS) / DAYS_PER_MONTH
    exits = {group: last[inside] for group, inside in context.inside.items()}
    frames = []
    for group, curve in means.items():
        if curve is None:
            continue
        # where someone leaves too, so that numbers at risk can be read from the curve
        grid = np.unique(np.concatenate([[0.0], curve.time, exits[group]]))
        at = curve.at(grid)
        rows = pd.DataFrame(
            {"time_months": grid, "mcf": at.mean, "ci_low": at.ci_low, "ci_high": at.ci_high, "n_risk": at.n_risk}
        )
        frames.append(rows.assign(group=group, label=GROUPS[group])[["group", "label", *rows]])
    columns = ["group", "label", "time_months", "mcf", "ci_low", "ci_high", "n_risk"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
