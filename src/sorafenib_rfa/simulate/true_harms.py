"""The true risk of severe adverse events and the true months in each state, by simulation under both strategies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sorafenib_rfa.simulate.clinical_records import Observed, _adverse_events, _dose_intervals, _sessions_and_findings
from sorafenib_rfa.simulate.estimands import CHUNK, COLUMNS, _means
from sorafenib_rfa.simulate.outcomes import Chances, Course, draw_chances, follow_course, solve_baseline
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

SEVERE = "GRADE_3_5"
"""Endpoint of the first adverse event of grade 3 or above."""

STATES = ("TOX", "TWIST", "REL")


def true_benefit_risk(
    parameters: SimulationParameters,
    seed: int,
    n_large: int,
    *,
    centre_log_hazards: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the true risks of a severe adverse event and months in each state of partitioned survival.

    Parameters
    ----------
    parameters, seed, n_large, centre_log_hazards
        As for :func:`sorafenib_rfa.simulate.estimands.true_estimands`.

    Returns
    -------
    DataFrame
        The columns of :func:`~sorafenib_rfa.simulate.estimands.true_estimands`, at ``basis`` ``time_zero``. Endpoint
        ``GRADE_3_5``: ``risk`` of a first adverse event of grade 3 or above by a horizon, on the drug or off it, before
        death. Endpoints ``TOX, TWIST, REL``: ``rmst_months`` to the horizon, with recurrence dated when it is seen.

    Notes
    -----
    Everybody is followed to death or beyond the last horizon under each strategy: nobody drops out, and there is no
    confounding.
    """
    centres = dict(centre_log_hazards or draw_centre_log_hazards(parameters, seed))
    s = parameters.strategies
    tau = s.rmst_horizon_months.value
    last_day = np.ceil((max(*s.horizons_months.value, tau) + 1) * DAYS_PER_MONTH)
    hazards = solve_baseline(parameters)
    rng = stream(seed, "harms")
    sizes = [CHUNK] * (n_large // CHUNK) + ([n_large % CHUNK] if n_large % CHUNK else [])
    severe: dict[str, list[np.ndarray]] = {arm: [] for arm in STRATEGIES}
    months: dict[str, list[np.ndarray]] = {arm: [] for arm in STRATEGIES}
    propensity = []
    for size in sizes:
        own = int(rng.integers(2**62))
        people = draw_population(parameters, size, own)
        plan = draw_plan(people, parameters, own)
        chances = draw_chances(size, parameters, own)
        eta = log_hazard_ratios(people, parameters, centres)
        eligible = people["eligible"].to_numpy()
        propensity.append(plan["propensity"].to_numpy()[eligible])
        for arm in STRATEGIES:
            start = plan[f"start_day_{arm}"].to_numpy()
            course = follow_course(people, eta, chances, start, parameters, hazards)
            seen = _followed(course, chances, last_day)
            events = _severe_events(people, seen, course, parameters, own)
            severe[arm].append(_first(events, size, seen)[eligible])
            months[arm].append(_months(events, course, tau * DAYS_PER_MONTH)[eligible])
    weight_of = np.concatenate(propensity)
    first = {arm: np.concatenate(severe[arm]) for arm in STRATEGIES}
    states = {arm: np.concatenate(months[arm]) for arm in STRATEGIES}
    everyone = dict.fromkeys(STRATEGIES, np.ones(weight_of.size, dtype=bool))
    rows: list[tuple] = []
    for population, weight in (("all", np.ones(weight_of.size)), ("overlap", weight_of * (1 - weight_of))):
        for month in s.horizons_months.value:
            by_then = {arm: (first[arm] <= month * DAYS_PER_MONTH).astype(float) for arm in STRATEGIES}
            rows += _means(("time_zero", "true", SEVERE, population), "risk", month, by_then, everyone, weight)
        for j, state in enumerate(STATES):
            value = {arm: states[arm][:, j] / DAYS_PER_MONTH for arm in STRATEGIES}
            key = ("time_zero", "detected", state, population)
            rows += _means(key, "rmst_months", tau, value, everyone, weight)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _followed(course: Course, chances: Chances, last_day: float) -> Observed:
    """Return what is seen of a course when nobody drops out and all are followed to death or `last_day`."""
    death = np.ceil(course.death_day)
    end = np.minimum(death, last_day)
    detected = np.where(course.detected_day <= end, course.detected_day, np.inf)
    start = np.where(course.start_day < np.minimum(detected, end), course.start_day, np.inf)
    stop = np.minimum(np.minimum(start + chances.stop_after_days, detected), end)
    starts = np.isfinite(start)
    return Observed(
        end, death <= last_day, detected, start, np.where(starts, stop, np.inf), np.where(starts, "planned", None)
    )


def _severe_events(
    people: pd.DataFrame, seen: Observed, course: Course, parameters: SimulationParameters, seed: int
) -> pd.DataFrame:
    """Return the adverse events of grade 3 or above: ``patient, day, end_day`` (infinite: open to the end)."""
    doses = _dose_intervals(people, seen, parameters, seed)
    _, of_rfa, _ = _sessions_and_findings(people, seen, course, parameters, seed)
    events, _ = _adverse_events(people, seen, doses, of_rfa, parameters, seed)
    kept = events[events["grade"] >= 3]
    return kept[["patient", "day"]].assign(end_day=kept["end_day"].astype(float).fillna(np.inf))


def _first(events: pd.DataFrame, size: int, seen: Observed) -> np.ndarray:
    """Return the day of each patient's first event, infinite where there is none before or on the day of death."""
    first = events.groupby("patient")["day"].min().reindex(range(size)).to_numpy(dtype=float)
    return np.where(first <= seen.end_day, first + 0.5, np.inf)


def _months(events: pd.DataFrame, course: Course, horizon_day: float) -> np.ndarray:
    """Return days with a severe event open before recurrence, without, and alive after it, shape (n, 3)."""
    free = np.minimum(course.observed_event_day, horizon_day)
    alive = np.minimum(course.death_day, horizon_day)
    toxic = np.zeros(free.size)
    for patient, own in events.sort_values(["patient", "day"]).groupby("patient"):
        limit, covered = free[int(patient)], 0.0
        for day, end_day in zip(own["day"], own["end_day"], strict=True):
            begin, end = max(float(day), covered), min(float(end_day) + 1, limit)
            if end > begin:
                toxic[int(patient)] += end - begin
            covered = max(covered, end)
    return np.stack([toxic, free - toxic, alive - free], axis=1)
