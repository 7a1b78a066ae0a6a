"""The true values of the estimands, by simulation of many patients under both strategies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from sorafenib_rfa.simulate.outcomes import draw_chances, follow_course, solve_baseline
from sorafenib_rfa.simulate.parameters import SimulationParameters
from sorafenib_rfa.simulate.population import (
    draw_centre_log_hazards,
    draw_plan,
    draw_population,
    log_hazard_ratios,
    stream,
)
from sorafenib_rfa.simulate.truth import STRATEGIES
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

CHUNK = 10_000
COLUMNS = ("basis", "dating", "endpoint", "population", "strategy", "stat", "month", "value", "mc_se", "n")


class _Sample(NamedTuple):
    """Times in months of n patients: ``times[endpoint, dating][strategy]``; censoring; true propensity."""

    times: dict[tuple[str, str], dict[str, np.ndarray]]
    censoring: np.ndarray
    propensity: np.ndarray


def true_estimands(
    parameters: SimulationParameters,
    seed: int,
    n_large: int,
    *,
    centre_log_hazards: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the true contrasts of the strategies in the eligible population.

    Parameters
    ----------
    parameters : SimulationParameters
    seed : int
        Seed of the study whose truth is asked; its centres' chance differences come from it unless given. The
        patients drawn here are others.
    n_large : int
        Patients screened for the purpose; about four in five are eligible.
    centre_log_hazards : mapping, optional
        Site -> log hazard, as ``centre_log_hazard`` of the truth table.

    Returns
    -------
    DataFrame
        One row a value. ``basis``: ``time_zero`` (everyone eligible, from the index RFA) or ``landmark`` (under each
        strategy, those event-free on the landmark day; months still count from RFA). ``dating``: ``true`` (recurrence
        when it arises) or ``detected`` (when an attended examination shows it, which is what data hold and which
        depends on how closely an arm is watched). ``endpoint``: RFS, OS. ``population``: ``all``, or ``overlap``
        (weighted by e(1 - e) with the true propensity e). ``strategy``: ``sorafenib``, ``control``, ``contrast``.
        ``stat``: ``rmst_months`` (to the horizon of the plan, whose ``contrast`` is the difference), ``survival`` at a
        horizon, ``log_hazard_ratio`` (Cox, with the administrative censoring and drop-out of the study, since an
        average over a varying hazard ratio depends on them). ``month``; ``value``; ``mc_se``: standard error of
        `value` from simulation, on patients whose two courses share their chances; ``n``: patients behind it.

    Notes
    -----
    With treatment by potential outcomes there is no confounding: each strategy is simulated for everyone.
    """
    centres = dict(centre_log_hazards or draw_centre_log_hazards(parameters, seed))
    sample = _sample(parameters, seed, n_large, centres)
    s = parameters.strategies
    landmark = s.landmark_day.value / DAYS_PER_MONTH
    rows: list[tuple] = []
    weights = {"all": np.ones(len(sample.propensity)), "overlap": sample.propensity * (1 - sample.propensity)}
    for (endpoint, dating), times in sample.times.items():
        # whoever is event-free has neither died nor recurred, whichever endpoint is followed from there
        free = {arm: sample.times["RFS", "detected"][arm] > landmark for arm in STRATEGIES}
        everyone = dict.fromkeys(STRATEGIES, np.ones(len(sample.propensity), dtype=bool))
        for basis, members, start in (("time_zero", everyone, 0.0), ("landmark", free, landmark)):
            for population, weight in weights.items():
                key = (basis, dating, endpoint, population)
                values = {
                    ("rmst_months", s.rmst_horizon_months.value): {
                        arm: np.minimum(times[arm], s.rmst_horizon_months.value) for arm in STRATEGIES
                    },
                    **{
                        ("survival", month): {arm: (times[arm] > month).astype(float) for arm in STRATEGIES}
                        for month in s.horizons_months.value
                    },
                }
                for (stat, month), value in values.items():
                    rows.extend(_means(key, stat, month, value, members, weight))
                rows.append(_log_hazard_ratio(key, times, members, weight, sample.censoring, start))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _sample(parameters: SimulationParameters, seed: int, n_large: int, centres: dict[str, float]) -> _Sample:
    """Return the courses of the eligible among `n_large` new patients, in chunks that bound memory."""
    hazards = solve_baseline(parameters)
    rng = stream(seed, "estimands")
    sizes = [CHUNK] * (n_large // CHUNK) + ([n_large % CHUNK] if n_large % CHUNK else [])
    parts: list[_Sample] = []
    span = (parameters.accrual.last_day.value - parameters.accrual.first_day.value).days
    for size in sizes:
        own = int(rng.integers(2**62))
        people = draw_population(parameters, size, own)
        plan = draw_plan(people, parameters, own)
        chances = draw_chances(size, parameters, own)
        eta = log_hazard_ratios(people, parameters, centres)
        eligible = people["eligible"].to_numpy()
        times: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        for arm in STRATEGIES:
            start = plan[f"start_day_{arm}"].to_numpy()
            course = follow_course(people, eta, chances, start, parameters, hazards)
            for key, days in (
                (("RFS", "true"), course.event_day),
                (("RFS", "detected"), course.observed_event_day),
                (("OS", "true"), course.death_day),
            ):
                times.setdefault(key, {})[arm] = days[eligible] / DAYS_PER_MONTH
        entered = rng.integers(0, span, size, endpoint=True)
        last = (parameters.accrual.data_cutoff.value - parameters.accrual.first_day.value).days - entered
        rate = parameters.observation.drop_out_per_year.value
        lost = rng.exponential(365.25 / rate, size) if rate else np.full(size, np.inf)
        parts.append(
            _Sample(times, (np.minimum(last, lost) / DAYS_PER_MONTH)[eligible], plan["propensity"].to_numpy()[eligible])
        )
    return _Sample(
        {
            key: {arm: np.concatenate([part.times[key][arm] for part in parts]) for arm in STRATEGIES}
            for key in parts[0].times
        },
        np.concatenate([part.censoring for part in parts]),
        np.concatenate([part.propensity for part in parts]),
    )


def _means(
    key: tuple,
    stat: str,
    month: float,
    value: dict[str, np.ndarray],
    members: dict[str, np.ndarray],
    weight: np.ndarray,
) -> list[tuple]:
    """Return the weighted mean of `value` under each strategy and their difference, with simulation errors."""
    means, influence = {}, {}
    for arm in STRATEGIES:
        own = weight * members[arm]
        means[arm] = float((own * value[arm]).sum() / own.sum())
        influence[arm] = own * (value[arm] - means[arm]) / own.mean()
    root = np.sqrt(len(weight))
    rows = [
        (*key, arm, stat, month, means[arm], float(influence[arm].std() / root), int(members[arm].sum()))
        for arm in STRATEGIES
    ]
    first, second = STRATEGIES
    difference = influence[first] - influence[second]
    n = int((members[first] | members[second]).sum())
    contrast = means[first] - means[second]
    return [*rows, (*key, "contrast", stat, month, contrast, float(difference.std() / root), n)]


def _log_hazard_ratio(
    key: tuple,
    times: dict[str, np.ndarray],
    members: dict[str, np.ndarray],
    weight: np.ndarray,
    censoring: np.ndarray,
    start: float,
) -> tuple:
    """Return the log hazard ratio of a Cox model on both copies of each patient, censored as in the study."""
    from sorafenib_rfa.stats.cox import cox_fit

    parts = []
    for arm in STRATEGIES:
        own = np.flatnonzero(members[arm] & (np.minimum(times[arm], censoring) > start))
        end = np.minimum(times[arm][own], censoring[own])
        event = times[arm][own] <= censoring[own]
        parts.append((np.full(len(own), float(arm == STRATEGIES[0])), end, event, weight[own], own))
    one, other = parts
    if np.array_equal(one[4], other[4]) and np.array_equal(one[1], other[1]) and np.array_equal(one[2], other[2]):
        # the two copies of everyone are the same: the ratio is one exactly, and a robust variance of zero no test
        return (*key, "contrast", "log_hazard_ratio", np.nan, 0.0, 0.0, len(one[4]))
    x, time, event, weights, cluster = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    fit = cox_fit(
        x[:, None], time, event, start=np.full(len(x), start), weights=weights, cluster=cluster, names=["sorafenib"]
    )
    return (
        *key,
        "contrast",
        "log_hazard_ratio",
        np.nan,
        float(fit.coef[0]),
        float(fit.se_robust[0]),
        len(np.unique(cluster)),
    )
