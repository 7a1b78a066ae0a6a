"""Rows and curves that every time-to-event analysis makes the same way.

Curve frames (one row a step; the first row is where observation starts):

``km_*``: ``group`` (slug)``, label, weighting`` (none, overlap)``, time_months`` (since time zero)``, survival, ci_low,
ci_high`` (proportions)``, n_risk, n_event, n_censor`` (weighted where weighted).
``risk_table_*``: ``group, label, time_months, n_risk, events_to_date, censored_to_date`` (unweighted).
``cif_*``: ``group, label, cause`` (slug)``, cause_label, time_months, incidence, ci_low, ci_high, n_risk``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, slug
from sorafenib_rfa.estimates.common import NAN, attempt, horizon, quantile_values
from sorafenib_rfa.stats.competing_risks import CumulativeIncidence, aalen_johansen, gray_test
from sorafenib_rfa.stats.kaplan_meier import KaplanMeierCurve, kaplan_meier, log_rank, reverse_kaplan_meier
from sorafenib_rfa.stats.proportions import incidence_rate
from sorafenib_rfa.vocabulary import (
    EVENT_DEATH,
    EVENT_EHS,
    EVENT_IDR,
    EVENT_LABELS,
    EVENT_LTP,
    EVENT_RECURRENCE,
)

KM = "sorafenib_rfa.stats.kaplan_meier"
AALEN_JOHANSEN = "sorafenib_rfa.stats.competing_risks"
COUNTED = "sorafenib_rfa.estimates.survival"

FIRST_EVENTS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "ltp": (EVENT_LABELS[EVENT_LTP], (EVENT_LTP,)),
    "idr": (EVENT_LABELS[EVENT_IDR], (EVENT_IDR,)),
    "ehs": (EVENT_LABELS[EVENT_EHS], (EVENT_EHS,)),
    "death": (EVENT_LABELS[EVENT_DEATH], (EVENT_DEATH,)),
    "recurrence_unspecified": (EVENT_LABELS[EVENT_RECURRENCE], (EVENT_RECURRENCE,)),
}
"""Causes by the kind of the first event: slug -> label and codes of EVNTCD."""

RECURRENCE_OR_DEATH: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "recurrence": ("Recurrence", (EVENT_LTP, EVENT_IDR, EVENT_EHS, EVENT_RECURRENCE)),
    "death": (EVENT_LABELS[EVENT_DEATH], (EVENT_DEATH,)),
}
"""Causes where the site of a recurrence is not recorded."""

RISK_TABLE_STEP_MONTHS = 12


def add_size(
    ard: ArdBuilder,
    analysis: str,
    group: str,
    rows: pd.DataFrame,
    start: float,
    *,
    level: float,
    population: str,
    estimand_id: str,
) -> None:
    """Add patients, events, person-time and event rate of `rows` (``USUBJID, time`` in months, ``event``)."""
    events = int(rows["event"].sum())
    years = float((rows["time"] - start).sum()) / 12.0
    common = {"group": group, "population": population, "estimand_id": estimand_id}
    for stat, members, method in (
        ("n", rows["USUBJID"], "patients at risk"),
        ("events", rows.loc[rows["event"], "USUBJID"], "patients with an event"),
    ):
        ard.add(analysis, stat, len(members), unit="count", method=method, engine=COUNTED, members=members, **common)
    since = "time zero" if start == 0 else f"month {start:.2f} after time zero"
    ard.add(
        analysis, "patient_years", years, unit="years", method=f"time at risk from {since}", engine=COUNTED, **common
    )
    rate, reason = attempt(incidence_rate, events, years, level, per=100.0)
    ard.add(
        analysis,
        "rate_per_100_patient_years",
        NAN if rate is None else rate.estimate,
        ci_low=NAN if rate is None else rate.ci_low,
        ci_high=NAN if rate is None else rate.ci_high,
        unit="measure",
        method=reason or f"events per 100 patient-years from {since}; exact Poisson (Garwood) interval",
        engine="sorafenib_rfa.stats.proportions",
        **common,
    )


def add_curve(
    ard: ArdBuilder,
    analysis: str,
    group: str,
    rows: pd.DataFrame,
    plan: Plan,
    *,
    start: float = 0.0,
    weights: pd.Series | None = None,
    words: str,
    population: str,
    estimand_id: str,
    variable: str = "",
    months: Sequence[float] | None = None,
) -> KaplanMeierCurve | None:
    """Add survival and numbers at risk at the horizons, and the median; return the curve.

    Parameters
    ----------
    rows : DataFrame
        ``USUBJID, time`` (months since time zero)``, event``.
    start : float
        Months since time zero at which everyone enters (left truncation).
    weights : Series, optional
        Of the patients; the variance is then robust.
    variable : str
        What distinguishes the group, where that is not an arm; the level of the id is then the horizon.
    months : sequence of float, optional
        Horizons; those of the plan when not given.

    Returns
    -------
    KaplanMeierCurve or None
        None when there is nobody.
    """
    time = rows["time"]
    entry = np.full(len(time), start) if start > 0 else None
    curve, reason = attempt(
        kaplan_meier,
        time,
        rows["event"],
        start=entry,
        weights=weights,
        level=plan.confidence_level,
        variance=None if weights is None else "robust",
    )
    method = f"Kaplan-Meier, {words}; log-log interval, " + (
        "Greenwood variance" if weights is None else "robust variance, the weights taken as known"
    )
    common = {"group": group, "population": population, "estimand_id": estimand_id, "engine": KM}
    times = list(plan.horizons_months if months is None else months)
    at = None if curve is None else curve.at(times)
    for j, month in enumerate(times):
        why = reason
        values = [NAN, NAN, NAN]
        if at is not None:
            if month <= start:
                why = f"not estimable: month {month:g} is before observation starts"
            elif np.isnan(at.survival[j]):
                why = f"not estimable: follow-up of the group ends at {curve.time[-1]:.1f} months"  # type: ignore[union-attr]
            else:
                values = [100 * float(v) for v in (at.survival[j], at.ci_low[j], at.ci_high[j])]
                if np.isnan(values[1]) or at.survival[j] == 1:
                    values[1:] = [NAN, NAN]
                    why = f"{method}; no interval: {'nobody has' if at.survival[j] == 1 else 'all have'} had an event"
        place = {"variable": variable or horizon(month), "level": horizon(month) if variable else None}
        ard.add(
            analysis,
            "survival",
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            unit="percent",
            method=why or method,
            **place,
            **common,
        )
        if weights is None:
            early = f"not estimable: month {month:g} is before observation starts" if month <= start else ""
            early = early or (reason if len(rows) else "")  # of nobody, nobody is at risk
            ard.add(
                analysis,
                "at_risk",
                NAN if early else 0 if at is None else float(at.n_risk[j]),
                unit="count",
                method=early or "patients at risk just before",
                members=rows.loc[time >= month, "USUBJID"],
                **place,
                **common,
            )
    values = quantile_values(None if curve is None else curve.median())
    ard.add(
        analysis,
        "median",
        values[0],
        ci_low=values[1],
        ci_high=values[2],
        unit="months",
        variable=variable,
        method=reason or f"{method}; months since time zero; limits by Brookmeyer and Crowley (infinite: not reached)",
        **common,
    )
    return curve


def curve_frame(curve: KaplanMeierCurve | None, group: str, label: str, weighting: str, start: float) -> pd.DataFrame:
    """Return a Kaplan-Meier curve as the figures draw it; without rows when there is no curve."""
    columns = ["time_months", "survival", "ci_low", "ci_high", "n_risk", "n_event", "n_censor"]
    if curve is None:
        frame = pd.DataFrame(columns=columns, dtype="float64")
    else:
        steps = curve.to_frame().rename(columns={"time": "time_months"})[columns]
        steps["time_months"] = steps["time_months"].astype(float)
        everyone = float(curve.at_risk(np.array([np.nextafter(start, np.inf)]))[0])
        first = pd.DataFrame([[start, 1.0, 1.0, 1.0, everyone, 0.0, 0.0]], columns=columns)
        frame = pd.concat([first, steps], ignore_index=True)
        # before the first event the transformed interval is undefined; it is drawn closed
        certain = frame["survival"] == 1.0
        frame.loc[certain, ["ci_low", "ci_high"]] = 1.0
    frame.insert(0, "weighting", weighting)
    frame.insert(0, "label", label)
    frame.insert(0, "group", group)
    return frame


def risk_table(
    groups: Mapping[str, tuple[str, pd.DataFrame]], start: float, step_months: float = RISK_TABLE_STEP_MONTHS
) -> pd.DataFrame:
    """Return numbers at risk (just before), events and censorings (up to and at) at regular months.

    Parameters
    ----------
    groups : mapping
        Slug -> label and rows with ``time, event``.
    start : float
        Month at which observation starts: the first time of the table.
    """
    longest = max((float(rows["time"].max()) for _, rows in groups.values() if len(rows)), default=start)
    months = [start, *(m for m in np.arange(0, longest + step_months, step_months) if start < m <= longest)]
    drawn = []
    for group, (label, rows) in groups.items():
        time = rows["time"].to_numpy(dtype=float)
        event = rows["event"].to_numpy(dtype=bool)
        for month in months:
            drawn.append(
                {
                    "group": group,
                    "label": label,
                    "time_months": float(month),
                    "n_risk": int((time >= month).sum()),
                    "events_to_date": int(((time <= month) & event).sum()),
                    "censored_to_date": int(((time <= month) & ~event).sum()),
                }
            )
    columns = ["group", "label", "time_months", "n_risk", "events_to_date", "censored_to_date"]
    return pd.DataFrame(drawn, columns=columns)


def add_log_rank(
    ard: ArdBuilder,
    analysis: str,
    rows: pd.DataFrame,
    column: str,
    reason: str,
    *,
    start: float = 0.0,
    words: str,
    population: str,
    estimand_id: str,
    variable: str = "",
) -> None:
    """Add the log-rank test of the groups in `column`; `reason` says why not, when not."""
    test, why = None, reason
    if not why:
        test, why = attempt(log_rank, rows["time"] - start, rows["event"], rows[column].astype(str).to_numpy())
    ard.add(
        analysis,
        "chi2",
        NAN if test is None else test.chi2,
        p_value=NAN if test is None else test.p,
        unit="statistic",
        group="contrast",
        variable=variable,
        method=why or f"log-rank test on {test.df} df, {words}",  # type: ignore[union-attr]
        engine=KM,
        population=population,
        estimand_id=estimand_id,
    )


def add_follow_up(
    ard: ArdBuilder, analysis: str, group: str, rows: pd.DataFrame, endpoint: str, plan: Plan, *, population: str
) -> None:
    """Add median and quartiles of follow-up from time zero by the reverse Kaplan-Meier method."""
    curve, reason = attempt(reverse_kaplan_meier, rows["time"], rows["event"], level=plan.confidence_level)
    for stat, probability in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        values = quantile_values(None if curve is None else curve.quantile(probability))
        ard.add(
            analysis,
            stat,
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            unit="months",
            group=group,
            variable=endpoint.lower(),
            method=reason or f"follow-up for {endpoint} from time zero by reverse Kaplan-Meier (Schemper and Smith)",
            engine=KM,
            population=population,
        )


def add_incidence(
    ard: ArdBuilder,
    analysis: str,
    rows: pd.DataFrame,
    groups: Mapping[str, tuple[str, pd.Series]],
    plan: Plan,
    *,
    causes: Mapping[str, tuple[str, tuple[int, ...]]] = FIRST_EVENTS,
    start: float = 0.0,
    population: str,
    estimand_id: str,
    reason: str,
    words: str,
    months: Sequence[float] | None = None,
    variable: str = "",
    counted: str = "patients",
) -> pd.DataFrame:
    """Add cumulative incidence of each cause at the horizons with Gray's tests; return the curves.

    Parameters
    ----------
    rows : DataFrame
        ``USUBJID, time`` (months since time zero), ``cause`` (EVNTCD).
    groups : mapping
        Slug -> label and which rows.
    causes : mapping
        Slug -> label and codes. A cause that nobody had and that is the unspecified recurrence is left out.
    start : float
        Month at which everyone enters.
    reason : str
        Why groups are not tested, or ''.
    variable : str
        Prefix of the ids' variable, for several groupings in one analysis.
    counted : str
        What a row is. If no patient (a tumour, say), rows name where they stand in raw files, the variance takes those
        of one patient together, and there is no test of groups, which Gray's would take as independent.
    """
    of_patients = counted == "patients"
    shown = {
        key: value
        for key, value in causes.items()
        if key != "recurrence_unspecified" or rows["cause"].isin(value[1]).any()
    }
    number = {code: j + 1 for j, (_, codes) in enumerate(shown.values()) for code in codes}
    recoded = rows["cause"].map(number).fillna(0).astype(int)
    times = list(plan.horizons_months if months is None else months)
    common = {"population": population, "estimand_id": estimand_id, "engine": AALEN_JOHANSEN}
    prefix = f"{variable}_" if variable else ""
    drawn = []
    for group, (label, chosen) in groups.items():
        own, cause = rows[chosen], recoded[chosen]
        entry = np.full(len(own), start) if start > 0 else None
        fitted, why = attempt(
            aalen_johansen,
            own["time"],
            cause,
            start=entry,
            cluster=None if of_patients else own["USUBJID"].to_numpy(dtype=object),
            n_causes=len(shown),
            level=plan.confidence_level,
        )
        for j, (key, (cause_label, _)) in enumerate(shown.items()):
            members = own.loc[cause == j + 1, "USUBJID"] if of_patients else own[cause == j + 1]
            ard.add(
                analysis,
                "n",
                len(members),
                unit="count",
                group=group,
                variable=prefix + key,
                method=f"{counted} whose first event was: {cause_label}",
                members=members,
                **common,
            )
            _add_incidence_at(ard, analysis, group, prefix + key, fitted, j + 1, times, start, why, words, common)
            if fitted is not None:
                drawn.append(_incidence_frame(fitted, j + 1, group, label, key, cause_label, start))
    columns = ["group", "label", "cause", "cause_label", "time_months", "incidence", "ci_low", "ci_high", "n_risk"]
    curves = pd.concat(drawn, ignore_index=True)[columns] if drawn else pd.DataFrame(columns=columns)
    if len(groups) == 1 or not of_patients:
        return curves
    labels = np.full(len(rows), "", dtype=object)
    for group, (_, chosen) in groups.items():
        labels[np.asarray(chosen, dtype=bool)] = group
    for j, (key, (cause_label, _)) in enumerate(shown.items()):
        test, why = None, reason
        if not why:
            test, why = attempt(gray_test, rows["time"] - start, recoded, labels, cause_of_interest=j + 1)
        ard.add(
            analysis,
            "gray_chi2",
            NAN if test is None else test.chi2,
            p_value=NAN if test is None else test.p,
            unit="statistic",
            group="contrast",
            variable=prefix + key,
            method=why or f"Gray's test on {test.df} df: {cause_label}",  # type: ignore[union-attr]
            **common,
        )
    return curves


def _add_incidence_at(
    ard: ArdBuilder,
    analysis: str,
    group: str,
    variable: str,
    fitted: CumulativeIncidence | None,
    cause: int,
    times: Sequence[float],
    start: float,
    reason: str,
    words: str,
    common: Mapping,
) -> None:
    """Add the cumulative incidence of one cause in one group at the horizons."""
    at = None if fitted is None else fitted.at(times, cause)
    for j, month in enumerate(times):
        why, values = reason, [NAN, NAN, NAN]
        if at is not None:
            if month <= start:
                why = f"not estimable: month {month:g} is before observation starts"
            elif np.isnan(at.incidence[j]):
                why = f"not estimable: follow-up of the group ends at {fitted.time[-1]:.1f} months"  # type: ignore[union-attr]
            else:
                values = [100 * float(v) for v in (at.incidence[j], at.ci_low[j], at.ci_high[j])]
                if np.isnan(values[1]) or values[0] == 0:
                    values[1:] = [NAN, NAN]
                    why = f"{words}; no interval: {'nobody has' if values[0] == 0 else 'all have'} had the event"
        ard.add(
            analysis,
            "incidence",
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            unit="percent",
            group=group,
            variable=variable,
            level=horizon(month),
            method=why or f"{words}; log-log interval, infinitesimal jackknife variance of patients",
            **common,
        )


def _incidence_frame(
    fitted: CumulativeIncidence, cause: int, group: str, label: str, key: str, cause_label: str, start: float
) -> pd.DataFrame:
    """Return one cumulative incidence curve as the figures draw it."""
    j = cause - 1
    entered = float(fitted.n_risk[0])
    frame = pd.DataFrame(
        {
            "group": group,
            "label": label,
            "cause": slug(key),
            "cause_label": cause_label,
            "time_months": np.concatenate([[start], fitted.time]),
            "incidence": np.concatenate([[0.0], fitted.incidence[:, j]]),
            "ci_low": np.concatenate([[0.0], fitted.ci_low[:, j]]),
            "ci_high": np.concatenate([[0.0], fitted.ci_high[:, j]]),
            "n_risk": np.concatenate([[entered], fitted.n_risk]),
        }
    )
    # before the first event the transformed interval is undefined; it is drawn closed
    frame.loc[frame["incidence"] == 0.0, ["ci_low", "ci_high"]] = 0.0
    return frame
