"""Recurrence and death: baseline hazards by cause, potential outcomes under each strategy, detection by imaging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from sorafenib_rfa.simulate.parameters import DAYS_PER_YEAR, EffectPiece, SimulationParameters
from sorafenib_rfa.simulate.population import draw_population, log_hazard_ratios, stream
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH, RECURRENCE_SITES

HORIZON_YEARS = 13
CAUSES = (*RECURRENCE_SITES, "death")
REFERENCE_SIZE = 3000
REFERENCE_SEED = 0
_FAR = 1e9


class BaselineHazards(NamedTuple):
    """Piecewise constant hazards of a patient with all log hazard ratios 0, without sorafenib.

    Attributes
    ----------
    edges : ndarray, shape (J + 1,)
        Days since RFA.
    rates : ndarray, shape (4, J)
        Hazard per day of LTP, IDR, EHS and death before recurrence.
    death_after_recurrence : float
        Hazard of death per day after a recurrence that is not extrahepatic.
    """

    edges: np.ndarray
    rates: np.ndarray
    death_after_recurrence: float


def grid_edges() -> np.ndarray:
    """Return the edges of the time grid, days: half months for two years, then months."""
    month = DAYS_PER_MONTH
    fine = np.arange(0, 24, 0.5) * month
    return np.concatenate([fine, np.arange(24, HORIZON_YEARS * 12 + 1) * month])


def marginal_rates(parameters: SimulationParameters, local_progression: str, edges: np.ndarray) -> np.ndarray:
    """Return the cohort's mean hazards per day by cause on a grid, without sorafenib.

    Parameters
    ----------
    parameters : SimulationParameters
    local_progression : str
        Which curve of LTP holds.
    edges : ndarray, shape (J + 1,)
        Days.

    Returns
    -------
    ndarray, shape (4, J)
        LTP, IDR, EHS, death before recurrence. With the base curve of LTP they sum to the hazard of the declared
        recurrence-free survival. The published LTP-free curve censors competing events, so its cumulative hazard is
        the cause-specific one. Another curve of LTP changes LTP only, and with it recurrence-free survival.
    """
    o = parameters.outcomes
    width = np.diff(edges)

    def rate(curve: object) -> np.ndarray:
        return np.diff(curve.cumulative_hazard(edges)) / width  # type: ignore[attr-defined]

    total = rate(o.recurrence_free_survival.value)
    death = o.death_before_recurrence_share.value * rate(o.overall_survival.value)
    base = rate(o.local_progression_free[o.local_progression_base.value].value)
    # in the first days the separately published curves can cross: there all hazard is local or death, shrunk to fit
    fit = np.minimum(1.0, total / (base + death))
    rest = np.maximum(total - base - death, 0.0)
    local = rate(o.local_progression_free[local_progression].value)
    if local_progression == o.local_progression_base.value:
        local = local * fit
    share = o.extrahepatic_share.value
    return np.stack([local, (1 - share) * rest, share * rest, death * fit])


def solve_baseline(parameters: SimulationParameters) -> BaselineHazards:
    """Return baseline hazards under which the eligible population has the declared curves without sorafenib.

    Covariates spread patients' hazards, and the frail leave first; a baseline taken straight from the published curve
    would give the cohort a different one. So on each interval the baseline hazard of a cause is the marginal one
    divided by the mean hazard ratio of those still at risk, in a large reference population drawn from the parameters.
    Mortality after recurrence is the constant under which five-year overall survival is the declared one.

    Notes
    -----
    The reference population has its own fixed seed and centres without chance differences: the result depends on the
    parameters alone.
    """
    from scipy.optimize import brentq

    edges = grid_edges()
    width = np.diff(edges)
    base = parameters.outcomes.local_progression_base.value
    marginal = marginal_rates(parameters, base, edges)
    people = draw_population(parameters, REFERENCE_SIZE, REFERENCE_SEED)
    people = people[people["eligible"]]
    eta = log_hazard_ratios(people, parameters, dict.fromkeys(parameters.centres, 0.0))
    ratio = np.exp(np.stack([eta[cause] for cause in CAUSES]))
    survival = np.ones(len(people))
    rates = np.empty_like(marginal)
    mean_of = np.empty_like(marginal)
    states = []
    for j in range(len(width)):
        mean_of[:, j] = ratio @ survival / survival.sum()
        rates[:, j] = marginal[:, j] / mean_of[:, j]
        if edges[j] < 5 * DAYS_PER_YEAR:
            states.append(survival)
        survival = survival * np.exp(-(rates[:, j] @ ratio) * width[j])
    target = float(np.exp(-parameters.outcomes.overall_survival.value.cumulative_hazard(edges[len(states)])))
    after = parameters.outcomes.extrahepatic_death_hazard_ratio.value

    def excess(rate: float) -> float:
        recurred = np.zeros((2, len(people)))
        decay = rate * ratio[3] * np.array([[1.0], [after]])
        alive = states[-1]
        for j, free in enumerate(states):
            in_liver = free * (rates[0, j] * ratio[0] + rates[1, j] * ratio[1]) * width[j]
            inflow = np.stack([in_liver, free * rates[2, j] * ratio[2] * width[j]])
            # those who recur in an interval do so half way through it, on average
            recurred = recurred * np.exp(-decay * width[j]) + inflow * np.exp(-decay * width[j] / 2)
            alive = free
        final = alive * np.exp(-(rates[:, len(states) - 1] @ ratio) * width[len(states) - 1])
        return float((final + recurred.sum(axis=0)).mean()) - target

    after_recurrence = float(brentq(excess, 1e-7, 0.05))
    swapped = marginal_rates(parameters, parameters.local_progression, edges)
    rates[0] = swapped[0] / mean_of[0]
    return BaselineHazards(edges, rates, after_recurrence)


@dataclass(frozen=True)
class Chances:
    """Random numbers of each patient that are the same under every strategy (common random numbers).

    ``thresholds``: unit exponentials, shape (4, n), one a cause; ``after_recurrence``: unit exponential;
    ``jitter`` and ``missed``: shape (V, n), one a planned examination; ``stop_day``: days on drug until it is stopped
    for reasons other than recurrence or death; ``procedure_death_day``: infinite for almost all.
    """

    thresholds: np.ndarray
    after_recurrence: np.ndarray
    jitter: np.ndarray
    missed: np.ndarray
    stop_after_days: np.ndarray
    procedure_death_day: np.ndarray


def planned_examinations(parameters: SimulationParameters) -> int:
    """Return how many examinations a patient can have until the horizon."""
    return int(HORIZON_YEARS * DAYS_PER_YEAR / parameters.observation.imaging_interval_on_sorafenib_days.value) + 1


def draw_chances(n: int, parameters: SimulationParameters, seed: int) -> Chances:
    """Return the chances of `n` patients."""
    rng = stream(seed, "chances")
    visits = planned_examinations(parameters)
    d = parameters.dosing
    months = d.stop_scale_months.value * rng.exponential(size=n) ** (1 / d.stop_shape.value)
    dies = rng.random(n) < parameters.safety.procedure_death.value
    return Chances(
        thresholds=rng.exponential(size=(4, n)),
        after_recurrence=rng.exponential(size=n),
        jitter=np.clip(rng.standard_normal((visits, n)), -2, 2),
        missed=rng.random((visits, n)) < parameters.observation.missed_imaging.value,
        stop_after_days=np.ceil(np.minimum(months, d.longest_months.value) * DAYS_PER_MONTH),
        procedure_death_day=np.where(dies, rng.uniform(2, 20, n), np.inf),
    )


@dataclass(frozen=True)
class Course:
    """What happens to patients under one strategy; days since RFA, infinite when it does not happen by the horizon.

    ``by_cause``: shape (3, n), day of LTP, IDR and EHS had nothing else happened; ``recurrence_day``,
    ``recurrence_cause`` (index of :data:`CAUSES`, -1: none), ``death_day``; ``examinations`` and ``attended``: shape
    (V, n); ``detected_day``: first attended examination at or after the recurrence, before death.
    """

    start_day: np.ndarray
    by_cause: np.ndarray
    recurrence_day: np.ndarray
    recurrence_cause: np.ndarray
    death_day: np.ndarray
    examinations: np.ndarray
    attended: np.ndarray
    detected_day: np.ndarray

    @property
    def event_day(self) -> np.ndarray:
        """Day of the first recurrence or death, as it truly happened."""
        return np.minimum(self.recurrence_day, self.death_day)

    @property
    def observed_event_day(self) -> np.ndarray:
        """Day of the first recurrence seen or death, if nobody dropped out."""
        return np.minimum(self.detected_day, self.death_day)


def integrated_ratio(pieces: list[EffectPiece], days: np.ndarray) -> np.ndarray:
    """Return the integral of the hazard ratio from the first dose to `days` after it (negative before: ratio 1)."""
    starts = np.array([piece.from_month * DAYS_PER_MONTH for piece in pieces])
    ratios = np.array([piece.hazard_ratio for piece in pieces])
    values = np.concatenate([[0.0], np.cumsum(np.diff(starts) * ratios[:-1])])
    knots = np.concatenate([[-_FAR], starts, [starts[-1] + _FAR]])
    return np.interp(days, knots, np.concatenate([[-_FAR], values, [values[-1] + _FAR * ratios[-1]]]))


def _first_passage(cumulative: np.ndarray, edges: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Return when cumulative hazards, shape (J, n) at ``edges[1:]``, reach `threshold`; infinite if they do not."""
    reached = (cumulative < threshold).sum(axis=0)
    inside = np.minimum(reached, len(cumulative) - 1)
    patients = np.arange(cumulative.shape[1])
    before = np.where(inside > 0, cumulative[inside - 1, patients], 0.0)
    span = cumulative[inside, patients] - before
    part = (threshold - before) / np.where(span > 0, span, 1.0)
    day = edges[inside] + part * (edges[inside + 1] - edges[inside])
    return np.where(reached < len(cumulative), day, np.inf)


def follow_course(
    population: pd.DataFrame,
    eta: dict[str, np.ndarray],
    chances: Chances,
    start_day: np.ndarray,
    parameters: SimulationParameters,
    hazards: BaselineHazards,
) -> Course:
    """Return the course of each patient when sorafenib starts on `start_day`, unless an event comes first.

    Parameters
    ----------
    population : DataFrame
        :func:`draw_population`; its length n.
    eta : dict of str to ndarray
        Log hazard ratios by cause.
    chances : Chances
    start_day : ndarray, shape (n,)
        Days since RFA; infinite: never.
    parameters : SimulationParameters
    hazards : BaselineHazards

    Notes
    -----
    Each cause has a cumulative hazard of its own and a unit exponential that it must reach; the first to be reached
    happens (independent latent times give the declared cause-specific hazards). Sorafenib multiplies hazards from its
    start on. What happens before the start is the same under every strategy.
    """
    effect = parameters.truth
    edges = hazards.edges
    n = len(population)
    width = np.diff(edges)[:, None]
    never = np.full(n, np.inf)
    ratios = {
        "recurrence": effect.recurrence_hazard_ratio.value,
        "death": effect.death_hazard_ratio.value,
    }
    since = edges[:, None] - np.minimum(start_day, _FAR)[None, :]
    exposed = {name: np.diff(integrated_ratio(pieces, since), axis=0) for name, pieces in ratios.items()}
    days = np.empty((4, n))
    for k, cause in enumerate(CAUSES):
        individual = hazards.rates[k][:, None] * np.exp(eta[cause])[None, :]
        untreated = _first_passage(np.cumsum(individual * width, axis=0), edges, chances.thresholds[k])
        kind = "death" if cause == "death" else "recurrence"
        treated = _first_passage(np.cumsum(individual * exposed[kind], axis=0), edges, chances.thresholds[k])
        days[k] = np.where(untreated <= start_day, untreated, np.maximum(treated, start_day))
    recurrence = days[:3].min(axis=0)
    recurs = np.isfinite(recurrence) & (recurrence < days[3])
    cause = np.where(recurs, days[:3].argmin(axis=0), -1)
    ehs = np.where(cause == 2, parameters.outcomes.extrahepatic_death_hazard_ratio.value, 1.0)
    needed = chances.after_recurrence / (hazards.death_after_recurrence * np.exp(eta["death"]) * ehs)
    after = _death_after_recurrence(np.where(recurs, recurrence, 0.0), needed, start_day, ratios["death"])
    death = np.minimum(np.where(recurs, after, days[3]), chances.procedure_death_day)
    recurrence = np.where(recurs & (recurrence < death), recurrence, np.inf)
    cause = np.where(np.isfinite(recurrence), cause, -1)
    examinations, attended = _examinations(chances, start_day, parameters)
    detected = _detection(days[:3], recurrence, cause, examinations, attended)
    detected = np.where(detected < death, detected, never)
    return Course(start_day, days[:3], recurrence, cause, death, examinations, attended, detected)


def _death_after_recurrence(
    recurrence: np.ndarray, needed: np.ndarray, start_day: np.ndarray, pieces: list[EffectPiece]
) -> np.ndarray:
    """Return the day of death after `recurrence`, `needed` being the wait without an effect of sorafenib on death."""
    if all(piece.hazard_ratio == 1 for piece in pieces):
        return recurrence + needed
    start = np.minimum(start_day, _FAR)
    goal = integrated_ratio(pieces, recurrence - start) + needed
    starts = np.array([piece.from_month * DAYS_PER_MONTH for piece in pieces])
    knots = np.concatenate([[-_FAR], starts, [starts[-1] + _FAR]])
    # the integral rises everywhere, so it can be read backwards
    return start + np.interp(goal, integrated_ratio(pieces, knots), knots)


def _examinations(
    chances: Chances, start_day: np.ndarray, parameters: SimulationParameters
) -> tuple[np.ndarray, np.ndarray]:
    """Return the days of the planned examinations and which are attended, each of shape (V, n)."""
    o = parameters.observation
    usual, closer = o.imaging_interval_days.value, o.imaging_interval_on_sorafenib_days.value
    stop_day = start_day + chances.stop_after_days
    days = np.empty_like(chances.jitter)
    days[0] = np.round(o.first_imaging_day.value * (1 + o.interval_jitter.value * chances.jitter[0]))
    for v in range(1, len(days)):
        on_drug = (days[v - 1] >= start_day) & (days[v - 1] < stop_day)
        gap = np.where(on_drug, closer, usual) * (1 + o.interval_jitter.value * chances.jitter[v])
        days[v] = days[v - 1] + np.round(gap)
    attended = ~chances.missed
    # the examination that shows whether the ablation was complete is not left out
    attended[0] = True
    return days, attended


def _detection(
    by_cause: np.ndarray, recurrence: np.ndarray, cause: np.ndarray, examinations: np.ndarray, attended: np.ndarray
) -> np.ndarray:
    """Return the day of the first attended examination at or after the recurrence.

    Local progression is told from residual tumour by an examination that showed complete ablation, so it is not
    detected before the second one.
    """
    earliest = np.where(cause == 0, np.maximum(recurrence, examinations[0] + 1), recurrence)
    sees = attended & (examinations >= earliest[None, :])
    first = sees.argmax(axis=0)
    found = sees.any(axis=0) & np.isfinite(recurrence)
    return np.where(found, examinations[first, np.arange(len(first))], np.inf)
