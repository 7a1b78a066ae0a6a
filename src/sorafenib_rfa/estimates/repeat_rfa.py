"""Repeat RFA as recurrent events: how many sessions patients need, how fast they follow, and whether arms differ.

Patients enter as in the other comparisons, and are followed to death or the last date known alive, whatever has
recurred by then. Death ends the need for RFA: it is a terminal event, not a censoring. The index session is not a
repeat; sessions between it and entry are counted apart. Times are printed in months since RFA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sorafenib_rfa.adam.schemas import DEATH, REPEAT_RFA
from sorafenib_rfa.arms import Arms, arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import ArdBuilder, Estimates
from sorafenib_rfa.estimates.bootstrap import OverlapResamples
from sorafenib_rfa.estimates.common import NAN, attempt, horizon, untested
from sorafenib_rfa.estimates.comparison import entered, population_words, start_words
from sorafenib_rfa.estimates.covariates import covariate_design, numbers, texts
from sorafenib_rfa.estimates.survival import add_curve, risk_table
from sorafenib_rfa.stats.errors import ConvergenceError
from sorafenib_rfa.stats.proportions import incidence_rate, wilson
from sorafenib_rfa.stats.recurrent_events import (
    MeanCumulativeFunction,
    RecurrentEvents,
    event_rate,
    log_limits,
    mean_cumulative_function,
    mean_difference,
    mean_model,
    means_under_weights,
    rate_model,
)
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

ESTIMAND = "E5_REPEAT_RFA"
RECURRENT = "sorafenib_rfa.stats.recurrent_events"
COUNTED = "sorafenib_rfa.estimates.repeat_rfa"
TREATMENT = "treatment"
MOST_COUNTED = 3
"""Patients with this many sessions or more are one row of the table of counts."""
NEXT_SESSION_MONTHS = (12.0, 24.0)
"""Months after a repeat session at which freedom from the next is read."""
_MOST_FAILED = 0.05

WEIGHTINGS: Mapping[str, tuple[str, str]] = {
    "none": ("", ""),
    "overlap": ("_overlap", ", weighted by overlap of the propensity score"),
}
"""Weighting -> suffix of the analysis and words."""


@dataclass(frozen=True, eq=False)
class _Spread:
    """Bootstrap standard errors of the weighted means of each arm and of their difference, at the times asked."""

    arms: Mapping[str, NDArray[np.float64]]
    difference: NDArray[np.float64]
    replicates: int


@dataclass
class _Part:
    """What every analysis of the part needs.

    `frame` has one row a patient: ``USUBJID, arm, treated, time`` (months since RFA)``, event`` (died)``, w_overlap``;
    `sessions` one row a repeat session after entry: ``person`` (row of `frame`)``, from_start`` (months since entry)``,
    TUMOURS, GAPDAYS, USUBJID, date``, and `treated` one row a tumour treated in those sessions, as a clean table has
    it. `events` holds patients and sessions, since entry.
    """

    ard: ArdBuilder
    plan: Plan
    arms: Arms
    frame: pd.DataFrame
    sessions: pd.DataFrame
    treated: pd.DataFrame
    events: RecurrentEvents | None
    start: float
    words: str
    common: dict[str, str]
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)

    def members(self, arm: str) -> NDArray[np.bool_]:
        """Return which rows of the frame belong to an arm."""
        return (self.frame["arm"] == arm).to_numpy(dtype=bool)


def estimate_repeat_rfa(
    adsl: pd.DataFrame,
    adrecur: pd.DataFrame,
    weights: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
    *,
    ablations: pd.DataFrame,
    seed: int,
) -> Estimates:
    """Compare repeat RFA sessions between the arms.

    Parameters
    ----------
    adsl, adrecur : DataFrame
        ADaM datasets.
    weights : DataFrame
        As :func:`estimate_baseline` made them; empty when the propensity score could not be estimated.
    plan : Plan
        Landmark, horizons, covariates, resamples, confidence level.
    cohort : CohortConfig
        Its arms.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.
    ablations : DataFrame
        Clean table: the raw rows behind the sessions of ADRECUR.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimates
        ARD part ``repeat_rfa``. Curves ``mcf_repeat_rfa`` (``group, label, weighting`` (none, overlap)``,
        time_months`` (since RFA)``, mcf, ci_low, ci_high, n_risk``; weighted sums where weighted) and
        ``risk_table_repeat_rfa`` (as :func:`sorafenib_rfa.estimates.survival.risk_table`; ``events_to_date`` counts
        sessions, ``censored_to_date`` patients whose observation ended alive).

    Raises
    ------
    ValueError
        If a patient who enters has no end of observation in ADRECUR: the datasets do not belong together.
    """
    part, before = _part(adsl, adrecur, ablations, weights, plan, cohort, cohort_name, record)
    for arm in (None, *part.arms.labels):
        _add_sessions(part, arm)
    part.ard.add(
        "sessions",
        "before_entry",
        len(before),
        unit="count",
        method=f"RFA sessions after the index session and {part.words.replace('from', 'up to')}: not counted below",
        engine=COUNTED,
        members=before,
        **part.common,
    )
    _add_means(part, _resamples(part, adsl, cohort, seed))
    _add_models(part)
    _add_gaps(part)
    part.curves["risk_table_repeat_rfa"] = _risk_table(part)
    return part.ard.estimates(part.curves)


def _part(
    adsl: pd.DataFrame,
    adrecur: pd.DataFrame,
    ablations: pd.DataFrame,
    weights: pd.DataFrame,
    plan: Plan,
    cohort: CohortConfig,
    cohort_name: str,
    record: str,
) -> tuple[_Part, pd.DataFrame]:
    """Return the part's data, and the sessions of its patients before entry."""
    members = entered(adsl)
    arms = arms_of(cohort)
    kind, owner = texts(adrecur["EVTYPE"]), texts(adrecur["USUBJID"])
    day = numbers(adrecur["ASTDY"]) - 1  # study days count from 1; days since RFA from 0
    last = pd.DataFrame({"day": day, "died": kind == DEATH})[kind != REPEAT_RFA].set_axis(owner[kind != REPEAT_RFA])
    names = texts(members["USUBJID"]).sort_values()
    absent = sorted(set(names) - set(last.index))
    if absent:
        raise ValueError(f"ADRECUR has no end of observation for {len(absent)} patients, first {absent[0]}")
    ends = last.loc[list(names)]
    followed = (ends["day"] > plan.landmark_day).to_numpy(dtype=bool)
    names = names[followed]
    scores = weights.set_index(texts(weights["USUBJID"]))["w_overlap"]
    arm = texts(members["LMTRT"]).loc[names.index]
    frame = pd.DataFrame(
        {
            "USUBJID": names.to_numpy(),
            "arm": arm.to_numpy(),
            "treated": (arm == arms.treated).to_numpy(dtype=bool),
            "time": ends["day"].to_numpy()[followed] / DAYS_PER_MONTH,
            "event": ends["died"].to_numpy(dtype=bool)[followed],
            "w_overlap": scores.reindex(names).to_numpy(dtype=float),
        }
    )
    rows = adrecur[(kind == REPEAT_RFA) & owner.isin(set(names))]
    since_entry = (numbers(rows["ASTDY"]) - 1 - plan.landmark_day) / DAYS_PER_MONTH
    sessions = pd.DataFrame(
        {
            "person": pd.Index(frame["USUBJID"]).get_indexer(texts(rows["USUBJID"])),
            "from_start": since_entry,
            "TUMOURS": numbers(rows["TUMOURS"]),
            "GAPDAYS": numbers(rows["GAPDAYS"]),
            "USUBJID": texts(rows["USUBJID"]),
            "date": pd.to_datetime(rows["ASTDT"]),
        }
    ).sort_values(["person", "from_start"], ignore_index=True)
    treated = ablations[["USUBJID", "ablation_date", "src_file", "src_sheet", "src_row"]].rename(
        columns={"ablation_date": "date"}
    )
    treated = treated.astype({"date": sessions["date"].dtype}).sort_values("src_row", kind="stable")
    # a session is a day of a patient; it is found in the raw file by the first of its rows
    sessions = sessions.merge(treated.drop_duplicates(["USUBJID", "date"]), on=["USUBJID", "date"], how="left")
    later = sessions[sessions["from_start"] > 0].reset_index(drop=True)
    start = plan.landmark_day / DAYS_PER_MONTH
    events, _ = attempt(
        RecurrentEvents.prepare, frame["time"] - start, frame["event"], later["person"], later["from_start"]
    )
    population = population_words(plan, cohort)
    return (
        _Part(
            ard=ArdBuilder(cohort_name, "repeat_rfa", record),
            plan=plan,
            arms=arms,
            frame=frame,
            sessions=later,
            treated=treated.merge(later[["USUBJID", "date", "person"]], on=["USUBJID", "date"]),
            events=events,
            start=start,
            words=start_words(plan, cohort),
            common={"population": population, "estimand_id": ESTIMAND},
        ),
        sessions[sessions["from_start"] <= 0],
    )


def _resamples(part: _Part, adsl: pd.DataFrame, cohort: CohortConfig, seed: int) -> OverlapResamples | None:
    """Return bootstrap weights of the patients with a propensity score, in the order of the frame; None without any."""
    if part.frame["w_overlap"].isna().all():
        return None
    members = entered(adsl)
    design = covariate_design(members, part.plan, part.plan.adjustment_set)
    treated = (texts(members["LMTRT"]) == part.arms.treated)[design.complete].to_numpy(dtype=bool)
    drawn = OverlapResamples.draw(design.x.to_numpy(), treated, seed=seed, replicates=part.plan.bootstrap_resamples)
    scored = part.frame.loc[part.frame["w_overlap"].notna(), "USUBJID"]
    place = design.x.index.astype("string").get_indexer(scored)
    if (place < 0).any():
        raise ValueError("a patient with a propensity score lacks a covariate of it: weights and ADSL do not match")
    return OverlapResamples(drawn.treated[place], drawn.weights[:, place], drawn.usable)


# --- how many sessions ---------------------------------------------------------------------------------------------


def _add_sessions(part: _Part, arm: str | None) -> None:
    """Add patients, sessions, time and rates of an arm (or all), sessions per patient, tumours per session."""
    group = "overall" if arm is None else part.arms.slug(arm)
    chosen = np.ones(len(part.frame), dtype=bool) if arm is None else part.members(arm)
    own, sessions = part.frame[chosen], part.sessions[chosen[part.sessions["person"]]]
    common = {"group": group, **part.common}
    years = float((own["time"] - part.start).sum()) / 12.0
    died, tumours = own.loc[own["event"], "USUBJID"], part.treated[chosen[part.treated["person"]]]
    for stat, count, members, method in (
        ("n", len(own), own["USUBJID"], "patients at risk"),
        ("sessions", len(sessions), sessions, f"repeat RFA sessions {part.words}"),
        ("deaths", len(died), died, f"patients who died {part.words}"),
        ("tumours", int(sessions["TUMOURS"].sum()), tumours, "tumours treated in those sessions"),
    ):
        part.ard.add("sessions", stat, count, unit="count", method=method, engine=COUNTED, members=members, **common)
    part.ard.add(
        "sessions", "patient_years", years, unit="years", method=f"time alive under observation {part.words}",
        engine=COUNTED, **common,
    )  # fmt: skip
    exact, why = attempt(incidence_rate, len(sessions), years, part.plan.confidence_level)
    words = f"repeat RFA sessions per patient-year alive {part.words}"
    _add_interval(part, "rate_per_patient_year", exact, why or f"{words}; exact Poisson (Garwood) interval", common)
    robust, why = None, "not estimable: the group is empty"
    if part.events is not None and chosen.any():
        robust, why = attempt(event_rate, part.events.subset(chosen), level=part.plan.confidence_level, per=12.0)
    words += "; log-scale interval with sandwich variance by patient, so that sessions of one patient may depend"
    _add_interval(part, "rate_per_patient_year_robust", robust, why or words, common)
    counts = np.bincount(sessions["person"], minlength=len(part.frame))[chosen]
    for number in range(MOST_COUNTED + 1):
        most = number == MOST_COUNTED
        members = own.loc[counts >= number if most else counts == number, "USUBJID"]
        hit = len(members)
        level = f"{number}_or_more" if most else number
        said = f"patients with {number}{' or more' if most else ''} repeat session{'s' if number != 1 else ''}"
        said += f" {part.words}"
        place = {"variable": "number", "level": level, "engine": COUNTED} | common
        part.ard.add("sessions", "n", hit, unit="count", method=said, members=members, **place)
        share, why = attempt(wilson, hit, len(own), part.plan.confidence_level)
        part.ard.add(
            "sessions",
            "percent",
            NAN if share is None else 100 * share.estimate,
            ci_low=NAN if share is None else 100 * share.ci_low,
            ci_high=NAN if share is None else 100 * share.ci_high,
            unit="percent",
            method=why or f"{said}, whatever their follow-up; Wilson interval",
            **place,
        )
    words = "tumours treated in a repeat session"
    _add_quartiles(part, "tumours", sessions, "TUMOURS", words, "measure", common)


def _add_interval(part: _Part, stat: str, interval: Any, method: str, common: Mapping) -> None:
    """Add a rate and its limits."""
    part.ard.add(
        "sessions",
        stat,
        NAN if interval is None else interval.estimate,
        ci_low=NAN if interval is None else interval.ci_low,
        ci_high=NAN if interval is None else interval.ci_high,
        unit="ratio",
        method=method,
        engine=RECURRENT if stat.endswith("robust") else "sorafenib_rfa.stats.proportions",
        **common,
    )


def _add_quartiles(
    part: _Part, analysis: str, sessions: pd.DataFrame, column: str, words: str, unit: str, common: Mapping
) -> None:
    """Add number, median and quartiles of a column of sessions that is described, not inferred from."""
    members = sessions[sessions[column].notna()]
    known = members[column]
    said = f"number of: {words}"
    part.ard.add(analysis, "n", len(known), unit="count", method=said, engine=COUNTED, members=members, **common)
    for stat, probability in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        part.ard.add(
            analysis,
            stat,
            float(known.quantile(probability)) if len(known) else NAN,
            unit=unit,
            method=f"{words}: {stat} of those observed (a description, not an estimate)"
            if len(known)
            else "not estimable: there are none",
            engine=COUNTED,
            **common,
        )


# --- mean cumulative function --------------------------------------------------------------------------------------


def _add_means(part: _Part, resamples: OverlapResamples | None) -> None:
    """Add mean cumulative functions by arm, their difference at the horizons, and the curves."""
    drawn = []
    for weighting in WEIGHTINGS:
        scored = part.frame["w_overlap"].notna().to_numpy()
        used = np.ones(len(part.frame), dtype=bool) if weighting == "none" else scored
        why = _no_scores(part, weighting)
        fitted: dict[str, tuple[MeanCumulativeFunction | None, str]] = {}
        for arm in part.arms.labels:
            fitted[arm] = (None, why) if why else _fit(part, used & part.members(arm), weighting)
        spread = None
        # one arm without a curve leaves no resample with both
        why = why or next((reason for _, reason in fitted.values() if reason), "")
        if weighting == "overlap" and resamples is not None and not why:
            spread, why = attempt(_spread, part, resamples, used, _times(part, fitted))
        for arm, (curve, reason) in fitted.items():
            reason = reason or (why if weighting == "overlap" else "")
            drawn.append(_add_arm(part, arm, weighting, curve, reason, spread, fitted))
        _add_differences(part, weighting, fitted, spread, why)
    part.curves["mcf_repeat_rfa"] = pd.concat(drawn, ignore_index=True)


def _no_scores(part: _Part, weighting: str) -> str:
    """Return why there is no weighted analysis, or ''."""
    if weighting == "none" or part.frame["w_overlap"].notna().any():
        return ""
    return "not estimable: the propensity score could not be estimated"


def _fit(part: _Part, chosen: NDArray[np.bool_], weighting: str) -> tuple[MeanCumulativeFunction | None, str]:
    """Return the mean cumulative function of some patients, or why there is none."""
    if part.events is None or not chosen.any():
        return None, "not estimable: there is nobody in the group"
    weights = None if weighting == "none" else part.frame.loc[chosen, "w_overlap"].to_numpy()
    return attempt(
        mean_cumulative_function, part.events.subset(chosen), weights=weights, level=part.plan.confidence_level
    )


def _times(part: _Part, fitted: Mapping[str, tuple[MeanCumulativeFunction | None, str]]) -> NDArray[np.float64]:
    """Return the times since entry at which standard errors are needed: all steps, and the horizons."""
    steps = [curve.time for curve, _ in fitted.values() if curve is not None]
    return np.unique(np.concatenate([*steps, np.array(part.plan.horizons_months) - part.start]))


def _spread(part: _Part, resamples: OverlapResamples, used: NDArray[np.bool_], times: NDArray[np.float64]) -> _Spread:
    """Return the bootstrap spread of the weighted means at `times`.

    Raises
    ------
    ConvergenceError
        If more than one resample in twenty has no estimate.
    """
    assert part.events is not None
    events, usable = part.events.subset(used), resamples.usable.copy()
    means = {}
    for arm in part.arms.labels:
        chosen = part.members(arm)[used]
        own = resamples.weights[:, chosen]
        usable &= own.sum(axis=1) > 0
        means[arm] = means_under_weights(events.subset(chosen), own, times)
    failed = int((~usable).sum())
    if failed > _MOST_FAILED * len(usable):
        raise ConvergenceError(f"{failed} of {len(usable)} bootstrap resamples have no estimate")
    kept = {arm: mean[usable] for arm, mean in means.items()}
    difference = kept[part.arms.treated] - kept[part.arms.control]
    return _Spread(
        {arm: np.std(mean, axis=0, ddof=1) for arm, mean in kept.items()},
        np.std(difference, axis=0, ddof=1),
        int(usable.sum()),
    )


def _add_arm(
    part: _Part,
    arm: str,
    weighting: str,
    curve: MeanCumulativeFunction | None,
    reason: str,
    spread: _Spread | None,
    fitted: Mapping[str, tuple[MeanCumulativeFunction | None, str]],
) -> pd.DataFrame:
    """Add the mean number of sessions of an arm at the horizons; return its curve."""
    suffix, weighted = WEIGHTINGS[weighting]
    words = f"{weighted}, death as terminal event (Cook and Lawless 1997, Ghosh and Lin 2000); log-scale interval, "
    words += "Ghosh-Lin variance" if weighting == "none" else _resampled(spread)
    times = _times(part, fitted)
    months = part.plan.horizons_months
    since = np.array(months) - part.start
    usable = curve is not None and (weighting == "none" or spread is not None)
    low = high = np.full(len(months), np.nan)
    if curve is not None and usable:
        at = curve.at(since)
        low, high = at.ci_low, at.ci_high
        if spread is not None:
            low, high = log_limits(at.mean, spread.arms[arm][np.searchsorted(times, since)], curve.level)
    for j, month in enumerate(months):
        why, value, limits = reason, NAN, (NAN, NAN)
        if curve is not None and usable:
            value = float(curve.at(since[j]).mean[0])
            if month <= part.start:
                why, value = f"not estimable: month {month:g} is before observation starts", NAN
            elif np.isnan(value):
                why = f"not estimable: follow-up of the group ends at {curve.last_exit + part.start:.1f} months"
            elif value == 0:
                why = f"{_mean_until(part, month)}{words}; no interval: nobody had a session"
            else:
                limits = float(low[j]), float(high[j])
        part.ard.add(
            f"mcf{suffix}",
            "mean",
            value,
            ci_low=limits[0],
            ci_high=limits[1],
            unit="ratio",
            group=part.arms.slug(arm),
            variable=horizon(month),
            method=why or _mean_until(part, month) + words,
            engine=RECURRENT,
            **part.common,
        )
    return _curve_frame(part, arm, weighting, curve if usable else None, spread, times)


def _mean_until(part: _Part, month: float) -> str:
    """Return what a mean at a month is, in words."""
    return f"mean number of repeat RFA sessions {part.words} to month {month:g}"


def _resampled(spread: _Spread | None) -> str:
    """Return how weighted standard errors were made, in words."""
    count = 0 if spread is None else spread.replicates
    return f"standard error from {count} bootstrap resamples of patients, the propensity score fitted anew in each"


def _curve_frame(
    part: _Part,
    arm: str,
    weighting: str,
    curve: MeanCumulativeFunction | None,
    spread: _Spread | None,
    times: NDArray[np.float64],
) -> pd.DataFrame:
    """Return a curve as the figure draws it: from entry, with its steps, to the last exit; no rows without a curve."""
    columns = ["time_months", "mcf", "ci_low", "ci_high", "n_risk"]
    if curve is None:
        frame = pd.DataFrame(columns=columns, dtype="float64")
    else:
        low, high = curve.ci_low, curve.ci_high
        if spread is not None:
            low, high = log_limits(curve.mean, spread.arms[arm][np.searchsorted(times, curve.time)], curve.level)
        ends = curve.at([np.nextafter(0.0, 1.0), curve.last_exit])
        last = [series[-1] if len(series) else 0.0 for series in (curve.mean, low, high)]
        frame = pd.DataFrame(
            {
                "time_months": np.concatenate([[0.0], curve.time, [curve.last_exit]]) + part.start,
                "mcf": np.concatenate([[0.0], curve.mean, last[:1]]),
                "ci_low": np.concatenate([[0.0], low, last[1:2]]),
                "ci_high": np.concatenate([[0.0], high, last[2:]]),
                "n_risk": np.concatenate([ends.n_risk[:1], curve.n_risk, ends.n_risk[1:]]),
            }
        )
    frame.insert(0, "weighting", weighting)
    frame.insert(0, "label", arm)
    frame.insert(0, "group", part.arms.slug(arm))
    return frame


def _add_differences(
    part: _Part,
    weighting: str,
    fitted: Mapping[str, tuple[MeanCumulativeFunction | None, str]],
    spread: _Spread | None,
    why: str,
) -> None:
    """Add the difference of the means at the horizons."""
    from scipy.special import ndtr, ndtri

    suffix, weighted = WEIGHTINGS[weighting]
    level = part.plan.confidence_level
    z = float(ndtri(0.5 + level / 2))
    treated, control = (fitted[arm][0] for arm in part.arms.labels)
    counted = part.frame if weighting == "none" else part.frame[part.frame["w_overlap"].notna()]
    sizes = {arm: int((counted["arm"] == arm).sum()) for arm in part.arms.labels}
    reason = why or untested(sizes, part.plan) or fitted[part.arms.treated][1] or fitted[part.arms.control][1]
    words = (
        f"{weighted}, {part.arms.treated} minus "
        f"{part.arms.control}, death as terminal event; Wald interval and p value, "
    )
    words += "Ghosh-Lin variances" if weighting == "none" else _resampled(spread)
    times = _times(part, fitted)
    for month in part.plan.horizons_months:
        since = month - part.start
        contrast, early = None, reason
        if not early and since <= 0:
            early = f"not estimable: month {month:g} is before observation starts"
        if not early:
            contrast, early = attempt(mean_difference, treated, control, since, level)
        values = [NAN] * 4
        if contrast is not None:
            error = contrast.std_err
            if spread is not None:
                error = float(spread.difference[np.searchsorted(times, since)])
            value = contrast.estimate
            values = [value, value - z * error, value + z * error, float(2 * ndtr(-abs(value / error)))]
        part.ard.add(
            f"mcf{suffix}",
            "difference",
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            p_value=values[3],
            unit="ratio",
            group="contrast",
            variable=horizon(month),
            method=early or _mean_until(part, month) + words,
            engine=RECURRENT,
            **part.common,
        )


# --- regression ----------------------------------------------------------------------------------------------------


def _add_models(part: _Part) -> None:
    """Add the ratio of rates while alive (Andersen-Gill, LWYY) and the ratio of means (Ghosh and Lin)."""
    known = "the weights taken as known"
    models = (
        (
            "rate",
            "rate_ratio",
            rate_model,
            "ratio of the rates of repeat RFA sessions while alive: Andersen-Gill model with Efron's ties, robust "
            "variance by patient (Lin, Wei, Yang and Ying 2000)",
        ),
        (
            "mean",
            "mean_ratio",
            mean_model,
            "ratio of the mean numbers of repeat RFA sessions, death as terminal event: proportional means model with "
            "inverse probability of censoring weights (Ghosh and Lin 2002), robust variance by patient that accounts "
            "for the estimated censoring",
        ),
    )
    for analysis, stat, model, words in models:
        for weighting, (suffix, weighted) in WEIGHTINGS.items():
            used = np.ones(len(part.frame), dtype=bool)
            if weighting == "overlap":
                used = part.frame["w_overlap"].notna().to_numpy()
            rows = part.frame[used]
            sizes = {arm: int((rows["arm"] == arm).sum()) for arm in part.arms.labels}
            why, ratio = _no_scores(part, weighting) or untested(sizes, part.plan), None
            if part.events is None:
                why = "not estimable: nobody is followed beyond entry"
            if not why and part.events is not None:
                fit, why = attempt(
                    model,
                    part.events.subset(used),
                    pd.DataFrame({TREATMENT: rows["treated"].astype(float).to_numpy()}),
                    weights=rows["w_overlap"].to_numpy() if weighting == "overlap" else None,
                )
                if fit is not None and not fit.se[0] > 1e-10:
                    fit, why = None, "not estimable: the robust variance is zero (too few distinct event times)"
                if fit is not None:
                    read = fit.hazard_ratio if stat == "rate_ratio" else fit.mean_ratio
                    ratio = read(TREATMENT, part.plan.confidence_level)
            part.ard.add(
                f"{analysis}{suffix}",
                stat,
                NAN if ratio is None else ratio.estimate,
                ci_low=NAN if ratio is None else ratio.ci_low,
                ci_high=NAN if ratio is None else ratio.ci_high,
                p_value=NAN if ratio is None else ratio.p,
                unit="ratio",
                group="contrast",
                method=why
                or f"{part.arms.treated} against {part.arms.control}: {words}{weighted}"
                + (f", {known}" if weighted else "")
                + "; Wald interval and p value",
                engine=RECURRENT,
                **part.common,
            )


# --- time between sessions -----------------------------------------------------------------------------------------


def _add_gaps(part: _Part) -> None:
    """Add observed gaps between sessions, and the time from the first repeat session to the next one, censored."""
    first = part.sessions.groupby("person")["from_start"].min()
    second = part.sessions.groupby("person")["from_start"].apply(lambda times: times.sort_values().iloc[1:2].min())
    exit_time = part.frame["time"] - part.start
    rows = pd.DataFrame(
        {
            "USUBJID": part.frame["USUBJID"].reindex(first.index),
            "arm": part.frame["arm"].reindex(first.index),
            "time": (second.fillna(exit_time.reindex(first.index)) - first).astype(float),
            "event": second.notna(),
        }
    )
    # a session on the last day of observation leaves no time for another
    rows = rows[rows["time"] > 0]
    for arm in (None, *part.arms.labels):
        group = "overall" if arm is None else part.arms.slug(arm)
        common = {"group": group, **part.common}
        chosen = np.ones(len(part.frame), dtype=bool) if arm is None else part.members(arm)
        own = part.sessions[chosen[part.sessions["person"]]]
        _add_quartiles(
            part, "gaps", own, "GAPDAYS",
            f"days from the previous RFA session (for the first: the index session) to a repeat session {part.words}; "
            "complete gaps only, so that long ones are under-represented",
            "days", common,
        )  # fmt: skip
        waiting = rows if arm is None else rows[rows["arm"] == arm]
        for stat, members, words in (
            ("n", waiting["USUBJID"], "patients with a repeat session and time after it"),
            ("events", waiting.loc[waiting["event"], "USUBJID"], "of those, patients with a further session"),
        ):
            part.ard.add(
                "next_session",
                stat,
                len(members),
                unit="count",
                method=words,
                engine=COUNTED,
                members=members,
                **common,
            )
        add_curve(
            part.ard,
            "next_session",
            group,
            waiting,
            part.plan,
            words="percent without a further session, time zero being the first repeat session; death and the end of "
            "follow-up censor (a rate among those alive)",
            population=f"{part.common['population']}, with a repeat session",
            estimand_id=ESTIMAND,
            months=NEXT_SESSION_MONTHS,
        )


def _risk_table(part: _Part) -> pd.DataFrame:
    """Return patients at risk at regular months, with the sessions up to then."""
    rows = {part.arms.slug(arm): (arm, part.frame[part.members(arm)]) for arm in part.arms.labels}
    table = risk_table(rows, part.start)
    slugs = part.frame["arm"].map(part.arms.slugs).to_numpy()
    owner, at = slugs[part.sessions["person"]], part.sessions["from_start"].to_numpy() + part.start
    table["events_to_date"] = [
        int(((owner == row.group) & (at <= row.time_months + 1e-9)).sum()) for row in table.itertuples()
    ]
    return table
